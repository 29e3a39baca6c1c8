//! seccomp: the system calls a program may not make. A list of what is forbidden, not of what is allowed: programs
//! that were never seen have to run. Capabilities, which the calls would need, go with them.

use std::collections::BTreeMap;
use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter, sock_filter,
};

use crate::plan::Network;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Filters the calls of this thread and all that it will start. Sets `no_new_privs`.
///
/// # Errors
/// The kernel cannot, or the machine's architecture is not known here.
pub(crate) fn filter(net: Network) -> io::Result<()> {
    apply_filter(&guarded(&compile(forbidden(net)?, libc::EPERM)?)).map_err(io::Error::other)
}

/// Gives up every capability for good.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    for bit in 0..64 {
        // Beyond the last that the kernel knows, and where there is no right to give any up.
        if remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)).is_err() {
            break;
        }
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

fn compile(rules: Rules, errno: i32) -> io::Result<BpfProgram> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let refuse = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

/// Before `program`: calls that are to look as if the kernel did not have them, so that programs take the older way.
/// They are not a filter of their own, for the kernel takes a while over each.
fn guarded(program: &BpfProgram) -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
    const RETURN: u16 = 0x06;
    /// On x86-64 each call has a second number, for programs with short pointers: a way past the filter.
    const SECOND_NUMBERS: u32 = 0x4000_0000;
    // Its flags lie in memory, where a filter cannot see them.
    let clone3 = u32::try_from(libc::SYS_clone3).expect("the numbers of calls are small");
    let second = if cfg!(target_arch = "x86_64") { SECOND_NUMBERS } else { u32::MAX };
    let guard = [
        sock_filter { code: LOAD_NUMBER, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_EQUAL, jt: 1, jf: 0, k: clone3 },
        sock_filter { code: JUMP_IF_GREATER_OR_EQUAL, jt: 0, jf: 1, k: second },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned() },
    ];
    [&guard[..], program].concat()
}

/// Calls that nobody may make, whatever its arguments.
const FORBIDDEN: [i64; 46] = [
    // Ways past the filters of sockets and files.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Keys, and programs in the kernel.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
];

fn forbidden(net: Network) -> io::Result<Rules> {
    let mut rules: Rules = FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, namespaces()?);
    rules.insert(libc::SYS_ioctl, terminals()?);
    rules.insert(libc::SYS_socket, sockets(net)?);
    rules.insert(libc::SYS_socketpair, vec![rule(&[is_datagram()?])?]);
    if net == Network::None {
        rules.insert(libc::SYS_connect, Vec::new());
        // A datagram to an address needs no connection. `send` is this call without one.
        rules.insert(libc::SYS_sendto, vec![rule(&[when(4, Width::Qword, Op::Ne, 0)?])?]);
    }
    Ok(rules)
}

use SeccompCmpArgLen as Width;
use SeccompCmpOp as Op;

fn when(argument: u8, width: Width, op: Op, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, width, op, value).map_err(io::Error::other)
}

fn rule(conditions: &[SeccompCondition]) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions.to_vec()).map_err(io::Error::other)
}

/// `clone` with any flag for a new namespace.
fn namespaces() -> io::Result<Vec<SeccompRule>> {
    let flags = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let has = |flag: i32| {
        let flag = u64::from(flag.cast_unsigned());
        rule(&[when(0, Width::Qword, Op::MaskedEq(flag), flag)?])
    };
    flags.into_iter().map(has).collect()
}

/// `ioctl` that types into a terminal for whoever sits there.
fn terminals() -> io::Result<Vec<SeccompRule>> {
    let is = |request: libc::c_ulong| rule(&[when(1, Width::Dword, Op::Eq, request & 0xffff_ffff)?]);
    [libc::TIOCSTI, libc::TIOCLINUX].into_iter().map(is).collect()
}

const TYPE: u64 = 0xf;

fn is_datagram() -> io::Result<SeccompCondition> {
    when(1, Width::Dword, Op::MaskedEq(TYPE), u64::from(libc::SOCK_DGRAM.cast_unsigned()))
}

/// `socket` of any family that is not granted.
fn sockets(net: Network) -> io::Result<Vec<SeccompRule>> {
    let is_not = |family: i32| when(0, Width::Dword, Op::Ne, u64::from(family.cast_unsigned()));
    let [unix, inet, inet6] = [is_not(libc::AF_UNIX)?, is_not(libc::AF_INET)?, is_not(libc::AF_INET6)?];
    let not_stream = when(1, Width::Dword, Op::MaskedEq(TYPE), u64::from(libc::SOCK_RAW.cast_unsigned()))?;
    Ok(match net {
        Network::None => vec![rule(&[unix])?, rule(&[is_datagram()?])?],
        Network::Proxy => vec![rule(&[unix, inet, inet6])?, rule(&[is_datagram()?])?, rule(&[not_stream])?],
        // How addresses are listed; what else this family reaches needs capabilities.
        Network::Host => {
            let netlink = is_not(libc::AF_NETLINK)?;
            let other_than_route = when(2, Width::Dword, Op::Ne, 0)?;
            let is_netlink = when(0, Width::Dword, Op::Eq, u64::from(libc::AF_NETLINK.cast_unsigned()))?;
            let raw = when(1, Width::Dword, Op::MaskedEq(TYPE), u64::from(libc::SOCK_RAW.cast_unsigned()))?;
            vec![
                rule(&[unix, inet.clone(), inet6, netlink.clone()])?,
                rule(&[is_netlink, other_than_route])?,
                rule(&[netlink, raw])?,
            ]
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_compiles() {
        for net in [Network::None, Network::Proxy, Network::Host] {
            let program = guarded(&compile(forbidden(net).unwrap(), libc::EPERM).unwrap());
            assert!(program.len() > FORBIDDEN.len(), "{net:?}: {}", program.len());
        }
    }

    #[test]
    fn no_call_is_forbidden_twice() {
        let mut calls = FORBIDDEN.to_vec();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), FORBIDDEN.len());
    }
}

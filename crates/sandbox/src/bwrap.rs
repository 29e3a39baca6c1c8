//! The plan in the words of `bwrap`. Not here: finding or starting it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::plan::{Mount, Network, Plan};
use crate::profile::Kind;

/// The bytes of the shared memory directory.
pub(crate) const SHM_BYTES: u64 = 64 << 20;

/// The options, for `--args`: each ended by a NUL.
pub(crate) fn options(plan: &Plan, mounts: &[Mount]) -> Vec<u8> {
    let mut options = Options(Vec::new());
    for flag in ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"] {
        options.add([flag]);
    }
    if plan.net != Network::Host {
        options.add(["--unshare-net"]);
    }
    options.add(["--die-with-parent"]);
    options.add(["--as-pid-1"]);
    options.add(["--cap-drop", "ALL"]);
    mounts.iter().for_each(|mount| options.mount(mount));
    mounts.iter().for_each(|mount| options.seal(mount));
    options.add(["--remount-ro", "/"]);
    options.add(["--chdir", "/"]);
    options.0
}

struct Options(Vec<u8>);

impl Options {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        self.all(words.map(OsStr::new));
    }

    fn all<const N: usize>(&mut self, words: [&OsStr; N]) {
        for word in words {
            self.0.extend(word.as_bytes());
            self.0.push(0);
        }
    }

    fn bind(&mut self, option: &str, from: &Path, at: &Path) {
        self.all([option.as_ref(), from.as_ref(), at.as_ref()]);
    }

    fn mount(&mut self, mount: &Mount) {
        match mount {
            Mount::Bind { at, write: true } => self.bind("--bind", at, at),
            Mount::Bind { at, write: false } => self.bind("--ro-bind", at, at),
            Mount::Guard { at } => self.bind("--ro-bind-try", at, at),
            Mount::Link { target, at } => self.bind("--symlink", target, at),
            Mount::Tmp { at, bytes } => self.tmpfs(at, *bytes, "0700"),
            Mount::Dir { at } => self.all(["--dir".as_ref(), at.as_ref()]),
            Mount::Hide { at, kind: Kind::Dir } => self.tmpfs(at, 4096, "0555"),
            // Bound without leave to open devices, so it cannot even be read.
            Mount::Hide { at, kind: Kind::File } => self.bind("--ro-bind", Path::new("/dev/null"), at),
            Mount::Proc => self.add(["--proc", "/proc"]),
            Mount::Dev => {
                self.add(["--dev", "/dev"]);
                self.tmpfs(Path::new("/dev/shm"), SHM_BYTES, "0700");
            }
        }
    }

    fn tmpfs(&mut self, at: &Path, bytes: u64, mode: &str) {
        let bytes = OsString::from(bytes.to_string());
        self.add(["--perms", mode]);
        self.all(["--size".as_ref(), &bytes, "--tmpfs".as_ref(), at.as_ref()]);
    }

    /// What may be filled only while all is built.
    fn seal(&mut self, mount: &Mount) {
        match mount {
            Mount::Hide { at, kind: Kind::Dir } => self.all(["--remount-ro".as_ref(), at.as_ref()]),
            Mount::Dev => self.add(["--remount-ro", "/dev"]),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Apart};
    use crate::profile::Limits;
    use expect_test::{Expect, expect};

    fn check(net: Network, mounts: Vec<Mount>, expected: Expect) {
        let plan = Plan {
            apart: Some(Apart { bwrap: None, mounts: mounts.clone() }),
            rules: None,
            filter: true,
            net,
            limits: Limits::default(),
            held: Vec::new(),
            tmp: None,
            cwd: None,
            action: Action::Exec,
        };
        let text = String::from_utf8(options(&plan, &mounts)).unwrap().replace("\0--", "\n--").replace('\0', " ");
        let rest = text.split_once("--cap-drop ALL").unwrap();
        let net = if rest.0.contains("--unshare-net") { "own network" } else { "the host's network" };
        expected.assert_eq(&format!("{net}{}\n", rest.1.trim_end()));
    }

    #[test]
    fn a_view_becomes_options_in_its_order() {
        let mounts = vec![
            Mount::Bind { at: "/usr".into(), write: false },
            Mount::Link { target: "usr/bin".into(), at: "/bin".into() },
            Mount::Tmp { at: "/tmp".into(), bytes: 4096 },
            Mount::Dev,
            Mount::Bind { at: "/home/u".into(), write: true },
            Mount::Hide { at: "/home/u/.ssh".into(), kind: Kind::Dir },
            Mount::Hide { at: "/home/u/.netrc".into(), kind: Kind::File },
            Mount::Guard { at: "/home/u/.git".into() },
        ];
        check(
            Network::None,
            mounts,
            expect![[r#"
                own network
                --ro-bind /usr /usr
                --symlink usr/bin /bin
                --perms 0700
                --size 4096
                --tmpfs /tmp
                --dev /dev
                --perms 0700
                --size 67108864
                --tmpfs /dev/shm
                --bind /home/u /home/u
                --perms 0555
                --size 4096
                --tmpfs /home/u/.ssh
                --ro-bind /dev/null /home/u/.netrc
                --ro-bind-try /home/u/.git /home/u/.git
                --remount-ro /dev
                --remount-ro /home/u/.ssh
                --remount-ro /
                --chdir /
            "#]],
        );
    }

    #[test]
    fn the_hosts_network_is_shared_only_when_it_is_granted() {
        check(
            Network::Host,
            Vec::new(),
            expect![[r#"
            the host's network
            --remount-ro /
            --chdir /
        "#]],
        );
    }
}

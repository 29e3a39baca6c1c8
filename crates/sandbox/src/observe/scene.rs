//! The bait: files, sockets and a process that a program under the profile must not reach.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use super::{Operation, Outcome};
use crate::launch::unused_tmp;
use crate::profile::{Kind, Profile, Protected};

/// What the bait says before anybody touched it.
const UNTOUCHED: &str = "untouched";

/// Bait, and a profile that grants what lies beside it.
pub(super) struct Scene {
    pub profile: Profile,
    root: PathBuf,
    tcp: TcpListener,
    udp: UdpSocket,
    _unix: (UnixListener, UnixDatagram, UnixListener),
}

/// What the probe is told of it.
pub(super) struct Bait {
    pub root: PathBuf,
    pub tcp: u16,
    pub udp: u16,
    pub process: i32,
}

impl Scene {
    pub(super) fn set(profile: &Profile) -> io::Result<Self> {
        let root = unused_tmp();
        for dir in ["work/.git", "read/secret", "outside/dir"] {
            fs::create_dir_all(root.join(dir))?;
        }
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))?;
        for file in ["outside/canary", "outside/removable", "read/file", "read/secret/key", "work/.git/config"] {
            fs::write(root.join(file), UNTOUCHED)?;
        }
        fs::write(root.join("work/mine"), "")?;
        symlink(root.join("outside/canary"), root.join("work/link"))?;
        let hidden = SocketAddr::from_abstract_name(abstract_name(&root))?;
        Ok(Self {
            profile: Self::grant(profile, &root),
            tcp: TcpListener::bind("127.0.0.1:0")?,
            udp: UdpSocket::bind("127.0.0.1:0")?,
            _unix: (
                UnixListener::bind(root.join("outside/stream"))?,
                UnixDatagram::bind(root.join("outside/datagram"))?,
                UnixListener::bind_addr(&hidden)?,
            ),
            root,
        })
    }

    /// The profile, with a directory to write, one to read, and one to hide.
    fn grant(profile: &Profile, root: &Path) -> Profile {
        let mut profile = profile.clone();
        profile.write.push(root.join("work"));
        profile.read.push(root.join("read"));
        profile.masked.push(root.join("read/secret"));
        for (name, kind) in [(".git", Kind::Dir), (".codex", Kind::Dir), (".mcp.json", Kind::File)] {
            if !profile.protected.iter().any(|protected| protected.name == name) {
                profile.protected.push(Protected { name: name.to_owned(), kind });
            }
        }
        profile
    }

    /// What [`Bait::of`] reads back, after the word for what to do.
    pub(super) fn arguments(&self, what: &str) -> Vec<OsString> {
        let port = |address: io::Result<std::net::SocketAddr>| address.map_or(0, |address| address.port());
        let (tcp, udp) = (port(self.tcp.local_addr()), port(self.udp.local_addr()));
        let numbers = [tcp.to_string(), udp.to_string(), std::process::id().to_string()];
        let head = [OsString::from(what), self.root.clone().into()];
        head.into_iter().chain(numbers.map(Into::into)).collect()
    }

    /// What is seen from here of what the program believes to have done.
    pub(super) fn verify(&self, operation: Operation, outcome: Outcome) -> Outcome {
        let at = |name: &str| self.root.join(name);
        let touched = |name: &str| fs::read_to_string(at(name)).map_or(true, |text| text != UNTOUCHED);
        let done = match operation {
            Operation::CreateOutside => at("outside/new").exists(),
            Operation::WriteOutside | Operation::TruncateOutside => touched("outside/canary"),
            Operation::RemoveOutside => !at("outside/removable").exists(),
            Operation::MoveOutside => at("outside/moved").exists(),
            Operation::WriteReadOnly => touched("read/file"),
            Operation::WriteProtected => touched("work/.git/config"),
            Operation::CreateProtected => at("work/.codex/config.toml").exists(),
            Operation::WriteSharedTmp => self.shared().exists(),
            _ => outcome == Outcome::Open,
        };
        if done { Outcome::Open } else { Outcome::Held }
    }

    fn shared(&self) -> PathBuf {
        shared_file(&self.root)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.root);
        _ = fs::remove_file(self.shared());
    }
}

impl Bait {
    pub(super) fn of(args: &[OsString]) -> Option<Bait> {
        let number = |at: usize| args.get(at)?.to_str();
        Some(Bait {
            root: args.get(1)?.into(),
            tcp: number(2)?.parse().ok()?,
            udp: number(3)?.parse().ok()?,
            process: number(4)?.parse().ok()?,
        })
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn shared(&self) -> PathBuf {
        shared_file(&self.root)
    }

    pub(super) fn abstract_name(&self) -> Vec<u8> {
        abstract_name(&self.root)
    }
}

/// A file where everybody puts temporary ones.
fn shared_file(root: &Path) -> PathBuf {
    root.with_extension("shared")
}

fn abstract_name(root: &Path) -> Vec<u8> {
    root.as_os_str().as_bytes().to_vec()
}

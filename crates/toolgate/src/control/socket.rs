//! The gate's end: a socket that nobody but its user can reach, and who answers on it.

use std::convert::Infallible;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::order::carry_out;
use super::{Done, LONGEST, Order, directory};
use crate::wire::Keeper;

/// The longest path that a socket can have, in bytes: one less than the system's field for it.
const LONGEST_PATH: usize = 107;

/// Orders that are carried out at once; further ones wait to be heard.
const AT_ONCE: usize = 8;

/// How long an order may take to arrive.
const SAID: Duration = Duration::from_secs(5);

/// How long nobody is listened to after that went wrong.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps the gate at what is written, and at what it is told through its socket under `state`, toolgate's directory. From
/// now on SIGHUP ends nothing. The future has to be polled, and never ends. A gate without a socket serves all the same.
///
/// # Errors
/// When signals cannot be listened to.
pub fn attend(keeper: &Keeper, state: &Path) -> io::Result<impl Future<Output = Infallible> + use<>> {
    let keeping = keeper.attend()?;
    let control = Control::open(state);
    if let Err(error) = &control {
        tracing::warn!(target: "mcp::manager", "`toolgate mcp restart` and `reload` will not reach this gate: {error}");
    }
    let keeper = keeper.clone();
    let listening = async move {
        match &control {
            Ok(control) => control.listen(&keeper).await,
            Err(_) => std::future::pending().await,
        }
    };
    Ok(async {
        tokio::select! {
            never = keeping => never,
            never = listening => never,
        }
    })
}

/// The socket of this process. It is gone when this is.
struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    fn open(state: &Path) -> io::Result<Self> {
        let directory = directory(state);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        check(&directory)?;
        let path = directory.join(format!("{}.sock", std::process::id()));
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(io::Error::other(format!("{} is too long for a socket", path.display())));
        }
        // Left behind by a process of the same number.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let control = Self { listener, path };
        fs::set_permissions(&control.path, Permissions::from_mode(0o600))?;
        Ok(control)
    }

    async fn listen(&self, keeper: &Keeper) -> Infallible {
        let mut heard = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = heard.next(), if !heard.is_empty() => {}
                accepted = self.listener.accept(), if heard.len() < AT_ONCE => match accepted {
                    Ok((stream, _)) => heard.push(hear(stream, keeper)),
                    Err(error) => {
                        tracing::warn!(target: "mcp::manager", %error, "an order could not be heard");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // If it stays, whoever speaks to it finds nobody and takes it away.
        let _ = fs::remove_file(&self.path);
    }
}

/// Nobody else may have made the directory, or may put anything into it.
fn check(directory: &Path) -> io::Result<()> {
    let meta = directory.symlink_metadata()?;
    let ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
    if !ours || meta.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("{} is open to others", directory.display())));
    }
    Ok(())
}

async fn hear(stream: UnixStream, keeper: &Keeper) {
    let user = rustix::process::geteuid().as_raw();
    if stream.peer_cred().is_ok_and(|peer| peer.uid() == user || peer.uid() == 0) {
        // Whoever has gone away needs no answer.
        let _ = answer(stream, keeper).await;
    }
}

async fn answer(mut stream: UnixStream, keeper: &Keeper) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new((&mut stream).take(LONGEST));
    tokio::time::timeout(SAID, reader.read_line(&mut line)).await??;
    let done = match serde_json::from_str::<Order>(&line) {
        Ok(order) => {
            tracing::info!(target: "mcp::manager", "ordered: {order:?}");
            carry_out(order, keeper).await
        }
        Err(error) => Done { pid: std::process::id(), error: Some(error.to_string()), ..Done::default() },
    };
    let mut line = serde_json::to_vec(&done)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_others_holds_no_socket() {
        let state = tempfile::tempdir().expect("a directory");
        let run = directory(state.path());
        fs::create_dir(&run).expect("made");
        for (mode, fits) in [(0o700, true), (0o770, false), (0o701, false)] {
            fs::set_permissions(&run, Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(check(&run).is_ok(), fits, "{mode:o}");
        }
        fs::rename(&run, state.path().join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink(state.path().join("elsewhere"), &run).expect("made");
        assert!(check(&run).is_err(), "a link");
    }

    #[tokio::test]
    async fn a_socket_is_for_its_user_alone_and_goes_with_its_gate() {
        let state = tempfile::tempdir().expect("a directory");
        let control = Control::open(state.path()).expect("opened");
        let path = control.path.clone();
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().expect("a directory")).expect("it is there").mode() & 0o777, 0o700);
        drop(control);
        assert!(!path.exists());
        let deep = state.path().join("x".repeat(100));
        assert!(Control::open(&deep).is_err(), "no socket can have such a path");
    }
}

//! The command's end: finds the gates of a home and tells all of them the same.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Done, LONGEST, Order, directory};

/// How long a gate may take for what it is told.
fn patience(order: &Order) -> Duration {
    match order {
        Order::Status => Duration::from_secs(5),
        Order::Reload => Duration::from_secs(60),
        Order::Restart { .. } => Duration::from_secs(180),
    }
}

/// The gates that run on one home.
pub struct Gates {
    sockets: Vec<(u32, PathBuf)>,
}

/// What one gate said.
#[derive(Debug)]
pub struct Spoken {
    /// Its process.
    pub pid: u32,
    /// What it did, or why it could not be asked.
    pub done: io::Result<Done>,
}

impl Gates {
    /// Those whose sockets are under `state`, toolgate's directory.
    pub fn of(state: &Path) -> Self {
        let entries = fs::read_dir(directory(state)).into_iter().flatten().flatten();
        let socket = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let pid = name.strip_suffix(".sock")?.parse().ok()?;
            entry.file_type().ok()?.is_socket().then(|| (pid, entry.path()))
        };
        let mut sockets: Vec<_> = entries.filter_map(socket).collect();
        sockets.sort();
        Self { sockets }
    }

    /// Where their sockets are.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.sockets.iter().map(|(_, path)| path.clone())
    }

    /// Tells all of them, at once. A socket that nobody listens on is taken away. Inside a runtime.
    pub async fn tell(&self, order: &Order) -> Vec<Spoken> {
        let said = self.sockets.iter().map(|(pid, path)| async move {
            let done = tokio::time::timeout(patience(order), ask(path, order)).await;
            let done = done.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")));
            (path, Spoken { pid: *pid, done })
        });
        join_all(said).await.into_iter().filter_map(|(path, spoken)| there(path, spoken)).collect()
    }
}

fn there(path: &Path, spoken: Spoken) -> Option<Spoken> {
    match spoken.done.as_ref().map_err(io::Error::kind) {
        Err(io::ErrorKind::ConnectionRefused) => {
            // Its gate was killed. That it stays harms nobody.
            let _ = fs::remove_file(path);
            None
        }
        Err(io::ErrorKind::NotFound) => None,
        _ => Some(spoken),
    }
}

async fn ask(path: &Path, order: &Order) -> io::Result<Done> {
    let mut stream = UnixStream::connect(path).await?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line).await?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before it answered"));
    }
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_taken_away() {
        let state = tempfile::tempdir().expect("a directory");
        let run = directory(state.path());
        fs::create_dir(&run).expect("made");
        let left = run.join("7.sock");
        drop(UnixListener::bind(&left).expect("bound"));
        fs::write(run.join("8.sock"), "no socket").expect("written");
        assert!(Gates::of(state.path()).tell(&Order::Status).await.is_empty());
        assert!(!left.exists() && run.join("8.sock").exists());
        assert!(Gates::of(&state.path().join("nowhere")).tell(&Order::Status).await.is_empty());
    }

    #[test]
    fn an_order_is_one_line_that_people_can_read() {
        let check = |order: &Order, line: &str| {
            assert_eq!(serde_json::to_string(order).expect("words"), line);
            assert_eq!(&serde_json::from_str::<Order>(line).expect("an order"), order);
        };
        check(&Order::Reload, r#"{"do":"reload"}"#);
        check(&Order::Restart { servers: None }, r#"{"do":"restart","servers":null}"#);
        check(&Order::Restart { servers: Some(vec!["x".into()]) }, r#"{"do":"restart","servers":["x"]}"#);
        check(&Order::Status, r#"{"do":"status"}"#);
        assert!(serde_json::from_str::<Order>(r#"{"do":"start","servers":["x"]}"#).is_err());
    }
}

//! One program run to its end under supervision, for the tools that are programs. Not here: which one, or whether.

use crate::room::Room;
use bytes::Bytes;
use mcp::stdio::child_pipes;
use sandbox::{Effective, Event, ExitKind, Helper, Launch, LaunchError, Net, Step, Watched};
use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long output may still come once nothing of the program is left.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What to run.
#[derive(Debug)]
pub struct Job {
    /// The program, its arguments, its environment.
    pub launch: Launch,
    /// What it reads; then its input ends.
    pub stdin: Bytes,
    /// How long it may take before it is ended.
    pub limit: Duration,
    /// What it has to leave of the disks, if anything.
    pub room: Option<Room>,
    /// How many bytes of each stream are kept: its beginning and its end.
    pub keep: usize,
    /// Of a stream up to this many bytes long all is kept beside that.
    pub whole: usize,
}

/// Which of its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, or by a signal.
    Exited(ExitKind),
    /// It was ended because its time was over.
    Overdue,
    /// It was ended because that was asked for.
    Stopped,
    /// It was ended because it left too little of a disk.
    Filled,
    /// The operating system would not start it, for this error number.
    NotStarted(i32),
    /// What it was to be bound by could not be built: what failed, and the error number or 0.
    NotConfined(Step, i32),
    /// Nobody can tell.
    Lost,
}

/// A program that has run.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output.
    pub stdout: Clip,
    /// What it wrote to standard error.
    pub stderr: Clip,
    /// From start to end.
    pub took: Duration,
    /// What held it, for a launch with a profile.
    pub effective: Option<Effective>,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    /// No supervisor.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// Its pipes are of no use.
    #[error("what it says cannot be followed")]
    Pipes(#[from] io::Error),
    /// The runtime is going down.
    #[error("toolgate is stopping")]
    Stopping,
}

/// A program that runs.
pub struct Started {
    /// What it reads.
    pub stdin: Sender,
    /// What it says.
    pub stdout: Receiver,
    /// What it complains of.
    pub stderr: Option<Receiver>,
    /// Dropping it ends the program, and all that it started.
    pub watched: Watched,
    /// What holds it, for a launch with a profile.
    pub effective: Option<Effective>,
    /// Its way out to the hosts it may reach; ends with it.
    pub way_out: JoinSet<()>,
}

/// Starts a program.
///
/// # Errors
/// [`NotRun`] if nothing was started.
pub async fn start(helper: &Helper, launch: Launch) -> Result<Started, NotRun> {
    let helper = helper.clone();
    let net = launch.profile.as_ref().map(|profile| profile.net.clone());
    let launched = tokio::task::spawn_blocking(move || sandbox::launch(&helper, &launch)).await;
    let child = launched.map_err(|_| NotRun::Stopping)??;
    let mut way_out = JoinSet::new();
    if let (Some(egress), Some(Net::Hosts(hosts))) = (child.egress, net) {
        way_out.spawn(sandbox::serve_egress("a command".to_owned(), egress, hosts));
    }
    let (stdin, stdout) = child_pipes(child.stdin, child.stdout)?;
    let stderr = child.stderr.map(Receiver::from_owned_fd).transpose()?;
    let watched = Watched::new(child.lifeline)?;
    Ok(Started { stdin, stdout, stderr, watched, effective: child.effective, way_out })
}

/// Runs the program to its end; `heard` is given what it writes as it comes. `stop` ends the program and all it
/// started, and returns when nothing of it is left; dropping the future ends them without waiting.
///
/// # Errors
/// [`NotRun`] if nothing was started.
pub async fn run(
    helper: &Helper,
    job: Job,
    heard: &mut (dyn FnMut(Stream, &[u8]) + Send),
    stop: CancellationToken,
) -> Result<Ran, NotRun> {
    let begun = Instant::now();
    let Started { stdin, stdout, stderr, watched, effective, way_out: _way_out } = start(helper, job.launch).await?;
    let mut out = Tap { stream: Stream::Out, pipe: Some(stdout), clip: Clip::new(job.keep, job.whole) };
    let mut err = Tap { stream: Stream::Err, pipe: stderr, clip: Clip::new(job.keep, job.whole) };
    let filled = async move {
        match job.room {
            Some(room) => room.used_up().await,
            None => std::future::pending().await,
        }
    };
    let until = Until { deadline: begun + job.limit, stop, filled: pin!(filled) };
    let ending = follow(&watched, pin!(feed(stdin, job.stdin)), (&mut out, &mut err), until, heard).await;
    Ok(Ran { ending, stdout: out.clip, stderr: err.clip, took: begun.elapsed(), effective })
}

/// A program need not read its input, so failing to write it is no failure.
async fn feed(mut stdin: Sender, input: Bytes) {
    _ = stdin.write_all(&input).await;
}

/// When it has to end.
struct Until<'a> {
    deadline: Instant,
    stop: CancellationToken,
    filled: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
}

async fn follow(
    watched: &Watched,
    mut feeding: Pin<&mut (impl Future<Output = ()> + Send)>,
    (out, err): (&mut Tap, &mut Tap),
    Until { deadline, stop, mut filled }: Until<'_>,
    heard: &mut (dyn FnMut(Stream, &[u8]) + Send),
) -> Ending {
    let (mut fed, mut ending, mut gone) = (false, None, None);
    let (mut out_buffer, mut err_buffer) = (vec![0; 1 << 16], vec![0; 1 << 13]);
    while gone.is_none() || out.pipe.is_some() || err.pipe.is_some() {
        tokio::select! {
            biased;
            read = read(&mut out.pipe, &mut out_buffer), if out.pipe.is_some() => out.take(&out_buffer[..read], heard),
            read = read(&mut err.pipe, &mut err_buffer), if err.pipe.is_some() => err.take(&err_buffer[..read], heard),
            event = watched.next_event(), if gone.is_none() => match event {
                Event::Started { .. } => {}
                Event::NotStarted { errno } => ending = ending.or(Some(Ending::NotStarted(errno))),
                Event::NotConfined { step, errno } => ending = ending.or(Some(Ending::NotConfined(step, errno))),
                Event::Exited(exit) => ending = ending.or(Some(Ending::Exited(exit))),
                Event::Gone | Event::Lost => gone = Some(Instant::now() + LAST_WORDS),
            },
            () = &mut feeding, if !fed => fed = true,
            () = sleep_until(deadline), if ending.is_none() && gone.is_none() => {
                ending = Some(Ending::Overdue);
                watched.terminate();
            }
            () = stop.cancelled(), if ending.is_none() && gone.is_none() => {
                ending = Some(Ending::Stopped);
                watched.terminate();
            }
            () = &mut filled, if ending.is_none() && gone.is_none() => {
                ending = Some(Ending::Filled);
                // Whatever it would still do, it would do to the disk.
                watched.kill();
            }
            () = sleep_until(gone.unwrap_or(deadline)), if gone.is_some() => break,
        }
    }
    ending.unwrap_or(Ending::Lost)
}

/// How much was read; nothing means that the stream is over. Cancel safe.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    }
}

/// One stream while it is read.
struct Tap {
    stream: Stream,
    /// Until it is over.
    pipe: Option<Receiver>,
    clip: Clip,
}

impl Tap {
    fn take(&mut self, bytes: &[u8], heard: &mut (dyn FnMut(Stream, &[u8]) + Send)) {
        if bytes.is_empty() {
            self.pipe = None;
            return;
        }
        self.clip.push(bytes);
        heard(self.stream, bytes);
    }
}

/// The beginning and the end of a stream.
#[derive(Debug, Default)]
pub struct Clip {
    room: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes between the two that were let go.
    left_out: u64,
    /// All of it, while it is no longer than it may be.
    whole: Option<Vec<u8>>,
    longest: usize,
}

impl Clip {
    /// Keeps at most `room` bytes: half of it the first, half of it the last. Of a stream up to `longest` bytes long
    /// all is kept too.
    pub fn new(room: usize, longest: usize) -> Self {
        Self { room: room / 2, longest, whole: (longest > 0).then(Vec::new), ..Self::default() }
    }

    /// Takes more in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.whole = self.whole.take().filter(|whole| whole.len() + bytes.len() <= self.longest);
        if let Some(whole) = &mut self.whole {
            whole.extend_from_slice(bytes);
        }
        let (first, rest) = bytes.split_at(bytes.len().min(self.room - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(self.room);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    /// How many bytes were let go.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All of it, if something was let go and it was not too long.
    pub fn take_whole(&mut self) -> Option<Vec<u8>> {
        self.whole.take().filter(|_| self.left_out > 0)
    }

    /// What was kept, as text; where something was let go it says so.
    pub fn text(&self) -> String {
        let (a, b) = self.tail.as_slices();
        if self.left_out == 0 {
            return String::from_utf8_lossy(&[&self.head, a, b].concat()).into_owned();
        }
        let tail = [a, b].concat();
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail));
        format!("{head}\n[… {} bytes left out …]\n{tail}", self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::Clip;

    fn check(room: usize, pieces: &[&str], expected: &str) {
        let mut clip = Clip::new(room, 0);
        pieces.iter().for_each(|piece| clip.push(piece.as_bytes()));
        assert_eq!(clip.text(), expected);
    }

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        check(8, &["abcd", "efgh"], "abcdefgh");
        check(8, &["abcdefghij"], "abcd\n[… 2 bytes left out …]\nghij");
        check(8, &["ab", "cdef", "ghij", "k"], "abcd\n[… 3 bytes left out …]\nhijk");
        check(0, &["ab"], "\n[… 2 bytes left out …]\n");
        check(100, &["é".split_at(0).1, "🙂"], "é🙂");
    }

    #[test]
    fn all_of_a_cut_stream_is_kept_up_to_a_length() {
        let whole = |longest: usize, pieces: &[&str]| {
            let mut clip = Clip::new(4, longest);
            pieces.iter().for_each(|piece| clip.push(piece.as_bytes()));
            clip.take_whole().map(|whole| String::from_utf8(whole).expect("text"))
        };
        assert_eq!(whole(6, &["abcd"]), None, "nothing is missing");
        assert_eq!(whole(6, &["abc", "def"]).as_deref(), Some("abcdef"));
        assert_eq!(whole(6, &["abc", "defg", "h"]), None);
        assert_eq!(whole(0, &["abcdefg"]), None);
    }

    #[test]
    fn a_letter_in_two_pieces_is_one_letter() {
        let mut clip = Clip::new(100, 0);
        "é🙂".as_bytes().iter().for_each(|byte| clip.push(&[*byte]));
        assert_eq!(clip.text(), "é🙂");
    }
}

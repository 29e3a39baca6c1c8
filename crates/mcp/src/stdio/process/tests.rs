//! Real descriptors of every kind, each held to what a descriptor given to us must keep.

use super::*;
use crate::limits::Limits;
use crate::stdio::{Line, LineReader, outbox};
use bytes::Bytes;
use rustix::fs::{Mode, OFlags, fcntl_getfl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::pipe;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

/// For what takes milliseconds, on a machine that may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

fn sockets() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket pair")
}

fn pipes() -> (OwnedFd, OwnedFd) {
    pipe().expect("a pipe")
}

/// The two ends of a terminal that passes bytes on as they are: ours to read and write, and the program's.
fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let theirs = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it opens");
    let mut modes = tcgetattr(&theirs).expect("a terminal");
    modes.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &modes).expect("a terminal");
    (ours, theirs)
}

fn assert_blocking(fd: &OwnedFd) {
    let flags = fcntl_getfl(fd).expect("an open descriptor");
    assert!(!flags.contains(OFlags::NONBLOCK), "the description was made non-blocking");
}

fn frame(text: &str) -> Line {
    Line::Frame(Bytes::copy_from_slice(text.as_bytes()))
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should not take this long")
}

/// Reads two lines from `given` that come in after it was taken, then its end.
async fn check_input(given: OwnedFd, other: OwnedFd) {
    let kept = given.try_clone().expect("a second descriptor of the same description");
    let mut reader = LineReader::new(Input::new(given).expect("it can be read"), Limits::default());
    let mut other = File::from(other);
    other.write_all(b"{\"a\":1}\n\r\n").expect("room");
    assert_eq!(in_time(reader.next()).await.expect("open"), frame("{\"a\":1}"));
    assert_blocking(&kept);
    other.write_all(b"{\"b\":").expect("room");
    other.write_all(b"2}").expect("room");
    drop(other);
    assert_eq!(in_time(reader.next()).await.expect("open"), frame("{\"b\":2}"));
    assert_eq!(in_time(reader.next()).await.expect("open"), Line::Eof);
    assert_blocking(&kept);
}

/// Writes more than any buffer holds to `given` while `other` is read.
async fn check_output(given: OwnedFd, other: OwnedFd) {
    let kept = given.try_clone().expect("a second descriptor of the same description");
    let big = "x".repeat(3 << 20);
    let expected = 2 * (big.len() + 1);
    let reading = std::thread::spawn(move || {
        let mut all = vec![0; expected];
        File::from(other).read_exact(&mut all).map(|()| all)
    });
    let (outbox, task) = outbox(Output::new(given).expect("it can be written"), Limits::default());
    for _ in 0..2 {
        outbox.try_send(Bytes::copy_from_slice(big.as_bytes())).expect("room");
    }
    drop(outbox);
    in_time(task.run()).await.expect("open");
    assert_blocking(&kept);
    let all = reading.join().expect("no panic").expect("all of it");
    assert!(all == format!("{big}\n{big}\n").into_bytes());
}

#[tokio::test]
async fn a_pipe_is_read_and_stays_blocking() {
    let (ours, theirs) = pipes();
    check_input(ours, theirs).await;
}

#[tokio::test]
async fn a_socket_is_read_and_stays_blocking() {
    let (ours, theirs) = sockets();
    check_input(ours, theirs).await;
}

#[tokio::test]
async fn a_pipe_that_cannot_be_opened_anew_is_read() {
    let (ours, theirs) = pipes();
    let kept = ours.try_clone().expect("a second descriptor");
    let input = Input::Thread(ThreadReader::new(ours).expect("a thread"));
    let mut reader = LineReader::new(input, Limits::default());
    File::from(theirs).write_all(b"one\ntwo").expect("room");
    assert_eq!(in_time(reader.next()).await.expect("open"), frame("one"));
    assert_eq!(in_time(reader.next()).await.expect("open"), frame("two"));
    assert_eq!(in_time(reader.next()).await.expect("open"), Line::Eof);
    assert_blocking(&kept);
}

#[tokio::test]
async fn a_pipe_whose_writer_is_gone_gives_what_it_holds_and_ends() {
    for text in ["", "last\n"] {
        let (ours, theirs) = pipes();
        File::from(theirs).write_all(text.as_bytes()).expect("room");
        let mut reader = LineReader::new(Input::new(ours).expect("it can be read"), Limits::default());
        if !text.is_empty() {
            assert_eq!(in_time(reader.next()).await.expect("open"), frame("last"));
        }
        assert_eq!(in_time(reader.next()).await.expect("open"), Line::Eof);
    }
}

#[tokio::test]
async fn a_terminal_is_read_and_stays_blocking() {
    let (ours, theirs) = terminal();
    let kept = theirs.try_clone().expect("a second descriptor");
    let mut reader = LineReader::new(Input::new(theirs).expect("it can be read"), Limits::default());
    for text in ["one", "two"] {
        File::from(ours.try_clone().expect("a second descriptor"))
            .write_all(format!("{text}\n").as_bytes())
            .expect("room");
        assert_eq!(in_time(reader.next()).await.expect("open"), frame(text));
    }
    assert_blocking(&kept);
}

#[tokio::test]
async fn a_file_is_read_to_its_end() {
    let mut file = tempfile::tempfile().expect("a file");
    let big = "y".repeat(1 << 20);
    file.write_all(format!("one\n{big}\ntwo").as_bytes()).expect("room");
    std::io::Seek::rewind(&mut file).expect("a file");
    let mut reader = LineReader::new(Input::new(file.into()).expect("it can be read"), Limits::default());
    for want in [frame("one"), frame(&big), frame("two"), Line::Eof] {
        assert!(in_time(reader.next()).await.expect("open") == want);
    }
}

#[tokio::test]
async fn nothing_is_read_from_and_written_to_dev_null() {
    let null = || OwnedFd::from(File::options().read(true).write(true).open("/dev/null").expect("it exists"));
    let mut reader = LineReader::new(Input::new(null()).expect("it can be read"), Limits::default());
    assert_eq!(in_time(reader.next()).await.expect("open"), Line::Eof);
    let (outbox, task) = outbox(Output::new(null()).expect("it can be written"), Limits::default());
    outbox.try_send(Bytes::from_static(b"gone")).expect("room");
    drop(outbox);
    in_time(task.run()).await.expect("open");
}

#[tokio::test]
async fn a_pipe_is_written_and_stays_blocking() {
    let (theirs, ours) = pipes();
    check_output(ours, theirs).await;
}

#[tokio::test]
async fn a_socket_is_written_and_stays_blocking() {
    let (ours, theirs) = sockets();
    check_output(ours, theirs).await;
}

#[tokio::test]
async fn a_terminal_is_written_and_stays_blocking() {
    let (ours, theirs) = terminal();
    check_output(theirs, ours).await;
}

#[tokio::test]
async fn a_pipe_that_cannot_be_opened_anew_is_written() {
    let (theirs, ours) = pipes();
    let kept = ours.try_clone().expect("a second descriptor");
    let (outbox, task) = outbox(Output::Thread(ThreadWriter::new(ours).expect("a thread")), Limits::default());
    outbox.try_send(Bytes::from_static(b"one")).expect("room");
    outbox.try_send(Bytes::from_static(b"two")).expect("room");
    drop(outbox);
    in_time(task.run()).await.expect("open");
    drop(kept);
    let mut all = String::new();
    File::from(theirs).read_to_string(&mut all).expect("open");
    assert_eq!(all, "one\ntwo\n");
}

#[tokio::test]
async fn what_others_made_non_blocking_is_still_read_and_written() {
    let (theirs, ours) = pipes();
    for fd in [&theirs, &ours] {
        rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK).expect("an open descriptor");
    }
    let mut reader = LineReader::new(Input::Thread(ThreadReader::new(theirs).expect("a thread")), Limits::default());
    let (outbox, task) = outbox(Output::Thread(ThreadWriter::new(ours).expect("a thread")), Limits::default());
    // More than the pipe holds, so that both ends have to wait.
    let big = "x".repeat(1 << 20);
    outbox.try_send(Bytes::copy_from_slice(big.as_bytes())).expect("room");
    drop(outbox);
    let (written, read) = in_time(async { tokio::join!(task.run(), reader.next()) }).await;
    written.expect("open");
    assert!(read.expect("open") == frame(&big));
    assert_eq!(in_time(reader.next()).await.expect("open"), Line::Eof);
}

#[tokio::test]
async fn a_file_is_written() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let given = OwnedFd::from(file.reopen().expect("a file"));
    let (outbox, task) = outbox(Output::new(given).expect("it can be written"), Limits::default());
    let big = "z".repeat(1 << 20);
    outbox.try_send(Bytes::copy_from_slice(big.as_bytes())).expect("room");
    outbox.try_send(Bytes::from_static(b"end")).expect("room");
    drop(outbox);
    in_time(task.run()).await.expect("open");
    assert!(std::fs::read_to_string(file.path()).expect("a file") == format!("{big}\nend\n"));
}

async fn check_dead_reader(given: OwnedFd, other: OwnedFd) {
    drop(other);
    let (outbox, task) = outbox(Output::new(given).expect("it can be opened"), Limits::default());
    outbox.try_send(Bytes::from_static(b"nobody reads this")).expect("room");
    let error = in_time(task.run()).await.expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert!(outbox.is_closed());
}

#[tokio::test]
async fn a_reader_that_is_gone_is_a_broken_pipe() {
    let (theirs, ours) = pipes();
    check_dead_reader(ours, theirs).await;
    let (ours, theirs) = sockets();
    check_dead_reader(ours, theirs).await;
}

/// The resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it is listed");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

#[tokio::test]
async fn a_line_of_a_gigabyte_costs_no_memory() {
    let (ours, theirs) = pipes();
    let writing = std::thread::spawn(move || {
        let mut pipe = File::from(theirs);
        let chunk = vec![b'x'; 1 << 20];
        pipe.write_all(b"{\"id\":7,").and_then(|()| (0..1024).try_for_each(|_| pipe.write_all(&chunk)))?;
        pipe.write_all(b"\n{\"next\":1}\n")
    });
    let limits = Limits { frame_bytes: 1 << 20, ..Limits::default() };
    let mut reader = LineReader::new(Input::new(ours).expect("it can be read"), limits);
    let before = resident();
    let Line::TooLong { head, tail, bytes } = in_time(reader.next()).await.expect("open") else {
        panic!("it is too long")
    };
    assert!(resident() - before < 16 << 20, "{} bytes more", resident() - before);
    assert_eq!(bytes, (1 << 30) + 8);
    assert!(head.starts_with(b"{\"id\":7,xxx") && tail.ends_with(b"xxx") && head.len() == tail.len());
    assert_eq!(in_time(reader.next()).await.expect("open"), frame("{\"next\":1}"));
    writing.join().expect("no panic").expect("all was read");
}

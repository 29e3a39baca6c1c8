//! The one writer of a connection, and the handles that give it frames.

use crate::limits::Limits;
use crate::splice::one_line;
use bytes::Bytes;
use smallvec::SmallVec;
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use thiserror::Error;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

/// How many frames one write may take; twice as many slices are well below what a system call takes (1024).
const BATCH_FRAMES: usize = 256;

/// The writer is gone: its stream failed, or its task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the connection is closed")]
pub struct Closed;

/// Why [`Outbox::try_send`] took no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TrySend {
    /// As much waits as may wait.
    #[error("the peer does not keep up")]
    Full,
    /// See [`Closed`].
    #[error("the connection is closed")]
    Closed,
}

/// Where frames for one connection are put. Clones share the connection.
#[derive(Clone)]
pub struct Outbox(Arc<Sending>);

/// Writes what its [`Outbox`]es were given. Dropping it closes them.
pub struct OutboxTask<W> {
    writer: W,
    receiving: Receiving,
}

/// A bounded queue of frames in front of `writer`: at most `limits.outbox_frames` frames, and beyond the first
/// frame at most `limits.frame_bytes` bytes.
pub fn outbox<W: AsyncWrite + Unpin>(writer: W, limits: Limits) -> (Outbox, OutboxTask<W>) {
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        most_frames: limits.outbox_frames,
        most_bytes: limits.frame_bytes,
        work: Notify::new(),
        room: Notify::new(),
    });
    let task = OutboxTask { writer, receiving: Receiving(shared.clone()) };
    (Outbox(Arc::new(Sending(shared))), task)
}

impl Outbox {
    /// Queues one frame; its newline is added, line breaks inside it become spaces. Waits for room. Frames of
    /// one task keep their order. Cancel safe: a dropped future has queued nothing.
    ///
    /// # Errors
    /// [`Closed`] once the writer is gone.
    pub async fn send(&self, frame: Bytes) -> Result<(), Closed> {
        let mut frame = in_one_line(frame);
        loop {
            let mut room = pin!(self.0.0.room.notified());
            // Before looking for room, so that none can be made unnoticed between looking and waiting.
            room.as_mut().enable();
            match self.0.0.push(frame) {
                Ok(()) => return Ok(()),
                Err((TrySend::Closed, _)) => return Err(Closed),
                Err((TrySend::Full, back)) => frame = back,
            }
            room.await;
        }
    }

    /// Queues one frame if there is room now.
    ///
    /// # Errors
    /// [`TrySend::Full`] or [`TrySend::Closed`]; the frame was not queued.
    pub fn try_send(&self, frame: Bytes) -> Result<(), TrySend> {
        self.0.0.push(in_one_line(frame)).map_err(|(why, _)| why)
    }

    /// Whether the writer is gone.
    pub fn is_closed(&self) -> bool {
        self.0.0.lock().closed
    }
}

impl<W: AsyncWrite + Unpin> OutboxTask<W> {
    /// Writes until all outboxes are gone and everything is written; all that waits goes into one write.
    ///
    /// # Errors
    /// What the stream reports; the outboxes are closed then.
    pub async fn run(mut self) -> io::Result<()> {
        let mut batch = Vec::new();
        while self.receiving.take_all(&mut batch).await {
            for frames in batch.chunks(BATCH_FRAMES) {
                write_lines(&mut self.writer, frames).await?;
            }
            self.writer.flush().await?;
            batch.clear();
        }
        Ok(())
    }
}

/// What both ends share. A queue of our own, because all that waits must leave it at once and its bytes count.
struct Shared {
    // std Mutex: held for a few moves, never across an await.
    queue: Mutex<Queue>,
    most_frames: usize,
    most_bytes: usize,
    work: Notify,
    room: Notify,
}

#[derive(Default)]
struct Queue {
    frames: Vec<Bytes>,
    bytes: usize,
    /// No one will read any more.
    closed: bool,
    /// No one will write any more.
    finished: bool,
    /// Somebody found no room, and is to be told when there is.
    wanted: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Gives the frame back if it was not taken.
    fn push(&self, frame: Bytes) -> Result<(), (TrySend, Bytes)> {
        let mut queue = self.lock();
        if queue.closed {
            return Err((TrySend::Closed, frame));
        }
        let too_many = queue.frames.len() >= self.most_frames;
        if !queue.frames.is_empty() && (too_many || queue.bytes + frame.len() > self.most_bytes) {
            queue.wanted = true;
            return Err((TrySend::Full, frame));
        }
        let idle = queue.frames.is_empty();
        queue.bytes += frame.len();
        queue.frames.push(frame);
        drop(queue);
        if idle {
            self.work.notify_one();
        }
        Ok(())
    }
}

/// The sending end; its drop says that no frame will follow.
struct Sending(Arc<Shared>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.lock().finished = true;
        self.0.work.notify_one();
    }
}

/// The receiving end; its drop refuses all frames.
struct Receiving(Arc<Shared>);

impl Receiving {
    /// Moves all that waits into the empty `batch`, waiting for a first frame; `false` when none will come.
    async fn take_all(&self, batch: &mut Vec<Bytes>) -> bool {
        loop {
            if let Some(more) = self.try_take_all(batch) {
                return more;
            }
            self.0.work.notified().await;
        }
    }

    fn try_take_all(&self, batch: &mut Vec<Bytes>) -> Option<bool> {
        let mut queue = self.0.lock();
        if queue.frames.is_empty() {
            return queue.finished.then_some(false);
        }
        std::mem::swap(&mut queue.frames, batch);
        queue.bytes = 0;
        let wanted = std::mem::take(&mut queue.wanted);
        drop(queue);
        if wanted {
            self.0.room.notify_waiters();
        }
        Some(true)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        queue.frames = Vec::new();
        drop(queue);
        self.0.room.notify_waiters();
    }
}

/// A line break inside a frame would end it early and begin a forged one.
fn in_one_line(frame: Bytes) -> Bytes {
    if memchr::memchr(b'\n', &frame).is_some() { one_line(frame) } else { frame }
}

/// Writes each frame and a newline behind it, in as few writes as the stream allows.
async fn write_lines<W: AsyncWrite + Unpin>(writer: &mut W, frames: &[Bytes]) -> io::Result<()> {
    let mut slices: SmallVec<[IoSlice<'_>; 32]> =
        frames.iter().flat_map(|frame| [IoSlice::new(frame), IoSlice::new(b"\n")]).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let written = writer.write_vectored(left).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdio::{Line, LineReader};
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::AsyncReadExt;
    use tokio::task::JoinSet;

    /// Notes each write, and takes at most `most` bytes of it.
    struct Noted {
        writes: Arc<Mutex<Vec<Vec<u8>>>>,
        most: usize,
    }

    impl AsyncWrite for Noted {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let mut all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            all.truncate(self.most);
            let written = all.len();
            self.writes.lock().expect("unpoisoned").push(all);
            Poll::Ready(Ok(written))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn noted(most: usize) -> (Noted, Arc<Mutex<Vec<Vec<u8>>>>) {
        let writes = Arc::default();
        (Noted { writes: Arc::clone(&writes), most }, writes)
    }

    fn frame(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[tokio::test]
    async fn frames_of_many_callers_share_one_write() {
        let (writer, writes) = noted(usize::MAX);
        let (outbox, task) = outbox(writer, Limits::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { task.run().await.expect("it never fails") });
        for i in 0..32 {
            let outbox = outbox.clone();
            tasks.spawn(async move { outbox.send(frame(&i.to_string())).await.expect("open") });
        }
        drop(outbox);
        tasks.join_all().await;
        let writes = writes.lock().expect("unpoisoned");
        assert_eq!(writes.len(), 1, "{writes:?}");
        let want: String = (0..32).map(|i| format!("{i}\n")).collect();
        assert_eq!(writes[0], want.as_bytes());
    }

    #[tokio::test]
    async fn short_writes_are_continued() {
        for most in [1, 2, 3, 7] {
            let (writer, writes) = noted(most);
            let (outbox, task) = outbox(writer, Limits::default());
            for text in ["abc", "de", "fghi"] {
                outbox.try_send(frame(text)).expect("room");
            }
            drop(outbox);
            task.run().await.expect("it never fails");
            assert_eq!(writes.lock().expect("unpoisoned").concat(), b"abc\nde\nfghi\n");
        }
    }

    #[tokio::test]
    async fn a_line_break_cannot_forge_a_frame() {
        let (writer, writes) = noted(usize::MAX);
        let (outbox, task) = outbox(writer, Limits::default());
        outbox.send(frame("{\r\n \"a\": 1\n}")).await.expect("open");
        drop(outbox);
        task.run().await.expect("it never fails");
        assert_eq!(writes.lock().expect("unpoisoned").concat(), b"{   \"a\": 1 }\n");
    }

    #[tokio::test]
    async fn more_frames_than_one_call_takes_are_all_written() {
        let (writer, writes) = noted(usize::MAX);
        let (outbox, task) = outbox(writer, Limits { outbox_frames: 5_000, ..Limits::default() });
        for i in 0..3_000 {
            outbox.try_send(frame(&i.to_string())).expect("room");
        }
        drop(outbox);
        task.run().await.expect("it never fails");
        let want: String = (0..3_000).map(|i| format!("{i}\n")).collect();
        assert_eq!(writes.lock().expect("unpoisoned").concat(), want.as_bytes());
    }

    fn check_bound(frames: usize, bytes: usize, texts: &[&str], taken: usize) {
        let (outbox, _task) =
            outbox(tokio::io::sink(), Limits { outbox_frames: frames, frame_bytes: bytes, ..Limits::default() });
        let results: Vec<_> = texts.iter().map(|text| outbox.try_send(frame(text)).is_ok()).collect();
        assert_eq!(results.iter().filter(|ok| **ok).count(), taken, "{results:?}");
        assert_eq!(outbox.try_send(frame("one too many")), Err(TrySend::Full));
    }

    #[test]
    fn frames_and_bytes_are_bounded() {
        check_bound(3, 1 << 20, &["a", "b", "c", "d"], 3);
        check_bound(100, 10, &["aaaa", "bbbb", "cccc"], 2);
        // One frame always goes, else it could never be sent.
        check_bound(100, 10, &["a frame above the bound"], 1);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_holds_up_its_own_senders_alone() {
        let (ours, theirs) = tokio::io::duplex(16);
        let (outbox, task) = outbox(ours, Limits { outbox_frames: 2, ..Limits::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { task.run().await.expect("open") });
        for i in 0..50 {
            let outbox = outbox.clone();
            tasks.spawn(async move { outbox.send(frame(&format!("frame number {i}"))).await.expect("open") });
        }
        drop(outbox);
        tokio::task::yield_now().await;
        let mut reader = LineReader::new(theirs, Limits::default());
        let mut count = 0;
        while reader.next().await.expect("open") != Line::Eof {
            count += 1;
        }
        assert_eq!(count, 50);
        tasks.join_all().await;
    }

    #[tokio::test]
    async fn a_dead_peer_closes_the_outbox() {
        let (ours, theirs) = tokio::io::duplex(16);
        let (outbox, task) = outbox(ours, Limits { outbox_frames: 1, ..Limits::default() });
        outbox.send(frame("longer than what the pipe takes")).await.expect("open");
        let waiting = outbox.send(frame("x"));
        drop(theirs);
        let (ran, sent) = tokio::join!(task.run(), async { (waiting.await, outbox.send(frame("y")).await) });
        assert!(ran.is_err());
        assert_eq!(sent.1, Err(Closed));
        assert_eq!(outbox.try_send(frame("z")), Err(TrySend::Closed));
        assert!(outbox.is_closed());
    }

    #[tokio::test]
    async fn a_dropped_task_closes_the_outbox() {
        let (outbox, task) = outbox(tokio::io::sink(), Limits { outbox_frames: 1, ..Limits::default() });
        outbox.send(frame("fills it")).await.expect("open");
        let (sent, ()) = tokio::join!(outbox.send(frame("waits")), async { drop(task) });
        assert_eq!(sent, Err(Closed));
    }

    #[tokio::test]
    async fn what_waits_is_written_after_the_last_sender_left() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let (outbox, task) = outbox(ours, Limits::default());
        let other = outbox.clone();
        outbox.send(frame("a")).await.expect("open");
        drop(outbox);
        other.send(frame("b")).await.expect("open");
        drop(other);
        task.run().await.expect("open");
        let mut all = String::new();
        theirs.read_to_string(&mut all).await.expect("open");
        assert_eq!(all, "a\nb\n");
    }
}

//! How many runs there are at a time, and how many may wait: first come, first served. Not here: sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Where runs wait for their turn.
#[derive(Debug)]
pub struct Queue {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// Too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full(pub usize);

impl Queue {
    /// `at_once` runs, and `waiting` behind them.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once.max(1))), waiting: Arc::default(), most: waiting }
    }

    /// Waits for a turn, which lasts until what is returned is dropped.
    ///
    /// # Errors
    /// [`Full`] at once if too many wait already.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Full> {
        if let Ok(turn) = self.turns.clone().try_acquire_owned() {
            return Ok(turn);
        }
        let _place = Place::take(&self.waiting, self.most)?;
        Ok(self.turns.clone().acquire_owned().await.expect("the semaphore is never closed"))
    }
}

/// A place among those who wait; given up when dropped, however the waiting ended.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, most: usize) -> Result<Self, Full> {
        let more = |count: usize| (count < most).then_some(count + 1);
        match waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(Self(waiting.clone())),
            Err(count) => Err(Full(count)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_too_late_is_told_so_and_who_waits_gets_a_turn() {
        let queue = Arc::new(Queue::new(1, 1));
        let first = queue.enter().await.expect("free");
        let second = queue.enter();
        let mut second = std::pin::pin!(second);
        assert!(futures_poll(&mut second).is_none());
        assert_eq!(queue.enter().await.err(), Some(Full(1)));
        drop(first);
        drop(second.await.expect("its turn"));
        assert!(queue.enter().await.is_ok());
    }

    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}

//! The one place where an asynchronous runtime begins.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::ui::Failure;

/// Runs `work` to its end on this thread.
///
/// # Errors
/// What `work` fails with, or that no runtime could be made.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // One thread is enough, and the cheapest: what the gate does between two system calls is microseconds.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("start the runtime", error))?;
    let result = runtime.block_on(work);
    // A read of a terminal cannot be taken back, so do not wait for it.
    runtime.shutdown_background();
    result
}

/// Serves until it ends by itself or we are asked to end; then `stop` tells it, and it has its own time to finish.
/// `beside` is polled meanwhile. A hangup is no reason to end: it means to read the configuration again.
///
/// # Errors
/// What serving fails with.
pub async fn until_asked(
    serving: impl Future<Output = io::Result<()>> + Send + 'static,
    beside: impl Future<Output = Infallible>,
    stop: &CancellationToken,
) -> io::Result<()> {
    // A task of its own: waking the runtime's root future costs a system call each time, waking a task none.
    #[expect(clippy::disallowed_methods, reason = "awaited below, whatever happens")]
    let mut serving = tokio::spawn(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        _ = terminated() => {
            stop.cancel();
            serving.await
        }
        never = pulse() => match never {},
        never = beside => match never {},
    };
    ended.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// How often [`pulse`] beats; more often than any usual call may take.
const PULSE: Duration = Duration::from_secs(20);

/// A timer that is set before all others makes the runtime wake itself with a system call. With one that is due anyway
/// before a call's time is up, no call pays for that.
async fn pulse() -> Infallible {
    loop {
        tokio::time::sleep(PULSE).await;
    }
}

/// Completes when the user or the system asks this process to end.
///
/// # Errors
/// When signals cannot be listened to.
pub async fn asked_to_end() -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        ended = terminated() => ended,
        _ = hangup.recv() => Ok(()),
    }
}

/// The same without a hangup.
async fn terminated() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

//! When a running gate reads its configuration again: when a file changes, on SIGHUP, and when somebody asks.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::watch::Watch;
use super::{Live, Reloaded, System, Trouble};
use crate::config::Config;
use crate::ui::Failure;
use gate::Code;
use gate::ports::Clock;

/// Files that were written so shortly before they are watched may be newer than what was read of them.
const FRESH: Duration = Duration::from_secs(10);

/// Reads the configuration.
type Read = dyn Fn() -> Result<Config, Failure> + Send + Sync;

/// Keeps a running gate at what is written.
#[derive(Clone)]
pub struct Keeper {
    live: Arc<Live>,
    read: Arc<Read>,
    /// How often it was read.
    reads: Arc<AtomicU64>,
}

/// The files that say what a gate is, and the one that tells that logins have new tokens to mask.
fn watched(config: &Config) -> Vec<PathBuf> {
    config.files.iter().cloned().chain([upstream::oauth::marker(&config.state_dir())]).collect()
}

impl Keeper {
    /// For this gate, whose configuration `read` reads.
    pub fn new(live: Arc<Live>, read: impl Fn() -> Result<Config, Failure> + Send + Sync + 'static) -> Self {
        Self { live, read: Arc::new(read), reads: Arc::default() }
    }

    /// What it keeps.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Reads what is written now and goes by it.
    ///
    /// # Errors
    /// Why it cannot be used; then all is as it was.
    pub async fn reload(&self) -> Result<Reloaded, Trouble> {
        let Self { live, read, reads } = self.clone();
        reads.fetch_add(1, Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || match read() {
            Ok(written) => live.reload(written),
            Err(failure) => Err(live.reject(failure.into())),
        });
        done.await.unwrap_or_else(|_| Err(Failure::new(Code::InternalBug, "reading it ended by a defect").into()))
    }

    /// Begins to listen: from now on SIGHUP means to read again, and ends nothing. The future has to be polled, and
    /// never ends.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub fn attend(&self) -> io::Result<impl Future<Output = Infallible> + use<>> {
        let hangup = signal(SignalKind::hangup())?;
        let watch = Watch::new(&watched(&self.live.config()));
        Ok(self.clone().keep(watch, hangup))
    }

    async fn keep(self, mut watch: Watch, mut hangup: Signal) -> Infallible {
        if watch.touched_within(FRESH, System.wall_micros()) {
            self.follow(&mut watch).await;
        }
        loop {
            tokio::select! {
                () = watch.changed(|| self.reads.load(Ordering::Relaxed)) => {}
                Some(()) = hangup.recv() => {}
            }
            self.follow(&mut watch).await;
        }
    }

    async fn follow(&self, watch: &mut Watch) {
        watch.reading(self.reads.load(Ordering::Relaxed) + 1);
        // Both outcomes were told where people look for them.
        let _ = self.reload().await;
        watch.follow(&watched(&self.live.config()));
    }
}

//! The login of one server at work: the header on each request, and its renewal, once for all processes.

use super::challenge::{Challenge, is_scope};
use super::grant::{self, GrantError, bearer};
use super::net::Net;
use super::store::{self, Record, Standing, StoreError};
use gate::ports::Clock;
use http::HeaderValue;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use url::Url;

/// How long before its end a token is renewed, unless it is short-lived.
const SLACK_MS: u64 = 60_000;
/// After the authorization server could not be reached, how long it is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// The login of one server.
pub struct Tokens {
    state_dir: PathBuf,
    server: String,
    url: Url,
    net: Net,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// Held while one of our tasks renews: the others wait and find its work done.
    renewing: tokio::sync::Mutex<()>,
}

/// The same login, whatever is known of it at the moment.
impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        (&self.state_dir, &self.server, &self.url) == (&other.state_dir, &other.server, &other.url)
    }
}

impl Eq for Tokens {}

#[derive(Default)]
struct Held {
    /// The state of the folder that `record` was read from.
    stamp: Option<SystemTime>,
    record: Option<Record>,
    /// Not before this is the authorization server asked again.
    pause: Option<Instant>,
}

/// Whether a refused request is worth being repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Again {
    /// With the token there is now.
    Yes,
    /// There never was a login.
    Never,
    /// There was one, and it is over.
    Over,
    /// It is good, but for less than this takes. All scopes a login would need, where they can be told.
    Scopes(Vec<String>),
    /// It is good, and yet refused; or it cannot be renewed right now.
    No,
}

impl Tokens {
    /// The login at `server`, whether there is one or not. `None` for a URL that no token is sent to: only `https`, or
    /// `http` on this machine.
    pub fn new(state_dir: PathBuf, server: &str, url: &str, clock: Arc<dyn Clock>) -> Option<Arc<Self>> {
        let url = Url::parse(url).ok()?;
        let net = Net::new(url.clone());
        net.check(&url).ok()?;
        let (held, renewing) = (Mutex::default(), tokio::sync::Mutex::new(()));
        Some(Arc::new(Self { state_dir, server: server.to_owned(), url, net, clock, held, renewing }))
    }

    /// Whether there is, or was, a login.
    pub(crate) fn any(&self) -> bool {
        self.record().is_some()
    }

    /// Whether there is a login that is not over.
    pub(crate) fn good(&self) -> bool {
        self.record().is_some_and(|record| record.standing(self.now_ms()) != Standing::Over)
    }

    fn now_ms(&self) -> u64 {
        self.clock.wall_micros() / 1000
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing under the lock panics half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept now: logins come and go in other processes too.
    fn record(&self) -> Option<Record> {
        let mut held = self.held();
        let stamp = store::stamp(&self.state_dir);
        if held.stamp != stamp || stamp.is_none() {
            held.record = self.read();
            held.stamp = stamp;
        }
        held.record.clone()
    }

    fn read(&self) -> Option<Record> {
        match store::find(&self.state_dir, &self.server, &self.url) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(target: "mcp::manager", server = %self.server, %error, "the login is not used");
                None
            }
        }
    }

    /// The header of a request, its token renewed if it ends soon. `tasks` outlives whoever waits for it.
    pub(crate) async fn current(self: &Arc<Self>, tasks: &TaskTracker) -> Option<HeaderValue> {
        let record = self.record()?;
        let access = record.access.clone()?;
        if self.is_due(&record) && record.refresh.is_some() {
            // If that fails, the server says whether the old one is still good.
            let _ = self.renew(access.clone(), tasks).await;
            return bearer(&self.record()?.access?);
        }
        bearer(&access)
    }

    fn is_due(&self, record: &Record) -> bool {
        let Some(expires) = record.expires_ms else { return false };
        let lifetime = expires.saturating_sub(record.obtained_ms);
        expires <= self.now_ms().saturating_add(SLACK_MS.min(lifetime / 4))
    }

    /// What to do about a request that was refused although it had `used`.
    pub(crate) async fn refused(
        self: &Arc<Self>,
        status: u16,
        challenge: Option<&HeaderValue>,
        used: Option<&HeaderValue>,
        tasks: &TaskTracker,
    ) -> Again {
        let challenge = Challenge::parse(challenge.and_then(|header| header.to_str().ok()).unwrap_or_default());
        self.held().stamp = None;
        let Some(record) = self.record() else { return Again::Never };
        let Some(access) = record.access.clone() else { return Again::Over };
        if bearer(&access).as_ref() != used {
            return Again::Yes;
        }
        if status == 403 {
            return if challenge.wants_more() { Again::Scopes(union(&record, &challenge)) } else { Again::No };
        }
        if record.refresh.is_none() {
            return Again::Over;
        }
        match self.renew(access, tasks).await {
            Ok(()) => Again::Yes,
            Err(RenewError::Over) => Again::Over,
            Err(_) => Again::No,
        }
    }

    /// Renews the login whose access token is `stale`. A renewal that began is finished even if nobody waits any longer:
    /// with rotation the old refresh token is worth nothing once the new one is on its way.
    async fn renew(self: &Arc<Self>, stale: String, tasks: &TaskTracker) -> Result<(), RenewError> {
        let tokens = self.clone();
        let renewal = tasks.spawn(async move {
            let _turn = tokens.renewing.lock().await;
            let done = tokens.renew_alone(&stale).await;
            let mut held = tokens.held();
            held.stamp = None;
            if matches!(done, Err(RenewError::Later)) {
                held.pause = Some(Instant::now() + PAUSE);
            }
            done
        });
        renewal.await.unwrap_or(Err(RenewError::Later))
    }

    async fn renew_alone(&self, stale: &str) -> Result<(), RenewError> {
        if self.held().pause.is_some_and(|until| Instant::now() < until) {
            return Err(RenewError::Later);
        }
        let Some(record) = self.read() else { return Err(RenewError::Over) };
        let (state_dir, of) = (self.state_dir.clone(), record);
        let locked = tokio::task::spawn_blocking(move || store::lock(&state_dir, &of)).await;
        let Ok(Ok(_lock)) = locked else { return Err(RenewError::Later) };
        // Whoever had the lock before may have done it already.
        let Some(mut record) = self.read() else { return Err(RenewError::Over) };
        if record.access.as_deref().is_some_and(|access| access != stale) {
            return Ok(());
        }
        let Some(refresh) = record.refresh.clone() else { return Err(RenewError::Over) };
        let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh), ("resource", &record.resource)];
        let answer = grant::ask(&self.net, &record.token_endpoint, &record.client, &form).await;
        let outcome = match answer {
            Ok(granted) => {
                record.take(granted, self.now_ms());
                Ok(())
            }
            Err(GrantError::Refused(code)) if is_final(code) => {
                tracing::info!(target: "mcp::manager", server = %self.server, code, "the login is over");
                record.end();
                Err(RenewError::Over)
            }
            Err(error) => {
                tracing::warn!(target: "mcp::manager", server = %self.server, %error, "the login could not be renewed");
                return Err(RenewError::Later);
            }
        };
        if self.read().is_none() {
            // Somebody logged out meanwhile, and meant it.
            return Err(RenewError::Over);
        }
        if let Err(StoreError::Io { what, path, source }) = store::keep(&self.state_dir, &record) {
            tracing::error!(target: "mcp::manager", what, path = %path.display(), error = %source, "a login is lost");
        }
        outcome
    }
}

/// Why a login was not renewed.
enum RenewError {
    /// It cannot be.
    Over,
    /// Not now.
    Later,
}

/// Whether an error code says that a login cannot be renewed, now or later. What is not known to is tried again.
fn is_final(code: &str) -> bool {
    matches!(
        code,
        "invalid_grant" | "invalid_client" | "unauthorized_client" | "unsupported_grant_type" | "invalid_target"
    )
}

/// What is had and what is wanted, for a command line that a person will copy: plain words only.
fn union(record: &Record, challenge: &Challenge) -> Vec<String> {
    let mut scopes = record.scopes.clone();
    scopes.extend(challenge.scopes.iter().flatten().filter(|scope| !record.scopes.contains(scope)).cloned());
    let plain = |scope: &String| {
        is_scope(scope) && scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte))
    };
    if scopes.iter().all(plain) && scopes.iter().map(String::len).sum::<usize>() <= 500 { scopes } else { Vec::new() }
}

//! What governs calls, as each room wants to hear it: policy, approvals, masks, what is recorded of arguments.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::bell::Desktop;
use super::options::mode;
use super::{Modes, Selection, System, budget, requesters};
use crate::config::{AuditArgs, Config, DataPattern, Detect, Env, Server, ServerData, Trust};
use crate::ui::Failure;
use gate::mask::{CustomPattern, DataRules, MaskOptions, NationalId};
use gate::policy::{Barred, RuleId};
use gate::ports::{Bell, Desk, LockKeeper, Paths};
use gate::{
    ApprovalRules, Approvals, Arguments, Code, KeepArguments, Masks, PaceLimits, Pins, Policy, PolicySource, Restores,
    ServerName, ServerRules,
};
use store::lock::{Keeper, LockError, LockFile};

/// How long a call waits out of band when nobody wrote how long: below the minute after which the clients of the
/// official SDKs give up. The question outlives it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who may be asked for a person's word, and how long a call waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approver {
    /// Whoever the configuration says; the agent that calls has started this process.
    Configured,
    /// Whoever the configuration says; agents call from elsewhere.
    Service,
    /// The person at this terminal, by the client that we are ourselves.
    Terminal,
    /// Nobody is there: a call waits this long for an answer from elsewhere.
    Elsewhere(Duration),
}

impl Approver {
    /// Whether what the client's user answers is the approval.
    pub fn by_client(self, config: &Config) -> bool {
        match self {
            Self::Configured | Self::Service => config.approvals.by_client,
            Self::Terminal => true,
            Self::Elsewhere(_) => false,
        }
    }

    fn patience(self, config: &Config) -> Duration {
        match self {
            Self::Configured | Self::Service | Self::Terminal if config.approvals.timeout_written => {
                config.approvals.timeout
            }
            Self::Configured | Self::Service | Self::Terminal => PATIENCE,
            Self::Elsewhere(patience) => patience,
        }
    }
}

/// How people are asked. Opens nothing: the database is made when it is first needed.
pub fn approvals(config: &Config, env: &Env, approver: Approver) -> Approvals {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let rules = ApprovalRules {
        lifetime: micros(config.approvals.timeout),
        patience: micros(approver.patience(config)),
        requesters: requesters::of_this_process(approver == Approver::Configured),
        ..ApprovalRules::default()
    };
    // Who sits at this terminal is asked there.
    let rings = config.approvals.notify && approver != Approver::Terminal;
    let bell = rings.then(|| Desktop::of(env)).flatten().map(|bell| Arc::new(bell) as Arc<dyn Bell>);
    Approvals::new(desk(config), Arc::new(System), Arc::new(System), rules).ringing(bell)
}

/// Where questions to people lie.
pub fn desk(config: &Config) -> Arc<dyn Desk> {
    Arc::new(store::db::Db::at(config.state_dir().join(store::db::FILE), Arc::new(System)))
}

/// Everything the policy of these servers is compiled from.
pub fn policy(config: &Config, servers: &[&Server], selection: &Selection) -> PolicySource {
    let settings = &config.policy;
    PolicySource {
        managed: settings.managed.clone(),
        rules: settings.rules.clone(),
        servers: rules(servers, selection),
        high_impact: settings.high_impact.clone(),
        managed_high_impact: settings.managed_high_impact.clone(),
        workspace: settings.workspace.clone(),
        team: settings.team.clone(),
        paths: Some(Arc::new(Links)),
    }
}

/// The rules of every server.
fn rules(servers: &[&Server], selection: &Selection) -> HashMap<ServerName, ServerRules> {
    let kept = budget::keeps_any(servers, selection).then(|| (ServerName::from(builtin::NAME), own_rules()));
    let ours = selection.own_rules(servers).into_iter().chain(kept);
    servers.iter().map(|server| (server.name.as_str().into(), rules_of(server))).chain(ours).collect()
}

/// The rules of what is our own.
pub fn own_rules() -> ServerRules {
    ServerRules { trusted: true, ..ServerRules::default() }
}

fn rules_of(server: &Server) -> ServerRules {
    let tool_modes: Modes = server.tool_approvals.iter().map(|(tool, m)| (tool.clone(), mode(*m))).collect();
    ServerRules {
        enabled_tools: server.enabled_tools.clone(),
        disabled_tools: server.disabled_tools.clone(),
        read_only: server.read_only,
        trusted: server.trust == Trust::Trusted,
        default_mode: server.default_approval.map(mode),
        tool_modes,
        declared: server.tools.iter().map(|(tool, said)| (tool.clone(), said.declared)).collect(),
        barred: server
            .barred
            .as_ref()
            .map(|barred| Barred { rule: RuleId(barred.rule.as_str().into()), why: barred.why.clone() }),
    }
}

/// Resolves links as the system would, as far down as there is anything.
#[derive(Debug)]
struct Links;

impl Paths for Links {
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut rest = Vec::new();
        let mut existing = path;
        loop {
            match existing.canonicalize() {
                Ok(resolved) => return Some(rest.iter().rev().fold(resolved, |path, name| path.join(name))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(_) => return None,
            }
            // A link that leads nowhere is there, and what it will lead to cannot be told.
            if existing.symlink_metadata().is_ok() {
                return None;
            }
            rest.push(existing.file_name()?);
            existing = existing.parent()?;
        }
    }
}

/// How arguments are recorded.
///
/// # Errors
/// When the key of their digests cannot be read or made.
pub fn arguments(config: &Config, masks: &Arc<Masks>) -> Result<Arguments, Failure> {
    let keep = match config.audit.args {
        AuditArgs::Masked => KeepArguments::Masked,
        AuditArgs::Digest => KeepArguments::Digest,
        AuditArgs::None => return Ok(Arguments::nothing(masks.clone())),
    };
    let key = key(config, "audit.hmac")?;
    Ok(Arguments::new(keep, &key, masks.clone()))
}

/// One of the keys of this home, made at its first use.
///
/// # Errors
/// When it cannot be read or made.
pub fn key(config: &Config, name: &str) -> Result<[u8; 32], Failure> {
    let path = config.state_dir().join(name);
    let bytes = store::load_or_make(&path, 32).map_err(|error| {
        Failure::new(Code::StoreUnavailable, format!("the key `{name}` cannot be read or made"))
            .caused_by(error)
            .hint("check permissions and space of the `toolgate` directory")
    })?;
    Ok(bytes.try_into().expect("as long as was asked for"))
}

/// What is masked.
///
/// # Errors
/// A pattern of the configuration that cannot be used.
pub fn masks<'a>(
    config: &Config,
    servers: &[&Server],
    secrets: impl IntoIterator<Item = &'a gate::Secret>,
) -> Result<Masks, Failure> {
    let data = &config.data;
    let national = |name: &String| {
        let found = NationalId::named(name);
        found.ok_or_else(|| {
            Failure::new(Code::ConfigInvalid, format!("`data.national_ids`: no national number is called `{name}`"))
                .hint(format!("there are {}", NationalId::names().join(", ")))
        })
    };
    let rules = |detect: Detect, allow: &[String], handles: bool| DataRules {
        detect: match detect {
            Detect::Off => gate::mask::Detect::Off,
            Detect::Known => gate::mask::Detect::Known,
            Detect::All => gate::mask::Detect::All,
        },
        allow: allow.to_vec(),
        handles,
    };
    let of_server = |server: &&Server| {
        let ServerData { detect, allow, handles, .. } = &server.data;
        (ServerName::from(server.name.as_str()), rules(*detect, allow, *handles))
    };
    // What is kept was masked by the rules of its own server; another server's would take away what may pass.
    let kept = budget::keeps(servers).then(|| (ServerName::from(builtin::NAME), rules(Detect::Off, &[], false)));
    let handles = data.handles || servers.iter().any(|server| server.data.handles);
    let custom = |pattern: &DataPattern| CustomPattern { name: pattern.name.clone(), pattern: pattern.pattern.clone() };
    let options = MaskOptions {
        default: rules(data.detect, &data.allow, data.handles),
        servers: servers.iter().map(of_server).chain(kept).collect(),
        custom: data.patterns.iter().map(custom).collect(),
        national_ids: data.national_ids.iter().map(national).collect::<Result<_, _>>()?,
        handle_key: if handles { Some(fleeting_key()?) } else { None },
    };
    Masks::with(secrets, options)
        .map_err(|error| Failure::new(Code::ConfigInvalid, format!("`data.patterns`: {error}")))
}

/// In the arguments of which tools handles are put back.
pub fn restores(servers: &[&Server]) -> Restores {
    let restoring = servers.iter().filter(|server| !server.data.restore.is_empty());
    restoring.map(|server| (ServerName::from(server.name.as_str()), server.data.restore.clone())).collect()
}

/// How much one conversation may call.
pub fn pace(config: &Config) -> PaceLimits {
    let bound = |limit: Option<usize>| limit.and_then(|limit| NonZeroU64::new(limit as u64));
    PaceLimits { calls: bound(config.limits.max_calls_per_session), repeats: bound(config.limits.max_repeated_calls) }
}

/// What seals the state that clients keep between the rounds of a call; the same for every gate of this home, so
/// that one that was restarted knows what it gave out.
///
/// # Errors
/// When the key cannot be read or made.
pub fn seal(config: &Config) -> Result<downstream::Seal, Failure> {
    Ok(downstream::Seal::new(&key(config, "seal.key")?, Arc::new(System)))
}

/// Who answers questions over HTTP: whoever has the approver's secret.
pub fn http_approver(config: &Config) -> downstream::Approver {
    let state = config.state_dir();
    let knows = move |secret: &str| store::approver::check(&state, secret).unwrap_or(false);
    downstream::Approver { knows: Arc::new(knows), name: "approver".to_owned(), clock: Arc::new(System) }
}

fn fleeting_key() -> Result<[u8; 32], Failure> {
    let mut key = [0; 32];
    let failed = |error: getrandom::Error| Failure::new(Code::InternalBug, format!("there is no randomness: {error}"));
    getrandom::fill(&mut key).map_err(failed)?;
    Ok(key)
}

/// What was agreed to of every tool, and what will be of new ones: handed to `keeper`, or written down at once.
///
/// # Errors
/// A `toolgate.lock` that cannot be read: what was agreed to is not guessed.
pub fn pins(config: &Config, policy: &Arc<Policy>, keeper: Option<Arc<dyn LockKeeper>>) -> Result<Pins, Failure> {
    let file = LockFile::new(&config.home, &config.state_dir());
    let opened = match keeper {
        Some(keeper) => file.read().map(|lock| (keeper, lock)),
        None => Keeper::open(file, Arc::new(System)).map(|(keeper, lock)| (Arc::new(keeper) as Arc<_>, lock)),
    };
    let (keeper, lock) = opened.map_err(lock_failure)?;
    Ok(Pins::new(lock, keeper, policy.clone()))
}

/// Why the lock file cannot be used.
pub fn lock_failure(error: LockError) -> Failure {
    let hint = error.hint();
    Failure::new(Code::ConfigInvalid, "`toolgate.lock` cannot be used").caused_by(error).hint(hint)
}

//! How much of what is written may be in force while something else is: a half-written file takes nothing away.

use crate::config::{Config, Problem, UNDECIDED};
use crate::wire::budget;

/// The configuration that is to be in force when `written` was read while `now` is, and what is wrong with the entries
/// of which the one before stays. `bounded_alike` says that managed files are what they were: where they are not, an
/// entry from before may be one that they bar now, and does not stay.
///
/// # Errors
/// A file that can no longer be read whole: then nothing of what is written may be in force.
pub fn acceptable(now: &Config, written: Config, bounded_alike: bool) -> Result<(Config, Vec<Problem>), Problem> {
    // What was broken before has nothing in force that could be lost.
    let known = |source| now.broken.iter().any(|broken| broken.source == source);
    if let Some(broken) = written.broken.iter().find(|broken| broken.grave || !known(broken.source)) {
        return Err(broken.problem.clone());
    }
    let Config { mut servers, bad, .. } = written;
    let stays = |name: &str, problem: &Problem| {
        // Whoever now wants decisions to be written is not to be got around by a mistake beside them.
        let undecided = problem.message.starts_with(UNDECIDED);
        let same_rules = bounded_alike && now.policy == written.policy && now.trust == written.trust;
        now.servers.get(name).filter(|_| same_rules && !undecided).cloned()
    };
    let (mut held, mut still_bad) = (Vec::new(), Vec::new());
    for error in bad {
        match stays(&error.name, &error.problem) {
            Some(server) => {
                servers.insert(error.name, server);
                held.push(error.problem);
            }
            None => still_bad.push(error),
        }
    }
    Ok((Config { servers, bad: still_bad, ..written }, held))
}

/// The settings that differ and are read when a gate starts.
pub fn fixed(now: &Config, new: &Config) -> Vec<&'static str> {
    let differ = [
        ("gate.listen", now.gate.listen != new.gate.listen),
        ("gate.profile", now.gate.profile != new.gate.profile),
        ("gate.compact_schemas_above", now.gate.compact_schemas_above != new.gate.compact_schemas_above),
        ("limits.max_message_bytes", now.limits.max_message_bytes != new.limits.max_message_bytes),
        ("limits.max_concurrent_calls", now.limits.max_concurrent_calls != new.limits.max_concurrent_calls),
        ("max_result_bytes", budget::differ(now, new)),
        ("approvals", now.approvals != new.approvals),
        ("audit", now.audit != new.audit),
    ];
    differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Layers, resolve};

    const TWO: &str = "[mcp_servers.a]\ncommand = \"one\"\n[mcp_servers.b]\ncommand = \"two\"\n";

    fn config(text: &str) -> Config {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::write(home.path().join("toolgate.toml"), text).expect("written");
        let env = Env::default();
        resolve(Layers::read(home.path(), &[], &env).expect("no overrides"), &env)
    }

    /// Which commands are in force after `written`, and what is said of it.
    fn check(written: &str, alike: bool, want: Result<(&[&str], &str), &str>) {
        let outcome = acceptable(&config(TWO), config(written), alike);
        match (outcome, want) {
            (Ok((config, held)), Ok((commands, said))) => {
                let found: Vec<_> = config.servers.values().map(|server| format!("{:?}", server.transport)).collect();
                assert_eq!(found.len(), commands.len(), "{written}: {found:?}");
                assert!(found.iter().zip(commands).all(|(found, want)| found.contains(*want)), "{written}: {found:?}");
                let held: Vec<_> = held.iter().map(|problem| problem.message.clone()).collect();
                assert!(held.join(" ").contains(said) && held.is_empty() == said.is_empty(), "{written}: {held:?}");
            }
            (Err(problem), Err(said)) => assert!(problem.to_string().contains(said), "{written}: {problem}"),
            (outcome, _) => panic!("{written}: {outcome:?}"),
        }
    }

    #[test]
    fn a_mistake_takes_nothing_away() {
        check("[mcp_servers.a]\ncommand = \"x\"\n", true, Ok((&["x"], "")));
        check("[mcp_servers.a]\ncommand = 7\n[mcp_servers.b]\ncommand = \"x\"\n", true, Ok((&["one", "x"], "command")));
        check("[mcp_servers.a]\ncommand = \"x\n", true, Err("toolgate.toml:2"));
        check("[mcp_servers.c]\ncommand = 7\n", true, Ok((&[], "")));
        let rules = "[policy]\nhigh_impact = [\"x\"]\n[mcp_servers.a]\ncommand = 7\n";
        check(rules, true, Ok((&[], "")));
        check("[mcp_servers.a]\ncommand = 7\n", false, Ok((&[], "")));
    }

    #[test]
    fn what_is_read_at_the_start_alone_is_named() {
        let listen = format!("{TWO}[gate]\nlisten = \"127.0.0.1:1\"\n[limits]\nmax_concurrent_calls = 9\n");
        assert_eq!(fixed(&config(TWO), &config(&listen)), ["gate.listen", "limits.max_concurrent_calls"]);
        assert_eq!(fixed(&config(TWO), &config("")), Vec::<&str>::new());
    }
}

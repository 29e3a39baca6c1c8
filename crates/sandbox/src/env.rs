//! The environment of a program under a profile. Not here: which of the caller's variables it is offered at all.

use std::ffi::{OsStr, OsString};

use crate::draw::Places;
use crate::egress;
use crate::level::Level;
use crate::net::Net;
use crate::profile::{DENIED_ENV, Profile, is_denied};

type Variable = (OsString, OsString);

/// What of `offered` is given, and what is added so that the program finds its own places.
pub(crate) fn variables(
    offered: &[Variable],
    profile: &Profile,
    level: Level,
    places: Option<&Places>,
) -> Vec<Variable> {
    if level == Level::S0 {
        return offered.to_vec();
    }
    let own = own_variables(profile, places);
    let denied: Vec<_> = DENIED_ENV.into_iter().chain(profile.env_deny.iter().map(String::as_str)).collect();
    let kept = |name: &OsStr| {
        let name = name.to_string_lossy();
        profile.env_keep.iter().any(|kept| *kept == name) || !is_denied(&name, &denied)
    };
    let ours = |name: &OsStr| own.iter().any(|(own, _)| own == name);
    let given = offered.iter().filter(|(name, _)| kept(name) && !ours(name)).cloned();
    given.chain(own.clone()).collect()
}

fn own_variables(profile: &Profile, places: Option<&Places>) -> Vec<Variable> {
    let places = places.iter().flat_map(|places| [("HOME", &places.home), ("TMPDIR", &places.tmp)]);
    let mut own: Vec<Variable> = places.map(|(name, path)| (name.into(), path.into())).collect();
    if matches!(profile.net, Net::Hosts(_)) {
        own.extend(egress::variables().map(|(name, value)| (name.into(), value.into())));
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(profile: &Profile, level: Level, expected: &str) {
        let offered = ["PATH=/bin", "HOME=/root", "LD_PRELOAD=x", "HTTPS_PROXY=y", "NODE_OPTIONS=z", "MINE=1"];
        let offered: Vec<Variable> =
            offered.iter().map(|entry| entry.split_once('=').unwrap()).map(|(a, b)| (a.into(), b.into())).collect();
        let places = Places { home: "/tmp/home".into(), tmp: "/tmp".into() };
        let places = (level >= Level::S3).then_some(&places);
        let given = variables(&offered, profile, level, places);
        let given: Vec<_> =
            given.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect();
        assert_eq!(given.join(" "), expected);
    }

    fn profile() -> Profile {
        Profile::new(Level::S4, Vec::new())
    }

    #[test]
    fn without_bounds_everything_is_given() {
        let all = "PATH=/bin HOME=/root LD_PRELOAD=x HTTPS_PROXY=y NODE_OPTIONS=z MINE=1";
        check(&profile(), Level::S0, all);
    }

    #[test]
    fn what_steers_programs_is_taken_away() {
        check(&profile(), Level::S1, "PATH=/bin HOME=/root MINE=1");
    }

    #[test]
    fn its_own_places_replace_what_was_offered() {
        check(&profile(), Level::S4, "PATH=/bin MINE=1 HOME=/tmp/home TMPDIR=/tmp");
    }

    #[test]
    fn an_owner_denies_and_keeps_by_name() {
        let profile = Profile { env_deny: vec!["MI*".into()], env_keep: vec!["NODE_OPTIONS".into()], ..profile() };
        check(&profile, Level::S1, "PATH=/bin HOME=/root NODE_OPTIONS=z");
    }
}

//! What each level holds, tried from within by the helper itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod common;

use common::helper;
use sandbox::{Gap, Level, Namespaces, Net, Observed, Operation, Outcome, Profile, observe};

/// Observes, or says why not; nothing that should be held may be open.
fn check(profile: &Profile) -> Option<Observed> {
    let observed = match observe(&helper(), profile) {
        Ok(observed) => observed,
        Err(error) => {
            println!("skipped: {:?} {}: {error}", profile.namespaces, profile.level);
            return None;
        }
    };
    let breaches: Vec<_> = observed.breaches().collect();
    assert!(breaches.is_empty(), "{} {:?}: {breaches:#?}", profile.level, profile.namespaces);
    let [rows, skipped] = [observed.rows.len(), observed.skipped()];
    println!("{} {:?}: {rows} operations, {skipped} skipped", observed.effective, profile.namespaces);
    for row in observed.rows.iter().filter(|row| row.observed.is_err()) {
        println!("  skipped {}: {}", row.operation.word(), row.observed.as_ref().unwrap_err());
    }
    assert_eq!(rows, Operation::ALL.len());
    let granted = if profile.net == Net::On { 3 } else { 0 };
    let survivors = usize::from(observed.effective.gaps.contains(&Gap::Survivors));
    assert_eq!(skipped, granted + survivors, "everything else was tried");
    Some(observed)
}

fn profile(level: Level) -> Profile {
    Profile::new(level, Vec::new())
}

fn tighter(observed: &Observed) -> Vec<&'static str> {
    let tighter = observed.rows.iter().filter(|row| row.expected == Outcome::Open && row.observed == Ok(Outcome::Held));
    tighter.map(|row| row.operation.word()).collect()
}

#[test]
fn without_bounds_nothing_is_held() {
    for level in [Level::S0, Level::S1] {
        let observed = check(&profile(level)).unwrap();
        println!("held all the same: {:?}", tighter(&observed));
        assert!(observed.rows.iter().filter(|row| row.observed == Ok(Outcome::Open)).count() > 25);
    }
}

#[test]
fn each_level_holds_what_it_says() {
    for level in [Level::S2, Level::S3] {
        let Some(observed) = check(&profile(level)) else { continue };
        assert_eq!(tighter(&observed), ["read_through_proc"; 0], "{level}");
    }
}

#[test]
fn everything_is_held_in_namespaces_of_either_maker() {
    for namespaces in [Namespaces::Bwrap, Namespaces::Own] {
        let Some(observed) = check(&Profile { namespaces, ..profile(Level::S4) }) else { continue };
        let held = observed.rows.iter().all(|row| row.observed == Ok(Outcome::Held));
        assert!(held, "{observed:#?}");
        assert_eq!(observed.effective.gaps, [] as [Gap; 0]);
    }
}

#[test]
fn a_granted_network_is_the_only_thing_that_opens() {
    for namespaces in [Namespaces::Bwrap, Namespaces::Own] {
        let Some(observed) = check(&Profile { namespaces, net: Net::On, ..profile(Level::S4) }) else { continue };
        assert_eq!(observed.skipped(), 3, "{observed:#?}");
    }
}

#[test]
fn a_list_of_hosts_opens_nothing_of_this_machine() {
    for namespaces in [Namespaces::Bwrap, Namespaces::Own] {
        let net = Net::Hosts(vec!["example.com".parse().unwrap()]);
        check(&Profile { namespaces, net, ..profile(Level::S4) });
    }
}

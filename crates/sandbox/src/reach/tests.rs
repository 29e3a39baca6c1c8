use super::*;
use crate::profile::Limits;

fn means(landlock: u32, seccomp: bool, namespaces: bool) -> Means {
    let none = NoNamespaces { why: "`bwrap` is not installed".into(), hint: INSTALL.into() };
    Means { landlock, seccomp, counted: true, namespaces: if namespaces { Ok(Maker::Own) } else { Err(none) } }
}

fn profile(level: Level, allow_degraded: Option<Level>) -> Profile {
    let limits = Limits { processes: Some(9), ..Limits::default() };
    let write = vec!["/work".into()];
    Profile { allow_degraded, write, limits, ..Profile::new(level, vec!["/home/u/.ssh".into()]) }
}

#[test]
fn the_highest_level_needs_all_means() {
    for (expected, found) in [
        (Level::S4, means(7, true, true)),
        (Level::S3, means(1, true, false)),
        (Level::S2, means(0, true, true)),
        (Level::S2, means(7, false, false)),
        (Level::S1, means(0, false, true)),
    ] {
        assert_eq!(found.highest(), expected, "{found:?}");
    }
}

#[test]
fn a_demanded_level_that_cannot_be_reached_is_an_error_with_what_to_install() {
    let error = means(7, true, false).settle(&profile(Level::S4, None)).unwrap_err();
    assert_eq!(error.to_string(), "sandbox level S4 cannot be reached: `bwrap` is not installed");
    assert!(error.hint.contains("apt-get install bubblewrap"), "{}", error.hint);
    assert_eq!(error.reachable, Level::S3);
}

#[test]
fn less_is_taken_only_as_far_as_it_is_allowed() {
    let held = means(7, true, false).settle(&profile(Level::S4, Some(Level::S3))).unwrap();
    assert!(held.degraded() && held.level == Level::S3, "{held}");
    assert!(means(0, true, false).settle(&profile(Level::S4, Some(Level::S3))).is_err());
}

#[test]
fn allowing_more_than_is_demanded_demands_no_more() {
    assert!(means(0, false, false).settle(&profile(Level::S1, Some(Level::S4))).is_ok());
}

#[test]
fn a_level_is_never_higher_than_demanded() {
    assert_eq!(means(7, true, true).settle(&profile(Level::S2, None)).unwrap().level, Level::S2);
}

fn check_gaps(level: Level, found: &Means, expected: &str) {
    let held = found.settle(&profile(level, None)).unwrap();
    let gaps: Vec<_> = held.gaps.iter().map(|gap| gap.word()).collect();
    assert_eq!(gaps.join(" "), expected, "{level}");
}

#[test]
fn what_a_level_leaves_open_is_named() {
    let all = means(7, true, true);
    check_gaps(Level::S4, &all, "");
    check_gaps(Level::S3, &all, "metadata protected processes process_count survivors");
    check_gaps(Level::S3, &means(5, true, true), "metadata protected processes signals process_count survivors");
    check_gaps(Level::S2, &all, "metadata protected datagrams unix_sockets processes syscalls process_count survivors");
    check_gaps(
        Level::S2,
        &means(0, true, true),
        "files metadata protected masked processes signals process_count shared_tmp survivors",
    );
}

#[test]
fn a_list_of_hosts_is_never_held_below_the_highest_level() {
    let hosts = Net::Hosts(vec!["example.com".parse().unwrap()]);
    let at = |level, allow| Profile { net: hosts.clone(), ..profile(level, allow) };
    assert!(means(7, true, true).settle(&at(Level::S4, None)).is_ok());
    let error = means(7, true, false).settle(&at(Level::S4, Some(Level::S3))).unwrap_err();
    assert!(error.to_string().contains("a list of hosts needs S4: `bwrap` is not installed"), "{error}");
    assert!(means(7, true, true).settle(&at(Level::S3, None)).is_err());
}

#[test]
fn processes_that_cannot_be_counted_are_a_gap() {
    let uncounted = Means { counted: false, ..means(7, true, true) };
    check_gaps(Level::S4, &uncounted, "process_count");
}

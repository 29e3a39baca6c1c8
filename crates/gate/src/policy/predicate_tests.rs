//! What each predicate says of what.

use super::*;
use crate::policy::arguments::Arguments;
use crate::policy::model::ArgPath;
use serde_json::json;

fn check_at(predicate: &Predicate, argument: &str, at: &Surroundings, want: Fit) {
    let raw = if argument.is_empty() { "{}".to_owned() } else { format!(r#"{{"a":{argument}}}"#) };
    let found = Arguments::new(raw.as_bytes()).at(0, &ArgPath(vec!["a".to_owned()]));
    assert_eq!(Test::new(predicate).fit(&found, at, &Lookups::default()), want, "{predicate:?} {argument}");
}

fn check(predicate: Predicate, argument: &str, want: Fit) {
    check_at(&predicate, argument, &Surroundings { workspace: "/work".into(), paths: None }, want);
}

use Fit::{No, Unknown, Yes};

#[test]
fn values_are_equal_as_json_is() {
    check(Predicate::Equals(json!(1)), "1.0", Yes);
    check(Predicate::Equals(json!(1)), "1e0", Yes);
    check(Predicate::Equals(json!(9_007_199_254_740_993_u64)), "9007199254740992", No);
    check(Predicate::Equals(json!("x")), r#""\u0078""#, Yes);
    check(Predicate::Equals(json!("main")), r#""mai""#, No);
    check(Predicate::Equals(json!(true)), r#""true""#, Unknown);
    check(Predicate::Equals(json!(true)), "null", Unknown);
    check(Predicate::Equals(json!(null)), "null", Yes);
    check(Predicate::Equals(json!({"a": [1, {}], "b": "x"})), r#"{"b":"x","a":[1.0,{}]}"#, Yes);
    check(Predicate::Equals(json!({"a": 1})), r#"{"a":1,"b":2}"#, No);
    check(Predicate::Equals(json!([1])), r#"["1"]"#, No);
    check(Predicate::Equals(json!(1)), "", No);
    check(Predicate::In(vec![json!(1), json!("x")]), r#""x""#, Yes);
    check(Predicate::In(vec![json!(1), json!("x")]), "2", No);
    check(Predicate::In(vec![json!(1), json!("x")]), "[]", Unknown);
    check(Predicate::In(vec![]), "[]", No);
}

#[test]
fn texts_lengths_and_ranges() {
    check(Predicate::Glob(vec!["a*".to_owned()]), r#""ab""#, Yes);
    check(Predicate::Glob(vec!["a*".to_owned()]), r#""ba""#, No);
    check(Predicate::Glob(vec!["*".to_owned()]), "1", Unknown);
    check(Predicate::Length { min: None, max: Some(2) }, r#""éé""#, Yes);
    check(Predicate::Length { min: Some(1), max: None }, "[]", No);
    check(Predicate::Length { min: Some(1), max: None }, r#"{"x":1}"#, Yes);
    check(Predicate::Length { min: None, max: None }, "5", Unknown);
    check(Predicate::Range { min: Some(0.1), max: Some(10.0) }, "0.1", Yes);
    check(Predicate::Range { min: Some(0.1), max: Some(10.0) }, "10.000000000000000000000001", No);
    check(Predicate::Range { min: None, max: Some(f64::INFINITY) }, "1e400", Yes);
    check(Predicate::Range { min: Some(f64::NAN), max: None }, "1", Unknown);
    check(Predicate::Range { min: None, max: None }, r#""1""#, Unknown);
    check(Predicate::Absent(true), "", Yes);
    check(Predicate::Absent(true), "null", No);
    check(Predicate::Absent(false), "1", Yes);
    check(Predicate::Absent(false), "", No);
}

#[test]
fn a_path_is_judged_from_the_workspace_and_cannot_climb_out() {
    let under = || Predicate::Under(vec!["src".into(), "/tmp".into()]);
    for (path, want) in [
        ("src/x.rs", Yes),
        ("src", Yes),
        ("/work/src/./a/../b", Yes),
        ("/tmp/x", Yes),
        ("srcx", No),
        ("src/../secret", No),
        ("/work/src/../../etc/passwd", No),
        ("/../tmp/x", Unknown),
        ("file:///tmp/x", Unknown),
        ("~/x", Unknown),
        ("src\\\\..\\\\..\\\\x", Unknown),
        ("", Unknown),
    ] {
        check(under(), &format!("\"{path}\""), want);
    }
    check(under(), "[\"/tmp\"]", Unknown);
    let nowhere = Surroundings { workspace: PathBuf::new(), paths: None };
    check_at(&under(), "\"x\"", &nowhere, Unknown);
}

/// `/work/link` leads to `/etc`, and what is in `/hidden` cannot be told.
#[derive(Debug)]
struct Links;

impl Paths for Links {
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        if path.starts_with("/hidden") {
            return None;
        }
        match path.strip_prefix("/work/link") {
            Ok(rest) => Some(Path::new("/etc").join(rest)),
            Err(_) => Some(path.to_owned()),
        }
    }
}

#[test]
fn links_are_followed_where_somebody_can() {
    let at = Surroundings { workspace: "/work".into(), paths: Some(Arc::new(Links)) };
    let under = Predicate::Under(vec![".".into()]);
    check_at(&Predicate::Under(vec!["/work".into()]), r#""link/passwd""#, &at, No);
    check_at(&Predicate::Under(vec!["/etc".into()]), r#""link/passwd""#, &at, Yes);
    check_at(&Predicate::Under(vec!["/work".into()]), r#""/hidden/x""#, &at, Unknown);
    check_at(&Predicate::Under(vec!["/hidden".into(), "/work".into()]), r#""/work/x""#, &at, Yes);
    check_at(&Predicate::Under(vec!["/hidden".into()]), r#""/work/x""#, &at, Unknown);
    check_at(&under, r#""x""#, &at, Yes);
}

#[test]
fn a_host_that_readers_differ_on_cannot_be_judged() {
    let good = || Predicate::HostIn(vec!["good.com".to_owned()]);
    check(good(), r#""https://good.com/""#, Yes);
    check(good(), r#""https://good.com@evil.com/""#, No);
    check(good(), r#""good.com""#, Unknown);
    check(good(), "7", Unknown);
}

/// Leads somewhere else each time.
#[derive(Debug, Default)]
struct Moving(std::sync::atomic::AtomicUsize);

impl Paths for Moving {
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let looked = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(if looked > 1 { PathBuf::from("/elsewhere") } else { path.to_owned() })
    }
}

#[test]
fn a_path_leads_to_one_place_for_all_rules_of_a_decision() {
    let moving = Arc::new(Moving::default());
    let at = Surroundings { workspace: "/work".into(), paths: Some(moving.clone()) };
    let arguments = Arguments::new(br#"{"p":"/work/a"}"#);
    let path = ArgPath(vec!["p".into()]);
    for _ in 0..3 {
        let test = Test::new(&Predicate::Under(vec!["/work".into()]));
        assert_eq!(test.fit(&arguments.at(0, &path), &at, &arguments.lookups), Fit::Yes);
    }
    assert_eq!(moving.0.load(std::sync::atomic::Ordering::Relaxed), 2, "path and root, each once");
}

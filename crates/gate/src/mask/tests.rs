use super::*;
use crate::words::Parts;
use base64::Engine;
use std::sync::LazyLock;

static MASKS: LazyLock<Masks> = LazyLock::new(|| {
    Masks::new(&[
        Secret::new("s3cr3t/\"key\u{e9}"),
        Secret::new("ghp_abcdef123456"),
        Secret::new("987654321"),
        Secret::new("tiny"),
    ])
});

fn apply(json: &str) -> (String, u32) {
    let wire = Wire { json: json.to_owned().into(), parts: Parts::default() };
    let reply = MASKS.apply(&"s".into(), Unmasked::message(wire, ReplyKind::Result));
    (String::from_utf8(reply.wire.json.to_vec()).expect("text"), reply.masked.total())
}

fn check(json: &str, want: &str) {
    let (got, _) = apply(json);
    assert_eq!(got, want);
    serde_json::from_str::<serde_json::Value>(&got).expect("still JSON");
}

#[test]
fn text_without_secrets_is_untouched() {
    for json in [r#"{"a":"\ud83d lone","b":1.10,"c":"tiny \/ \u0041"}"#, "[]", r#""ghp_abcdef""#] {
        assert_eq!(apply(json), (json.to_owned(), 0));
    }
}

#[test]
fn a_secret_is_masked_in_every_position_and_spelling() {
    check(r#"{"a":"x ghp_abcdef123456 y"}"#, r#"{"a":"x ***** y"}"#);
    check(r#"{"ghp_abcdef123456":[1,"ghp_abcdef123456"]}"#, r#"{"*****":[1,"*****"]}"#);
    check(r#"["\u0067hp_abcdef123456"]"#, r#"["*****"]"#);
    check(r#"["s3cr3t/\"keyé","s3cr3t\/\u0022key\u00e9"]"#, r#"["*****","*****"]"#);
    check(r#"{"n":987654321,"m":-1987654321.5}"#, r#"{"n":"*****","m":"*****"}"#);
    check(r#"["a\\ghp_abcdef123456"]"#, r#"["a\\*****"]"#);
    check(r#"["\ud83d ghp_abcdef123456"]"#, r#"["*****"]"#);
    check(r#"["https:\/\/x?k=s3cr3t%2F%22key%C3%A9&y"]"#, r#"["https://x?k=*****&y"]"#);
}

#[test]
fn base64_and_hex_hide_nothing() {
    for prefix in ["", "u", "us:"] {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{prefix}ghp_abcdef123456:tail"));
        let (got, masked) = apply(&format!("[\"{text}\"]"));
        assert_eq!(masked, 1, "{prefix}: {got}");
    }
    let (got, masked) = apply(&format!("[\"{}\"]", crate::ledger::hex(b"ghp_abcdef123456")));
    assert_eq!((got.as_str(), masked), (r#"["*****"]"#, 1));
}

#[test]
fn parts_move_with_what_was_masked() {
    let json = r#"{"x":"ghp_abcdef123456","id":7,"result":{"a":"ghp_abcdef123456"},"z":1}"#;
    let place = |part: &str| {
        let start = json.find(part).expect("there") as u32;
        Place { start, end: start + part.len() as u32 }
    };
    let parts =
        Parts { id: place("7,\"res").start_plus(1), body: place(r#"{"a":"ghp_abcdef123456"}"#), ..Parts::default() };
    let wire = Wire { json: json.to_owned().into(), parts };
    let wire = MASKS.apply(&"s".into(), Unmasked::message(wire, ReplyKind::Result)).wire;
    assert_eq!(wire.part(wire.parts.id), b"7");
    assert_eq!(wire.part(wire.parts.body), br#"{"a":"*****"}"#);
    assert!(wire.parts.meta.is_none());
}

impl Place {
    fn start_plus(self, len: u32) -> Place {
        Place { start: self.start, end: self.start + len }
    }
}

#[test]
fn a_secret_never_prints() {
    assert_eq!(format!("{:?}", Secret::new("ghp_abcdef123456")), MASK);
}

proptest::proptest! {
    #[test]
    fn masking_is_idempotent_and_leaves_valid_json_without_the_secret(
        before in "[a-z\\\\\"/é\n]{0,8}", after in "[a-z\\\\\"/é\n]{0,8}", key in proptest::bool::ANY, escape in proptest::bool::ANY,
    ) {
        let text = format!("{before}ghp_abcdef123456{after}");
        let mut quoted = serde_json::to_string(&text).expect("a string");
        if escape {
            quoted = quoted.replace("_a", "\\u005fa");
        }
        let json = if key { format!("{{{quoted}:1}}") } else { format!("[{quoted},2]") };
        let (once, _) = apply(&json);
        serde_json::from_str::<serde_json::Value>(&once).expect("still JSON");
        proptest::prop_assert!(!once.contains("abcdef123456"), "{}", once);
        proptest::prop_assert_eq!(apply(&once), (once, 0));
    }
}

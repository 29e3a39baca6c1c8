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

fn found(json: &str) -> (String, Vec<(String, u32)>) {
    found_by(&MASKS, "s", json)
}

fn found_by(masks: &Masks, server: &str, json: &str) -> (String, Vec<(String, u32)>) {
    let wire = Wire { json: json.to_owned().into(), parts: Parts::default() };
    let reply = masks.apply(&server.into(), Unmasked::message(wire, ReplyKind::Result));
    let text = String::from_utf8(reply.wire.json.to_vec()).expect("text");
    serde_json::from_str::<serde_json::Value>(&text).expect("still JSON");
    (text, reply.masked.iter().map(|(class, times)| (class.to_owned(), times)).collect())
}

/// Assembled, so that nobody who scans this repository finds a key in it.
fn key() -> String {
    ["AK", "IA", "QYLPMN5HHHFPZAM2"].concat()
}

fn one(class: &str) -> Vec<(String, u32)> {
    vec![(class.to_owned(), 1)]
}

#[test]
fn a_token_is_masked_in_every_position_and_spelling() {
    let key = key();
    let mask = "[masked:aws-access-token]";
    let escaped: String = key.chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
    let hidden: String = key.chars().flat_map(|c| [c, '\u{200b}', '\u{e0041}']).collect();
    for (json, want) in [
        (format!(r#"{{"a":"x {key} y","b":1.10}}"#), format!(r#"{{"a":"x {mask} y","b":1.10}}"#)),
        (format!(r#"{{"{key}":{{"x":["{key}"]}}}}"#), format!(r#"{{"{mask}":{{"x":["{mask}"]}}}}"#)),
        (format!(r#"["{escaped}"]"#), format!(r#"["{mask}"]"#)),
        (format!(r#"["{hidden}"]"#), format!("[\"{mask}\u{200b}\u{e0041}\"]")),
        (
            format!(r#"{{"error":{{"code":-1,"message":"no {key}."}}}}"#),
            format!(r#"{{"error":{{"code":-1,"message":"no {mask}."}}}}"#),
        ),
    ] {
        assert_eq!(found(&json).0, want, "{json}");
    }
}

#[test]
fn members_that_become_one_name_stay_apart() {
    let (got, _) = found(r#"{"a@example.com":1,"b@example.com":2}"#);
    assert_eq!(got, r##"{"[masked:email]":1,"[masked:email]#2":2}"##);
    let (got, _) = found(r#"{"[masked:email]":1,"a@example.com":2}"#);
    assert_eq!(got, r##"{"[masked:email]":1,"[masked:email]#2":2}"##);
}

#[test]
fn a_secret_split_over_blocks_is_masked_in_both() {
    let key = key();
    let (left, right) = key.split_at(9);
    let block = |text: &str| format!(r#"{{"type":"text","text":"{text}"}}"#);
    let long = "lorem ipsum ".repeat(200);
    let json = format!(r#"{{"content":[{},{}]}}"#, block(&format!("{long}{left}")), block(&format!("{right} {long}")));
    let (got, counts) = found(&json);
    assert!(!got.contains(left) && !got.contains(right), "{got}");
    assert_eq!(counts, [("aws-access-token".to_owned(), 2)]);
    let json = format!(r#"{{"content":[{},{}]}}"#, block("ghp_abcd"), block("ef123456"));
    assert_eq!(found(&json).0, format!(r#"{{"content":[{},{}]}}"#, block(MASK), block(MASK)));
}

#[test]
fn members_with_telling_names_lose_their_values_and_keep_their_type() {
    for (json, want) in [
        (r#"{"password":"hunter2"}"#, r#"{"password":"[masked:field]"}"#),
        (r#"{"password":123456}"#, r#"{"password":"[masked:field]"}"#),
        (r#"{"Set-Cookie":["sid=38afes7a8; Secure"]}"#, r#"{"Set-Cookie":["[masked:field]"]}"#),
        (r#"{"apiKey":"9f8e7d6c5b4a"}"#, r#"{"apiKey":"[masked:field]"}"#),
    ] {
        assert_eq!(found(json), (want.to_owned(), one("field")));
    }
    for json in [
        r#"{"password":null,"secret":true,"token":{"type":"string"},"api_key":""}"#,
        r#"{"max_tokens":4096,"token_count":12345678,"next_page_token":"a8f3k29dk3","token":"the"}"#,
        r#"{"password":"*****","secret":"${SECRET}","token":"[masked:jwt]"}"#,
    ] {
        assert_eq!(found(json), (json.to_owned(), vec![]));
    }
}

#[test]
fn the_protocols_own_fields_stay() {
    for json in [
        r#"{"jsonrpc":"2.0","id":4111111111111111,"method":"a@example.com","params":{"progressToken":"4111111111111111","x":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"jane@example.com","requestState":"4111111111111111"}}"#,
        r#"{"params":{"_meta":{"progressToken":"4111111111111111"}}}"#,
    ] {
        assert_eq!(found(json), (json.to_owned(), vec![]));
    }
    let (got, _) =
        found(r#"{"id":1,"result":{"structuredContent":{"id":4111111111111111,"nextCursor":"jane@example.com"}}}"#);
    assert_eq!(got, r#"{"id":1,"result":{"structuredContent":{"id":"[masked:card]","nextCursor":"[masked:email]"}}}"#);
}

#[test]
fn pictures_are_left_and_texts_in_base64_are_read() {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let picture: Vec<u8> = (0..600_u32).map(|at| ((at * 7919) >> 3) as u8).collect();
    let json = format!(r#"{{"type":"image","mimeType":"image/png","data":"{}"}}"#, encode(&picture));
    assert_eq!(found(&json), (json.clone(), vec![]));
    let text = format!("{} mail jane@example.com", "all is well. ".repeat(40));
    let (got, counts) = found(&format!(r#"{{"mimeType":"image/png","blob":"{}"}}"#, encode(text.as_bytes())));
    assert_eq!(counts, one("email"));
    let masked = text.replace("jane@example.com", "[masked:email]");
    assert_eq!(got, format!(r#"{{"mimeType":"image/png","blob":"{}"}}"#, encode(masked.as_bytes())));
    let short = encode(format!("key {}", key()).as_bytes());
    assert_eq!(found(&format!(r#"["{short}"]"#)).1, one("aws-access-token"));
}

#[test]
fn every_class_has_its_example_and_its_innocent_double() {
    for (text, class) in [
        ("reach jane.doe@example.org", "email"),
        ("card 4111 1111 1111 1111", "card"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("call +49 30 1234567", "phone"),
        ("SSN 078-05-1121", "ssn"),
        ("postgres://app:s3cr3t@db.internal/x", "url-password"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "jwt"),
        ("export DB_PASSWORD=hunter2!", "field"),
    ] {
        assert_eq!(found(&serde_json::json!([text]).to_string()).1, one(class), "{text}");
    }
    for text in [
        "550e8400-e29b-41d4-a716-446655440000",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "AKIAIOSFODNN7EXAMPLE",
        "key: xxxxxxxxxxxxxxxxxxxx",
        "\"integrity\": \"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==\"",
        "token=${GITHUB_TOKEN}",
        "2024-11-21T00:15:11Z 192.168.100.200",
        "git@github.com:o/r.git",
        "left-pad@1.3.0",
        "4111111111111112",
    ] {
        assert_eq!(found(&serde_json::json!([text]).to_string()).1, [], "{text}");
    }
}

fn masks_with(options: MaskOptions) -> Masks {
    Masks::with(&[Secret::new("ghp_abcdef123456")], options).expect("patterns that compile")
}

#[test]
fn what_is_looked_for_is_a_servers_own_and_registered_values_never_pass() {
    let rules = |detect, allow: &[&str]| DataRules {
        detect,
        allow: allow.iter().map(|s| (*s).to_owned()).collect(),
        handles: false,
    };
    let masks = masks_with(MaskOptions {
        servers: [
            ("off".into(), rules(Detect::Off, &["*"])),
            ("known".into(), rules(Detect::Known, &[])),
            ("mail".into(), rules(Detect::All, &["email", "aws-*"])),
        ]
        .into(),
        custom: vec![CustomPattern { name: "ticket".into(), pattern: "TCK-([0-9]{4})".into() }],
        ..MaskOptions::default()
    });
    let json = format!(r#"["ghp_abcdef123456 TCK-1234 a@example.org {} 078-05-1121"]"#, key());
    for (server, classes) in [
        ("off", vec!["registered"]),
        ("known", vec!["registered", "ticket"]),
        ("mail", vec!["registered", "ssn", "ticket"]),
        ("else", vec!["aws-access-token", "email", "registered", "ssn", "ticket"]),
    ] {
        let (got, counts) = found_by(&masks, server, &json);
        assert_eq!(counts.iter().map(|(class, _)| class.as_str()).collect::<Vec<_>>(), classes, "{got}");
        assert!(got.contains("*****"));
    }
    assert!(masks.text("TCK-1234").ends_with("[masked:ticket]"));
}

#[test]
fn a_pattern_that_fits_masks_leaves_them_and_one_that_never_ends_withholds() {
    let custom = |name: &str, pattern: &str| CustomPattern { name: name.into(), pattern: pattern.into() };
    let masks = |custom| masks_with(MaskOptions { custom: vec![custom], ..MaskOptions::default() });
    let words = masks(custom("word", "[a-z]{4,}"));
    assert_eq!(
        words.text("some 12 [masked:other] text"),
        "[masked:word] 12 [[masked:word]:[masked:word]] [masked:word]"
    );
    assert_eq!(words.text("[masked:email]"), "[masked:email]", "which is a mask");
    let brackets = masks(custom("x", r"(\[masked:x\]|secret!)"));
    assert_eq!(brackets.text("secret! [masked:x]"), "[masked:x] [masked:x]");
    // What stands before it is no mask of ours, so it is masked again and again.
    let endless = masks(custom("x", r"[^\]]\[masked:x\]|^secret!"));
    assert_eq!(endless.text(&format!("{}secret!", "a".repeat(9))), "aaaaaaaaasecret!");
    let (got, _) = found_by(&endless, "s", r#"["aaaaaaaaaaaaaaaaaaa[masked:x]"]"#);
    assert!(got.contains(withhold::WITHHELD) && !got.contains("aaa"), "{got}");
}

#[test]
fn national_numbers_are_looked_for_where_they_are_named() {
    let json = r#"["11144477735 / AB 12 34 56 C"]"#;
    assert_eq!(found(json).1, []);
    let masks = masks_with(MaskOptions { national_ids: vec![NationalId::UkNino], ..MaskOptions::default() });
    assert_eq!(found_by(&masks, "s", json).1, one("national-id"));
}

#[test]
fn arguments_and_definitions_are_masked_as_data() {
    let key = key();
    assert_eq!(
        MASKS.arguments(format!(r#"{{"id":"{key}","q":1}}"#).as_bytes()),
        r#"{"id":"[masked:aws-access-token]","q":1}"#
    );
    let definition = r#"{"name":"x","description":"mail a@example.org, ghp_abcdef123456"}"#;
    assert_eq!(MASKS.definition(definition.into()), definition.replace("ghp_abcdef123456", MASK));
}

#[test]
fn a_text_that_wants_too_much_work_is_withheld() {
    let mut work = Work::for_bytes(10);
    assert_eq!(work.spend(4 << 20), Ok(()));
    assert_eq!(work.spend(4 << 20), Err(Exhausted));
    let panics = fenced::<()>(|| panic!("a bug"));
    assert!(panics.is_none());
    assert!(fenced(|| Err::<(), _>(Exhausted)).is_none());
}

const PEM: &str = "log one\n-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTU\n\
    t9Us8cKjMzEfYyjiWA4R4uV4hB9X2jMzEfYyjiWA4R4uV4hB9X2jMzEfYyjiWA4R\n-----END RSA PRIVATE KEY-----\nlog two ghp_abcdef123456\n";

#[test]
fn a_key_over_many_lines_is_masked_in_each_and_in_one() {
    let mut lines = MASKS.lines();
    let got: Vec<String> = PEM.lines().map(|line| lines.line(line)).collect();
    let key = "[masked:private-key]";
    assert_eq!(got, ["log one", key, key, key, key, "log two *****"]);
    assert_eq!(MASKS.text(PEM), format!("log one\n{key}\nlog two *****\n"));
}

#[test]
fn it_makes_no_difference_where_a_stream_is_cut() {
    let text = format!("{PEM}token=a8f3k29dk3xz mail jane@example.org\n{} end", key());
    let whole = streamed(&[&text]);
    assert!(!whole.contains("jane") && !whole.contains("AKIA") && whole.ends_with(" end"), "{whole}");
    for at in 0..=text.len() {
        let (left, right) = text.split_at(at);
        assert_eq!(streamed(&[left, right]), whole);
        let (left, middle) = left.split_at(at * 5 / 7);
        assert_eq!(streamed(&[left, middle, right]), whole);
    }
    let long = "word ghp_abcdef123456 ".repeat(6_000);
    let whole = streamed(&[&long]);
    assert!(!whole.contains("abcdef123456"));
    for at in [1, 999, 65_530, 65_536, 65_541, 130_000] {
        let (left, right) = long.split_at(at);
        assert_eq!(streamed(&[left, right]), whole);
    }
}

fn streamed(pieces: &[&str]) -> String {
    let mut stream = MASKS.stream();
    let mut out: String = pieces.iter().map(|piece| stream.push(piece.as_bytes())).collect();
    out.push_str(&stream.finish());
    out
}

#[test]
fn handles_are_put_back_for_their_server_and_only_where_a_grant_says_so() {
    let rules = DataRules { handles: true, ..DataRules::default() };
    let masks = masks_with(MaskOptions { default: rules, handle_key: Some([7; 32]), ..MaskOptions::default() });
    let key = key();
    let (got, counts) = found_by(&masks, "git hub", &format!(r#"["{key} ghp_abcdef123456"]"#));
    assert_eq!(counts.len(), 2);
    let handle = got.trim_start_matches("[\"").split(' ').next().expect("a handle");
    assert!(handle.starts_with("tg_sec_git-hub_") && got.ends_with(" *****\"]"), "{got}");
    assert_eq!(found_by(&masks, "git hub", &got).0, got);
    let arguments = format!(r#"{{"k":"{handle}","t":"echo {handle}"}}"#);
    let restored = masks.restore(&"git hub".into(), arguments.as_bytes(), &|_| true).expect("its own");
    assert_eq!(restored, format!(r#"{{"k":"{key}","t":"echo {handle}"}}"#));
    assert_eq!(masks.restore(&"other".into(), arguments.as_bytes(), &|_| true), None);
    assert_eq!(masks.restore(&"git hub".into(), arguments.as_bytes(), &|_| false), None);
    assert_eq!(MASKS.restore(&"git hub".into(), arguments.as_bytes(), &|_| true), None);
}

/// A value with secrets and near-secrets of all kinds in it.
fn anything() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
    use proptest::prelude::*;
    let bits = prop::sample::select(vec![
        "ghp_abcdef123456",
        "password=hunter2!",
        "a@b.example",
        "4111 1111 1111 1111",
        "+1-555-123-4567",
        "é",
        "\u{200b}",
        "token",
        "\"",
        "\\",
        "\n",
        " ",
        ":",
        "=",
        "x@",
        "555-123-4567",
        "078-05-1121",
        "https://u:p4ss@h.example/",
        "key",
        "-----BEGIN PRIVATE KEY-----",
        "[masked:email]",
        "Zm9vYmFyMTIzNDU2Nzg5MGFi",
    ]);
    let text = prop::collection::vec(bits, 0..6).prop_map(|bits| bits.concat());
    let leaf = prop_oneof![
        text.clone().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let members = prop::collection::vec((text.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
            members.prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Whether both have one shape: a number may have become a string, names may have changed.
fn alike(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object, String};
    match (a, b) {
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Object(a), Object(b)) => a.len() == b.len() && a.values().zip(b.values()).all(|(a, b)| alike(a, b)),
        (String(_), String(_)) | (Number(_), String(_)) => true,
        (a, b) => a == b,
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 256, ..Default::default() })]

    #[test]
    fn whatever_a_message_holds_its_shape_stays_and_no_secret_does(value in anything()) {
        let json = value.to_string();
        let (once, counts) = found(&json);
        proptest::prop_assert!(!once.contains("abcdef123456"), "{}", once);
        let masked: serde_json::Value = serde_json::from_str(&once).expect("JSON");
        proptest::prop_assert!(alike(&value, &masked), "{} {}", json, once);
        proptest::prop_assert!(!counts.is_empty() || once == json);
        let (twice, _) = found(&once);
        proptest::prop_assert_eq!(&twice, &once);
    }
}

/// Nothing of what nobody registered may get through because the cheap look at a message took it for harmless.
#[test]
fn no_spelling_makes_a_message_look_harmless() {
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let within = base64("user=app password=hunter22! host=db");
    let wrapped = base64(&format!("{} aws_access_key_id = {} {}", "x".repeat(28), key(), "y".repeat(60)));
    let lines = wrapped.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned());
    let lines = lines.collect::<Vec<_>>().join("\\n");
    let (head, tail) = (&key()[..9], &key()[9..]);
    for (json, hidden) in [
        (format!(r#"{{"a":"key:\n{within}"}}"#), within.as_str()),
        (format!(r#"{{"a":"key:\t{within}"}}"#), within.as_str()),
        (format!(r#"{{"a":"{lines}"}}"#), &wrapped[..60]),
        (r#"{"a":"postgres://app:s3cr3t@[::1]/db"}"#.to_owned(), "s3cr3t"),
        (r#"{"a":"postgres://app:s3cr3t@/db?host=/run"}"#.to_owned(), "s3cr3t"),
        (r#"{"a":"amqp://app:s3cr3t(@host"}"#.to_owned(), "s3cr3t"),
        (format!(r#"{{"c":[{{"text" : "{head}"}},{{"text" :"{tail}"}}]}}"#), tail),
        (format!(r#"{{"c":[{{"t\u0065xt":"{head}"}},{{"t\u0065xt":"{tail}"}}]}}"#), tail),
        (format!(r#"["\ud800 \u0041{} x"]"#, &key()[1..]), &key()[1..]),
        (r#"{"p\u0061ssword":"correct horse"}"#.to_owned(), "horse"),
        ("{\"pass\u{200b}word\":\"correct horse\"}".to_owned(), "horse"),
        (r#"{"otp":"493021"}"#.to_owned(), "493021"),
        (r#"{"card":{"cvv" : 123}}"#.to_owned(), "123"),
        (r#"{"dateOfBirth":"1980-02-03"}"#.to_owned(), "1980-02-03"),
        (r#"{"dbPass":"correct horse"}"#.to_owned(), "horse"),
        (r#"{"signingKey":"abcdefgh"}"#.to_owned(), "abcdefgh"),
        (r#"{"x":{"social security number":"none of 1"}}"#.to_owned(), "none of 1"),
    ] {
        let (got, counts) = found(&json);
        assert!(!got.contains(hidden) && !counts.is_empty(), "{json}: {got}");
    }
}

#[test]
fn a_registered_value_is_found_however_it_was_quoted() {
    let secret = "p@ss w*rd/\"q\"\u{e9}&<1>\nMIIEvQIBADANBgkqhkiG9w0";
    let masks = Masks::with([&Secret::new(secret)], only_known()).expect("masks");
    let json = serde_json::to_string(secret).expect("a string");
    for spelled in [
        secret.to_owned(),
        json[1..json.len() - 1].to_owned(),
        json[1..json.len() - 1].replace('\u{e9}', "\\u00e9"),
        "p%40ss%20w*rd%2F%22q%22%C3%A9%26%3C1%3E%0AMIIEvQIBADANBgkqhkiG9w0".to_owned(),
        "p%40ss+w*rd%2F%22q%22%C3%A9%26%3C1%3E%0AMIIEvQIBADANBgkqhkiG9w0".to_owned(),
        "p%40ss%20w%2Ard/%22q%22%C3%A9%26%3C1%3E%0AMIIEvQIBADANBgkqhkiG9w0".to_owned(),
        "p@ss w*rd/&quot;q&quot;\u{e9}&amp;&lt;1&gt;\nMIIEvQIBADANBgkqhkiG9w0".to_owned(),
    ] {
        let message = serde_json::json!({ "text": format!("a {spelled} z") }).to_string();
        assert_eq!(found_by(&masks, "s", &message).0, r#"{"text":"a ***** z"}"#, "{spelled}");
        assert_eq!(masks.text(&format!("a {spelled} z")), "a ***** z");
    }
    assert_eq!(masks.text("MIIEvQIBADANBgkqhkiG9w0"), MASK, "one line of it");
}

fn only_known() -> MaskOptions {
    MaskOptions { default: DataRules { detect: Detect::Off, ..DataRules::default() }, ..MaskOptions::default() }
}

#[test]
fn a_text_of_another_alphabet_in_a_blob_is_read_too() {
    let latin = [b"caf\xe9 ".repeat(40), format!("key {} end", key()).into_bytes()].concat();
    let blob =
        base64::engine::general_purpose::STANDARD.encode(["an ordinary text ".repeat(4).into_bytes(), latin].concat());
    let (_, counts) = found(&format!(r#"{{"blob":"{blob}"}}"#));
    assert_eq!(counts, one("aws-access-token"));
}

#[test]
fn a_key_behind_a_certificate_is_masked_line_by_line() {
    let mut lines = MASKS.lines();
    let [begin, end] = ["BEGIN", "END"].map(|word| format!("-----{word} PRIVATE KEY-----"));
    assert!(lines.line(&format!("-----BEGIN CERTIFICATE----- {begin}")).starts_with("-----BEGIN CERT"));
    assert_eq!(lines.line("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw"), "[masked:private-key]");
    assert_eq!(lines.line(&end), "[masked:private-key]");
    assert_eq!(lines.line("plain"), "plain");
}

/// What would take time quadratic in the text, and so more than any test may: minutes.
#[test]
fn a_hostile_text_takes_time_linear_in_its_length() {
    let passing = DataRules { allow: vec!["email".to_owned()], ..DataRules::default() };
    let masks = Masks::with(&[], MaskOptions { default: passing, ..MaskOptions::default() }).expect("masks");
    let encoded = base64::engine::general_purpose::STANDARD.encode("words of some text");
    for (piece, times) in
        [("ey.", 600_000), ("ey/", 600_000), (&*format!("{encoded}."), 60_000), ("a@b.co password=hunter2! ", 40_000)]
    {
        let (got, _) = found_by(&masks, "s", &format!("[\"{}\"]", piece.repeat(times)));
        assert!(!got.contains("hunter2"));
    }
}

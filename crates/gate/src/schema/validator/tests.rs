use super::*;
use expect_test::{Expect, expect};
use std::fmt::Write;

fn check(schema: &str, arguments: &str, want: &Expect) {
    let validator = Validator::compile(schema.as_bytes()).expect("usable");
    let told = match validator.check(arguments.as_bytes()) {
        Ok(()) => "fits".to_owned(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    want.assert_eq(&told);
}

fn unusable(schema: &str, want: &Expect) {
    want.assert_eq(&Validator::compile(schema.as_bytes()).expect_err("refused").to_string());
}

#[test]
fn a_mistake_can_be_repaired_from_what_is_told() {
    let schema = r#"{"type":"object","required":["path","mode"],"additionalProperties":false,"properties":{
        "path":{"type":"string","minLength":1},"mode":{"enum":["read","write"]},"lines":{"type":"integer","minimum":1},
        "tags":{"type":"array","items":{"type":"string"},"maxItems":2}}}"#;
    check(schema, r#"{"path":"a","mode":"read","lines":2.0}"#, &expect!["fits"]);
    check(
        schema,
        r#"{"pth":"a","mode":"raed"}"#,
        &expect![[r#"
        `path` is required and missing; is `pth` meant to be it?
        `pth` is not known here, did you mean `path`?; known are path, mode, lines, tags
        at /mode: expected one of "read", "write", got string "raed""#]],
    );
    check(
        schema,
        r#"{"path":7,"mode":"read","lines":0.5,"tags":["a",1,"c"]}"#,
        &expect![[r#"
        at /path: expected string, got integer 7
        at /lines: expected integer, got number 0.5
        at /lines: expected at least 1, got number 0.5
        at /tags/1: expected string, got integer 1
        at /tags: has 3 elements, and at most 2 are allowed"#]],
    );
    check(schema, "[]", &expect!["expected object, got an array of 0"]);
    check(
        schema,
        "",
        &expect![[r#"
        `path` is required and missing
        `mode` is required and missing"#]],
    );
    check(
        schema,
        r#"{"path":"a","path":"b","mode":"read"}"#,
        &expect!["the arguments cannot be read: the same key stands twice in one object, which ends at byte 37"],
    );
}

#[test]
fn a_long_value_is_never_repeated() {
    let secret = "sk-0123456789abcdefghijklmnopqrstuvwxyz0123456789";
    let schema = r#"{"properties":{"n":{"type":"integer"},"m":{"enum":["a"]},"p":{"pattern":"^x"}}}"#;
    let arguments = format!(r#"{{"n":"{secret}","m":"{secret}","p":"{secret}"}}"#);
    check(
        schema,
        &arguments,
        &expect![[r#"
        at /n: expected integer, got a string of 51 characters
        at /m: expected "a", got a string of 51 characters
        at /p: does not match the pattern ^x, got a string of 51 characters"#]],
    );
}

#[test]
fn alternatives_say_why_none_fits() {
    let schema = r#"{"properties":{"v":{"anyOf":[{"type":"string"},{"type":"object","required":["id"]}]},
        "w":{"oneOf":[{"type":"integer"},{"minimum":2}]}}}"#;
    check(
        schema,
        r#"{"v":{"ID":1}}"#,
        &expect![
            "at /v: fits none of 2 alternatives: (1) at /v: expected string, got an object of 1 members; (2) at /v: `id` is required and missing; is `ID` meant to be it?"
        ],
    );
    check(schema, r#"{"w":3}"#, &expect!["at /w: fits 2 of 2 alternatives, and exactly one must fit"]);
    check(schema, r#"{"v":"x","w":1}"#, &expect!["fits"]);
}

#[test]
fn a_chain_of_doubling_references_is_refused_before_it_is_followed() {
    let mut schema = String::from(r##"{"$ref":"#/$defs/d0","$defs":{"##);
    for n in 0..30 {
        let _ = write!(schema, r##""d{n}":{{"anyOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}},"##, n + 1);
    }
    schema.push_str(r#""d30":{"type":"integer"}}}"#);
    unusable(&schema, &expect!["the schema comes to more than 10000 sub-schemas when its references are followed"]);
    let through_values =
        schema.replace(r##""anyOf":[{"##, r##""x":[],"properties":{"a":{"anyOf":[{"##).replace("}]},", "}]}}},");
    unusable(
        &through_values,
        &expect!["the schema comes to more than 10000 sub-schemas when its references are followed"],
    );
}

#[test]
fn a_wide_schema_is_refused_by_its_length() {
    let mut schema = r#"{"type":"integer"}"#.to_owned();
    for _ in 0..12 {
        schema = format!(r#"{{"anyOf":[{schema},{schema}]}}"#);
    }
    unusable(&schema, &expect!["the schema has 126963 bytes, more than 65536"]);
}

#[test]
fn nothing_is_fetched() {
    unusable(
        r#"{"$ref":"http://169.254.169.254/latest/meta-data"}"#,
        &expect!["the schema refers to something outside itself: http://169.254.169.254/latest/meta-data"],
    );
    unusable(
        r#"{"properties":{"a":{"$ref":"file:///etc/passwd"}}}"#,
        &expect!["the schema refers to something outside itself: file:///etc/passwd"],
    );
    unusable(
        r#"{"properties":{"a":{"$id":"http://example.com/","$ref":"x"}}}"#,
        &expect!["the schema refers to something outside itself: http://example.com/"],
    );
    unusable(r#"{"$ref":"other.json#/a"}"#, &expect!["the schema refers to something outside itself: other.json#/a"]);
}

#[test]
fn what_has_no_end_is_refused() {
    unusable(r##"{"$ref":"#"}"##, &expect!["the schema refers to itself without end at its root"]);
    unusable(
        r##"{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#/$defs/b"}},"b":{"$ref":"#/$defs/a"}}}"##,
        &expect!["the schema refers to itself without end at /$defs/a"],
    );
    unusable(r##"{"$ref":"#/$defs/gone"}"##, &expect!["the schema refers to #/$defs/gone, which is not in it"]);
    unusable(r#"{"type":"strnig"}"#, &expect!["the schema is none at /type"]);
    unusable(r#"{"properties":{"a":7}}"#, &expect!["the schema is none at /properties/a"]);
    unusable(
        r#"{"pattern":"^((a{1,50}){1,50}){1,50}$"}"#,
        &expect!["the schema's pattern takes too much to check: ^((a{1,50}){1,50}){1,50}$"],
    );
    let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(40), "}".repeat(40));
    unusable(&deep, &expect!["the schema nests deeper than 32 levels"]);
    let chain: String = (0..1_000).map(|n| format!(r##""d{n}":{{"$ref":"#/$defs/d{}"}},"##, n + 1)).collect();
    unusable(
        &format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{chain}"d1000":{{}}}}}}"##),
        &expect!["the schema nests deeper than 32 levels"],
    );
}

#[test]
fn a_schema_that_goes_on_with_the_value_is_followed_as_far_as_the_value_goes() {
    let tree = r##"{"properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#"}}}}"##;
    check(
        tree,
        r#"{"name":"a","children":[{"name":"b","children":[{"name":1}]}]}"#,
        &expect!["at /children/0/children/0/name: expected string, got integer 1"],
    );
    // Each level of the value doubles the work: it is the value that costs.
    let doubling = r##"{"properties":{"a":{"anyOf":[{"$ref":"#/$defs/x"},{"$ref":"#"}]}},"$defs":{"x":{"allOf":[{"$ref":"#"},{"required":["never"]}]}}}"##;
    let deep = format!("{}{{}}{}", r#"{"a":"#.repeat(60), "}".repeat(60));
    check(
        doubling,
        &deep,
        &expect!["these arguments take too long to hold against the tool's schema; send fewer or simpler ones"],
    );
}

#[test]
fn a_schema_that_asks_for_nothing_is_no_schema() {
    let of = |schema: &str| Validator::of_tool(format!(r#"{{"name":"a","inputSchema":{schema}}}"#).as_bytes());
    for nothing in ["{}", "true", r#"{"type":"object"}"#, r#"{"type":"object","description":"x","$schema":"y"}"#] {
        assert!(of(nothing).expect("usable").is_none(), "{nothing}");
    }
    assert!(of(r#"{"type":"object","required":["a"]}"#).expect("usable").is_some());
    assert!(Validator::of_tool(br#"{"name":"a"}"#).expect("usable").is_none());
}

#[test]
fn compiled_schemas_are_kept_and_not_without_end() {
    let validators = Validators::new(8);
    let definition = |n: usize| format!(r#"{{"name":"t{n}","inputSchema":{{"required":["a"]}}}}"#);
    let hash = |n: usize| DefinitionHash::of(definition(n).as_bytes()).expect("JSON");
    for n in 0..100 {
        assert!(matches!(validators.of(&hash(n), definition(n).as_bytes()), Checker::Schema(_)));
        assert!(validators.get(&hash(0)).is_some(), "what is asked for stays");
    }
    let kept = (0..100).filter(|n| validators.get(&hash(*n)).is_some()).count();
    assert!((2..=9).contains(&kept), "{kept}");
    let bad = br##"{"name":"b","inputSchema":{"$ref":"#"}}"##;
    assert!(matches!(validators.of(&DefinitionHash::of(bad).expect("JSON"), bad), Checker::Unusable(_)));
}

#[test]
fn what_is_left_out_rejects_nothing() {
    let look_ahead = r#"{"properties":{"a":{"not":{"pattern":"(?=x)"}},"b":{"oneOf":[{"pattern":"(?!y)"},{"type":"string"}]},
        "c":{"if":{"pattern":"(?=x)"},"then":{"maxLength":1}}}}"#;
    check(look_ahead, r#"{"a":"abc","b":"abc","c":"abc"}"#, &expect!["fits"]);
    let unevaluated = r#"{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false,"required":["a"]}"#;
    check(unevaluated, r#"{"a":1,"b":2}"#, &expect!["fits"]);
    check(unevaluated, "{}", &expect!["`a` is required and missing"]);
    assert!(Validator::compile(unevaluated.as_bytes()).expect("usable").is_partial());
}

#[derive(serde::Deserialize)]
struct Case {
    schema: Box<serde_json::value::RawValue>,
    tests: Vec<(Box<serde_json::value::RawValue>, bool)>,
}

/// The official suite for drafts 2020-12 and 7, without what needs a second document and `unevaluated*`.
#[test]
fn the_official_test_suite_is_passed() {
    let (mut passed, mut failed, mut refused) = (0, Vec::new(), 0);
    for line in include_str!("../suite/cases.jsonl").lines() {
        let case: Case = serde_json::from_str(line).expect("a case");
        let Ok(validator) = Validator::compile(case.schema.get().as_bytes()) else {
            refused += 1;
            continue;
        };
        for (data, valid) in &case.tests {
            if validator.check(data.get().as_bytes()).is_ok() == *valid {
                passed += 1;
            } else {
                failed.push(format!("{} {} {valid}", case.schema.get(), data.get()));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(passed > 1_500 && refused < 30, "{passed} passed, {refused} schemas refused");
}

#[test]
fn a_loop_beside_a_way_into_the_value_is_found_too() {
    let defs =
        |x: &str| format!(r##"{{"$ref":"#/$defs/x","$defs":{{"x":{{"allOf":[{x}]}},"y":{{"$ref":"#/$defs/x"}}}}}}"##);
    let into = r##"{"properties":{"a":{"$ref":"#/$defs/y"}}}"##;
    assert!(Validator::compile(defs(into).as_bytes()).is_ok(), "the value ends");
    let beside = defs(&format!(r##"{into},{{"$ref":"#/$defs/y"}}"##));
    unusable(&beside, &expect!["the schema refers to itself without end at /$defs/x"]);
}

#[test]
fn patterns_that_only_references_lead_to_are_counted() {
    let schema = |count: usize, pattern: &str| {
        let refs: Vec<_> = (0..count).map(|n| serde_json::json!({ "$ref": format!("#/x/{n}") })).collect();
        let patterns: Vec<_> = (0..count).map(|n| serde_json::json!({ "pattern": format!("{pattern}{n}") })).collect();
        serde_json::json!({ "allOf": refs, "x": patterns }).to_string()
    };
    assert!(Validator::compile(schema(200, "^a").as_bytes()).is_ok());
    unusable(&schema(300, "^a"), &expect!["the schema's pattern takes too much to check: there are 257 of them"]);
    let dear = schema(1, "((a{1,30}){1,30}){1,9}");
    unusable(&dear, &expect!["the schema's pattern takes too much to check: ((a{1,30}){1,30}){1,9}0"]);
}

#[test]
fn names_without_number_or_end_take_bounded_time() {
    let keys: serde_json::Map<_, _> = (0..4_000).map(|n| (format!("k{n}"), serde_json::json!(["z"]))).collect();
    let schema = serde_json::json!({ "dependentRequired": keys }).to_string();
    let members: serde_json::Map<_, _> = (0..100_000).map(|n| (format!("m{n}"), serde_json::json!(0))).collect();
    let arguments = serde_json::Value::Object(members).to_string();
    let too_long =
        expect!["these arguments take too long to hold against the tool's schema; send fewer or simpler ones"];
    check(&schema, &arguments, &too_long);
    let property = "a".repeat(30_000);
    let schema =
        format!(r#"{{"properties":{{"{property}":{{}}}},"required":["{property}"],"additionalProperties":false}}"#);
    let arguments = format!(r#"{{"{}":1}}"#, "a".repeat(4_000_000));
    let validator = Validator::compile(schema.as_bytes()).expect("usable");
    assert_eq!(validator.check(arguments.as_bytes()).expect_err("two mistakes").len(), 2);
}

#[test]
fn alternatives_within_alternatives_are_told_in_bounded_length() {
    let leaf = r#"{"enum":["one of many allowed values","another of them"]}"#.to_owned();
    let schema = (0..8).fold(leaf, |inner, _| format!(r#"{{"anyOf":[{inner},{inner},{inner}]}}"#));
    let validator = Validator::compile(format!(r#"{{"properties":{{"a":{schema}}}}}"#).as_bytes());
    // Longer than a schema may be, unless its parts are shared.
    assert!(validator.is_err());
    let defs: Vec<_> = (1..9).map(|n| format!(r##""d{n}":{{"anyOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}}"##, n - 1)).collect();
    let schema = format!(
        r##"{{"$ref":"#/$defs/d6","$defs":{{"d0":{{"enum":["one of many allowed values"]}},{}}}}}"##,
        defs.join(",")
    );
    let validator = Validator::compile(schema.as_bytes()).expect("usable");
    let mistakes = validator.check(b"1").expect_err("a mistake");
    assert!(mistakes[0].message.len() < 2_000, "{}", mistakes[0].message.len());
}

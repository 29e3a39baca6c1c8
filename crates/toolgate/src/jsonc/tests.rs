//! Edits of texts as people write them.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn doc(text: &str) -> Doc {
    Doc::parse(text).unwrap_or_else(|mistake| panic!("{mistake}: {text:?}"))
}

fn mistake(text: &str, expected: &str) {
    assert_eq!(Doc::parse(text).map(|doc| doc.as_str().to_owned()).unwrap_err().to_string(), expected);
}

const FILE: &str = r#"// my servers
{
  "theme": "dark", // as ever
  "mcpServers": {
    // the first
    "a": { "command": "x", "args": ["1", "2",], }, /* quick */

    /* the second
       and slower */
    "b": {
      "url": "http://h/\u00e9" // é
    }
    // the third was "c"
  },
  "n": -1.5e+3
}
"#;

#[test]
fn a_text_with_comments_and_trailing_commas_is_understood() {
    let doc = doc(FILE);
    assert_eq!(
        doc.value(doc.root()),
        json!({"theme": "dark", "n": -1.5e3, "mcpServers": {
            "a": {"command": "x", "args": ["1", "2"]}, "b": {"url": "http://h/é"}}})
    );
    assert_eq!(doc.get(&["mcpServers", "a", "args", "1"]).map(|node| doc.text(node)), Some("\"2\""));
    assert!(doc.get(&["mcpServers", "c"]).is_none());
    assert_eq!(doc.get(&["theme"]).and_then(Node::as_str), Some("dark"));
}

#[test]
fn strings_mean_what_json_says() {
    let text = r#"["\ud83d\ude00 \n\/\"", "\ud800x", "\udc00\ud83d\u0041"]"#;
    assert_eq!(doc(text).value(doc(text).root()), json!(["😀 \n/\"", "\u{fffd}x", "\u{fffd}\u{fffd}A"]));
}

#[test]
fn a_mistake_says_where_it_is() {
    mistake("", "1:1: a value was expected, the text ends here");
    mistake("\u{feff}{\r\n  a: 1}", "2:3: a key in double quotes was expected");
    mistake("{\"a\": 1 \"b\": 2}", "1:9: `,` or `}` was expected");
    mistake("{\"a\": 1,\n \"a\": 2}", "2:2: this key stands here twice");
    mistake("{\"é\" 1}", "1:6: `:` was expected");
    mistake("[1, 2", "1:6: `,` or `]` was expected");
    mistake("[1, ,]", "1:5: a value was expected");
    mistake("[01]", "1:2: a value was expected");
    mistake("{} /* open", "1:4: this comment is not closed");
    mistake("{} {}", "1:4: nothing more was expected");
    mistake("[\"open]", "1:2: this string is not closed");
    mistake("[\"a\nb\"]", "1:4: a control character stands in a string");
    mistake("[\"\\x\"]", "1:3: an unknown escape");
    mistake("[\"\\u12é4\"]", "1:3: four hexadecimal digits were expected after `\\u`");
    mistake(&"[".repeat(200), "1:129: this is nested too deep");
    mistake("[1.]", "1:2: a value was expected");
    mistake("[NaN]", "1:2: a value was expected");
}

fn check(edited: Result<String, EditError>, expected: &Expect) {
    expected.assert_eq(&edited.unwrap_or_else(|error| format!("error: {error}")));
}

#[test]
fn a_member_goes_with_its_comments_and_nothing_else() {
    check(
        doc(FILE).remove(&["mcpServers", "a"]),
        &expect![[r#"
        // my servers
        {
          "theme": "dark", // as ever
          "mcpServers": {

            /* the second
               and slower */
            "b": {
              "url": "http://h/\u00e9" // é
            }
            // the third was "c"
          },
          "n": -1.5e+3
        }
    "#]],
    );
    check(
        doc(FILE).remove(&["mcpServers", "b"]),
        &expect![[r#"
        // my servers
        {
          "theme": "dark", // as ever
          "mcpServers": {
            // the first
            "a": { "command": "x", "args": ["1", "2",], } /* quick */

            // the third was "c"
          },
          "n": -1.5e+3
        }
    "#]],
    );
    check(doc("{\"a\": 1, \"b\": 2, \"c\": 3}").remove(&["b"]), &expect![[r#"{"a": 1, "c": 3}"#]]);
    check(
        doc("{ \"a\": 1, // one\n  \"b\": 2\n}").remove(&["a"]),
        &expect![[r#"
        {
          "b": 2
        }"#]],
    );
    check(doc("{ \"a\": 1 }").remove(&["a"]), &expect!["{}"]);
    check(doc("{ \"a\": 1 }").remove(&["b"]), &expect!["error: there is nothing at `b`"]);
    check(
        doc("{\r\n\t\"a\": 1,\r\n\t\"b\": 2,\r\n}\r\n").remove(&["b"]).map(|text| text.replace('\r', "␍")),
        &expect![[r#"
            {␍
            	"a": 1,␍
            }␍
        "#]],
    );
}

#[test]
fn a_new_member_looks_like_its_neighbours() {
    let add = |text: &str, path: &[&str]| {
        let doc = doc(text);
        doc.insert(path, "new", &doc.spell(path, &json!({"command": "/t", "args": ["mcp", "serve"], "env": {}})))
    };
    check(
        add(FILE, &["mcpServers"]),
        &expect![[r#"
        // my servers
        {
          "theme": "dark", // as ever
          "mcpServers": {
            // the first
            "a": { "command": "x", "args": ["1", "2",], }, /* quick */

            /* the second
               and slower */
            "b": {
              "url": "http://h/\u00e9" // é
            },
            "new": {
              "command": "/t",
              "args": ["mcp", "serve"],
              "env": {}
            }
            // the third was "c"
          },
          "n": -1.5e+3
        }
    "#]],
    );
    check(
        add("{}", &[]),
        &expect![[r#"
        {
          "new": {
            "command": "/t",
            "args": ["mcp", "serve"],
            "env": {}
          }
        }"#]],
    );
    check(
        add("{\n\t\"s\": {\n\t\t\"a\": {}\n\t}\n}", &["s"]),
        &expect![[r#"
        {
        	"s": {
        		"a": {},
        		"new": {
        			"command": "/t",
        			"args": ["mcp", "serve"],
        			"env": {}
        		}
        	}
        }"#]],
    );
    check(
        add("{\n    \"s\": {}\n}", &["s"]),
        &expect![[r#"
        {
            "s": {
                "new": {
                    "command": "/t",
                    "args": ["mcp", "serve"],
                    "env": {}
                }
            }
        }"#]],
    );
    check(
        add("{\n    \"s\": {\n      // none yet\n    }\n}", &["s"]),
        &expect![[r#"
        {
            "s": {
                "new": {
                    "command": "/t",
                    "args": ["mcp", "serve"],
                    "env": {}
                }
              // none yet
            }
        }"#]],
    );
    check(
        add("{\"s\":{\"a\":1}}", &["s"]),
        &expect![[r#"{"s":{"a":1,"new":{"command":"/t","args":["mcp","serve"],"env":{}}}}"#]],
    );
    check(
        add("{\n  \"a\": 1, // one\n}", &[]),
        &expect![[r#"
        {
          "a": 1, // one
          "new": {
            "command": "/t",
            "args": ["mcp", "serve"],
            "env": {}
          },
        }"#]],
    );
    check(
        add("{\n  \"a\": 1 // one\n}", &[]),
        &expect![[r#"
        {
          "a": 1, // one
          "new": {
            "command": "/t",
            "args": ["mcp", "serve"],
            "env": {}
          }
        }"#]],
    );
    check(add("{\n  \"new\": 1\n}", &[]), &expect!["error: `new` is there already"]);
    check(add("{\n  \"a\": 1\n}", &["a"]), &expect!["error: there is no object at `a`"]);
    check(
        add("{\r\n  \"a\": 1\r\n}", &[]).map(|text| text.replace('\r', "␍")),
        &expect![[r#"
        {␍
          "a": 1,␍
          "new": {␍
            "command": "/t",␍
            "args": ["mcp", "serve"],␍
            "env": {}␍
          }␍
        }"#]],
    );
}

#[test]
fn a_value_gives_its_place_to_another() {
    check(doc("{\"a\": [1, /* x */ 2]} // end").replace(&["a"], "{\"b\": 1}"), &expect![[r#"{"a": {"b": 1}} // end"#]]);
    check(doc("{\"a\": [1, 2]}").replace(&["a", "1"], " null // no"), &expect![[r#"{"a": [1, null]}"#]]);
    check(
        doc("{\"a\": 1}").replace(&["a"], "{"),
        &expect!["error: the new value is no JSON: 1:2: a key in double quotes was expected"],
    );
    check(doc("{\"a\": 1}").replace(&["b"], "1"), &expect!["error: there is nothing at `b`"]);
}

#[test]
fn a_member_comes_back_to_its_old_place() {
    for key in ["theme", "mcpServers", "n"] {
        let before = doc(FILE);
        let index = before.root().members().iter().position(|member| member.key == key).unwrap();
        let raw = before.text(&before.root().members()[index].node).to_owned();
        let without = doc(&before.remove(&[key]).unwrap());
        let back = doc(&without.insert_at(&[], index, key, &raw).unwrap());
        assert_eq!(back.value(back.root()), before.value(before.root()));
        let order = |doc: &Doc| doc.root().members().iter().map(|member| member.key.clone()).collect::<Vec<_>>();
        assert_eq!(order(&back), order(&before), "{}", back.as_str());
    }
}

fn blank() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => Just(""), 2 => Just(" "), 1 => Just("\t"), 2 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\n\n  "),
        1 => Just(" // c\n"), 1 => Just("/* c */"), 1 => Just("/* a\n b */"), 1 => Just("\n  // own\n  "),
    ];
    prop::collection::vec(piece, 0..3).prop_map(|pieces| pieces.concat())
}

/// Any text; an object without members holds no blanks, since one that lost its last member is closed up.
fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("1"), Just("\"é\""), Just("true"), Just("{}"), Just("[]")].prop_map(str::to_owned);
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (blank(), blank(), blank(), inner.clone(), blank());
        let object = (prop::collection::vec(member, 1..4), any::<bool>(), blank());
        let array = (prop::collection::vec((blank(), inner, blank()), 1..4), any::<bool>(), blank());
        prop_oneof![
            3 => object.prop_map(|(members, comma, end)| {
                let keyed = members.into_iter().enumerate();
                let written = keyed.map(|(at, (a, b, c, value, d))| format!("{a}\"k{at}\"{b}:{c}{value}{d}"));
                let (text, comma) = (written.collect::<Vec<_>>().join(","), if comma { "," } else { "" });
                format!("{{{text}{comma}{end}}}")
            }),
            1 => array.prop_map(|(items, comma, end)| {
                let text = items.into_iter().map(|(a, value, b)| format!("{a}{value}{b}")).collect::<Vec<_>>().join(",");
                format!("[{text}{}{end}]", if comma { "," } else { "" })
            }),
        ]
    });
    (any::<bool>(), blank(), value, blank())
        .prop_map(|(mark, a, value, b)| format!("{}{a}{value}{b}", if mark { "\u{feff}" } else { "" }))
}

fn objects(node: &Node, path: &[String], found: &mut Vec<Vec<String>>) {
    if node.is_object() {
        found.push(path.to_vec());
    }
    for member in node.members() {
        objects(&member.node, &[path, std::slice::from_ref(&member.key)].concat(), found);
    }
}

proptest! {
    #[test]
    fn what_was_put_in_comes_out_without_a_trace(text in text()) {
        let doc = doc(&text);
        let mut paths = Vec::new();
        objects(doc.root(), &[], &mut paths);
        for path in &paths {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let raw = doc.spell(&path, &json!({"a": [1, {"b": "c"}], "d": {}}));
            let with = self::doc(&doc.insert(&path, "new", &raw).unwrap());
            let full: Vec<&str> = path.iter().copied().chain(["new"]).collect();
            prop_assert_eq!(with.remove(&full).unwrap(), text.as_str(), "{}", with.as_str());
        }
    }

    #[test]
    fn any_member_can_be_taken_out_and_put_anywhere(text in text(), index in 0_usize..4) {
        let doc = doc(&text);
        let mut paths = Vec::new();
        objects(doc.root(), &[], &mut paths);
        for path in &paths {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            // That nothing else changes is proven by the edits themselves.
            doc.insert_at(&path, index, "new", "[1]").unwrap();
            for member in doc.get(&path).unwrap().members() {
                doc.remove(&[&path[..], &[&member.key]].concat()).unwrap();
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\]{}:,\"/*\\\\u0dé \n1-e.a]{0,40}") {
        let _ = Doc::parse(&text);
    }
}

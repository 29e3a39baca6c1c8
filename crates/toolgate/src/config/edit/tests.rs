//! Texts before and after an edit.

use expect_test::{Expect, expect};

use super::*;

fn entry(text: &str) -> Table {
    text.parse::<DocumentMut>().unwrap().as_table().clone()
}

fn put_edit(name: &str, text: &str) -> Edit {
    Edit::Put { name: name.to_owned(), table: entry(text) }
}

fn remove_edit(name: &str) -> Edit {
    Edit::Remove { name: name.to_owned() }
}

fn check(text: &str, edit: Edit, expected: &Expect) {
    expected.assert_eq(&apply(text, &[edit]).unwrap());
}

const FILE: &str = r#"# my settings
model = "gpt-5.2" # the model

# every tool I have

# the first
[mcp_servers.a]
command = "x" # quick
args = [ "1",
  "2" ]  # odd spacing
bogus = 1

[mcp_servers.a.env]
"K" = 'v'

[projects."/p"]
trust_level = "trusted"

# the second
[mcp_servers.b]
url = "http://h"
# at the end
"#;

#[test]
fn a_new_server_stands_after_the_others() {
    check(
        FILE,
        put_edit("n.o/t", "command = 'c'"),
        &expect![[r##"
            # my settings
            model = "gpt-5.2" # the model

            # every tool I have

            # the first
            [mcp_servers.a]
            command = "x" # quick
            args = [ "1",
              "2" ]  # odd spacing
            bogus = 1

            [mcp_servers.a.env]
            "K" = 'v'

            [projects."/p"]
            trust_level = "trusted"

            # the second
            [mcp_servers.b]
            url = "http://h"
            # at the end

            [mcp_servers."n.o/t"]
            command = 'c'
        "##]],
    );
    check(
        "",
        put_edit("a", "command = 'c'\n[env]\nA = 'b'"),
        &expect![[r#"
            [mcp_servers.a]
            command = 'c'
            [mcp_servers.a.env]
            A = 'b'
        "#]],
    );
    check(
        "model = 1",
        put_edit("a", "command = 'c'"),
        &expect![[r#"
            model = 1

            [mcp_servers.a]
            command = 'c'
        "#]],
    );
}

#[test]
fn a_trusted_project_and_one_no_more_leave_everything_else_as_it_is() {
    let trust = |level| Edit::Project { root: "/src/my app".to_owned(), level };
    for text in ["", "model = 1\n", FILE, "projects = { \"/p\" = { trust_level = \"trusted\" } }\n"] {
        let trusted = apply(text, &[trust(Some("trusted"))]).unwrap();
        let found: toml::Table = trusted.parse().unwrap();
        assert_eq!(found["projects"]["/src/my app"]["trust_level"].as_str(), Some("trusted"), "{trusted}");
        assert_eq!(apply(&trusted, &[trust(Some("trusted"))]).unwrap(), trusted);
        let values = |text: &str| text.parse::<toml::Table>().unwrap();
        let back = apply(&trusted, &[trust(None)]).unwrap();
        assert_eq!(values(&back), values(text), "{back}");
        assert_eq!(back.trim_end(), text.trim_end());
        assert_eq!(apply(text, &[trust(None)]).unwrap(), text, "nothing was said of it");
    }
    let more = "[projects.\"/src/my app\"]\ntrust_level = \"trusted\"\nother = 1\n";
    assert_eq!(apply(more, &[trust(None)]).unwrap(), "[projects.\"/src/my app\"]\nother = 1\n");
}

#[test]
fn a_replaced_server_keeps_its_place_and_its_comment() {
    check(
        FILE,
        put_edit("a", "url = 'http://new'"),
        &expect![[r##"
            # my settings
            model = "gpt-5.2" # the model

            # every tool I have

            # the first
            [mcp_servers.a]
            url = 'http://new'

            [projects."/p"]
            trust_level = "trusted"

            # the second
            [mcp_servers.b]
            url = "http://h"
            # at the end
        "##]],
    );
}

#[test]
fn a_removed_server_leaves_all_else_as_it_was() {
    check(
        FILE,
        remove_edit("a"),
        &expect![[r##"
            # my settings
            model = "gpt-5.2" # the model

            # every tool I have

            [projects."/p"]
            trust_level = "trusted"

            # the second
            [mcp_servers.b]
            url = "http://h"
            # at the end
        "##]],
    );
    check(
        FILE,
        remove_edit("b"),
        &expect![[r##"
            # my settings
            model = "gpt-5.2" # the model

            # every tool I have

            # the first
            [mcp_servers.a]
            command = "x" # quick
            args = [ "1",
              "2" ]  # odd spacing
            bogus = 1

            [mcp_servers.a.env]
            "K" = 'v'

            [projects."/p"]
            trust_level = "trusted"
            # at the end
        "##]],
    );
    assert_eq!(apply(FILE, &[remove_edit("nope")]).unwrap(), FILE);
    assert_eq!(apply("", &[remove_edit("nope")]).unwrap(), "");
}

#[test]
fn adding_then_removing_gives_the_same_bytes() {
    for text in [FILE, "", "model = 1\n", "[mcp_servers.z]\ncommand = 'z'\n", "mcp_servers.z.command = 'z'\n"] {
        let edits = [put_edit("new", "command = 'c'\n[env]\nA = 'b'"), remove_edit("new")];
        assert_eq!(apply(text, &edits).unwrap(), text);
    }
}

#[test]
fn marks_and_line_ends_of_other_systems_stay() {
    let text = "\u{feff}# c\r\n[mcp_servers.a]\r\ncommand = 'x'\r\n";
    let new = "\r\n[mcp_servers.b]\r\ncommand = 'y'\r\n";
    let added = apply(text, &[put_edit("b", "command = 'y'")]).unwrap();
    assert_eq!(added, format!("{text}{new}"));
    assert_eq!(apply(&added, &[remove_edit("b")]).unwrap(), text);
    let mixed = "# c\r\n[mcp_servers.a]\ncommand = 'x'\r\n";
    assert_eq!(apply(mixed, &[remove_edit("nope")]).unwrap(), mixed);
}

#[test]
fn inline_and_dotted_entries_are_edited_too() {
    let inline = "mcp_servers = { a = { command = 'x' }, b = { command = 'y' } } # all\n";
    check(
        inline,
        put_edit("c", "command = 'z'\n[env]\nA = 'b'"),
        &expect![[r#"
            mcp_servers = { a = { command = 'x' }, b = { command = 'y' } , c = { command = 'z', env = { A = 'b' } } } # all
        "#]],
    );
    check(
        inline,
        remove_edit("a"),
        &expect![[r#"
            mcp_servers = { b = { command = 'y' } } # all
        "#]],
    );
    let dotted = "mcp_servers.a.command = 'x'\nmcp_servers.b.command = 'y'\nmodel = 1\n";
    check(
        dotted,
        put_edit("a", "command = 'z'"),
        &expect![[r#"
            mcp_servers.b.command = 'y'
            model = 1

            [mcp_servers.a]
            command = 'z'
        "#]],
    );
    check(
        dotted,
        remove_edit("a"),
        &expect![[r#"
            mcp_servers.b.command = 'y'
            model = 1
        "#]],
    );
    let section = "[mcp_servers]\n# one\n\n# two\na = { command = 'x' }\n# three\nb = { command = 'y' }\n";
    check(
        section,
        put_edit("c", "command = 'z'"),
        &expect![[r#"
            [mcp_servers]
            # one

            # two
            a = { command = 'x' }
            # three
            b = { command = 'y' }

            [mcp_servers.c]
            command = 'z'
        "#]],
    );
    check(
        section,
        remove_edit("a"),
        &expect![[r#"
            [mcp_servers]
            # one

            # three
            b = { command = 'y' }
        "#]],
    );
}

#[test]
fn single_settings_are_added_to_an_entry() {
    let edit = Edit::Add { name: "a".to_owned(), table: entry("trust = 'trusted'") };
    check(
        "[mcp_servers.a] # mine\nread_only = true # safe\n",
        edit.clone(),
        &expect![[r#"
            [mcp_servers.a] # mine
            read_only = true # safe
            trust = 'trusted'
        "#]],
    );
    check(
        "mcp_servers = { a = { read_only = true } }\n",
        edit.clone(),
        &expect![[r#"
            mcp_servers = { a = { read_only = true , trust = 'trusted'} }
        "#]],
    );
    check(
        "",
        edit,
        &expect![[r#"
            [mcp_servers.a]
            trust = 'trusted'
        "#]],
    );
}

#[test]
fn comments_that_stand_apart_survive_wherever_they_are() {
    let text = "# licence\n\n# about a\n[mcp_servers.a]\ncommand = 'x'\n\n# a chapter\n\n# its env\n[mcp_servers.a.env]\nA = 'b'\n";
    check(
        text,
        remove_edit("a"),
        &expect![[r#"
            # licence

            # a chapter
        "#]],
    );
}

#[test]
fn what_cannot_be_edited_is_refused() {
    let refused = |text: &str, edit| apply(text, &[edit]).unwrap_err().to_string();
    assert_eq!(refused("[mcp_servers.a\n", remove_edit("a")), "does not parse: unclosed table, expected `]`");
    assert_eq!(refused("mcp_servers = 1\n", put_edit("a", "command = 'x'")), "`mcp_servers` is not a table");
    assert_eq!(refused("mcp_servers = 1\n", remove_edit("a")), "`mcp_servers` is not a table");
}

fn set(path: &str, value: Option<&str>) -> Edit {
    let path = path.split('.').map(str::to_owned).collect();
    Edit::Set { name: "a".to_owned(), path, value: value.map(|text| text.parse().unwrap()) }
}

#[test]
fn one_setting_is_changed_where_it_stands() {
    for (before, path, value, after) in [
        ("[mcp_servers.a]\nx = 1 # why\ny = 2\n", "x", Some("3"), "[mcp_servers.a]\nx = 3 # why\ny = 2\n"),
        ("[mcp_servers.a]\nx = 1 # why\ny = 2\n", "y", None, "[mcp_servers.a]\nx = 1 # why\n"),
        ("[mcp_servers.a]\nx = 1\n", "z", None, "[mcp_servers.a]\nx = 1\n"),
        ("[mcp_servers.a]\nx = 1\n", "env.B", None, "[mcp_servers.a]\nx = 1\n"),
        ("[mcp_servers.b]\nx = 1\n", "x", None, "[mcp_servers.b]\nx = 1\n"),
        ("", "x", None, ""),
        (
            "[mcp_servers.a]\nenv = { A = 'a' }\n",
            "env.B",
            Some("'b'"),
            "[mcp_servers.a]\nenv = { A = 'a' , B = 'b' }\n",
        ),
        ("mcp_servers.a.x = 1\n", "env.B", Some("'b'"), "mcp_servers.a.x = 1\nmcp_servers.a.env.B = 'b'\n"),
        (
            "[mcp_servers.a]\nx = 1\n\n[other]\ny = 2\n",
            "tools.t.mode",
            Some("'deny'"),
            "[mcp_servers.a]\nx = 1\n\n[mcp_servers.a.tools.t]\nmode = 'deny'\n\n[other]\ny = 2\n",
        ),
        ("", "x", Some("1"), "[mcp_servers.a]\nx = 1\n"),
    ] {
        assert_eq!(apply(before, &[set(path, value)]).unwrap(), after, "{before:?} {path}");
    }
    let refused = apply("[mcp_servers.a]\nenv = 1\n", &[set("env.B", Some("1"))]).unwrap_err();
    assert_eq!(refused, EditError::NotATable("env".to_owned()));
}

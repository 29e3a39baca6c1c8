use super::*;

fn check(text: &str, expected: &[(&str, Kind)]) {
    let expected: Vec<_> =
        expected.iter().map(|(path, kind)| Change { path: (*path).to_owned(), kind: kind.clone() }).collect();
    assert_eq!(parse(text), Ok(expected), "{text}");
}

fn refused(text: &str, expected: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

fn strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn the_envelope_names_files_and_what_becomes_of_them() {
    let patch = "*** Begin Patch\n*** Add File: a\n+one\n+\n*** Delete File: b\n*** Update File: c\n*** Move to: d\n\
        @@ fn f\n ctx\n-old\n+new\n\n*** End of File\n*** End Patch\n";
    let hunk = Hunk {
        anchors: strings(&["fn f"]),
        before: strings(&["ctx", "old", ""]),
        after: strings(&["ctx", "new", ""]),
        kept: vec![(0, 0), (2, 2)],
        at_end: true,
        ..Hunk::default()
    };
    check(
        patch,
        &[
            ("a", Kind::Add("one\n\n".into())),
            ("b", Kind::Delete(None)),
            ("c", Kind::Update { to: Some("d".into()), hunks: vec![hunk] }),
        ],
    );
}

#[test]
fn a_unified_diff_is_read_with_what_git_and_diff_add() {
    let patch = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\t2025-01-01\n+++ b/x\t2025-01-02\n@@ -1,2 +1,2 @@ fn\n a\n-b\n+c\n\
        diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+hi\n\\ No newline at end of file\n\
        diff --git a/g b/g\ndeleted file mode 100755\n--- a/g\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git a/o b/p\nsimilarity index 100%\nrename from o\nrename to p\n";
    let hunk = Hunk {
        before: strings(&["a", "b"]),
        after: strings(&["a", "c"]),
        kept: vec![(0, 0)],
        line: Some(1),
        ..Hunk::default()
    };
    let gone = Hunk { before: strings(&["x"]), line: Some(1), ..Hunk::default() };
    check(
        patch,
        &[
            ("x", Kind::Update { to: None, hunks: vec![hunk] }),
            ("n", Kind::Add("hi".into())),
            ("g", Kind::Delete(Some(vec![gone]))),
            ("o", Kind::Update { to: Some("p".into()), hunks: Vec::new() }),
        ],
    );
}

#[test]
fn what_is_no_patch_says_where() {
    refused("", "it changes nothing");
    refused("hello", "it changes nothing");
    refused("*** Begin Patch\n*** Add File: a\n+x\n", "line 4: the patch ends without");
    refused("*** Begin Patch\nx\n*** End Patch", "line 2: expected");
    refused("*** Begin Patch\n*** Update File: a\n*** End Patch", "an update without a change");
    refused("*** Begin Patch\n*** Update File: a\n?x\n*** End Patch", "line 3: a line of a change begins with");
    refused("*** Begin Patch\n*** Add File: \n*** End Patch", "no file is named");
    refused("*** Begin Patch\n*** Delete File: a\n*** End Patch\nrm -rf", "something follows");
    refused("--- a/x\n+++ b/x\n@@ -1,3 +1 @@\n-a\n", "the change ends before its count is full");
    refused("--- a/x\n+++ b/x\n@@ -a +1 @@\n-a\n", "is expected");
    refused("--- /dev/null\n+++ /dev/null\n@@ -0,0 +1 @@\n+a\n", "both sides");
    refused("--- /dev/null\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "nothing to take away");
}

#[test]
fn a_patch_makes_no_links_no_programs_and_nothing_binary() {
    let new = |mode: &str| {
        format!("diff --git a/l b/l\nnew file mode {mode}\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n")
    };
    refused(&new("120000"), "no plain file's");
    refused(&new("100755"), "makes no file executable");
    refused(&new("160000"), "no plain file's");
    refused("diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", "makes no file executable");
    refused("diff --git a/x b/x\nGIT binary patch\nliteral 1\n", "binary patches are not taken");
    refused(&"x".repeat(PATCH_MAX + 1), "larger than");
}

fn update(path: &str) -> (&str, Kind) {
    let hunk = Hunk { before: strings(&["a"]), after: strings(&["b"]), ..Hunk::default() };
    (path, Kind::Update { to: None, hunks: vec![hunk] })
}

#[test]
fn blanks_around_the_heads_of_the_envelope_are_forgiven_as_codex_does() {
    check(" *** Begin Patch \n  *** Update File: f \n-a\n+b\n *** End Patch  \n\n", &[update("f")]);
    check("<<'EOF'\n*** Begin Patch\n*** Update File: f\n-a\n+b\n*** End Patch\nEOF\n", &[update("f")]);
    check("*** Begin Patch\r\n*** Update File: f\r\n-a\r\n+b\r\n*** End Patch\r\n", &[update("f")]);
    check(
        "*** Begin Patch\n*** Delete File: g\n  *** Delete File: h\n*** End Patch",
        &[("g", Kind::Delete(None)), ("h", Kind::Delete(None))],
    );
}

#[test]
fn a_line_of_a_file_is_never_taken_for_a_head() {
    let text = "*** Begin Patch\n*** Update File: f\n *** Delete File: g\n-*** End Patch\n+*** End Patch\n *** End Patch\n*** End Patch";
    let lines = ["*** Delete File: g", "*** End Patch", "*** End Patch"];
    let kept = vec![(0, 0), (2, 2)];
    let hunk = Hunk { before: strings(&lines), after: strings(&lines), kept, ..Hunk::default() };
    check(text, &[("f", Kind::Update { to: None, hunks: vec![hunk] })]);
    check(
        "*** Begin Patch\n*** Add File: f\n+*** Delete File: g\n*** End Patch",
        &[("f", Kind::Add("*** Delete File: g\n".into()))],
    );
}

#[test]
fn what_stands_loose_in_an_envelope_is_refused() {
    for (body, expected) in [
        ("*** Update File: f\n-a\n+b\n*** End of File\n+c", "begins with `@@`"),
        ("*** Update File: f\n*** End of File", "without a change before it"),
        ("*** Update File: f\n-a\n+b\n@@ fn f", "`@@` without a change"),
        ("*** Add File: f\n+a\nb", "line 4: expected"),
        ("*** Delete File: f\n+a", "line 3: expected"),
        ("*** Frobnicate File: f", "line 2: expected"),
        ("*** Delete File: f\n*** End Patch\n*** Delete File: g", "something follows"),
        ("*** Update File: f\n-a\n*** Move to: g", "expected"),
    ] {
        refused(&format!("*** Begin Patch\n{body}\n*** End Patch\n"), expected);
    }
    refused("*** Begin Patch\n*** End Patch\n", "it changes nothing");
}

#[test]
fn names_are_read_as_git_writes_them() {
    let named = |old: &str, new: &str| {
        parse(&format!("--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n")).map(|mut all| all.remove(0))
    };
    for (old, new, expected) in [
        ("a/x y", "b/x y", "x y"),
        ("\"a/caf\\303\\251 \\\"q\\\"\"", "\"b/caf\\303\\251 \\\"q\\\"\"", "café \"q\""),
        ("x\t2025-01-01", "x\t2025-01-02", "x"),
        // A directory called `a`, without prefixes.
        ("a/x", "a/x", "a/x"),
        ("i/x", "w/x", "x"),
        // Not the name that stands for nothing.
        ("a//dev/null", "b//dev/null", "/dev/null"),
    ] {
        let change = named(old, new).expect("read");
        assert!(change.path == expected && matches!(change.kind, Kind::Update { to: None, .. }), "{change:?}");
    }
    named("\"a/x\\999\"", "b/x").expect_err("no such letter");
    named("\"a/x\\377\"", "\"b/x\\377\"").expect_err("no UTF-8");
    named("\"a/x", "b/x").expect_err("no end");
}

#[test]
fn an_empty_file_comes_without_a_change() {
    let patch = "diff --git a/e f b/e f\nnew file mode 100644\nindex 0000000..e69de29\ndiff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.39\n";
    let changes = parse(patch).expect("read");
    assert_eq!(changes[0], Change { path: "e f".into(), kind: Kind::Add(String::new()) });
    assert_eq!(changes.len(), 2);
}

#[test]
fn nothing_of_a_diff_is_passed_over() {
    let diff = |body: &str| format!("--- a/x\n+++ b/x\n{body}");
    refused(&diff("@@ -1 +1 @@\n-a\n+b\n+c\n"), "line 6: the change is longer than its count");
    refused(&diff("@@ -1 +1 @@\n-a\n+b\n c\n"), "longer than its count");
    refused(&diff(""), "is expected");
    refused(&diff("@@@ -1 -1 +1 @@@\n--a\n++b\n"), "is expected");
    refused("@@ -1 +1 @@\n-a\n+b\n", "without `---`");
    refused("diff --git a/x b/x\nold mode 100755\nnew mode 100644\n", "changes no permissions");
    refused("diff --git a/x b/x\nindex 1..2\n", "nothing is said");
    refused("diff --git a/x b/y\nrename from x\n", "nothing is said");
    refused("diff --git a/x b/y\ncopy from x\ncopy to y\n", "copies are not taken");
    let other = "diff --git a/x b/y\nrename from x\nrename to y\n--- a/x\n+++ b/z\n@@ -1 +1 @@\n-a\n+b\n";
    refused(other, "name other files");
    refused(
        "diff --git a/l b/l\ndeleted file mode 120000\n--- a/l\n+++ /dev/null\n@@ -1 +0,0 @@\n-/etc\n",
        "no plain file's",
    );
}

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
        at_end: true,
        ..Hunk::default()
    };
    check(
        patch,
        &[
            ("a", Kind::Add("one\n\n".into())),
            ("b", Kind::Delete),
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
    let hunk = Hunk { before: strings(&["a", "b"]), after: strings(&["a", "c"]), line: Some(1), ..Hunk::default() };
    check(
        patch,
        &[
            ("x", Kind::Update { to: None, hunks: vec![hunk] }),
            ("n", Kind::Add("hi".into())),
            ("g", Kind::Delete),
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

use super::super::parse::{Kind, parse};
use super::*;

fn check(text: &str, patch: &str, expected: Result<&str, &str>) {
    let changes = parse(patch).expect("a patch");
    let Kind::Update { hunks, .. } = &changes[0].kind else { panic!("{changes:?}") };
    match (change(text, hunks, &mut Effort::default()), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{patch}"),
        (Err(found), Err(expected)) => assert!(found.to_string().contains(expected), "{found}"),
        (found, expected) => panic!("{found:?} instead of {expected:?}: {patch}"),
    }
}

fn envelope(body: &str) -> String {
    format!("*** Begin Patch\n*** Update File: f\n{body}\n*** End Patch\n")
}

fn diff(body: &str) -> String {
    format!("--- a/f\n+++ b/f\n{body}")
}

#[test]
fn a_change_is_put_where_its_lines_stand() {
    check("a\nb\nc\n", &envelope("@@\n a\n-b\n+B\n c"), Ok("a\nB\nc\n"));
    check("a\nb\nc\n", &envelope("-c"), Ok("a\nb\n"));
    check("x\nfn f\nx\n", &envelope("@@ fn f\n-x\n+y"), Ok("x\nfn f\ny\n"));
    check("x\n  fn “f”\nx\n", &envelope("@@ fn \"f\"\n-x\n+y"), Ok("x\n  fn “f”\ny\n"));
    check("a\n", &envelope("+b"), Ok("a\nb\n"));
    check("x\na\nx\n", &envelope("-x\n+y\n*** End of File"), Ok("x\na\ny\n"));
    check("a\nb\nc\n", &envelope("-b\n-c"), Ok("a\n"));
    check("", &envelope("+a"), Ok("a\n"));
    check("a\n", &envelope("-a"), Ok(""));
}

#[test]
fn as_with_codex_an_updated_file_ends_with_an_end_of_line() {
    check("a\nb", &envelope("-a\n+A"), Ok("A\nb\n"));
    check("a\nb", &envelope("+c"), Ok("a\nb\nc\n"));
    check("a\r\nb", &envelope("-b\n+B"), Ok("a\r\nB\r\n"));
    check("a\r\nb", &envelope("-a\n+A"), Ok("A\r\nb\r\n"));
}

#[test]
fn changes_follow_one_another_downwards() {
    check("x\nx\nx\n", &envelope("@@\n-x\n+1\n@@\n-x\n+2"), Ok("1\n2\nx\n"));
    check("b\na\n", &envelope("@@\n-a\n+A\n@@\n-b\n+B"), Err("change 2 does not fit"));
    // What only comes goes to the end, and the next change may still stand anywhere.
    check("a\nb\n", &envelope("@@\n+end\n@@\n-a\n+A"), Ok("A\nb\nend\n"));
    check("f\ng\n", &envelope("@@ f\n+in f\n@@ g\n+in g"), Ok("f\nin f\ng\nin g\n"));
    // What a change puts there is nothing that the next one finds.
    check("a\n", &envelope("@@\n-a\n+b\n@@\n-b\n+c"), Err("change 2 does not fit"));
}

#[test]
fn a_diff_is_put_at_its_line_or_the_nearest() {
    check("x\nx\nx\n", &diff("@@ -2 +2 @@\n-x\n+y\n"), Ok("x\ny\nx\n"));
    check("new\nnew\na\nb\n", &diff("@@ -1,2 +1,2 @@\n a\n-b\n+B\n"), Ok("new\nnew\na\nB\n"));
    check("a\n", &diff("@@ -1,0 +2 @@\n+b\n"), Ok("a\nb\n"));
    check("a\n", &diff("@@ -0,0 +1 @@\n+b\n"), Ok("b\na\n"));
    check("a \n", &diff("@@ -1 +1 @@\n-a\n+b\n"), Err("does not fit"));
    check("a\nb\n", &diff("@@ -2 +2 @@\n-b\n+B\n@@ -1,0 +1 @@\n+x\n"), Ok("a\nB\nx\n"));
    // Three lines came before both: the second is as far away as the first.
    let far = diff("@@ -1 +1 @@\n-h\n+H\n@@ -2 +2 @@\n-x\n+y\n");
    check("n\nn\nn\nh\nx\nz\nx\n", &far, Ok("n\nn\nn\nH\ny\nz\nx\n"));
    check("x\nn\nn\nh\nq\nx\n", &diff("@@ -1 +1 @@\n-h\n+H\n@@ -3 +3 @@\n-x\n+y\n"), Ok("x\nn\nn\nH\nq\ny\n"));
}

#[test]
fn a_diff_says_whether_the_last_line_ends() {
    check("a", &diff("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"), Ok("b\n"));
    check("a\n", &diff("@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"), Ok("b"));
    check("a", &diff("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"), Ok("b"));
    check("a\n", &diff("@@ -1,0 +2 @@\n+b\n\\ No newline at end of file\n"), Ok("a\nb"));
    check("a\r\nb", &diff("@@ -2 +2 @@\n-b\n+c\n"), Ok("a\r\nc"));
    // A last line is nowhere but at the end.
    check("a\nb\n", &diff("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+c\n"), Err("does not fit"));
}

#[test]
fn blanks_and_looks_are_forgiven_where_only_one_place_fits() {
    check("a  \nb\n", &envelope("-a\n+A"), Ok("A\nb\n"));
    check("a  \na \n", &envelope("-a\n+A"), Err("more than one place"));
    check("  a\n", &envelope("-a\n+A"), Ok("A\n"));
    check("  a\n a\n", &envelope("-a\n+A"), Err("more than one place"));
    check("x – “y”\u{a0}z\n", &envelope("-x - \"y\" z\n+w"), Ok("w\n"));
    check("x – y\nx — y\n", &envelope("-x - y\n+w"), Err("more than one place"));
    // Letters that look alike are other letters.
    check("p\u{430}ss\n", &envelope("-pass\n+x"), Err("does not fit"));
    check("x – y\n", &diff("@@ -1 +1 @@\n-x - y\n+w\n"), Err("does not fit"));
}

#[test]
fn what_stays_stays_as_it_is() {
    check("if x:\n\ty –  \n\tz\n", &envelope(" if x:\n y -\n-z\n+\tw"), Ok("if x:\n\ty –  \n\tw\n"));
    // More lines end with returns than without: no line that is not named changes how it ends.
    check("a\r\nb\r\nc\nd\r\n", &envelope(" a\n-b\n+B\n c"), Ok("a\r\nB\r\nc\nd\r\n"));
    check("a\r\nb\r\nc\nd\r\n", &envelope("-c\n+C"), Ok("a\r\nb\r\nC\nd\r\n"));
}

#[test]
fn an_empty_line_at_the_end_of_a_change_may_be_the_patch_s_own() {
    check("a\nb\n", &envelope("-a\n+A\n"), Ok("A\nb\n"));
    check("a\n\nb\n", &envelope("-a\n+A\n\n"), Ok("A\n\nb\n"));
    check("a\nb\n", &envelope("-a\n+A\n\n\n"), Err("does not fit"));
    check("a\n\nb\n", &envelope("-a\n+A\n"), Ok("A\n\nb\n"));
    check("a\nb\n", &envelope("-b\n+B\n\n*** End of File"), Ok("a\nB\n"));
}

#[test]
fn lines_keep_the_ends_of_their_file() {
    check("a\r\nb\r\n", &envelope("-a\n+A\n+C"), Ok("A\r\nC\r\nb\r\n"));
    check("a\r\nb\r\n", &envelope("+C"), Ok("a\r\nb\r\nC\r\n"));
    check("a\nb\n", &envelope("-a\n+A"), Ok("A\nb\n"));
    // A patch whose own lines end with returns.
    check("a\nb\n", &envelope("-a\n+A").replace('\n', "\r\n"), Ok("A\nb\n"));
    check("a\r\nb\r\n", &envelope("-a\n+A").replace('\n', "\r\n"), Ok("A\r\nb\r\n"));
    // A diff that is about the ends.
    check("a\r\n", &diff("@@ -1 +1 @@\n-a\r\n+a\n"), Ok("a\n"));
    check("a\n", &diff("@@ -1 +1 @@\n-a\n+a\r\n"), Ok("a\r\n"));
    check("a\r\nb\r\n", &diff("@@ -1,2 +1,2 @@\n-a\n+A\n b\n"), Ok("A\r\nb\r\n"));
}

#[test]
fn a_mark_of_the_byte_order_stays() {
    check("\u{feff}a\nb\n", &envelope("-a\n+A"), Ok("\u{feff}A\nb\n"));
    check("\u{feff}a\nb\n", &envelope("-b\n+B"), Ok("\u{feff}a\nB\n"));
    check("\u{feff}a\n", &diff("@@ -1 +1 @@\n-\u{feff}a\n+a\n"), Ok("a\n"));
    check("a\n", &format!("\u{feff}{}", envelope("-a\n+A")), Ok("A\n"));
}

#[test]
fn a_patch_that_compares_everything_with_everything_is_refused() {
    let text = "x\n".repeat(200_000);
    let body = format!("{}-y\n", "-x\n".repeat(50_000));
    check(&text, &envelope(&body), Err("takes too long"));
    let many = format!("{}\n-nothing\n", "@@\n-x\n+z\n".repeat(30_000));
    check(&text, &envelope(&many), Err("does not fit"));
}

//! What changes in a text, as people read it: lines that go, lines that come, a few around them.

use std::fmt::Write;
use std::ops::Range;

/// Lines shown around a change.
const AROUND: usize = 3;

/// Where both sides differ by more than this many pairs of lines, the middle is shown as replaced.
const MOST_PAIRS: usize = 4_000_000;

/// Longer lines are cut: a file may be one line.
const LONGEST: usize = 240;

/// One stretch of lines: taken out of the old text, put into the new one, or both when they are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    old: Range<usize>,
    new: Range<usize>,
    same: bool,
}

/// The unified difference of two texts under the name `name`; empty when there is none.
pub fn unified(name: &str, old: Option<&str>, new: Option<&str>) -> String {
    if old == new {
        return String::new();
    }
    let title = |text: Option<&str>| if text.is_some() { name.to_owned() } else { "/dev/null".to_owned() };
    let mut out = format!("--- {}\n+++ {}\n", title(old), title(new));
    let old: Vec<&str> = old.unwrap_or_default().split_inclusive('\n').collect();
    let new: Vec<&str> = new.unwrap_or_default().split_inclusive('\n').collect();
    for hunk in hunks(&runs(&old, &new)) {
        write_hunk(&hunk, &old, &new, &mut out);
    }
    out
}

/// Both texts cut into stretches.
fn runs(old: &[&str], new: &[&str]) -> Vec<Run> {
    let before = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[before..], &new[before..]);
    let after = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - after, new.len() - after);
    let mut runs = vec![Run { old: 0..before, new: 0..before, same: true }];
    for (a, b) in common(&old[before..old_end], &new[before..new_end]) {
        push(&mut runs, before + a, before + b);
    }
    close(&mut runs, old_end, new_end);
    runs.push(Run { old: old_end..old.len(), new: new_end..new.len(), same: true });
    runs
}

/// Adds one line that is the same on both sides.
fn push(runs: &mut Vec<Run>, a: usize, b: usize) {
    close(runs, a, b);
    match runs.last_mut() {
        Some(last) if last.same => (last.old.end, last.new.end) = (a + 1, b + 1),
        _ => runs.push(Run { old: a..a + 1, new: b..b + 1, same: true }),
    }
}

/// Adds what differs up to these lines.
fn close(runs: &mut Vec<Run>, a: usize, b: usize) {
    let (old, new) = runs.last().map_or((0, 0), |last| (last.old.end, last.new.end));
    if old < a || new < b {
        runs.push(Run { old: old..a, new: new..b, same: false });
    }
}

/// The longest common row of lines, as pairs of places.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        return Vec::new();
    }
    // lengths[a * width + b]: of the longest common row of old[a..] and new[b..].
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            lengths[a * width + b] = if old[a] == new[b] {
                lengths[(a + 1) * width + b + 1] + 1
            } else {
                lengths[(a + 1) * width + b].max(lengths[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < old.len() && b < new.len() {
        if old[a] == new[b] {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

/// Changes with the lines around them; those that touch are one.
fn hunks(runs: &[Run]) -> Vec<Vec<Run>> {
    let mut hunks: Vec<Vec<Run>> = Vec::new();
    let mut open = false;
    for (at, run) in runs.iter().enumerate() {
        if !run.same {
            if !open {
                hunks.push(at.checked_sub(1).map(|before| tail(&runs[before])).into_iter().collect());
            }
            hunks.last_mut().expect("one was opened").push(run.clone());
            open = true;
        } else if open {
            let hunk = hunks.last_mut().expect("one is open");
            open = at + 1 < runs.len() && run.old.len() <= 2 * AROUND;
            hunk.push(if open { run.clone() } else { head(run) });
        }
    }
    hunks
}

fn head(run: &Run) -> Run {
    let take = run.old.len().min(AROUND);
    Run { old: run.old.start..run.old.start + take, new: run.new.start..run.new.start + take, same: true }
}

fn tail(run: &Run) -> Run {
    let take = run.old.len().min(AROUND);
    Run { old: run.old.end - take..run.old.end, new: run.new.end - take..run.new.end, same: true }
}

fn write_hunk(hunk: &[Run], old: &[&str], new: &[&str], out: &mut String) {
    let span = |range: fn(&Run) -> &Range<usize>| {
        let start = hunk.first().map_or(0, |run| range(run).start);
        let end = hunk.last().map_or(0, |run| range(run).end);
        format!("{},{}", if end > start { start + 1 } else { start }, end - start)
    };
    let _ = writeln!(out, "@@ -{} +{} @@", span(|run| &run.old), span(|run| &run.new));
    for run in hunk {
        let (gone, come) = if run.same { (" ", None) } else { ("-", Some("+")) };
        old[run.old.clone()].iter().for_each(|text| line(gone, text, out));
        if let Some(sign) = come {
            new[run.new.clone()].iter().for_each(|text| line(sign, text, out));
        }
    }
}

fn line(sign: &str, text: &str, out: &mut String) {
    let (text, ended) = text.strip_suffix('\n').map_or((text, false), |text| (text, true));
    let text = text.trim_end_matches('\r');
    let cut = text.char_indices().nth(LONGEST).map(|(at, _)| &text[..at]);
    let _ = writeln!(out, "{sign}{}{}", cut.unwrap_or(text), if cut.is_some() { "…" } else { "" });
    if !ended {
        out.push_str("\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(old: Option<&str>, new: Option<&str>, expected: &Expect) {
        expected.assert_eq(&unified("f", old, new));
    }

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        check(Some("a\n"), Some("a\n"), &expect![[""]]);
        check(
            None,
            Some("a\nb\n"),
            &expect![[r#"
            --- /dev/null
            +++ f
            @@ -0,0 +1,2 @@
            +a
            +b
        "#]],
        );
        check(
            Some("a\nb"),
            None,
            &expect![[r#"
            --- f
            +++ /dev/null
            @@ -1,2 +0,0 @@
            -a
            -b
            \ No newline at end of file
        "#]],
        );
        let long: String = (0..40).map(|n| format!("{n}\n")).collect();
        let edited = long.replace("5\n6\n", "five\n6\n").replace("20\n", "").replace("39\n", "39\nmore");
        check(
            Some(&long),
            Some(&edited),
            &expect![[r#"
            --- f
            +++ f
            @@ -3,7 +3,7 @@
             2
             3
             4
            -5
            +five
             6
             7
             8
            @@ -18,7 +18,6 @@
             17
             18
             19
            -20
             21
             22
             23
            @@ -38,3 +37,4 @@
             37
             38
             39
            +more
            \ No newline at end of file
        "#]],
        );
        check(
            Some(&"x".repeat(500)),
            Some("y\n"),
            &expect![[r#"
            --- f
            +++ f
            @@ -1,1 +1,1 @@
            -xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
            \ No newline at end of file
            +y
        "#]],
        );
    }

    proptest! {
        #[test]
        fn the_runs_make_up_both_texts(old in "[abc\n]{0,30}", new in "[abc\n]{0,30}") {
            let old: Vec<&str> = old.split_inclusive('\n').collect();
            let new: Vec<&str> = new.split_inclusive('\n').collect();
            let runs = runs(&old, &new);
            let (mut a, mut b) = (0, 0);
            for run in &runs {
                prop_assert_eq!((run.old.start, run.new.start), (a, b));
                prop_assert!(!run.same || old[run.old.clone()] == new[run.new.clone()]);
                (a, b) = (run.old.end, run.new.end);
            }
            prop_assert_eq!((a, b), (old.len(), new.len()));
        }
    }
}

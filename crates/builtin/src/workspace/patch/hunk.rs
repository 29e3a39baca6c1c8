//! Putting changes into a text: each where its lines stand, found from top to bottom. Not here: files.

use super::parse::Hunk;

/// Why a change does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The line that should stand before it is not there.
    #[error("change {0}: `{1}` is not in the file")]
    NoAnchor(usize, String),
    /// What it changes is not there.
    #[error("change {0} does not fit: these lines are not in the file:\n{1}")]
    NotThere(usize, String),
    /// Without looking at blanks it fits in several places.
    #[error("change {0} fits in more than one place: give more lines around it")]
    Ambiguous(usize),
}

/// The text with the changes in it.
///
/// # Errors
/// [`Misfit`] for the first change that does not fit.
pub fn change(text: &str, hunks: &[Hunk]) -> Result<String, Misfit> {
    let mut lines = Text::read(text);
    let mut from = 0;
    for (number, hunk) in (1..).zip(hunks) {
        from = lines.put(number, hunk, from)?;
    }
    Ok(lines.write())
}

/// A text as lines without their ends.
struct Text {
    lines: Vec<String>,
    /// How lines end: with a return or without.
    returns: bool,
    /// Whether the last line ends.
    ended: bool,
    /// How many lines have been added so far, less those taken away: a diff counts in the old text.
    moved: isize,
}

impl Text {
    fn read(text: &str) -> Self {
        let returns = text.matches("\r\n").count() * 2 > text.matches('\n').count();
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let ended = lines.last().is_some_and(String::is_empty);
        if ended {
            lines.pop();
        }
        if returns {
            lines.iter_mut().filter(|line| line.ends_with('\r')).for_each(|line| _ = line.pop());
        }
        Self { lines, returns, ended: ended || text.is_empty(), moved: 0 }
    }

    fn write(&self) -> String {
        let end = if self.returns { "\r\n" } else { "\n" };
        let mut text = self.lines.join(end);
        if self.ended && !self.lines.is_empty() {
            text.push_str(end);
        }
        text
    }

    /// Puts one change in at or behind `from`; where the next may begin.
    fn put(&mut self, number: usize, hunk: &Hunk, from: usize) -> Result<usize, Misfit> {
        let plain = |lines: &[String]| -> Vec<String> {
            lines
                .iter()
                .map(|line| if self.returns { line.strip_suffix('\r').unwrap_or(line) } else { line }.to_owned())
                .collect()
        };
        let (before, after) = (plain(&hunk.before), plain(&hunk.after));
        let mut from = from;
        for anchor in &hunk.anchors {
            let found = (from..self.lines.len()).find(|at| self.lines[*at].trim() == anchor.trim());
            from = found.ok_or_else(|| Misfit::NoAnchor(number, anchor.clone()))? + 1;
        }
        let at = self.place(number, hunk, &before, from)?;
        let end = at + before.len();
        if end == self.lines.len()
            && (!hunk.before.is_empty() || self.lines.is_empty())
            && hunk.unended != (false, false)
        {
            self.ended = !hunk.unended.1;
        }
        self.moved += after.len().cast_signed() - before.len().cast_signed();
        let next = at + after.len();
        self.lines.splice(at..end, after);
        Ok(next)
    }

    fn place(&self, number: usize, hunk: &Hunk, before: &[String], from: usize) -> Result<usize, Misfit> {
        if before.is_empty() {
            return Ok(match hunk.line {
                // `@@ -0,0 …` stands before the first line, `@@ -N,0 …` behind line N.
                Some(line) => line.saturating_add_signed(self.moved).min(self.lines.len()),
                None if hunk.anchors.is_empty() => self.lines.len(),
                None => from,
            });
        }
        let not_there = || Misfit::NotThere(number, before.join("\n"));
        let Some(last) = self.lines.len().checked_sub(before.len()) else { return Err(not_there()) };
        let fits = |same: fn(&str, &str) -> bool| {
            let place = move |at: &usize| before.iter().zip(&self.lines[*at..]).all(|(a, b)| same(a, b));
            if hunk.at_end {
                Vec::from_iter(Some(last).filter(|at| *at >= from && place(at)))
            } else {
                (from..=last).filter(place).collect()
            }
        };
        let exact = fits(|a, b| a == b);
        if let Some(line) = hunk.line {
            let wanted = line.saturating_sub(1).saturating_add_signed(self.moved);
            return exact.into_iter().min_by_key(|at| at.abs_diff(wanted)).ok_or_else(not_there);
        }
        if let Some(first) = exact.first() {
            return Ok(*first);
        }
        // A model may get blanks at the ends of lines wrong; more leeway than that would be guessing.
        match fits(|a, b| a.trim_end() == b.trim_end())[..] {
            [] => Err(not_there()),
            [at] => Ok(at),
            _ => Err(Misfit::Ambiguous(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Kind, parse};
    use super::*;

    fn check(text: &str, patch: &str, expected: Result<&str, &str>) {
        let changes = parse(patch).expect("a patch");
        let Kind::Update { hunks, .. } = &changes[0].kind else { panic!("{changes:?}") };
        match (change(text, hunks), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{patch}"),
            (Err(found), Err(expected)) => assert!(found.to_string().contains(expected), "{found}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    fn envelope(body: &str) -> String {
        format!("*** Begin Patch\n*** Update File: f\n{body}\n*** End Patch\n")
    }

    #[test]
    fn a_change_is_put_where_its_lines_stand() {
        check("a\nb\nc\n", &envelope("@@\n a\n-b\n+B\n c"), Ok("a\nB\nc\n"));
        check("a\nb\nc\n", &envelope("-c"), Ok("a\nb\n"));
        check("x\nfn f\nx\n", &envelope("@@ fn f\n-x\n+y"), Ok("x\nfn f\ny\n"));
        check("a\n", &envelope("+b"), Ok("a\nb\n"));
        check("x\na\nx\n", &envelope("-x\n+y\n*** End of File"), Ok("x\na\ny\n"));
        check("a\nb", &envelope("-a\n+A"), Ok("A\nb"));
    }

    #[test]
    fn changes_follow_one_another_downwards() {
        check("x\nx\nx\n", &envelope("@@\n-x\n+1\n@@\n-x\n+2"), Ok("1\n2\nx\n"));
        check("b\na\n", &envelope("@@\n-a\n+A\n@@\n-b\n+B"), Err("change 2 does not fit"));
    }

    #[test]
    fn a_diff_is_put_at_its_line_or_the_nearest() {
        let diff = |body: &str| format!("--- a/f\n+++ b/f\n{body}");
        check("x\nx\nx\n", &diff("@@ -2 +2 @@\n-x\n+y\n"), Ok("x\ny\nx\n"));
        check("new\nnew\na\nb\n", &diff("@@ -1,2 +1,2 @@\n a\n-b\n+B\n"), Ok("new\nnew\na\nB\n"));
        check("a\n", &diff("@@ -1,0 +2 @@\n+b\n"), Ok("a\nb\n"));
        check("a\n", &diff("@@ -0,0 +1 @@\n+b\n"), Ok("b\na\n"));
        check("a", &diff("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"), Ok("b\n"));
        check("a\n", &diff("@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"), Ok("b"));
        check("a \n", &diff("@@ -1 +1 @@\n-a\n+b\n"), Err("does not fit"));
    }

    #[test]
    fn blanks_at_the_end_are_forgiven_where_only_one_place_fits() {
        check("a  \nb\n", &envelope("-a\n+A"), Ok("A\nb\n"));
        check("a  \na \n", &envelope("-a\n+A"), Err("more than one place"));
        check("a\n", &envelope("-  a\n+A"), Err("does not fit"));
    }

    #[test]
    fn lines_keep_the_ends_of_their_file() {
        check("a\r\nb\r\n", &envelope("-a\n+A\n+C"), Ok("A\r\nC\r\nb\r\n"));
        check("a\nb\n", &envelope("-a\n+A"), Ok("A\nb\n"));
    }
}

//! The two forms of a patch, read into one list of changes. Not here: whether they fit.

mod envelope;
mod unified;

/// The largest patch, in bytes.
pub const PATCH_MAX: usize = 16 << 20;

/// What becomes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: String,
    /// What.
    pub kind: Kind,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It is made, with this content.
    Add(String),
    /// It goes. A diff says what it holds, and then it has to hold that.
    Delete(Option<Vec<Hunk>>),
    /// It changes, and may get another name.
    Update {
        /// Its new name.
        to: Option<String>,
        /// The changes, from top to bottom.
        hunks: Vec<Hunk>,
    },
}

/// A change within a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hunk {
    /// Lines that stand somewhere before it, such as the head of its function.
    pub anchors: Vec<String>,
    /// What is there now.
    pub before: Vec<String>,
    /// What is there afterwards.
    pub after: Vec<String>,
    /// Which lines of `before` stay, and as which lines of `after`.
    pub kept: Vec<(usize, usize)>,
    /// It stands at the end of the file.
    pub at_end: bool,
    /// The line, from 1, where a unified diff says that it is.
    pub line: Option<usize>,
    /// Of the last line of either side a diff says that it has no end.
    pub unended: (bool, bool),
}

impl Hunk {
    /// One more line of it.
    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        let (sign, text) = match line.chars().next() {
            // Editors take trailing blanks away, and with them the sign of an empty line.
            None => (' ', ""),
            Some('\r') if line.len() == 1 => (' ', "\r"),
            Some(sign) => (sign, &line[sign.len_utf8()..]),
        };
        match sign {
            ' ' => {
                self.kept.push((self.before.len(), self.after.len()));
                self.before.push(text.to_owned());
                self.after.push(text.to_owned());
            }
            '-' => self.before.push(text.to_owned()),
            '+' => self.after.push(text.to_owned()),
            _ => return Err("a line of a change begins with ` `, `-` or `+`"),
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

/// Why a text is no patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct NoPatch {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a patch in either form.
///
/// # Errors
/// [`NoPatch`] names the line.
pub fn parse(text: &str) -> Result<Vec<Change>, NoPatch> {
    if text.len() > PATCH_MAX {
        return Err(NoPatch { line: 1, what: format!("the patch is larger than {PATCH_MAX} bytes") });
    }
    let mut lines = Lines::new(text);
    lines.skip_blank();
    let changes = match lines.peek().map(str::trim) {
        Some(envelope::BEGIN) => envelope::read(&mut lines)?,
        _ => unified::read(&mut lines)?,
    };
    match changes.is_empty() {
        true => Err(lines.wrong("it changes nothing: neither `*** Begin Patch` nor `---`/`+++` was found")),
        false => Ok(changes),
    }
}

struct Lines<'a> {
    all: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut all: Vec<_> = text.split('\n').collect();
        if all.last() == Some(&"") {
            all.pop();
        }
        // Returns that end each line are the patch's own; those that end some are the files'.
        if all.iter().all(|line| line.ends_with('\r')) {
            all.iter_mut().for_each(|line| *line = &line[..line.len() - 1]);
        }
        let mut lines = Self { all, at: 0 };
        lines.unwrap();
        lines
    }

    /// Without the words of a shell that some models put around a patch.
    fn unwrap(&mut self) {
        let heads = ["<<EOF", "<<'EOF'", "<<\"EOF\""];
        let wrapped = self.all.first().is_some_and(|line| heads.contains(&line.trim()));
        if wrapped && self.all.last().is_some_and(|line| line.trim() == "EOF") {
            self.all.pop();
            self.at = 1;
        }
    }

    fn peek(&self) -> Option<&'a str> {
        self.raw().map(|line| line.strip_suffix('\r').unwrap_or(line))
    }

    /// As it stands, with the return that may end it.
    fn raw(&self) -> Option<&'a str> {
        self.all.get(self.at).copied()
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim().is_empty()) {
            self.at += 1;
        }
    }

    /// What follows `head`, blanks before it aside.
    fn after(&mut self, head: &str) -> Option<&'a str> {
        let rest = self.peek()?.trim_start().strip_prefix(head)?;
        self.at += 1;
        Some(rest)
    }

    fn wrong(&self, what: impl Into<String>) -> NoPatch {
        NoPatch { line: self.at + 1, what: what.into() }
    }
}

#[cfg(test)]
mod tests;

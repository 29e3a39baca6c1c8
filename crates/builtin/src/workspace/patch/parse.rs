//! The two forms of a patch, read into one list of changes. Not here: whether they fit.

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
    /// It goes.
    Delete,
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
    /// A line that stands somewhere before it, such as the head of its function.
    pub anchors: Vec<String>,
    /// What is there now.
    pub before: Vec<String>,
    /// What is there afterwards.
    pub after: Vec<String>,
    /// It stands at the end of the file.
    pub at_end: bool,
    /// The line, from 1, where a unified diff says that it is.
    pub line: Option<usize>,
    /// Of the last line of either side a diff says that it has no end.
    pub unended: (bool, bool),
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
    let changes = match lines.peek() {
        Some("*** Begin Patch") => envelope(&mut lines)?,
        _ => unified(&mut lines)?,
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
        let mut all: Vec<_> = text.split('\n').collect();
        if all.last() == Some(&"") {
            all.pop();
        }
        Self { all, at: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.all.get(self.at).map(|line| line.strip_suffix('\r').unwrap_or(line))
    }

    /// As it stands, with the return that may end it.
    fn raw(&self) -> Option<&'a str> {
        self.all.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.peek();
        self.at += 1;
        line
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|line| line.trim().is_empty()) {
            self.at += 1;
        }
    }

    fn after(&mut self, head: &str) -> Option<&'a str> {
        let rest = self.peek()?.strip_prefix(head)?;
        self.at += 1;
        Some(rest)
    }

    fn wrong(&self, what: impl Into<String>) -> NoPatch {
        NoPatch { line: self.at + 1, what: what.into() }
    }
}

fn envelope(lines: &mut Lines<'_>) -> Result<Vec<Change>, NoPatch> {
    lines.next();
    let mut changes = Vec::new();
    loop {
        if let Some(path) = lines.after("*** Add File: ") {
            let content = added(lines);
            changes.push(Change { path: named(path, lines)?, kind: Kind::Add(content) });
        } else if let Some(path) = lines.after("*** Delete File: ") {
            changes.push(Change { path: named(path, lines)?, kind: Kind::Delete });
        } else if let Some(path) = lines.after("*** Update File: ") {
            let path = named(path, lines)?;
            let to = lines.after("*** Move to: ").map(|to| named(to, lines)).transpose()?;
            let hunks = updates(lines, to.is_some())?;
            changes.push(Change { path, kind: Kind::Update { to, hunks } });
        } else {
            match lines.peek() {
                Some("*** End Patch") => break,
                Some("") => lines.at += 1,
                Some(_) => {
                    return Err(lines.wrong(
                        "expected `*** Add File: `, `*** Delete File: `, `*** Update File: ` or `*** End Patch`",
                    ));
                }
                None => return Err(lines.wrong("the patch ends without `*** End Patch`")),
            }
        }
    }
    lines.next();
    lines.skip_blank();
    match lines.peek() {
        None => Ok(changes),
        Some(_) => Err(lines.wrong("something follows `*** End Patch`")),
    }
}

fn named(path: &str, lines: &Lines<'_>) -> Result<String, NoPatch> {
    match path.trim() {
        "" => Err(NoPatch { line: lines.at, what: "no file is named".to_owned() }),
        path => Ok(path.to_owned()),
    }
}

fn added(lines: &mut Lines<'_>) -> String {
    let mut content = String::new();
    while let Some(line) = lines.raw().and_then(|line| line.strip_prefix('+')) {
        content.push_str(line);
        content.push('\n');
        lines.at += 1;
    }
    content
}

fn updates(lines: &mut Lines<'_>, may_be_empty: bool) -> Result<Vec<Hunk>, NoPatch> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut open = Hunk::default();
    let mut begun = false;
    while let Some(line) = lines.peek() {
        if line == "*** End of File" {
            open.at_end = true;
        } else if line.starts_with("*** ") {
            break;
        } else if line == "@@" || line.starts_with("@@ ") {
            if begun {
                hunks.push(std::mem::take(&mut open));
                begun = false;
            }
            let anchor = line[2..].trim();
            if !anchor.is_empty() {
                open.anchors.push(anchor.to_owned());
            }
        } else {
            body(lines.raw().unwrap_or_default(), &mut open).map_err(|what| lines.wrong(what))?;
            begun = true;
        }
        lines.at += 1;
    }
    if begun {
        hunks.push(open);
    }
    match hunks.is_empty() && !may_be_empty {
        true => Err(lines.wrong("an update without a change")),
        false => Ok(hunks),
    }
}

fn body(line: &str, hunk: &mut Hunk) -> Result<(), &'static str> {
    let (sign, text) = match line.chars().next() {
        // Editors take trailing blanks away, and with them the sign of an empty line.
        None => (' ', ""),
        Some('\r') if line.len() == 1 => (' ', "\r"),
        Some(sign) => (sign, &line[sign.len_utf8()..]),
    };
    match sign {
        ' ' => {
            hunk.before.push(text.to_owned());
            hunk.after.push(text.to_owned());
        }
        '-' => hunk.before.push(text.to_owned()),
        '+' => hunk.after.push(text.to_owned()),
        _ => return Err("a line of a change begins with ` `, `-` or `+`"),
    }
    Ok(())
}

const NOTHING: &str = "/dev/null";

fn unified(lines: &mut Lines<'_>) -> Result<Vec<Change>, NoPatch> {
    let mut changes = Vec::new();
    let mut renamed: (Option<String>, Option<String>) = (None, None);
    while let Some(line) = lines.peek() {
        if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
            return Err(lines.wrong("binary patches are not taken: write the file instead"));
        }
        for (head, mode) in
            [("new file mode ", true), ("new mode ", true), ("old mode ", false), ("deleted file mode ", false)]
        {
            if let Some(bits) = line.strip_prefix(head) {
                mode_is_plain(bits.trim(), mode).map_err(|what| lines.wrong(what))?;
            }
        }
        if let Some(from) = line.strip_prefix("rename from ") {
            renamed.0 = Some(from.to_owned());
        } else if let Some(to) = line.strip_prefix("rename to ") {
            renamed.1 = Some(to.to_owned());
        } else if line.starts_with("copy from ") || line.starts_with("copy to ") {
            return Err(lines.wrong("copies are not taken: add the file instead"));
        } else if line.starts_with("diff --git ") {
            changes.extend(only_renamed(std::mem::take(&mut renamed)));
        } else if line.starts_with("--- ") && lines.all.get(lines.at + 1).is_some_and(|next| next.starts_with("+++ ")) {
            renamed = (None, None);
            changes.push(file(lines)?);
            continue;
        }
        lines.at += 1;
    }
    changes.extend(only_renamed(renamed));
    Ok(changes)
}

fn only_renamed(renamed: (Option<String>, Option<String>)) -> Option<Change> {
    let (Some(path), Some(to)) = renamed else { return None };
    Some(Change { path, kind: Kind::Update { to: Some(to), hunks: Vec::new() } })
}

/// A patch changes what files say, never what they are: no links, no programs out of nothing.
fn mode_is_plain(bits: &str, comes: bool) -> Result<(), String> {
    match bits {
        "100644" | "100664" => Ok(()),
        "100755" if !comes => Ok(()),
        "100755" => Err("a patch makes no file executable".to_owned()),
        bits => Err(format!("mode {bits} is no plain file's")),
    }
}

fn file(lines: &mut Lines<'_>) -> Result<Change, NoPatch> {
    let old = path_of(lines.after("--- ").unwrap_or_default(), "a/");
    let new = path_of(lines.after("+++ ").unwrap_or_default(), "b/");
    let hunks = hunks(lines)?;
    let gone = old == NOTHING;
    match (gone, new == NOTHING) {
        (true, true) => Err(lines.wrong("both sides are /dev/null")),
        (true, false) => {
            if hunks.iter().any(|hunk| !hunk.before.is_empty()) {
                return Err(lines.wrong("a new file has nothing to take away"));
            }
            let unended = hunks.last().is_some_and(|hunk| hunk.unended.1);
            let mut content = hunks.into_iter().flat_map(|hunk| hunk.after).map(|line| line + "\n").collect::<String>();
            if unended {
                content.pop();
            }
            Ok(Change { path: new, kind: Kind::Add(content) })
        }
        (false, true) => Ok(Change { path: old, kind: Kind::Delete }),
        (false, false) => {
            let to = (old != new).then_some(new);
            Ok(Change { path: old, kind: Kind::Update { to, hunks } })
        }
    }
}

/// Without the prefix of git, and without the time that `diff` writes behind a tab.
fn path_of(text: &str, prefix: &str) -> String {
    let path = text.split('\t').next().unwrap_or_default().trim();
    path.strip_prefix(prefix).unwrap_or(path).to_owned()
}

fn hunks(lines: &mut Lines<'_>) -> Result<Vec<Hunk>, NoPatch> {
    let mut hunks = Vec::new();
    while let Some(head) = lines.peek().filter(|line| line.starts_with("@@ -")) {
        let (line, old, new) =
            ranges(head).ok_or_else(|| lines.wrong("`@@ -LINE,COUNT +LINE,COUNT @@` is expected"))?;
        lines.at += 1;
        let mut hunk = Hunk { line: Some(line), ..Hunk::default() };
        while hunk.before.len() < old || hunk.after.len() < new {
            let Some(text) = lines.raw() else { return Err(lines.wrong("the change ends before its count is full")) };
            if text.starts_with('\\') {
                unended(&mut hunk, lines);
            } else {
                body(text, &mut hunk).map_err(|what| lines.wrong(what))?;
            }
            lines.at += 1;
        }
        if lines.peek().is_some_and(|line| line.starts_with('\\')) {
            unended(&mut hunk, lines);
            lines.at += 1;
        }
        if hunk.before.len() > old || hunk.after.len() > new {
            return Err(lines.wrong("the change is longer than its count"));
        }
        hunks.push(hunk);
    }
    Ok(hunks)
}

/// `\ No newline at end of file` speaks of the line before it.
fn unended(hunk: &mut Hunk, lines: &Lines<'_>) {
    let before = lines.at.checked_sub(1).and_then(|at| lines.all.get(at)).and_then(|line| line.chars().next());
    match before {
        Some('-') => hunk.unended.0 = true,
        Some('+') => hunk.unended.1 = true,
        _ => hunk.unended = (true, true),
    }
}

/// Line, lines before, lines after.
fn ranges(head: &str) -> Option<(usize, usize, usize)> {
    let rest = head.strip_prefix("@@ -")?;
    let (ranges, _) = rest.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(usize, usize)> {
        match text.split_once(',') {
            Some((line, count)) => Some((line.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((line, old), (_, new)) = (range(old)?, range(new)?);
    Some((line, old, new))
}

#[cfg(test)]
mod tests;

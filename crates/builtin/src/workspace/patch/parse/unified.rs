//! Unified diffs, as `diff` and git write them. What git says besides is either done or refused, never passed over:
//! whoever approves a patch has read all of it.

use super::{Change, Hunk, Kind, Lines, NoPatch};

const NOTHING: &str = "/dev/null";
/// What git puts before the names of both sides.
const PREFIXES: [(&str, &str); 5] = [("a/", "b/"), ("i/", "w/"), ("c/", "w/"), ("c/", "i/"), ("o/", "w/")];

/// Reads all files of a diff.
///
/// # Errors
/// [`NoPatch`] names the line.
pub fn read(lines: &mut Lines<'_>) -> Result<Vec<Change>, NoPatch> {
    let mut changes = Vec::new();
    let mut head: Option<Head> = None;
    while let Some(line) = lines.peek() {
        let binary = line.starts_with("GIT binary patch") || line.starts_with("Binary files ");
        if binary {
            return Err(lines.wrong("binary patches are not taken: write the file instead"));
        } else if let Some(names) = line.strip_prefix("diff --git ") {
            if let Some(head) = head.take() {
                changes.push(head.alone(lines)?);
            }
            lines.at += 1;
            head = Some(Head::read(names, lines)?);
            continue;
        } else if line.starts_with("--- ") && lines.all.get(lines.at + 1).is_some_and(|next| next.starts_with("+++ ")) {
            changes.push(file(lines, head.take())?);
            continue;
        } else if line.starts_with("@@ -") {
            return Err(lines.wrong("a change without `---` and `+++` before it"));
        }
        lines.at += 1;
    }
    if let Some(head) = head {
        changes.push(head.alone(lines)?);
    }
    Ok(changes)
}

/// What git says of a file before its changes.
#[derive(Default)]
struct Head {
    /// The name, if it is one and the same on both sides.
    path: Option<String>,
    from: Option<String>,
    to: Option<String>,
    new: bool,
    gone: bool,
}

impl Head {
    fn read(names: &str, lines: &mut Lines<'_>) -> Result<Self, NoPatch> {
        let mut head = Self { path: common(names), ..Self::default() };
        while let Some(line) = lines.peek() {
            if let Some(bits) = line.strip_prefix("new file mode ") {
                is_plain(bits, true).map_err(|what| lines.wrong(what))?;
                head.new = true;
            } else if let Some(bits) = line.strip_prefix("deleted file mode ") {
                is_plain(bits, false).map_err(|what| lines.wrong(what))?;
                head.gone = true;
            } else if let Some(bits) = line.strip_prefix("new mode ") {
                is_plain(bits, true).map_err(|what| lines.wrong(what))?;
                return Err(lines.wrong("a patch changes no permissions"));
            } else if let Some(from) = line.strip_prefix("rename from ") {
                head.from = Some(unquoted(from).ok_or_else(|| lines.wrong("the name cannot be read"))?);
            } else if let Some(to) = line.strip_prefix("rename to ") {
                head.to = Some(unquoted(to).ok_or_else(|| lines.wrong("the name cannot be read"))?);
            } else if line.starts_with("copy from ") || line.starts_with("copy to ") {
                return Err(lines.wrong("copies are not taken: add the file instead"));
            } else if !["old mode ", "index ", "similarity index ", "dissimilarity index "]
                .iter()
                .any(|head| line.starts_with(head))
            {
                break;
            }
            lines.at += 1;
        }
        Ok(head)
    }

    /// A file of which nothing else is said: it is empty, or gets another name and no more.
    fn alone(self, lines: &Lines<'_>) -> Result<Change, NoPatch> {
        let (path, kind) = match self {
            Self { from: Some(from), to: Some(to), .. } => (from, Kind::Update { to: Some(to), hunks: Vec::new() }),
            Self { path: Some(path), new: true, gone: false, .. } => (path, Kind::Add(String::new())),
            Self { path: Some(path), gone: true, new: false, .. } => (path, Kind::Delete(Some(Vec::new()))),
            _ => return Err(lines.wrong("a file is named, and nothing is said of what becomes of it")),
        };
        Ok(Change { path, kind })
    }
}

/// A patch changes what files say, never what they are: no links, no programs out of nothing.
fn is_plain(bits: &str, comes: bool) -> Result<(), String> {
    match bits.trim() {
        "100644" | "100664" => Ok(()),
        "100755" if !comes => Ok(()),
        "100755" => Err("a patch makes no file executable".to_owned()),
        bits => Err(format!("mode {bits} is no plain file's")),
    }
}

fn file(lines: &mut Lines<'_>, head: Option<Head>) -> Result<Change, NoPatch> {
    let unread = |lines: &Lines<'_>| lines.wrong("the name cannot be read");
    let mut side = |sign: &str| {
        let name = lines.peek().and_then(|line| unquoted(line.strip_prefix(sign)?)).ok_or_else(|| unread(lines));
        lines.at += 1;
        name
    };
    let (old, new) = (side("--- ")?, side("+++ ")?);
    let (from_nothing, to_nothing) = (old == NOTHING, new == NOTHING);
    let (old, new) = without_prefixes(old, new);
    if let Some(Head { from: Some(from), to: Some(to), .. }) = head
        && (&from, &to) != (&old, &new)
    {
        return Err(lines.wrong("`rename from` and `rename to` name other files than `---` and `+++`"));
    }
    let hunks = hunks(lines)?;
    if hunks.is_empty() && !from_nothing {
        return Err(lines.wrong("`@@ -LINE,COUNT +LINE,COUNT @@` is expected"));
    }
    match (from_nothing, to_nothing) {
        (true, true) => Err(lines.wrong("both sides are /dev/null")),
        (true, false) => Ok(Change { path: new, kind: Kind::Add(content(hunks, lines)?) }),
        (false, true) => Ok(Change { path: old, kind: Kind::Delete(Some(hunks)) }),
        (false, false) => {
            let to = (old != new).then_some(new);
            Ok(Change { path: old, kind: Kind::Update { to, hunks } })
        }
    }
}

/// What a new file holds.
fn content(hunks: Vec<Hunk>, lines: &Lines<'_>) -> Result<String, NoPatch> {
    if hunks.iter().any(|hunk| !hunk.before.is_empty()) {
        return Err(lines.wrong("a new file has nothing to take away"));
    }
    let unended = hunks.last().is_some_and(|hunk| hunk.unended.1);
    let mut content: String = hunks.into_iter().flat_map(|hunk| hunk.after).map(|line| line + "\n").collect();
    if unended {
        content.pop();
    }
    Ok(content)
}

fn without_prefixes(old: String, new: String) -> (String, String) {
    let plain = |name: &str, prefix: &str| match name {
        NOTHING => Some(name.to_owned()),
        name => name.strip_prefix(prefix).map(str::to_owned),
    };
    let both = PREFIXES.iter().find_map(|(one, other)| Some((plain(&old, one)?, plain(&new, other)?)));
    both.unwrap_or((old, new))
}

/// The name in `a/NAME b/NAME`.
fn common(names: &str) -> Option<String> {
    let (old, new) = match names.strip_prefix('"') {
        Some(_) => {
            let (old, rest) = quoted(names)?;
            (old, quoted(rest.trim_start())?.0)
        }
        None => {
            let half = names.len() / 2;
            (names.get(..half)?.to_owned(), names.get(half + 1..)?.to_owned())
        }
    };
    let (old, new) = without_prefixes(old, new);
    (old == new).then_some(old)
}

/// A name without the time that `diff` writes behind a tab, and without git's quotes.
fn unquoted(text: &str) -> Option<String> {
    match text.starts_with('"') {
        true => Some(quoted(text)?.0),
        false => Some(text.split('\t').next().unwrap_or_default().trim().to_owned()),
    }
}

/// The name in quotes at the beginning of a text, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut at = text.strip_prefix('"')?.bytes().enumerate();
    while let Some((index, byte)) = at.next() {
        bytes.push(match byte {
            b'"' => return Some((String::from_utf8(bytes).ok()?, &text[index + 2..])),
            b'\\' => match at.next()?.1 {
                b'a' => 7,
                b'b' => 8,
                b't' => b'\t',
                b'n' => b'\n',
                b'v' => 11,
                b'f' => 12,
                b'r' => b'\r',
                quote @ (b'"' | b'\\') => quote,
                digit @ b'0'..=b'3' => octal([digit, at.next()?.1, at.next()?.1])?,
                _ => return None,
            },
            byte => byte,
        });
    }
    None
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

fn hunks(lines: &mut Lines<'_>) -> Result<Vec<Hunk>, NoPatch> {
    let mut hunks = Vec::new();
    while let Some(head) = lines.peek().filter(|line| line.starts_with("@@")) {
        let (line, old, new) =
            ranges(head).ok_or_else(|| lines.wrong("`@@ -LINE,COUNT +LINE,COUNT @@` is expected"))?;
        lines.at += 1;
        let mut hunk = Hunk { line: Some(line), ..Hunk::default() };
        while hunk.before.len() < old || hunk.after.len() < new {
            let Some(text) = lines.raw() else { return Err(lines.wrong("the change ends before its count is full")) };
            if text.starts_with('\\') {
                unended(&mut hunk, lines);
            } else {
                hunk.read(text).map_err(|what| lines.wrong(what))?;
            }
            lines.at += 1;
        }
        if lines.peek().is_some_and(|line| line.starts_with('\\')) {
            unended(&mut hunk, lines);
            lines.at += 1;
        }
        if hunk.before.len() > old || hunk.after.len() > new || goes_on(lines) {
            return Err(lines.wrong("the change is longer than its count"));
        }
        hunks.push(hunk);
    }
    Ok(hunks)
}

/// Whether a line of a change follows one that should be complete. A mail ends in a signature after `-- `.
fn goes_on(lines: &Lines<'_>) -> bool {
    let Some(line) = lines.peek() else { return false };
    let next = lines.all.get(lines.at + 1);
    let head = line.starts_with("--- ") && next.is_some_and(|next| next.starts_with("+++ "));
    line.starts_with([' ', '+', '-']) && !head && line.trim_end() != "--"
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

//! Codex's form of a patch. Read as Codex reads it, but for one thing: within a change, a line that begins with a
//! blank is never a head, so that no text of a file is taken for an order.

use super::{Change, Hunk, Kind, Lines, NoPatch};

/// The first line.
pub const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File: ";
const DELETE: &str = "*** Delete File: ";
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";
const LAST: &str = "*** End of File";

/// Reads it from its first line to its last.
///
/// # Errors
/// [`NoPatch`] names the line.
pub fn read(lines: &mut Lines<'_>) -> Result<Vec<Change>, NoPatch> {
    lines.at += 1;
    let end = last(lines)?;
    let mut changes = Vec::new();
    while lines.at < end {
        if let Some(path) = lines.after(ADD) {
            let path = named(path, lines)?;
            changes.push(Change { path, kind: Kind::Add(added(lines)) });
        } else if let Some(path) = lines.after(DELETE) {
            changes.push(Change { path: named(path, lines)?, kind: Kind::Delete(None) });
        } else if let Some(path) = lines.after(UPDATE) {
            let path = named(path, lines)?;
            let to = lines.after(MOVE).map(|to| named(to, lines)).transpose()?;
            let hunks = updates(lines, end, to.is_some())?;
            changes.push(Change { path, kind: Kind::Update { to, hunks } });
        } else if lines.peek().is_some_and(|line| line.trim().is_empty()) {
            lines.at += 1;
        } else if lines.peek().is_some_and(|line| line.trim() == END) {
            lines.at += 1;
            return Err(lines.wrong("something follows `*** End Patch`"));
        } else {
            return Err(
                lines.wrong("expected `*** Add File: `, `*** Delete File: `, `*** Update File: ` or `*** End Patch`")
            );
        }
    }
    Ok(changes)
}

/// Where the patch ends: blanks around its last line do not make that one a line of a file.
fn last(lines: &Lines<'_>) -> Result<usize, NoPatch> {
    let at = lines.all.iter().rposition(|line| !line.trim().is_empty()).unwrap_or_default();
    let beyond = lines.all[lines.at..].iter().position(|line| line.trim_end() == END).map(|at| lines.at + at);
    match (lines.all.get(at).is_some_and(|line| line.trim() == END), beyond) {
        (true, _) => Ok(at),
        (_, Some(end)) => Err(NoPatch { line: end + 2, what: "something follows `*** End Patch`".to_owned() }),
        _ => Err(NoPatch { line: lines.all.len() + 1, what: "the patch ends without `*** End Patch`".to_owned() }),
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

fn updates(lines: &mut Lines<'_>, end: usize, may_be_empty: bool) -> Result<Vec<Hunk>, NoPatch> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut open = Hunk::default();
    while let Some(line) = lines.peek().filter(|_| lines.at < end) {
        if line.trim_end() == LAST {
            if open.is_empty() || open.at_end {
                return Err(lines.wrong("`*** End of File` without a change before it"));
            }
            open.at_end = true;
        } else if line.starts_with("*** ") {
            break;
        } else if line == "@@" || line.starts_with("@@ ") {
            if !open.is_empty() {
                hunks.push(std::mem::take(&mut open));
            }
            open.anchors.extend(Some(line[2..].trim()).filter(|anchor| !anchor.is_empty()).map(str::to_owned));
        } else if open.at_end && !line.trim().is_empty() {
            return Err(lines.wrong("a change that follows `*** End of File` begins with `@@`"));
        } else if !open.at_end {
            open.read(lines.raw().unwrap_or_default()).map_err(|what| lines.wrong(what))?;
        }
        lines.at += 1;
    }
    match (open.is_empty(), hunks.is_empty() && !may_be_empty) {
        (true, true) => return Err(lines.wrong("an update without a change")),
        (true, false) if !open.anchors.is_empty() => return Err(lines.wrong("`@@` without a change")),
        (true, false) => {}
        (false, _) => hunks.push(open),
    }
    Ok(hunks)
}

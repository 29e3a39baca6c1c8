//! Changing one place of a text. Each result is read again and has to mean the same everywhere else.

use std::ops::Range;

use super::spell::quoted;
use super::{Doc, Kind, Member, Mistake, Node};

/// Why a text was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Nothing stands at this path, or no object where one is needed.
    #[error("there is no object at `{0}`")]
    NoObject(String),
    /// Nothing stands at this path.
    #[error("there is nothing at `{0}`")]
    Nothing(String),
    /// The key is there already.
    #[error("`{0}` is there already")]
    Taken(String),
    /// What was to be written is no JSON.
    #[error("the new value is no JSON: {0}")]
    Value(#[from] Mistake),
    /// The result would have changed something else too.
    #[error("`{0}` cannot be edited without touching its surroundings")]
    Unfaithful(String),
}

/// What replaces a range of the text.
type Splice = (Range<usize>, String);

impl Doc {
    /// The text with one more member at the end of the object at `path`. `raw` is written as it is.
    ///
    /// # Errors
    /// No object there, a key that is taken, a value that is no JSON.
    pub fn insert(&self, path: &[&str], key: &str, raw: &str) -> Result<String, EditError> {
        self.insert_at(path, usize::MAX, key, raw)
    }

    /// The same before the member that is now the `index`th, from 0; at the end if there are fewer.
    ///
    /// # Errors
    /// As [`Doc::insert`].
    pub fn insert_at(&self, path: &[&str], index: usize, key: &str, raw: &str) -> Result<String, EditError> {
        let raw = value_of(raw)?;
        let object = self.get(path).filter(|node| node.is_object());
        let object = object.ok_or_else(|| EditError::NoObject(path.join(".")))?;
        if object.child(key).is_some() {
            return Err(EditError::Taken(key.to_owned()));
        }
        let member = format!("{}{}{raw}", quoted(key), self.colon());
        let splices = match object.members() {
            [] => self.insert_first(object, &member),
            members if index < members.len() => self.insert_before(members, index, object, &member),
            members => self.insert_last(&members[members.len() - 1], object, &member),
        };
        let full: Vec<_> = path.iter().copied().chain([key]).collect();
        self.proven(self.spliced(splices), &full, Some(raw))
    }

    /// The text with another value at `path`. `raw` is written as it is.
    ///
    /// # Errors
    /// Nothing there, a value that is no JSON.
    pub fn replace(&self, path: &[&str], raw: &str) -> Result<String, EditError> {
        let raw = value_of(raw)?;
        let node = self.get(path).ok_or_else(|| EditError::Nothing(path.join(".")))?;
        self.proven(self.spliced(vec![(node.value_span.clone(), raw.to_owned())]), path, Some(raw))
    }

    /// The text without the member at `path`. Comments on its line and directly above it go with it.
    ///
    /// # Errors
    /// No member there.
    pub fn remove(&self, path: &[&str]) -> Result<String, EditError> {
        let nothing = || EditError::Nothing(path.join("."));
        let (key, parent) = path.split_last().ok_or_else(nothing)?;
        let object = self.get(parent).ok_or_else(nothing)?;
        let members = object.members();
        let index = members.iter().position(|member| member.key == *key).ok_or_else(nothing)?;
        let mut splices = vec![(self.region(object, index), String::new())];
        if index + 1 == members.len()
            && members[index].comma.is_none()
            && let Some(comma) = index.checked_sub(1).and_then(|before| members[before].comma)
            && !splices[0].0.contains(&comma)
        {
            splices.push((comma..comma + 1, String::new()));
        }
        let inside = object.value_span.start + 1..object.value_span.end - 1;
        let rest = [&self.text[inside.start..splices[0].0.start], &self.text[splices[0].0.end..inside.end]];
        if members.len() == 1 && rest.iter().all(|text| text.trim().is_empty()) {
            splices = vec![(inside, String::new())];
        }
        self.proven(self.spliced(splices), path, None)
    }

    fn insert_first(&self, object: &Node, member: &str) -> Vec<Splice> {
        let inside = object.value_span.start + 1..object.value_span.end - 1;
        let layout = self.layout(object);
        let (before, after) = match &layout.line {
            Some(line) => (line.as_str(), self.line_at(object.value_span.start)),
            None => ("", String::new()),
        };
        if self.text[inside.clone()].trim().is_empty() {
            return vec![(inside, format!("{before}{member}{after}"))];
        }
        let lined = layout.line.is_some();
        let at = if lined { self.line_end(inside.start).unwrap_or(inside.start) } else { inside.start };
        vec![(at..at, format!("{before}{member}"))]
    }

    fn insert_before(&self, members: &[Member], index: usize, object: &Node, member: &str) -> Vec<Splice> {
        let head = self.head(object, index);
        if self.first_on_line(head) {
            let at = self.newline_before(head);
            let line = &self.text[at..head];
            return vec![(at..at, format!("{line}{member},"))];
        }
        let at = members[index].node.span.start;
        vec![(at..at, format!("{member},{}", self.layout(object).separator()))]
    }

    fn insert_last(&self, last: &Member, object: &Node, member: &str) -> Vec<Splice> {
        let layout = self.layout(object);
        let end = last.node.span.end;
        let behind = last.comma.map_or(end, |comma| comma + 1);
        let at = if layout.line.is_some() { self.line_end(behind).unwrap_or(behind) } else { behind };
        let line = layout.separator();
        match last.comma {
            Some(_) => vec![(at..at, format!("{line}{member},"))],
            None => vec![(end..end, ",".to_owned()), (at..at, format!("{line}{member}"))],
        }
    }

    /// What goes when a member goes.
    fn region(&self, object: &Node, index: usize) -> Range<usize> {
        let members = object.members();
        let member = &members[index];
        let head = self.head(object, index);
        let after = member.comma.map_or(member.node.span.end, |comma| comma + 1);
        let line_end = self.line_end(after);
        let has_next = index + 1 < members.len();
        let gap = || self.text[after..].bytes().take_while(|byte| b" \t".contains(byte)).count();
        match (self.first_on_line(head), line_end) {
            (true, Some(end)) => self.newline_before(head)..end,
            (_, None) if has_next => head..after + gap(),
            (true, None) if self.ends_in_line_comment(object, index, head) => head..after,
            (true, None) => self.newline_before(head)..after,
            (false, Some(end)) if has_next => self.boundary(object, index)..end,
            (false, _) => self.boundary(object, index)..after,
        }
    }

    /// Whether the line break before a member ends a comment that would swallow what follows.
    fn ends_in_line_comment(&self, object: &Node, index: usize, head: usize) -> bool {
        let comments = self.comments(self.boundary(object, index)..head);
        comments.last().is_some_and(|comment| self.text[comment.clone()].starts_with("//"))
    }

    /// Where what comes before a member ends.
    fn boundary(&self, object: &Node, index: usize) -> usize {
        let before = index.checked_sub(1).and_then(|before| object.members()[before].comma);
        before.unwrap_or(object.value_span.start) + 1
    }

    /// Where a member begins, with the comments directly above it.
    pub(super) fn head(&self, object: &Node, index: usize) -> usize {
        let key = object.members()[index].node.span.start;
        let comments = self.comments(self.boundary(object, index)..key);
        comments
            .into_iter()
            .rev()
            .fold((key, true), |(head, goes_on), comment| {
                let lines = self.text[comment.end..head].matches('\n').count();
                let belongs = lines == 0 || (lines == 1 && self.first_on_line(comment.start));
                if goes_on && belongs { (comment.start, true) } else { (head, false) }
            })
            .0
    }

    /// The comments in a range that holds nothing else but blanks.
    fn comments(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = range.start;
        while let Some(start) = self.text[at..range.end].find('/').map(|offset| at + offset) {
            let rest = &self.text[start..range.end];
            let length = match rest.strip_prefix("/*") {
                Some(block) => block.find("*/").map(|end| end + 4),
                None => rest.find('\n').map(|end| rest[..end].trim_end_matches('\r').len()),
            };
            at = start + length.unwrap_or(rest.len());
            found.push(start..at);
        }
        found
    }

    /// The line break before the line of `at`, where the break begins.
    fn newline_before(&self, at: usize) -> usize {
        let line = self.line_start(at).saturating_sub(1);
        if self.text[..line].ends_with('\r') { line - 1 } else { line }
    }

    /// Where the line ends on which `at` stands, if only blanks and comments come up to there.
    fn line_end(&self, at: usize) -> Option<usize> {
        let mut at = at;
        loop {
            let rest = &self.text[at..];
            let blanks = rest.bytes().take_while(|byte| b" \t".contains(byte)).count();
            let rest = &rest[blanks..];
            if let Some(block) = rest.strip_prefix("/*") {
                let end = block.find("*/").filter(|end| !block[..*end].contains('\n'))?;
                at += blanks + end + 4;
            } else if rest.starts_with("//") {
                let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
                return Some(at + blanks + line.len());
            } else {
                let ends = rest.is_empty() || rest.starts_with('\n') || rest.starts_with("\r\n");
                return ends.then_some(at + blanks);
            }
        }
    }

    fn spliced(&self, mut splices: Vec<Splice>) -> String {
        // From the end, so that places before stay where they are; of two at one place the later stands behind.
        splices.sort_by_key(|(range, _)| range.start);
        let mut text = self.text.clone();
        for (range, with) in splices.into_iter().rev() {
            text.replace_range(range, &with);
        }
        text
    }

    fn proven(&self, edited: String, path: &[&str], raw: Option<&str>) -> Result<String, EditError> {
        let unfaithful = || EditError::Unfaithful(path.join("."));
        let after = Self::parse(&edited).map_err(|_| unfaithful())?;
        let written = after.get(path).map(|node| after.text(node));
        let same = same((self, &self.root), (&after, &after.root), Some(path));
        (same && written == raw).then_some(edited).ok_or_else(unfaithful)
    }
}

/// Whether two values are written alike, but for their layout and for what stands at the path `but`.
fn same(old: (&Doc, &Node), new: (&Doc, &Node), but: Option<&[&str]>) -> bool {
    if but.is_some_and(<[_]>::is_empty) {
        return true;
    }
    let below = |key: &str| but.filter(|path| path[0] == key).map(|path| &path[1..]);
    let gone = |member: &&Member| but.is_none_or(|path| path.len() != 1 || path[0] != member.key);
    match (&old.1.kind, &new.1.kind) {
        (Kind::Object(_), Kind::Object(_)) => {
            let olds: Vec<_> = old.1.members().iter().filter(gone).collect();
            let news: Vec<_> = new.1.members().iter().filter(gone).collect();
            let alike = |(a, b): (&&Member, &&Member)| {
                a.key == b.key && same((old.0, &a.node), (new.0, &b.node), below(&a.key))
            };
            olds.len() == news.len() && olds.iter().zip(&news).all(alike)
        }
        (Kind::Array(olds), Kind::Array(news)) => {
            let alike = |(at, (a, b)): (usize, (&Node, &Node))| same((old.0, a), (new.0, b), below(&at.to_string()));
            olds.len() == news.len() && olds.iter().zip(news).enumerate().all(alike)
        }
        (Kind::Text(_), Kind::Text(_)) | (Kind::Plain, Kind::Plain) => old.0.text(old.1) == new.0.text(new.1),
        _ => false,
    }
}

/// The value in a text of its own; what stands around it would spoil its new surroundings.
fn value_of(raw: &str) -> Result<&str, EditError> {
    let doc = Doc::parse(raw)?;
    Ok(&raw[doc.root.value_span])
}

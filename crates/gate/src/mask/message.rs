//! A whole message through the detectors: what they found, as edits of its tokens. Everything that is not masked stays as
//! it was, byte for byte.

use super::detect::{self, Exhausted, Finding, Known, Work};
use super::options::{Detect, Judge};
use super::rules::{Class, FIELD, REGISTERED};
use super::shadow::{Segment, Shadow};
use super::walk::{Kind, NONE, Walk};
use super::{Counts, decode, fields, paint};
use crate::words::Place;
use aho_corasick::AhoCorasick;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// New bytes for a token.
pub(super) type Edit = (Place, Vec<u8>);

/// A part of a token's text that must go.
#[derive(Debug, Clone, Copy)]
struct Piece {
    token: u32,
    start: usize,
    end: usize,
    class: Class,
}

/// What masks and handles begin with.
static MASKS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let masks = AhoCorasick::new(["[masked:", super::MASK, super::handles::OPEN]);
    masks.expect("the patterns are few and short")
});

/// How far what was masked can change what is found, in bytes.
const NEAR: usize = 512;

/// One look at one message.
pub(super) struct Look<'a> {
    pub json: &'a [u8],
    /// Whether all of it was looked at before, and only what was masked is new.
    pub again: bool,
    pub known: &'a Known,
    pub judge: &'a Judge,
    /// Whether the outermost object is a message of the protocol, and not somebody's data.
    pub is_message: bool,
    pub paint: paint::Paint<'a>,
}

impl Look<'_> {
    /// The edits that mask the message, in order, and what they mask.
    pub fn edits(&self, counts: &mut Counts) -> Result<Vec<Edit>, Exhausted> {
        let mut work = Work::for_bytes(self.json.len());
        let walk = Walk::new(self.json);
        let mut blobs = Vec::new();
        let shadow = Shadow::of_message(self.json, &walk, |token| {
            let is_blob = self.is_blob(&walk, token);
            blobs.extend(is_blob.then_some(token));
            is_blob
        });
        let settled = self.again && self.is_settled(&shadow.text, &mut work)?;
        let found = if settled { Vec::new() } else { detect::find(&shadow.text, self.known, self.judge, &mut work)? };
        let mut pieces = Vec::new();
        found.iter().for_each(|finding| {
            split(&shadow.segments, *finding, &mut pieces, |segment, at| shadow.in_token(segment, at))
        });
        self.across_blocks(&walk, &shadow, &mut work, &mut pieces)?;
        self.by_name(&walk, &shadow, &mut pieces);
        pieces.retain(|piece| piece.class == REGISTERED || !self.is_protocols(&walk, piece.token));
        self.let_pass(&mut pieces);
        let mut edits = self.painted(&walk, &shadow, pieces, counts);
        for token in blobs {
            edits.extend(self.blob(&walk, token, counts)?);
        }
        edits.sort_by_key(|(place, _)| place.start);
        Ok(edits)
    }

    /// Whether there is nothing to find near masks. Farther away nothing has changed since the last look.
    fn is_settled(&self, text: &[u8], work: &mut Work) -> Result<bool, Exhausted> {
        let masks = MASKS.find_iter(text).map(|mask| (mask.start().saturating_sub(NEAR), mask.end() + NEAR));
        let mut masks = masks.peekable();
        while let Some((start, mut end)) = masks.next() {
            while let Some((_, next)) = masks.next_if(|(next, _)| *next <= end) {
                end = next;
            }
            if !detect::find(&text[start..end.min(text.len())], self.known, self.judge, work)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn raw(&self, walk: &Walk, token: u32) -> &[u8] {
        walk.tokens.get(token as usize).map_or(&[], |token| &self.json[token.place.range()])
    }

    fn name(&self, walk: &Walk, token: u32) -> &[u8] {
        walk.tokens.get(token as usize).map_or(&[], |token| unquoted(self.raw(walk, token.key)))
    }

    /// Whether the token is the protocol's own, and would mean something else or nothing if it were changed.
    fn is_protocols(&self, walk: &Walk, at: u32) -> bool {
        let token = &walk.tokens[at as usize];
        let Some(frame) = walk.frame(token.frame).filter(|_| self.is_message) else { return false };
        match (frame.depth, self.name(walk, at)) {
            (0, b"jsonrpc" | b"id" | b"method") => token.kind != Kind::Key,
            (1, b"progressToken" | b"requestState" | b"nextCursor" | b"cursor" | b"taskId") => true,
            (2, b"progressToken") => unquoted(self.raw(walk, frame.key)) == b"_meta",
            _ => false,
        }
    }

    /// Whether the token is long base64: content of some media type.
    fn is_blob(&self, walk: &Walk, at: u32) -> bool {
        let token = &walk.tokens[at as usize];
        let raw = unquoted(self.raw(walk, at));
        if token.kind != Kind::Text || raw.len() < decode::LEAST_BLOB {
            return false;
        }
        match self.name(walk, at) {
            b"data" | b"blob" => decode::is_blob(raw),
            _ => raw.starts_with(b"data:") && decode::is_blob(payload(raw).1),
        }
    }

    /// A blob that is a text is read and written again; in any other only registered values are looked for.
    fn blob(&self, walk: &Walk, at: u32, counts: &mut Counts) -> Result<Option<Edit>, Exhausted> {
        let raw = unquoted(self.raw(walk, at));
        let (head, payload) = payload(raw);
        let place = walk.tokens[at as usize].place;
        if let Some(text) = decode::blob_text(payload) {
            let mut work = Work::for_bytes(text.len());
            let masked = paint::text(&text, self.known, self.judge, &self.paint, &mut work, counts)?;
            return Ok(masked.map(|masked| {
                let blob = decode::to_blob(&masked);
                (place, [b"\"", head, blob.as_bytes(), b"\""].concat())
            }));
        }
        let holds = self.known.values.as_ref().is_some_and(|values| values.is_match(payload));
        counts.add("registered", u32::from(holds));
        Ok(holds.then(|| (place, format!("\"{}\"", super::MASK).into_bytes())))
    }

    /// Members whose name says that their value is secret, elements of such arrays too.
    fn by_name(&self, walk: &Walk, shadow: &Shadow, pieces: &mut Vec<Piece>) {
        if self.judge.detect < Detect::All {
            return;
        }
        let mut promises: HashMap<u32, Option<fields::Promise>> = HashMap::new();
        for segment in &shadow.segments {
            let token = &walk.tokens[segment.token as usize];
            if token.kind == Kind::Key || token.key == NONE {
                continue;
            }
            let name = || fields::promise(shadow.said(token.key));
            let Some(promise) = *promises.entry(token.key).or_insert_with(name) else { continue };
            let value = &shadow.text[segment.start..segment.end];
            let secret = match token.kind {
                Kind::Number => fields::number_is_secret(promise, value),
                _ => fields::value_is_secret(promise, value),
            };
            if secret {
                let end = shadow.in_token(segment, segment.end);
                pieces.push(Piece { token: segment.token, start: 0, end, class: FIELD });
            }
        }
    }

    /// What only shows when neighbouring blocks of text are read as one.
    fn across_blocks(
        &self,
        walk: &Walk,
        shadow: &Shadow,
        work: &mut Work,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Exhausted> {
        let is_block = |segment: &&Segment| {
            let token = &walk.tokens[segment.token as usize];
            token.kind == Kind::Text && shadow.said(token.key) == b"text"
        };
        let blocks: Vec<&Segment> = shadow.segments.iter().filter(is_block).collect();
        if blocks.len() < 2 {
            return Ok(());
        }
        let mut joined = Vec::new();
        let mut ends: Vec<Segment> = Vec::new();
        // Where in the shadow a piece of `joined` comes from.
        let mut origins: Vec<(usize, &Segment)> = Vec::new();
        for block in blocks {
            for (from, to) in near_joints(block.start, block.end) {
                let start = joined.len();
                joined.extend_from_slice(&shadow.text[from..to]);
                ends.push(Segment { start, end: joined.len(), token: ends.len() as u32 });
                origins.push((from, block));
                if to != block.end {
                    joined.extend_from_slice(b"\n\n");
                }
            }
        }
        for finding in detect::find(&joined, self.known, self.judge, work)? {
            let mut parts = Vec::new();
            split(&ends, finding, &mut parts, |_, at| at);
            if parts.len() > 1 {
                pieces.extend(parts.iter().map(|part| {
                    let (from, block) = origins[part.token as usize];
                    let place = |at: usize| shadow.in_token(block, from + at - ends[part.token as usize].start);
                    Piece { token: block.token, start: place(part.start), end: place(part.end), class: part.class }
                }));
            }
        }
        Ok(())
    }

    /// Takes out what may pass, and what says less of the same place.
    fn let_pass(&self, pieces: &mut Vec<Piece>) {
        let mut passing: Vec<Piece> = pieces.iter().filter(|piece| self.judge.passes(piece.class)).copied().collect();
        if passing.is_empty() {
            return;
        }
        // Apart and in order, so that each of the rest has to be held against one alone.
        passing.sort_unstable_by_key(|pass| (pass.token, pass.start));
        passing.dedup_by(|next, last| {
            let meets = next.token == last.token && next.start <= last.end;
            last.end = if meets { last.end.max(next.end) } else { last.end };
            meets
        });
        pieces.retain(|piece| {
            let before = passing.partition_point(|pass| (pass.token, pass.start) < (piece.token, piece.end));
            let meets = |pass: &Piece| pass.token == piece.token && piece.start < pass.end;
            let outdone = detect::is_general(piece.class) && passing[..before].last().is_some_and(meets);
            !(outdone || self.judge.passes(piece.class))
        });
    }

    /// Names that stay, in those objects in which some name does not.
    fn names_kept(&self, walk: &Walk, pieces: &[Piece]) -> Names {
        let edited: HashSet<u32> = pieces.iter().map(|piece| piece.token).collect();
        let is_key = |at: &u32| walk.tokens[*at as usize].kind == Kind::Key;
        let frames: HashSet<u32> =
            edited.iter().filter(|at| is_key(at)).map(|at| walk.tokens[*at as usize].frame).collect();
        if frames.is_empty() {
            return Names::new();
        }
        let kept = (0..walk.tokens.len() as u32).filter(|at| is_key(at) && !edited.contains(at));
        let kept = kept.map(|at| (walk.tokens[at as usize].frame, decoded(self.raw(walk, at))));
        kept.filter(|(frame, _)| frames.contains(frame)).map(|name| (name, 1)).collect()
    }

    fn painted(&self, walk: &Walk, shadow: &Shadow, mut pieces: Vec<Piece>, counts: &mut Counts) -> Vec<Edit> {
        pieces.sort_unstable_by_key(|piece| (piece.token, piece.start));
        let mut names = self.names_kept(walk, &pieces);
        let groups = pieces.chunk_by(|a, b| a.token == b.token);
        let edits = groups.map(|group| {
            let token = &walk.tokens[group[0].token as usize];
            let raw = self.raw(walk, group[0].token);
            let findings = group.iter().map(|p| Finding { start: p.start, end: p.end, class: p.class }).collect();
            let unreadable = shadow.unreadable.contains(&group[0].token);
            let mut text = if token.kind == Kind::Number || unreadable {
                self.paint.whole(findings, raw, counts)
            } else {
                self.paint.over(&decoded(raw), findings, counts)
            };
            if token.kind == Kind::Key {
                text = unique(&mut names, token.frame, text);
            }
            (token.place, quoted(&text))
        });
        edits.collect()
    }
}

/// The names of members, each with the object it stands in, and the last number that was put behind it.
type Names = HashMap<(u32, Vec<u8>), u32>;

/// `name`, with a number if the object has a member of that name.
fn unique(names: &mut Names, frame: u32, name: Vec<u8>) -> Vec<u8> {
    let Some(last) = names.get(&(frame, name.clone())).copied() else {
        names.insert((frame, name.clone()), 1);
        return name;
    };
    let numbered = (last + 1..).map(|at| (at, [&name[..], format!("#{at}").as_bytes()].concat()));
    let mut free = numbered.filter(|(_, way)| !names.contains_key(&(frame, way.clone())));
    let Some((at, way)) = free.next() else { return name };
    drop(free);
    names.insert((frame, way.clone()), 1);
    names.insert((frame, name), at);
    way
}

/// How much of a block on each side of a joint is read with its neighbour.
const JOINT: usize = 512;

/// The beginning and the end of a block, or all of a short one.
fn near_joints(start: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    let whole = end - start <= 2 * JOINT;
    let first = (start, if whole { end } else { start + JOINT });
    std::iter::once(first).chain((!whole).then(|| (end - JOINT, end)))
}

/// The parts of a finding by segment, in each segment's own places.
fn split(segments: &[Segment], finding: Finding, pieces: &mut Vec<Piece>, place: impl Fn(&Segment, usize) -> usize) {
    let first = segments.partition_point(|segment| segment.end <= finding.start);
    for segment in segments[first..].iter().take_while(|segment| segment.start < finding.end) {
        let start = place(segment, finding.start.max(segment.start));
        let end = place(segment, finding.end.min(segment.end));
        if start < end {
            pieces.push(Piece { token: segment.token, start, end, class: finding.class });
        }
    }
}

fn unquoted(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")).unwrap_or(raw)
}

fn decoded(raw: &[u8]) -> Vec<u8> {
    serde_json::from_slice::<String>(raw).map_or_else(|_| unquoted(raw).to_vec(), String::into_bytes)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    serde_json::to_vec(&String::from_utf8_lossy(text)).expect("a string always serialises")
}

/// The head of a `data:` URI and its payload; of anything else all is payload.
fn payload(raw: &[u8]) -> (&[u8], &[u8]) {
    let at = raw.starts_with(b"data:").then(|| memchr::memchr(b',', &raw[..raw.len().min(128)])).flatten();
    raw.split_at(at.map_or(0, |at| at + 1))
}

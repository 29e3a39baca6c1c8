//! Putting changes into a text: each where its lines stand, found from top to bottom. What a change does not name stays
//! as it is, byte by byte. Not here: files.

use super::parse::Hunk;
use std::borrow::Cow;

/// Why a change does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The line that should stand before it is not there.
    #[error("change {0}: `{1}` is not in the file")]
    NoAnchor(usize, String),
    /// What it changes is not there.
    #[error("change {0} does not fit: these lines are not in the file:\n{1}")]
    NotThere(usize, String),
    /// Not quite as written it fits in several places.
    #[error("change {0} fits in more than one place: give more lines around it")]
    Ambiguous(usize),
    /// Looking for it takes too long.
    #[error("change {0}: looking for its lines takes too long: make the patch smaller")]
    TooMuch(usize),
}

/// How many more lines may be compared: a patch may be written so that every line is compared with every other.
#[derive(Debug)]
pub struct Effort(usize);

impl Default for Effort {
    fn default() -> Self {
        Self(50_000_000)
    }
}

impl Effort {
    fn spend(&mut self, number: usize, lines: usize) -> Result<(), Misfit> {
        self.0 = self.0.checked_sub(lines).ok_or(Misfit::TooMuch(number))?;
        Ok(())
    }
}

/// The text with the changes in it.
///
/// # Errors
/// [`Misfit`] for the first change that does not fit.
pub fn change(text: &str, hunks: &[Hunk], effort: &mut Effort) -> Result<String, Misfit> {
    if hunks.is_empty() {
        return Ok(text.to_owned());
    }
    let source = Text::read(text);
    let (mut from, mut drift, mut pieces) = (0, 0, Vec::with_capacity(hunks.len()));
    for (number, hunk) in (1..).zip(hunks) {
        let piece = source.piece(number, hunk, from, drift, effort)?;
        if let Some(line) = hunk.line {
            drift = piece.at.cast_signed() - line.saturating_sub(1).cast_signed();
        }
        // What is put at the end of the file says nothing of where the next change is.
        if !(piece.at == piece.end && hunk.line.is_none() && hunk.anchors.is_empty()) {
            from = piece.end;
        }
        pieces.push(piece);
    }
    pieces.sort_by_key(|piece| piece.at);
    Ok(source.with(pieces, text.starts_with(BOM) && hunks.iter().all(|hunk| hunk.line.is_none())))
}

/// The most characters and lines of a change that an error shows.
const SHOWN: usize = 2_000;
const SHOWN_LINES: usize = 40;
const BOM: char = '\u{feff}';

/// A text as lines without their ends; the return before an end is part of its line.
struct Text<'a> {
    lines: Vec<&'a str>,
    /// How most lines end: with a return or without.
    returns: bool,
    /// Whether the last line ends.
    ended: bool,
}

/// What comes in the place of some lines.
struct Piece<'a> {
    at: usize,
    end: usize,
    lines: Vec<Cow<'a, str>>,
    /// Whether the last line of the text ends from now on, if it says so.
    ended: Option<bool>,
}

/// How much two lines may differ and still be the same, from little to much. A diff gets the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Leeway {
    Nothing,
    /// The return at the end.
    Returns,
    /// Blanks at the end.
    End,
    /// Blanks at both ends.
    Blanks,
    /// Quotation marks, dashes and spaces that look alike.
    Looks,
}

const LEEWAYS: [Leeway; 5] = [Leeway::Nothing, Leeway::Returns, Leeway::End, Leeway::Blanks, Leeway::Looks];

impl Leeway {
    fn same(self, a: &str, b: &str) -> bool {
        match self {
            Self::Nothing => a == b,
            Self::Returns => without_return(a) == without_return(b),
            Self::End => a.trim_end() == b.trim_end(),
            Self::Blanks => a.trim() == b.trim(),
            Self::Looks => looked(a).eq(looked(b)),
        }
    }
}

fn looked(line: &str) -> impl Iterator<Item = char> {
    line.trim_start_matches(BOM).trim().chars().map(looks)
}

fn without_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// What a model writes for what an editor has made of it.
fn looks(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        c => c,
    }
}

impl<'a> Text<'a> {
    fn read(text: &'a str) -> Self {
        let returns = text.matches("\r\n").count() * 2 > text.matches('\n').count();
        let mut lines: Vec<&str> = text.split('\n').collect();
        let ended = lines.last().is_some_and(|line| line.is_empty());
        if ended {
            lines.pop();
        }
        Self { lines, returns, ended }
    }

    /// A line of this text as it is written out; a last one without end may get one.
    fn line(&self, at: usize) -> Cow<'a, str> {
        let last = at + 1 == self.lines.len() && !self.ended;
        match last && self.returns && !self.lines[at].ends_with('\r') {
            true => Cow::Owned(format!("{}\r", self.lines[at])),
            false => Cow::Borrowed(self.lines[at]),
        }
    }

    fn with(&self, pieces: Vec<Piece<'a>>, marked: bool) -> String {
        let (mut lines, mut done, mut ended) = (Vec::with_capacity(self.lines.len()), 0, self.ended);
        for piece in pieces {
            lines.extend((done..piece.at).map(|at| self.line(at)));
            lines.extend(piece.lines);
            (done, ended) = (piece.end, piece.ended.unwrap_or(ended));
        }
        lines.extend((done..self.lines.len()).map(|at| self.line(at)));
        let mut text = lines.join("\n");
        match ended {
            true if !lines.is_empty() => text.push('\n'),
            false if self.returns && text.ends_with('\r') => _ = text.pop(),
            _ => {}
        }
        if marked && !text.is_empty() && !text.starts_with(BOM) {
            text.insert(0, BOM);
        }
        text
    }

    /// One change, at or behind `from`.
    fn piece<'h: 'a>(
        &self,
        number: usize,
        hunk: &'h Hunk,
        from: usize,
        drift: isize,
        effort: &mut Effort,
    ) -> Result<Piece<'a>, Misfit> {
        let from = self.behind_anchors(number, hunk, from, effort)?;
        let search = Search { number, hunk, from, drift };
        let (at, leeway, before, after) = self.place(&search, effort)?;
        let end = at + before;
        let explicit = leeway == Leeway::Nothing && (at..end).any(|at| at + 1 < self.lines.len() || self.ended);
        let mut lines: Vec<_> = hunk.after[..after].iter().map(|line| self.added(line, explicit)).collect();
        // What stays is what was there, however the patch writes it.
        for (old, new) in hunk.kept.iter().filter(|(old, new)| *old < before && *new < after) {
            lines[*new] = self.line(at + old);
        }
        let ended = match (hunk.line, hunk.unended) {
            (None, _) => Some(true),
            (Some(_), (false, false)) => None,
            (Some(_), (_, unended)) => Some(!unended),
        };
        Ok(Piece { at, end, lines, ended })
    }

    /// A line that comes ends like those around it; a patch that got their ends right says itself how.
    fn added<'h: 'a>(&self, line: &'h str, explicit: bool) -> Cow<'a, str> {
        match self.returns && !explicit {
            true if !line.ends_with('\r') => Cow::Owned(format!("{line}\r")),
            _ => Cow::Borrowed(line),
        }
    }

    fn behind_anchors(&self, number: usize, hunk: &Hunk, from: usize, effort: &mut Effort) -> Result<usize, Misfit> {
        let mut from = from;
        for anchor in &hunk.anchors {
            effort.spend(number, self.lines.len() - from)?;
            let find = |leeway: Leeway| (from..self.lines.len()).find(|at| leeway.same(self.lines[*at], anchor));
            let found = find(Leeway::Blanks).or_else(|| find(Leeway::Looks));
            from = found.ok_or_else(|| Misfit::NoAnchor(number, anchor.clone()))? + 1;
        }
        Ok(from)
    }

    /// Where it stands, how much it differs there, and how many of its lines before and after count.
    fn place(&self, search: &Search<'_>, effort: &mut Effort) -> Result<(usize, Leeway, usize, usize), Misfit> {
        let Search { number, hunk, from, .. } = *search;
        let (before, after) = (hunk.before.len(), hunk.after.len());
        if before == 0 {
            let last = self.lines.len();
            return match hunk.line {
                // `@@ -0,0 …` stands before the first line, `@@ -N,0 …` behind line N.
                Some(_) if hunk.unended.1 => Ok((last, Leeway::Returns, 0, after)),
                Some(line) => Ok((line.clamp(from, last), Leeway::Returns, 0, after)),
                None if hunk.anchors.is_empty() || hunk.at_end => Ok((last, Leeway::Returns, 0, after)),
                None => Ok((from, Leeway::Returns, 0, after)),
            };
        }
        if let Some((at, leeway)) = self.find(search, &hunk.before, effort)? {
            return Ok((at, leeway, before, after));
        }
        // An empty line at the end of a change may stand for the end of its last line, or for none of the file.
        if hunk.line.is_none()
            && before > 1
            && hunk.before[before - 1].trim().is_empty()
            && let Some((at, leeway)) = self.find(search, &hunk.before[..before - 1], effort)?
        {
            let shorter = hunk.after.last().is_some_and(|line| line.trim().is_empty());
            return Ok((at, leeway, before - 1, after - usize::from(shorter)));
        }
        Err(Misfit::NotThere(number, shown(&hunk.before)))
    }

    fn find(
        &self,
        search: &Search<'_>,
        before: &[String],
        effort: &mut Effort,
    ) -> Result<Option<(usize, Leeway)>, Misfit> {
        let Some(last) = self.lines.len().checked_sub(before.len()) else { return Ok(None) };
        for leeway in LEEWAYS {
            if search.hunk.line.is_some() && leeway > Leeway::Returns {
                break;
            }
            let mut found = None;
            for at in search.places(last) {
                if !self.fits(search.number, at, before, leeway, effort)? {
                    continue;
                }
                // As written the first place is meant; where that is not so sure, there has to be one only.
                if leeway <= Leeway::Returns {
                    return Ok(Some((at, leeway)));
                }
                if found.replace(at).is_some() {
                    return Err(Misfit::Ambiguous(search.number));
                }
            }
            if let Some(at) = found {
                return Ok(Some((at, leeway)));
            }
        }
        Ok(None)
    }

    fn fits(
        &self,
        number: usize,
        at: usize,
        before: &[String],
        leeway: Leeway,
        effort: &mut Effort,
    ) -> Result<bool, Misfit> {
        let lines = before.iter().zip(&self.lines[at..]);
        let same = lines.take_while(|(a, b)| leeway.same(a, b)).count();
        effort.spend(number, same + 1)?;
        Ok(same == before.len())
    }
}

/// The lines, unless they are too many to be read.
fn shown(lines: &[String]) -> String {
    let text = lines.iter().take(SHOWN_LINES).map(String::as_str).collect::<Vec<_>>().join("\n");
    let most = text.chars().count() > SHOWN || lines.len() > SHOWN_LINES;
    if most { text.chars().take(SHOWN).chain("\n…".chars()).collect() } else { text }
}

/// What is looked for, and where.
#[derive(Clone, Copy)]
struct Search<'h> {
    number: usize,
    hunk: &'h Hunk,
    from: usize,
    /// How far the change before was from where its diff says.
    drift: isize,
}

impl Search<'_> {
    /// Where it may begin, the likeliest first; `last` is the last line where it can.
    fn places(self, last: usize) -> Box<dyn Iterator<Item = usize>> {
        let (from, unended) = (self.from, self.hunk.unended != (false, false));
        match self.hunk.line {
            _ if from > last => Box::new(std::iter::empty()),
            // Without an end of line there is an end of file.
            _ if self.hunk.at_end || unended => Box::new(std::iter::once(last)),
            None => Box::new(from..=last),
            Some(line) => {
                let near = line.saturating_sub(1).saturating_add_signed(self.drift).clamp(from, last);
                let around = move |far: usize| [near.checked_sub(far), Some(near + far).filter(|_| far > 0)];
                let all = (0..=last - from).flat_map(around).flatten();
                Box::new(all.filter(move |at| (from..=last).contains(at)))
            }
        }
    }
}

#[cfg(test)]
mod tests;

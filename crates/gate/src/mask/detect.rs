//! All detectors over one text. The keyword pass names candidates, and a candidate's expression sees only a window around
//! its keyword; so the work is bounded by the text, and [`Work`] ends what a hostile text would make of it.

use super::marks::{self, Number, Run};
use super::national::{self, NationalId};
use super::options::{Custom, Detect, Judge};
use super::rules::{self, CARD, Class, EMAIL, Found, JWT, Lead, NATIONAL_ID, PRIVATE_KEY, REGISTERED, Rule, rules};
use super::{decode, email, fields, number, pem};
use aho_corasick::AhoCorasick;
use memchr::memmem;
use std::ops::Range;

/// Something to mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    pub start: usize,
    pub end: usize,
    pub class: Class,
}

/// How many more bytes may be looked at closely.
pub(super) struct Work(usize);

/// A text wanted more work than a text of its length may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Work {
    /// Enough for `bytes` of anything but an attack.
    pub fn for_bytes(bytes: usize) -> Self {
        Self((4 << 20) + bytes.saturating_mul(64))
    }

    pub fn spend(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(bytes).ok_or(Exhausted)?;
        Ok(())
    }
}

/// What toolgate and its operator know: values, patterns, kinds of numbers.
#[derive(Default)]
pub(super) struct Known {
    /// The registered values as they are, and encoded.
    pub values: Option<AhoCorasick>,
    pub custom: Vec<Custom>,
    pub national: Vec<NationalId>,
}

/// Everything to mask in `text`, in no order, possibly overlapping.
pub(super) fn find(text: &[u8], known: &Known, judge: &Judge, work: &mut Work) -> Result<Vec<Finding>, Exhausted> {
    let mut found = Vec::new();
    if let Some(values) = &known.values {
        found.extend(values.find_iter(text).map(|hit| Finding {
            start: hit.start(),
            end: hit.end(),
            class: REGISTERED,
        }));
    }
    if judge.detect >= Detect::Known {
        custom(text, known, work, &mut found)?;
    }
    if judge.detect >= Detect::All {
        let runs: Vec<Run> = marks::runs(text).collect();
        by_keyword(text, &runs, work, &mut found)?;
        encoded(text, &runs, known, judge, work, &mut found)?;
        numbers(text, known, &mut found);
        addresses(text, &mut found);
    }
    Ok(found)
}

/// Whether a text as JSON spells it, without escapes, surely has nothing that [`find`] would find.
pub(super) fn is_quiet(json: &[u8]) -> bool {
    if marks::has_address(json) || has_password(json) || has_number(json) {
        return false;
    }
    let mut strong = false;
    for run in marks::runs(json) {
        let text = &json[run.start..run.end];
        // The first letter may be the rest of an escape.
        let escaped = run.start > 0 && json[run.start - 1] == b'\\';
        let encoded = decode::may_be_encoded(text) || escaped && decode::may_be_encoded(&text[1..]);
        if encoded || memmem::find(text, b"ey").is_some() {
            return false;
        }
        strong = true;
    }
    let rules = rules();
    // Most rules want a run behind their keyword, so without any few keywords lead anywhere.
    let leads_anywhere = if strong { &rules.keywords } else { &rules.sufficient };
    let hits = leads_anywhere.is_match(json).then(|| rules.keywords.find_overlapping_iter(json));
    hits.into_iter().flatten().all(|hit| {
        rules.leads[hit.pattern().as_usize()].iter().all(|lead| match lead {
            Lead::Rule(at) => !strong && rules.all[usize::from(*at)].least_run > 0,
            Lead::Name => !names_a_secret(json, hit.start()),
            Lead::Word | Lead::Key => false,
        })
    })
}

/// Whether what stands at `at` is a part of a member's name that makes its value secret.
fn names_a_secret(json: &[u8], at: usize) -> bool {
    let of_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-. $@:/[]".contains(byte);
    let end = at + json[at..].iter().take(32).take_while(|byte| of_a_name(byte)).count();
    let [b'"', rest @ ..] = &json[end..] else { return false };
    let start = at - json[..at].iter().rev().take(128).take_while(|byte| of_a_name(byte)).count();
    rest.trim_ascii_start().starts_with(b":") && fields::promise(&json[start..end]).is_some()
}

/// Whether some URL in it has a password, whatever stands behind its at sign.
fn has_password(json: &[u8]) -> bool {
    memchr::memchr(b'@', json).is_some() && memmem::find_iter(json, b"://").any(|at| fields::in_url(json, at).is_some())
}

/// Whether some digits in it may be anybody's number. What an escape stands for is not looked at, so with one all may.
fn has_number(json: &[u8]) -> bool {
    let mut numbers = marks::numbers(json);
    if memchr::memchr(b'\\', json).is_some() {
        return numbers.next().is_some();
    }
    numbers.any(|number| match number {
        Number::Digits(digits) => number::may_be(json, digits),
        Number::Check(at) => number::iban(json, at).is_some(),
    })
}

fn custom(text: &[u8], known: &Known, work: &mut Work, found: &mut Vec<Finding>) -> Result<(), Exhausted> {
    for (at, custom) in known.custom.iter().enumerate() {
        work.spend(text.len())?;
        let class = (rules::count() + at) as Class;
        let hits = custom.regex.captures_iter(text).filter_map(|hit| hit.get(1).or_else(|| hit.get(0)));
        let hits = hits.filter(|hit| !hit.is_empty() && !is_in_mask(text, hit.range(), known));
        found.extend(hits.map(|hit| Finding { start: hit.start(), end: hit.end(), class }));
    }
    Ok(())
}

/// Whether the place lies within a mask of ours, which an operator's pattern may fit as well.
fn is_in_mask(text: &[u8], place: Range<usize>, known: &Known) -> bool {
    const OPEN: &[u8] = b"[masked:";
    let from = place.start.saturating_sub(LONGEST_MASK);
    let Some(open) = memmem::rfind(&text[from..place.start + OPEN.len().min(text.len() - place.start)], OPEN) else {
        return false;
    };
    let rest = &text[from + open + OPEN.len()..];
    let Some(length) = memchr::memchr(b']', &rest[..rest.len().min(LONGEST_MASK)]) else { return false };
    let end = text.len() - rest.len() + length + 1;
    let is_ours = |name: &str| name.as_bytes() == &rest[..length];
    place.end <= end && (rules::names().any(is_ours) || known.custom.iter().any(|custom| is_ours(&custom.name)))
}

/// No name of a class makes a longer mask.
const LONGEST_MASK: usize = 128;

/// A rule and the part of the text it has to look at.
type Window = (u16, usize, usize);

fn by_keyword(text: &[u8], runs: &[Run], work: &mut Work, found: &mut Vec<Finding>) -> Result<(), Exhausted> {
    let mut windows: Vec<Window> = Vec::new();
    let (mut key_end, mut value_end) = (0, 0);
    for hit in rules().keywords.find_overlapping_iter(text) {
        for lead in &rules().leads[hit.pattern().as_usize()] {
            match *lead {
                Lead::Rule(at) => windows.extend(window(text, runs, at, hit.start(), hit.end())),
                Lead::Word => {
                    if hit.start() >= value_end {
                        let assigned = fields::assigned(text, hit.start()).map(of_field);
                        work.spend(if assigned.is_some() { 1024 } else { 256 })?;
                        value_end = assigned.map_or(value_end, |assigned| assigned.end);
                        found.extend(assigned);
                    }
                }
                Lead::Key if hit.start() >= key_end => {
                    work.spend(if text[hit.end()..].starts_with(b" ") { 2048 } else { 64 })?;
                    if let Some((start, end)) = pem::around(text, hit.start()) {
                        key_end = end;
                        found.push(Finding { start, end, class: PRIVATE_KEY });
                    }
                }
                // Members are looked at with their values.
                Lead::Name | Lead::Key => {}
            }
        }
    }
    windows.sort_unstable();
    windows.dedup_by(|next, window| {
        let merges = next.0 == window.0 && next.1 <= window.2;
        window.2 = if merges { window.2.max(next.2) } else { window.2 };
        merges
    });
    windows.into_iter().try_for_each(|window| by_rule(text, window, work, found))
}

fn of_field((start, end, class): (usize, usize, Class)) -> Finding {
    Finding { start, end, class }
}

/// How far behind its keyword a rule's secret may begin.
const REACH: usize = 48;

/// No token is longer behind its keyword; what is, is masked to the end of its run.
const LONGEST: usize = 2048;

/// What a rule must look at because of a keyword, if anything near it can hold its secret.
fn window(text: &[u8], runs: &[Run], at: u16, start: usize, end: usize) -> Option<Window> {
    let rule = &rules().all[usize::from(at)];
    if rule.least_run == 0 {
        return Some((at, start.saturating_sub(256), text.len().min(end + 1024)));
    }
    let first = runs.partition_point(|run| run.end <= start);
    let near = runs[first..].iter().take_while(|run| run.start < end + REACH);
    let last = near.filter(|run| run.len() >= rule.least_run).last()?;
    let before = if rule.own { last.start.min(start).saturating_sub(2) } else { start.saturating_sub(64) };
    Some((at, before, text.len().min(last.end + 2).min(end + LONGEST)))
}

fn by_rule(text: &[u8], (at, start, end): Window, work: &mut Work, found: &mut Vec<Finding>) -> Result<(), Exhausted> {
    let rule = &rules().all[usize::from(at)];
    work.spend(end - start)?;
    let Some(regex) = rule.regex() else { return Ok(()) };
    // Cut behind, so that the window is the bound; not before, so that `\b` sees what is there.
    let seen = &text[..end];
    let mut from = start;
    while let Some(hit) = (from < end).then(|| regex.captures_at(seen, from)).flatten() {
        let whole = hit.get_match();
        if let Some(secret) = rule.secret(&hit) {
            let line = line(text, whole.start(), whole.end());
            let what = Found {
                secret: secret.as_bytes(),
                whole: &text[rules::name_start(text, whole.start())..whole.end()],
                line,
            };
            let names_a_file =
                text.get(whole.end() - 1) == Some(&b'.') && text.get(whole.end()).is_some_and(u8::is_ascii_lowercase);
            if !rules().allowed(rule, &what) && is_plausible(rule, &what) && !(rule.own && names_a_file) {
                // What the window cut off belongs to it.
                let end = if secret.end() + 2 < end { secret.end() } else { run_end(text, secret.end()) };
                found.push(Finding { start: secret.start(), end, class: rule.class });
            }
        }
        from = whole.end().max(from + 1);
    }
    Ok(())
}

fn run_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| marks::is_of_run(**byte)).count()
}

fn line(text: &[u8], start: usize, end: usize) -> &[u8] {
    let from = memchr::memrchr(b'\n', &text[start.saturating_sub(512)..start])
        .map_or(start.saturating_sub(512), |at| start.saturating_sub(512) + at + 1);
    let to =
        memchr::memchr(b'\n', &text[end..text.len().min(end + 512)]).map_or(text.len().min(end + 512), |at| end + at);
    &text[from..to]
}

/// What the general rule takes for a key and everybody else for a name, a digest or an id.
fn is_plausible(rule: &Rule, found: &Found<'_>) -> bool {
    rule.id != "generic-api-key" || decode::is_no_public_value(found.secret)
}

fn encoded(
    text: &[u8],
    runs: &[Run],
    known: &Known,
    judge: &Judge,
    work: &mut Work,
    found: &mut Vec<Finding>,
) -> Result<(), Exhausted> {
    for run in runs {
        found.extend(decode::jwts(text, *run).map(|(start, end)| Finding { start, end, class: JWT }));
    }
    for stretch in runs.iter().flat_map(|run| decode::stretches(text, *run)).chain(decode::wrapped(text, runs)) {
        work.spend(stretch.text.len())?;
        // Once: the text within is not asked for texts within it.
        let inner = inside(&stretch.text, known, judge, work)?;
        found.extend(inner.map(|class| Finding { start: stretch.start, end: stretch.end, class }));
    }
    Ok(())
}

fn inside(text: &[u8], known: &Known, judge: &Judge, work: &mut Work) -> Result<Option<Class>, Exhausted> {
    let mut found = Vec::new();
    let runs: Vec<Run> = marks::runs(text).collect();
    by_keyword(text, &runs, work, &mut found)?;
    numbers(text, known, &mut found);
    addresses(text, &mut found);
    Ok(found.into_iter().map(|finding| finding.class).find(|class| !judge.passes(*class)))
}

fn numbers(text: &[u8], known: &Known, found: &mut Vec<Finding>) {
    for number in marks::numbers(text) {
        match number {
            Number::Digits(digits) => {
                number::find(text, digits, |start, end, class| found.push(Finding { start, end, class }))
            }
            Number::Check(at) => found.extend(number::iban(text, at).map(of_field)),
        }
    }
    if known.national.is_empty() {
        return;
    }
    let begins = (0..text.len()).filter(|at| {
        let open = at.checked_sub(1).is_none_or(|before| !text[before].is_ascii_alphanumeric());
        open && (text[*at].is_ascii_digit() || text[*at].is_ascii_uppercase())
    });
    for start in begins {
        let end = known.national.iter().find_map(|id| national::match_at(text, start, *id));
        found.extend(end.map(|end| Finding { start, end, class: NATIONAL_ID }));
    }
}

fn addresses(text: &[u8], found: &mut Vec<Finding>) {
    let first = found.len();
    for at in memmem::find_iter(text, b"://") {
        found.extend(fields::in_url(text, at).map(of_field));
    }
    let passwords = found.len();
    for at in memchr::memchr_iter(b'@', text) {
        // Behind a password an at sign makes no address.
        if found[first..passwords].binary_search_by_key(&at, |password| password.end).is_err() {
            found.extend(email::around(text, at).map(|(start, end)| Finding { start, end, class: EMAIL }));
        }
    }
}

/// Which of two overlapping findings names what is masked: what is surest and says most.
pub(super) fn rank(class: Class) -> u8 {
    match class {
        REGISTERED => 0,
        PRIVATE_KEY | JWT => 1,
        rules::FIELD => 5,
        class if is_general(class) => 6,
        class if class > NATIONAL_ID => 2,
        CARD | rules::URL_PASSWORD | NATIONAL_ID => 3,
        _ => 4,
    }
}

/// Whether the class says only that something is secret, not what it is.
pub(super) fn is_general(class: Class) -> bool {
    class == rules::FIELD || rules::name(class) == Some("generic-api-key")
}

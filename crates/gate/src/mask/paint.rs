//! What stands in the place of what was found.

use super::detect::{self, Exhausted, Finding, Known, Work};
use super::options::{Custom, Judge};
use super::rules::{self, Class, REGISTERED};
use super::shadow::Shadow;
use super::{Counts, MASK};
use std::borrow::Cow;

/// Makes the handle of a value.
pub(super) type Handle<'a> = dyn Fn(&[u8]) -> String + 'a;

/// A place in a text and the name of its class.
pub type Span = (std::ops::Range<usize>, String);

/// Makes masks, or handles where a server's rules want them.
pub(super) struct Paint<'a> {
    pub custom: &'a [Custom],
    pub handle: Option<&'a Handle<'a>>,
}

impl Paint<'_> {
    fn name(&self, class: Class) -> Cow<'static, str> {
        match rules::name(class) {
            Some(name) => name.into(),
            None => self
                .custom
                .get(usize::from(class) - rules::count())
                .map_or("custom".into(), |custom| custom.name.clone().into()),
        }
    }

    fn mask(&self, class: Class, value: &[u8]) -> Cow<'static, str> {
        match (class, self.handle) {
            (REGISTERED, _) => MASK.into(),
            (_, Some(handle)) => handle(value).into(),
            _ => format!("[masked:{}]", self.name(class)).into(),
        }
    }

    /// `text` with all of the findings painted over.
    pub fn over(&self, text: &[u8], findings: Vec<Finding>, counts: &mut Counts) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 16);
        let mut at = 0;
        for finding in merged(text, findings) {
            counts.add(self.name(finding.class), 1);
            out.extend_from_slice(&text[at..finding.start]);
            out.extend_from_slice(self.mask(finding.class, &text[finding.start..finding.end]).as_bytes());
            at = finding.end;
        }
        out.extend_from_slice(&text[at..]);
        out
    }

    /// One mask for all of a token that cannot be masked in part.
    pub fn whole(&self, findings: Vec<Finding>, value: &[u8], counts: &mut Counts) -> Vec<u8> {
        let class =
            findings.iter().map(|finding| finding.class).min_by_key(|class| detect::rank(*class)).unwrap_or(REGISTERED);
        counts.add(self.name(class), 1);
        self.mask(class, value).as_bytes().to_vec()
    }
}

/// In order, none overlapping, none within a character.
fn merged(text: &[u8], mut findings: Vec<Finding>) -> Vec<Finding> {
    let is_boundary = |at: usize| text.get(at).is_none_or(|byte| byte & 0xC0 != 0x80);
    for finding in &mut findings {
        finding.end = finding.end.min(text.len());
        finding.start = (0..=finding.start.min(finding.end)).rev().find(|at| is_boundary(*at)).unwrap_or(0);
        finding.end = (finding.end..=text.len()).find(|at| is_boundary(*at)).unwrap_or(text.len());
    }
    findings.sort_unstable_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end)));
    let mut merged: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match merged.last_mut() {
            Some(last) if finding.start < last.end => {
                last.end = last.end.max(finding.end);
                last.class =
                    if detect::rank(finding.class) < detect::rank(last.class) { finding.class } else { last.class };
            }
            _ => merged.push(finding),
        }
    }
    merged
}

/// What is to be masked in a plain text, in its own places.
fn findings(text: &[u8], known: &Known, judge: &Judge, work: &mut Work) -> Result<Vec<Finding>, Exhausted> {
    let shadow = Shadow::of_text(text);
    let segment = shadow.segments[0];
    let mut findings = detect::find(&shadow.text, known, judge, work)?;
    findings.retain(|finding| !judge.passes(finding.class));
    for finding in &mut findings {
        finding.start = shadow.in_token(&segment, finding.start);
        finding.end = shadow.in_token(&segment, finding.end);
    }
    Ok(findings)
}

/// A plain text masked, or `None` if there is nothing to mask.
pub(super) fn text(
    text: &[u8],
    known: &Known,
    judge: &Judge,
    paint: &Paint<'_>,
    work: &mut Work,
    counts: &mut Counts,
) -> Result<Option<Vec<u8>>, Exhausted> {
    let findings = findings(text, known, judge, work)?;
    Ok((!findings.is_empty()).then(|| paint.over(text, findings, counts)))
}

/// Where a plain text would be masked, and the class of each place.
pub(super) fn spans(text: &[u8], known: &Known, judge: &Judge, paint: &Paint<'_>) -> Result<Vec<Span>, Exhausted> {
    let findings = findings(text, known, judge, &mut Work::for_bytes(text.len()))?;
    let merged = merged(text, findings).into_iter();
    Ok(merged.map(|finding| (finding.start..finding.end, paint.name(finding.class).into_owned())).collect())
}

//! The table: a row for each figure, its target beside it, and whether it was met.

use std::io::{self, Write};

use serde_json::{Value, json};

/// What a figure is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Shown for its own sake.
    None,
    /// Subject ÷ floor at most this.
    RatioAtMost(f64),
    /// Subject ÷ floor at least this.
    RatioAtLeast(f64),
    /// The subject's figure at most this.
    AtMost(f64),
    /// The subject's figure at least this.
    AtLeast(f64),
    /// At most the floor's figure and this.
    FloorPlus(f64),
}

/// How a row came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Miss,
    NoTarget,
    /// No figure to judge.
    Failed,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub subject: Option<f64>,
    pub floor: Option<f64>,
    /// Taken within each round, then the median; where there are no rounds it is the plain quotient.
    pub ratio: Option<f64>,
    pub unit: &'static str,
    pub target: Target,
    /// Why a figure is missing, or what to know about it.
    pub note: String,
}

impl Row {
    pub fn new(name: impl Into<String>, unit: &'static str, target: Target) -> Self {
        Row { name: name.into(), subject: None, floor: None, ratio: None, unit, target, note: String::new() }
    }

    /// A row whose figure could not be had.
    pub fn failed(name: impl Into<String>, unit: &'static str, target: Target, why: impl Into<String>) -> Self {
        Row { note: why.into(), ..Row::new(name, unit, target) }
    }

    pub fn subject(self, figure: f64) -> Self {
        Row { subject: Some(figure), ..self }
    }

    pub fn verdict(&self) -> Verdict {
        let met = match self.target {
            Target::None if self.subject.is_some() => return Verdict::NoTarget,
            Target::None => None,
            Target::RatioAtMost(most) => self.ratio.map(|ratio| ratio <= most),
            Target::RatioAtLeast(least) => self.ratio.map(|ratio| ratio >= least),
            Target::AtMost(most) => self.subject.map(|figure| figure <= most),
            Target::AtLeast(least) => self.subject.map(|figure| figure >= least),
            Target::FloorPlus(more) => self.subject.zip(self.floor).map(|(figure, floor)| figure <= floor + more),
        };
        match met {
            Some(true) => Verdict::Ok,
            Some(false) => Verdict::Miss,
            None => Verdict::Failed,
        }
    }

    fn line(&self) -> String {
        let unit = self.unit;
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{} {unit}", short(value)));
        let ratio = self.ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let verdict = match self.verdict() {
            Verdict::Ok => "ok",
            Verdict::Miss => "MISS",
            Verdict::NoTarget => "",
            Verdict::Failed => "FAILED",
        };
        let (subject, floor, target) = (figure(self.subject), figure(self.floor), self.target.text(unit));
        let line = format!(
            "{:<44} | {subject:>14} | {floor:>14} | {ratio:>6} | {target:>16} | {verdict:<6} {}",
            self.name, self.note
        );
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        json!({
            "row": self.name,
            "unit": self.unit,
            "subject": self.subject,
            "floor": self.floor,
            "ratio": self.ratio,
            "target": self.target.text(self.unit),
            "verdict": format!("{:?}", self.verdict()).to_lowercase(),
            "note": self.note,
        })
    }
}

impl Target {
    fn text(self, unit: &str) -> String {
        match self {
            Target::None => String::new(),
            Target::RatioAtMost(most) => format!("≤ {most} ×"),
            Target::RatioAtLeast(least) => format!("≥ {least} ×"),
            Target::AtMost(most) => format!("≤ {} {unit}", short(most)),
            Target::AtLeast(least) => format!("≥ {} {unit}", short(least)),
            Target::FloorPlus(more) => format!("≤ floor + {} {unit}", short(more)),
        }
    }
}

/// All rows so far; each is printed when it is known.
pub struct Report {
    out: Box<dyn Write>,
    rows: Vec<Row>,
}

impl Report {
    pub fn new(subject: &str) -> io::Result<Self> {
        let mut report = Report { out: Box::new(io::stdout()), rows: Vec::new() };
        writeln!(report.out, "{:<44} | {subject:>14} | {:>14} | {:>6} | {:>16} |", "row", "floor", "ratio", "target")?;
        writeln!(report.out, "{:-<44}-|-{:->14}-|-{:->14}-|-{:->6}-|-{:->16}-|-------", "", "", "", "", "")?;
        Ok(report)
    }

    pub fn add(&mut self, row: Row) {
        writeln!(self.out, "{}", row.line()).ok();
        self.rows.push(row);
    }

    /// How many rows met their target, missed it, and have no figure.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |verdict| self.rows.iter().filter(|row| row.verdict() == verdict).count();
        (count(Verdict::Ok), count(Verdict::Miss), count(Verdict::Failed))
    }

    pub fn say(&mut self, text: &str) {
        writeln!(self.out, "{text}").ok();
    }

    pub fn json(&self) -> Value {
        self.rows.iter().map(Row::json).collect()
    }
}

/// Three significant digits, or all before the point.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        middle if middle < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: Target, expected: Verdict) {
        let row = Row { floor: Some(10.0), ratio: Some(2.0), ..Row::new("x", "ms", target).subject(20.0) };
        assert_eq!(row.verdict(), expected, "{target:?}");
    }

    #[test]
    fn a_verdict_follows_from_figure_ratio_and_target() {
        check(Target::None, Verdict::NoTarget);
        check(Target::RatioAtMost(2.0), Verdict::Ok);
        check(Target::RatioAtMost(1.9), Verdict::Miss);
        check(Target::RatioAtLeast(2.1), Verdict::Miss);
        check(Target::AtMost(20.0), Verdict::Ok);
        check(Target::AtLeast(21.0), Verdict::Miss);
        check(Target::FloorPlus(10.0), Verdict::Ok);
        check(Target::FloorPlus(9.0), Verdict::Miss);
    }

    #[test]
    fn without_a_figure_a_row_has_failed() {
        let row = Row::failed("x", "ms", Target::RatioAtMost(1.0), "not built");
        assert_eq!(row.verdict(), Verdict::Failed);
        assert!(row.line().ends_with("FAILED not built"));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([0.0104, 1.5, 23.41, 12345.6].map(short), ["0.01", "1.5", "23.4", "12346"]);
    }
}

//! Sentences with labelled numbers of people: made by a script, judged span by span.

use super::report::Report;
use crate::Failure;
use gate::Masks;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A text and where in it something with a structure stands.
#[derive(Deserialize)]
pub struct Sentence {
    text: String,
    spans: Vec<(usize, usize, String)>,
}

const SCRIPT: &str = include_str!("sentences.py");
const PACKAGES: [&str; 2] = ["presidio-evaluator==0.3.2", "faker==40.0.0"];

/// Makes `count` sentences in `dir`, which also keeps what pip brings.
pub fn make(dir: &Path, count: usize) -> Result<Vec<Sentence>, Failure> {
    std::fs::create_dir_all(dir)?;
    let packages = dir.join("packages");
    if !packages.join("presidio_evaluator").exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "-q", "--no-deps", "--target"]).arg(&packages).args(PACKAGES);
        if !pip.status()?.success() {
            return Err("pip could not bring presidio-evaluator and faker".into());
        }
    }
    let script = dir.join("sentences.py");
    std::fs::write(&script, SCRIPT)?;
    let mut python = Command::new("python3");
    python.arg(script).arg(packages.join("presidio_evaluator")).arg(count.to_string()).env("PYTHONPATH", &packages);
    let made = python.output()?;
    if !made.status.success() {
        return Err(format!("the script failed: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    let lines = String::from_utf8(made.stdout)?;
    Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[derive(Default)]
struct Score {
    right: usize,
    missed: usize,
    wrong: usize,
}

/// A label counts as found if a mask of its class covers it; a mask that meets no label of its class is wrong.
pub fn judge(masks: &Masks, sentences: &[Sentence], report: &mut Report) {
    const CLASSES: [&str; 5] = ["card", "email", "iban", "phone", "ssn"];
    let mut scores: BTreeMap<&str, Score> = CLASSES.into_iter().map(|class| (class, Score::default())).collect();
    for sentence in sentences {
        let found = masks.spans(&sentence.text);
        for (class, score) in &mut scores {
            let labels: Vec<_> = sentence.spans.iter().filter(|(_, _, label)| label == class).collect();
            let masks: Vec<_> = found.iter().filter(|(_, found)| found == class).collect();
            let covered =
                |start: usize, end: usize| masks.iter().any(|(place, _)| place.start <= start && end <= place.end);
            let right = labels.iter().filter(|(start, end, _)| covered(*start, *end)).count();
            let meets = |place: &std::ops::Range<usize>| {
                labels.iter().any(|(start, end, _)| place.start < *end && *start < place.end)
            };
            score.right += right;
            score.missed += labels.len() - right;
            score.wrong += masks.iter().filter(|(place, _)| !meets(place)).count();
        }
    }
    report.line(&format!("\n## Numbers of people: {} sentences of presidio-evaluator\n", sentences.len()));
    report.line("| class | labels | found | wrong | precision | recall | F1 |\n|---|---|---|---|---|---|---|");
    let mut all = Score::default();
    for (class, score) in &scores {
        row(report, class, score);
        all =
            Score { right: all.right + score.right, missed: all.missed + score.missed, wrong: all.wrong + score.wrong };
    }
    row(report, "**all**", &all);
    report.line("\nNames, places and addresses are not looked for.");
}

fn row(report: &mut Report, class: &str, score: &Score) {
    let (right, labels) = (score.right as f64, (score.right + score.missed) as f64);
    let (precision, recall) = (right / (right + score.wrong as f64).max(1.0), right / labels.max(1.0));
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
    let line =
        format!("| {class} | {labels} | {} | {} | {precision:.3} | {recall:.3} | {f1:.3} |", score.right, score.wrong);
    report.line(&line);
}

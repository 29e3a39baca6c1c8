//! Masking, measured on data not written for it; and where its rules come from.
//!
//! Three corpora: gitleaks' own examples (a checkout of it), sentences with labelled spans (presidio-evaluator and Faker, by
//! pip), and ordinary texts. What is not there is said and skipped. The report goes to `docs/reports/masking.md`.

mod convert;
mod golang;
mod random;
mod report;
mod sentences;
mod speed;

use crate::Failure;
use gate::Masks;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(clap::Args)]
pub struct Flags {
    /// Make the rule data anew from this `builtin_rules.json` of the crate keyspoor, and do nothing else.
    #[arg(long, value_name = "FILE")]
    convert: Option<PathBuf>,
    /// A checkout of gitleaks, for its examples.
    #[arg(long, value_name = "DIR")]
    gitleaks: Option<PathBuf>,
    /// More ordinary texts, besides this repository's own.
    #[arg(long, value_name = "DIR")]
    benign: Vec<PathBuf>,
    /// How many sentences.
    #[arg(long, default_value_t = 6000)]
    sentences: usize,
    /// Print only; leave the report as it is.
    #[arg(long)]
    dry: bool,
}

/// Runs the chore.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Some(from) = &flags.convert {
        return convert::convert(from, &root.join("crates/gate/data/rules.tsv"));
    }
    let masks = Masks::new([]);
    let mut report = report::Report::default();
    match &flags.gitleaks {
        Some(checkout) => vendor(&masks, checkout, &mut report)?,
        None => report.skipped("gitleaks' examples", "name a checkout with --gitleaks"),
    }
    match sentences::make(&root.join(".work/masking"), flags.sentences) {
        Ok(made) => sentences::judge(&masks, &made, &mut report),
        Err(why) => report.skipped("sentences", &why.to_string()),
    }
    ordinary(&masks, &root, &flags.benign, &mut report)?;
    speed::measure(&root, &mut report)?;
    report.finish((!flags.dry).then(|| root.join("docs/reports/masking.md")))
}

/// How many of gitleaks' positives are masked, and what of its negatives.
fn vendor(masks: &Masks, checkout: &Path, report: &mut report::Report) -> Result<(), Failure> {
    let mut random = random::Random::new(42);
    let mut files: Vec<_> =
        std::fs::read_dir(checkout.join("cmd/generate/config/rules"))?.flatten().map(|e| e.path()).collect();
    files.sort();
    let (mut all, mut skipped) = (Vec::new(), 0);
    for file in files {
        let (examples, left) = golang::examples(&std::fs::read_to_string(&file)?, &mut random);
        all.extend(examples);
        skipped += left;
    }
    let mut tally = report::Vendor { skipped, ..report::Vendor::default() };
    for example in &all {
        let spans = masks.spans(&example.text);
        let masked = !spans.is_empty() && !survives(masks, example);
        let named = spans.iter().any(|(_, class)| *class == example.rule);
        match (example.positive, masked) {
            (true, true) => tally.found += 1,
            (true, false) => tally.missed.push((example.rule.clone(), example.text.clone())),
            (false, false) => tally.quiet += 1,
            (false, true) => {
                let classes: Vec<String> =
                    spans.into_iter().map(|(place, class)| format!("{class}: {}", &example.text[place])).collect();
                tally.loud.push((example.rule.clone(), classes.join(" | ")));
            }
        }
        tally.named += usize::from(example.positive && masked && named);
    }
    report.vendor(&tally);
    Ok(())
}

/// Whether what was generated can still be read.
fn survives(masks: &Masks, example: &golang::Example) -> bool {
    let masked = masks.text(&example.text);
    example.secret.as_ref().is_some_and(|secret| example.text.contains(secret) && masked.contains(secret))
}

/// What is masked in texts that hold nothing to mask.
fn ordinary(masks: &Masks, root: &Path, more: &[PathBuf], report: &mut report::Report) -> Result<(), Failure> {
    for corpus in std::iter::once(root).chain(more.iter().map(PathBuf::as_path)) {
        let mut files = Vec::new();
        texts(corpus, &mut files)?;
        files.sort();
        let (mut bytes, mut hits, mut classes) = (0, Vec::new(), BTreeMap::<String, usize>::new());
        for file in &files {
            let Ok(text) = std::fs::read_to_string(file) else { continue };
            bytes += text.len();
            for (place, class) in masks.spans(&text) {
                *classes.entry(class.clone()).or_default() += 1;
                hits.push((
                    file.strip_prefix(corpus).unwrap_or(file).display().to_string(),
                    class,
                    text[place].to_owned(),
                ));
            }
        }
        let name =
            corpus.canonicalize()?.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        report.ordinary(if corpus == root { "this repository" } else { &name }, files.len(), bytes, &classes, &hits);
    }
    Ok(())
}

/// Files of text below `dir`; not what speaks of secrets on purpose.
fn texts(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    const KINDS: [&str; 14] =
        ["rs", "md", "mdx", "toml", "lock", "json", "ts", "js", "txt", "yml", "yaml", "py", "go", "html"];
    const NOT: [&str; 8] = ["target", ".git", ".work", "node_modules", "mask", "masking.md", "rules.tsv", "testdata"];
    for entry in std::fs::read_dir(dir)?.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if NOT.contains(&name.as_str()) || name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            texts(&path, files)?;
        } else if path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)) {
            files.push(path);
        }
    }
    Ok(())
}

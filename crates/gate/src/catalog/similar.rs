//! Names that a caller perhaps meant.

/// How alike two names are before one is suggested for the other (Jaro-Winkler).
const ALIKE: f64 = 0.85;

/// The longest name that is compared, in bytes: comparing takes the product of both lengths.
const LONGEST: usize = 256;

/// How many names are suggested.
const MOST: usize = 3;

/// Those of `names` that resemble `asked`, the likeliest first. Each is given as shown and as its server calls it.
pub(crate) fn similar<'a>(asked: &str, names: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<&'a str> {
    if asked.len() > LONGEST {
        return Vec::new();
    }
    let likeness = |name: &str| if name.len() > LONGEST { 0.0 } else { strsim::jaro_winkler(name, asked) };
    let scored = names.map(|(shown, raw)| (likeness(shown).max(likeness(raw)), shown));
    let mut alike: Vec<(f64, &str)> = scored.filter(|(score, _)| *score > ALIKE).collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    alike.into_iter().take(MOST).map(|(_, shown)| shown).collect()
}

//! Random texts that an expression matches, the same in every run.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A small generator (splitmix64); what it makes need not be unguessable.
pub struct Random(u64);

impl Random {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }

    /// A text that `pattern` matches, or `None` if that is no expression.
    pub fn text(&mut self, pattern: &str) -> Option<String> {
        let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(&escaped(pattern)).ok()?;
        let mut out = Vec::new();
        self.fill(&hir, &mut out);
        String::from_utf8(out).ok()
    }

    fn fill(&mut self, hir: &Hir, out: &mut Vec<u8>) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
            HirKind::Class(class) => out.push(self.of_class(class)),
            HirKind::Repetition(repeated) => {
                let most = repeated.max.unwrap_or(repeated.min + 2).min(repeated.min + 40);
                let times = repeated.min as usize + self.below((most - repeated.min) as usize + 1);
                (0..times).for_each(|_| self.fill(&repeated.sub, out));
            }
            HirKind::Capture(group) => self.fill(&group.sub, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.fill(part, out)),
            HirKind::Alternation(ways) => {
                let way = self.below(ways.len());
                self.fill(&ways[way], out);
            }
        }
    }

    fn of_class(&mut self, class: &Class) -> u8 {
        let visible = |byte: &u8| (b' '..=b'~').contains(byte);
        let bytes: Vec<u8> = match class {
            Class::Bytes(class) => class.ranges().iter().flat_map(|r| r.start()..=r.end()).filter(visible).collect(),
            Class::Unicode(class) => {
                let ascii = class.ranges().iter().filter(|range| range.start().is_ascii());
                ascii.flat_map(|range| range.start() as u8..=range.end().min('~') as u8).filter(visible).collect()
            }
        };
        bytes.get(self.below(bytes.len())).copied().unwrap_or(b' ')
    }
}

/// Go takes a brace that repeats nothing for itself.
fn escaped(pattern: &str) -> String {
    pattern.replace("}}", r"\}\}").replace("{{", r"\{\{")
}

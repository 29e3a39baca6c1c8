//! Patterns of names: `*` is any run of characters, `?` any one, and a pattern fits whole names alone.

/// Whether `name` fits `pattern`, in which `*` stands for any run of characters and `?` for any one.
pub fn matches(pattern: &str, name: &str) -> bool {
    fits(pattern, name, |_| true)
}

/// Whether every name that fits `narrow` fits `wide`, as far as their texts show it: never a wrong yes.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    fits(wide, narrow, |symbol| symbol != '*')
}

/// Matching by going back to the last `*` alone, so that no pattern takes more than its length times the name's.
fn fits(pattern: &str, name: &str, is_one: impl Fn(char) -> bool) -> bool {
    let (mut pattern, mut name, mut star) = (pattern.chars(), name.chars(), None);
    loop {
        let mut rest = pattern.clone();
        match (rest.next(), name.clone().next()) {
            (Some('*'), _) => {
                star = Some((rest.clone(), name.clone()));
                pattern = rest;
            }
            (Some(wanted), Some(found)) if wanted == found || (wanted == '?' && is_one(found)) => {
                pattern = rest;
                name.next();
            }
            (None, None) => return true,
            _ => {
                let Some((after, from)) = &mut star else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, name) = (after.clone(), from.clone());
            }
        }
    }
}

/// Whether a text is a pattern at all, or just a name.
pub(super) fn is_exact(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

/// One pattern, ready to be met often.
#[derive(Debug)]
pub(super) enum Pattern {
    Any,
    Exact(Box<str>),
    Glob(Box<str>),
}

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            text if is_exact(text) => Self::Exact(text.into()),
            text => Self::Glob(text.into()),
        }
    }

    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *name,
            Self::Glob(glob) => matches(glob, name),
        }
    }
}

/// Alternatives; none at all means everything.
#[derive(Debug)]
pub(super) struct Patterns(Box<[Pattern]>);

impl Patterns {
    pub(super) fn new(texts: &[String]) -> Self {
        if texts.iter().any(|text| text == "*") {
            return Self(Box::default());
        }
        Self(texts.iter().map(|text| Pattern::new(text)).collect())
    }

    pub(super) fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn fit(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.fits(name))
    }

    /// The names it consists of, if it consists of names alone.
    pub(super) fn names(&self) -> Option<impl Iterator<Item = &str>> {
        let exact = |pattern: &Pattern| matches!(pattern, Pattern::Exact(_));
        (!self.0.is_empty() && self.0.iter().all(exact)).then(|| {
            self.0.iter().filter_map(|pattern| match pattern {
                Pattern::Exact(name) => Some(&**name),
                Pattern::Any | Pattern::Glob(_) => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?b", "ab", true),
            ("?b", "éb", true),
            ("?", "", false),
            ("*a*b*", "xaybz", true),
            ("*é?", "aéüéx", true),
            ("**", "é", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
            assert_eq!(Pattern::new(pattern).fits(name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn a_wide_pattern_covers_narrow_ones() {
        for (wide, narrow, want) in [
            ("*", "a*", true),
            ("a*", "ab*", true),
            ("ab*", "a*", false),
            ("?", "*", false),
            ("?", "?", true),
            ("a?", "ab", true),
            ("*x*", "ax?", true),
            ("a*c", "a?c", true),
        ] {
            assert_eq!(covers(wide, narrow), want, "{wide} {narrow}");
        }
    }

    proptest::proptest! {
        #[test]
        fn covering_is_never_wrong(wide in "[ab*?]{0,4}", narrow in "[ab*?]{0,4}", name in "[abc]{0,5}") {
            if covers(&wide, &narrow) && matches(&narrow, &name) {
                proptest::prop_assert!(matches(&wide, &name));
            }
        }
    }
}

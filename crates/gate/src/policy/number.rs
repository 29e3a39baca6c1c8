//! Numbers of JSON, compared exactly: as decimals of any size, never through a float.

use std::cmp::Ordering;

/// A number: `0.DIGITS × 10^point`, digits without zeros at either end; zero has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    digits: Box<str>,
    point: i64,
}

impl Decimal {
    /// The number that a JSON number's text says; `None` for any other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if whole.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        let leading = all.len() - significant.len();
        let digits: Box<str> = significant.trim_end_matches('0').into();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, point: 0 });
        }
        let point = exponent_of(exponent)?.saturating_add(whole.len() as i64 - leading as i64);
        Some(Self { negative, digits, point })
    }

    /// The number that a float's shortest text says, which is what was written; `None` if it is not finite.
    pub(super) fn of_float(float: f64) -> Option<Self> {
        if float.is_finite() { Self::parse(&float.to_string()) } else { None }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

/// An exponent beyond all measure is as good as the greatest.
fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(['+', '-']);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    Some(if text.starts_with('-') { -size } else { size })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits));
        self.sign().cmp(&other.sign()).then_with(|| match self.sign() {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let of = |text: &str| Decimal::parse(text).unwrap();
        for (less, more) in [
            ("1", "2"),
            ("-2", "-1"),
            ("-1", "0"),
            ("0", "0.001"),
            ("9007199254740992", "9007199254740993"),
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            ("1e-400", "1e-399"),
            ("99", "1e2"),
            ("1.5", "1.50000000000000000000001"),
            ("-1e999999999999999999999", "1e999999999999999999999"),
        ] {
            assert!(of(less) < of(more), "{less} {more}");
            assert!(of(more) > of(less), "{less} {more}");
        }
        for (one, same) in [("1", "1.0"), ("100", "1e2"), ("0", "-0.0e5"), ("0.5", "5E-1"), ("12e+1", "120")] {
            assert_eq!(of(one).cmp(&of(same)), Ordering::Equal, "{one} {same}");
        }
        assert_eq!(Decimal::of_float(0.1), Some(of("0.1")));
        assert_eq!(Decimal::of_float(f64::NAN), None);
        assert_eq!(Decimal::parse("x"), None);
    }
}

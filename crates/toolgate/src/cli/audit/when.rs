//! Moments: as people write them, and as they are shown.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What `--since` and `--until` take: `90s`, `30m`, `1h`, `2d`, `1w` (ago), or RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So many microseconds ago.
    Ago(u64),
    /// Microseconds since 1970.
    At(u64),
}

impl When {
    /// In microseconds since 1970.
    pub fn micros(self, now: u64) -> u64 {
        match self {
            Self::Ago(ago) => now.saturating_sub(ago),
            Self::At(at) => at,
        }
    }
}

impl std::str::FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return u64::try_from(at.as_microsecond()).map(Self::At).map_err(|_| "that is before 1970");
        }
        ago(text).map(Self::Ago).ok_or("write it like `90s`, `30m`, `1h`, `2d`, `1w` or `2026-11-20T21:00:00Z`")
    }
}

fn ago(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds * 1_000_000)
}

/// Local time to the millisecond.
pub fn local(micros: u64) -> String {
    zoned(micros, TimeZone::system())
}

/// UTC to the microsecond.
pub fn utc(micros: u64) -> String {
    moment(micros).map_or_else(|| micros.to_string(), |at| format!("{at:.6}"))
}

fn moment(micros: u64) -> Option<Timestamp> {
    Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()
}

fn zoned(micros: u64, zone: TimeZone) -> String {
    let shown = |at: Timestamp| at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
    moment(micros).map_or_else(|| micros.to_string(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_said_from_now_or_outright() {
        let check = |text: &str, want: Option<When>| assert_eq!(text.parse::<When>().ok(), want, "{text}");
        check("90s", Some(When::Ago(90_000_000)));
        check("2d", Some(When::Ago(172_800_000_000)));
        check("2026-11-20T21:00:00Z", Some(When::At(1_795_208_400_000_000)));
        check("2026-11-20T22:00:00.5+01:00", Some(When::At(1_795_208_400_500_000)));
        for text in ["", "h", "1", "-1h", "1y", "yesterday", "ü", "99999999999999999999s", "1969-01-01T00:00:00Z"] {
            check(text, None);
        }
        assert_eq!(When::Ago(5).micros(7), 2);
    }

    #[test]
    fn moments_are_shown_in_their_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(zoned(1_795_208_400_123_456, zone), "2026-11-20T23:00:00.123+02:00");
        assert_eq!(utc(1_795_208_400_123_456), "2026-11-20T21:00:00.123456Z");
    }
}

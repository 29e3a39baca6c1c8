//! What one run of calls came to.

use std::time::{Duration, Instant};

use bench::clock::now;

use crate::work::Job;

/// How to run a storm of calls.
pub struct Plan<'a> {
    pub job: &'a Job,
    pub callers: u64,
    /// The id of the first call; the others follow.
    pub first: u64,
    /// No call begins after this.
    pub until: Instant,
    /// Nor more calls than these.
    pub limit: u64,
    /// How long one answer may take.
    pub patience: Duration,
}

impl Plan<'_> {
    /// Whether one more call may begin after `sent` of them.
    pub fn goes_on(&self, sent: u64) -> bool {
        sent < self.limit && now() < self.until
    }
}

/// Latencies and verdicts.
#[derive(Debug, Default)]
pub struct Tally {
    nanos: Vec<u64>,
    pub wrong: u64,
    pub first_wrong: Option<String>,
}

impl Tally {
    pub fn add(&mut self, took: Duration, verdict: Result<(), String>) {
        self.nanos.push(took.as_nanos() as u64);
        if let Err(why) = verdict {
            self.fail(why);
        }
    }

    pub fn fail(&mut self, why: String) {
        self.wrong += 1;
        self.first_wrong.get_or_insert(why);
    }

    pub fn calls(&self) -> u64 {
        self.nanos.len() as u64
    }

    /// The latency in milliseconds below which `share` of the calls lie.
    pub fn quantile(&mut self, share: f64) -> f64 {
        if self.nanos.is_empty() {
            return f64::NAN;
        }
        let rank = ((self.nanos.len() - 1) as f64 * share).round() as usize;
        let (_, value, _) = self.nanos.select_nth_unstable(rank);
        *value as f64 / 1e6
    }
}

/// The middle of `values`; `None` when there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([f64::NAN, 1.0]), Some(1.0));
        assert_eq!(median([]), None);
    }

    #[test]
    fn quantiles_are_taken_from_the_sorted_times() {
        let mut tally = Tally::default();
        for millis in (0..=100).rev() {
            tally.add(Duration::from_millis(millis), Ok(()));
        }
        assert_eq!((tally.quantile(0.5), tally.quantile(0.99)), (50.0, 99.0));
        assert_eq!((tally.calls(), tally.wrong), (101, 0));
    }
}

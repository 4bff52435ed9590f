//! How long answers are, and how long they take.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use paceline_mock::profile::Spread;

/// A spread is drawn so often, once, and then drawn from: the mean of so many is within half a percent of the truth.
const DRAWN: usize = 1 << 16;
/// The seed of these draws: the same assumption always gives the same plan.
const DRAWN_SEED: u64 = 1;
/// No answer is longer, and none slower.
const LONGEST: f64 = 1e6;
const SLOWEST: Duration = Duration::from_secs(3600);

/// Lengths of answers in tokens, each as likely as the others. Cheap to clone: many models share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths {
    sorted: Arc<[u32]>,
    sums: Arc<[u64]>, // Of the shortest ones: `sums[n]` is that of `n`.
}

impl Lengths {
    /// Lengths that were seen; none stands for answers without tokens.
    pub fn seen(mut lengths: Vec<u32>) -> Self {
        lengths.sort_unstable();
        let mut sum = 0;
        let sums = lengths.iter().map(|length| {
            sum += u64::from(*length);
            sum
        });
        Self { sums: std::iter::once(0).chain(sums).collect(), sorted: lengths.into() }
    }

    /// Lengths of this spread.
    pub fn spread(spread: &Spread) -> Self {
        let mut rng = Rng::with_seed(DRAWN_SEED);
        Self::seen((0..DRAWN).map(|_| spread.draw(&mut rng).clamp(1.0, LONGEST) as u32).collect())
    }

    /// As many lengths, drawn from these: where these are a sample, so could that have been.
    pub(super) fn resampled(&self, rng: &mut Rng) -> Self {
        Self::seen(self.sorted.iter().map(|_| self.sorted[rng.usize(..self.sorted.len())]).collect())
    }

    /// One length, cut off at `most`.
    pub fn draw(&self, rng: &mut Rng, most: Option<u64>) -> u64 {
        if self.sorted.is_empty() {
            return 0;
        }
        let length = u64::from(self.sorted[rng.usize(..self.sorted.len())]);
        most.map_or(length, |most| length.min(most))
    }

    /// The mean of lengths that are cut off at `most`.
    pub fn mean(&self, most: Option<u64>) -> f64 {
        let count = self.sorted.len();
        if count == 0 {
            return 0.0;
        }
        let most = most.unwrap_or(u64::MAX);
        let shorter = self.sorted.partition_point(|length| u64::from(*length) <= most);
        let cut = most.saturating_mul((count - shorter) as u64);
        self.sums[shorter].saturating_add(cut) as f64 / count as f64
    }

    /// The length that this share of all lengths does not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        let last = self.sorted.len().saturating_sub(1);
        let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.sorted.get(at).copied().map_or(0, u64::from)
    }
}

/// How answers come.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Their lengths.
    pub lengths: Lengths,
    /// Those of jobs that name just this most, where they are known apart: what is cut off tells nothing of others.
    pub by_most: Vec<(u64, Lengths)>,
    /// The lengths are a sample, whose own chance belongs into a forecast.
    pub is_sample: bool,
    /// Milliseconds to the first token.
    pub first_token_ms: Spread,
    /// Milliseconds from token to token.
    pub token_every_ms: Spread,
}

impl Answers {
    /// Answers without tokens, at once: for jobs whose own are known.
    pub fn none() -> Self {
        let none = Spread { median: 0.0, sigma: 0.0 };
        Self {
            lengths: Lengths::seen(Vec::new()),
            by_most: Vec::new(),
            is_sample: false,
            first_token_ms: none,
            token_every_ms: none,
        }
    }

    /// The same, by another sample that is as likely.
    pub(super) fn resampled(&self, rng: &mut Rng) -> Self {
        let by_most = self.by_most.iter().map(|(most, lengths)| (*most, lengths.resampled(rng))).collect();
        Self { lengths: self.lengths.resampled(rng), by_most, ..self.clone() }
    }

    /// The lengths of jobs that name this most.
    pub fn of(&self, most: Option<u64>) -> &Lengths {
        let own = self.by_most.iter().find(|(known, _)| Some(*known) == most);
        own.map_or(&self.lengths, |(_, lengths)| lengths)
    }

    /// How long an answer of this many tokens takes on average.
    pub fn mean_duration(&self, tokens: f64) -> Duration {
        let mean = |spread: &Spread| spread.median * (spread.sigma * spread.sigma / 2.0).exp();
        let millis = mean(&self.first_token_ms) + tokens * mean(&self.token_every_ms);
        Duration::from_secs_f64((millis / 1e3).min(SLOWEST.as_secs_f64()))
    }

    /// How one answer comes: until the first token, and from token to token.
    pub(super) fn draw_times(&self, rng: &mut Rng) -> (Duration, Duration) {
        let mut millis =
            |spread: &Spread| Duration::from_secs_f64((spread.draw(rng) / 1e3).min(SLOWEST.as_secs_f64()));
        (millis(&self.first_token_ms), millis(&self.token_every_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_cap() {
        let lengths = Lengths::seen(vec![300, 100, 200]);
        for (most, mean) in
            [(None, 200.0), (Some(1_000), 200.0), (Some(200), 500.0 / 3.0), (Some(50), 50.0), (Some(0), 0.0)]
        {
            assert!((lengths.mean(most) - mean).abs() < 1e-9, "{most:?}");
        }
        assert_eq!((lengths.quantile(0.0), lengths.quantile(0.5), lengths.quantile(1.0)), (100, 200, 300));
    }

    #[test]
    fn a_spread_has_the_median_and_the_mean_it_names() {
        let lengths = Lengths::spread(&Spread { median: 300.0, sigma: 0.7 });
        assert!(lengths.quantile(0.5).abs_diff(300) <= 4, "{}", lengths.quantile(0.5));
        let mean = 300.0 * (0.49_f64 / 2.0).exp();
        assert!((lengths.mean(None) / mean - 1.0).abs() < 0.01, "{}", lengths.mean(None));
    }

    #[test]
    fn no_lengths_are_answers_without_tokens() {
        let none = Lengths::seen(Vec::new());
        assert_eq!((none.draw(&mut Rng::with_seed(1), None), none.quantile(0.5)), (0, 0));
        assert_eq!(none.mean(None), 0.0);
    }
}

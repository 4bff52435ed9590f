//! How close a run came to its limits' own speed.

use std::time::Duration;

use paceline_core::quota::{Dimension, OutputRule};

use super::view::Meter;

/// Sending that took less tells nothing about a speed.
const LEAST_SENDING: Duration = Duration::from_secs(1);

/// What a run charged to its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charges {
    /// Attempts that were sent.
    pub(crate) attempts: u64,
    /// The whole input of the answers.
    pub(crate) input_tokens: u64,
    /// The whole output of the answers.
    pub(crate) output_tokens: u64,
}

/// How close a run came, and to which limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Closeness {
    /// The limit that would have taken longest on its own.
    pub(crate) limit: Meter,
    /// That time, as a share of the time from the first attempt to the last.
    pub(crate) share: f64,
}

/// Compares the time that sending took with the least time that each limit would take for the same work at a steady rate.
///
/// A run of `n` attempts has `n - 1` gaps between them, so the last attempt's own charge takes no time.
pub(crate) fn closeness(
    charges: &Charges,
    output: OutputRule,
    meters: &[Meter],
    sending: Duration,
) -> Option<Closeness> {
    if sending < LEAST_SENDING {
        return None;
    }
    let gaps = charges.attempts.checked_sub(1).filter(|gaps| *gaps > 0)? as f64 / charges.attempts as f64;
    let steady = |meter: &Meter| {
        let used = charged(charges, output, meter.dimension)? as f64 * gaps;
        let share = used * meter.window.as_secs_f64() / meter.limit.max(1) as f64 / sending.as_secs_f64();
        share.is_finite().then_some(Closeness { limit: *meter, share })
    };
    // How close a run came to a limit that nobody told says nothing.
    meters
        .iter()
        .filter(|meter| !meter.is_guess)
        .filter_map(steady)
        .max_by(|a, b| a.share.total_cmp(&b.share))
}

/// What the run charged to this dimension; unknown where the provider charges by a rule of its own.
fn charged(charges: &Charges, output: OutputRule, dimension: Dimension) -> Option<u64> {
    match (dimension, output) {
        (Dimension::Requests, _) => Some(charges.attempts),
        (Dimension::InputTokens, _) | (Dimension::TotalTokens, OutputRule::NotCounted) => {
            Some(charges.input_tokens)
        }
        (_, OutputRule::UpFront) => None,
        (Dimension::OutputTokens, _) => Some(charges.output_tokens),
        (Dimension::TotalTokens, _) => Some(charges.input_tokens.saturating_add(charges.output_tokens)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_against_the_limit_that_takes_longest() {
        let minute = Duration::from_secs(60);
        let meters = [
            Meter { dimension: Dimension::Requests, window: minute, used: 50, limit: 50, is_guess: false },
            Meter {
                dimension: Dimension::InputTokens,
                window: minute,
                used: 0,
                limit: 30_000,
                is_guess: false,
            },
        ];
        let charges = Charges { attempts: 101, input_tokens: 10_000, output_tokens: 0 };
        let found = closeness(&charges, OutputRule::Produced, &meters, Duration::from_secs(120)).unwrap();
        assert_eq!(found.limit.dimension, Dimension::Requests);
        assert!((found.share - 1.0).abs() < 1e-9, "{}", found.share);
        assert_eq!(closeness(&Charges::default(), OutputRule::Produced, &meters, minute), None);
        assert_eq!(closeness(&charges, OutputRule::Produced, &[], minute), None);
        let guesses = meters.map(|meter| Meter { is_guess: true, ..meter });
        assert_eq!(closeness(&charges, OutputRule::Produced, &guesses, minute), None);
        assert_eq!(closeness(&charges, OutputRule::Produced, &meters, Duration::ZERO), None);
    }
}

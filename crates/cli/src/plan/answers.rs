//! How answers are taken to come: how long they are, and how fast.

use std::time::Duration;

use paceline_mock::profile::{Profile, Spread};
use paceline_sim::plan::{Answers, Lengths};
use paceline_wire::provider::Provider;

use super::Premises;
use super::assumed::{GUESS, OutputTokens};
use super::calibration::Calibration;
use super::world::latency;

/// Until the first token is here, where nobody told.
pub(super) const FIRST_TOKEN: Duration = Duration::from_millis(600);
/// Spread of that.
const FIRST_TOKEN_SIGMA: f64 = 0.4;
/// Spread of the speed at which models write.
const SPEED_SIGMA: f64 = 0.25;

/// Where the lengths of answers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LengthsFrom {
    /// They were typed.
    Typed,
    /// So many results that are there already.
    Results(usize),
    /// The mock's account.
    Mock,
    /// Nobody told anything.
    Guess,
}

/// What is known of answers to come.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    typed: Option<Lengths>,
    tokens_per_second: Option<u32>,
    first_token: Option<Duration>,
    /// What of that is the network's: both ways.
    on_the_way: Duration,
    mock: Option<(Profile, Lengths)>,
    guess: Lengths,
}

impl Outlook {
    /// From what was typed, and the account of the mock when that is who is asked.
    pub(crate) fn new(premises: &Premises) -> Self {
        let mock = premises.sources.mock.as_ref();
        Self {
            typed: premises.output.map(OutputTokens::lengths),
            tokens_per_second: premises.tokens_per_second,
            first_token: premises.first_token,
            on_the_way: 2 * latency(&premises.sources),
            mock: mock.map(|profile| (profile.clone(), Lengths::spread(&profile.output_tokens))),
            guess: GUESS.lengths(),
        }
    }

    /// Where lengths come from: what was typed holds, then what was seen.
    pub(crate) fn lengths_from(&self, seen: &Calibration) -> LengthsFrom {
        match (&self.typed, seen.lengths(), &self.mock) {
            (Some(_), ..) => LengthsFrom::Typed,
            (None, Some(_), _) => LengthsFrom::Results(seen.answers()),
            (None, None, Some(_)) => LengthsFrom::Mock,
            (None, None, None) => LengthsFrom::Guess,
        }
    }

    /// How answers of a provider come.
    pub(crate) fn answers(&self, provider: &Provider, seen: &Calibration) -> Answers {
        let (lengths, by_most) = match (&self.typed, seen.lengths(), &self.mock) {
            (Some(typed), ..) => (typed.clone(), Vec::new()),
            (None, Some(seen), _) => seen,
            (None, None, Some((_, lengths))) => (lengths.clone(), Vec::new()),
            (None, None, None) => (self.guess.clone(), Vec::new()),
        };
        let per_second = self.tokens_per_second.unwrap_or(provider.tokens_per_second).max(1);
        let every = 1_000.0 / f64::from(per_second);
        let paced = Spread { median: every, sigma: SPEED_SIGMA };
        let (first_token_ms, token_every_ms) = match &self.mock {
            Some((profile, _)) => (
                self.first_token.map_or(profile.first_token_ms, |typed| self.begun(typed)),
                self.tokens_per_second.map_or(profile.token_every_ms, |_| paced),
            ),
            None => (self.begun(self.first_token.unwrap_or(FIRST_TOKEN)), paced),
        };
        let is_sample = matches!(self.lengths_from(seen), LengthsFrom::Results(_));
        Answers { lengths, by_most, is_sample, first_token_ms, token_every_ms }
    }

    /// When a model begins whose first token is `here` after so long: who measures that measures the network, too.
    fn begun(&self, here: Duration) -> Spread {
        let median = here.saturating_sub(self.on_the_way).as_secs_f64() * 1e3;
        Spread { median, sigma: FIRST_TOKEN_SIGMA }
    }
}

#[cfg(test)]
mod tests {
    use paceline_wire::provider::Catalog;

    use super::*;

    #[test]
    fn the_wait_for_the_first_token_has_the_network_in_it() {
        let provider = Catalog::embedded().provider("anthropic").unwrap();
        for (typed, model_takes) in [(None, 540.0), (Some(250), 190.0), (Some(5), 0.0)] {
            let outlook = Outlook {
                typed: None,
                tokens_per_second: None,
                first_token: typed.map(Duration::from_millis),
                on_the_way: Duration::from_millis(60),
                mock: None,
                guess: GUESS.lengths(),
            };
            let answers = outlook.answers(provider, &Calibration::default());
            assert!((answers.first_token_ms.median - model_takes).abs() < 1e-6, "{typed:?}");
        }
    }
}

//! How long answers are taken to be: typed, as the mock's, as the results so far, or a guess that says so.

use paceline_mock::profile::Spread;
use paceline_sim::plan::Lengths;

/// What is taken for answers that nobody has told anything about.
pub(crate) const GUESS: OutputTokens = OutputTokens::Quantiles { half: 300, most: 900 };
/// Spread of lengths of which only the mean is known.
const USUAL_SIGMA: f64 = 0.7;
/// How many standard deviations lie below the nine in ten of a normal distribution.
const NINE_IN_TEN: f64 = 1.281_551_6;
/// No answer is longer.
const LONGEST: u64 = 1_000_000;

/// A typed assumption about the tokens of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputTokens {
    /// Half of all answers have no more than `half`, nine of ten no more than `most`.
    Quantiles { half: u64, most: u64 },
    /// Their mean.
    Mean(u64),
}

impl OutputTokens {
    /// Reads `p50=300,p90=900` or `400`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fault =
            || format!("`{text}` tells no tokens of answers; write `p50=300,p90=900`, or the mean, as `400`");
        let count = |text: &str| {
            let count = crate::units::count(text.trim()).map_err(|_| fault())?;
            if count <= LONGEST { Ok(count) } else { Err(format!("`{text}` is longer than any answer")) }
        };
        let Some((first, second)) = text.split_once(',') else { return count(text).map(OutputTokens::Mean) };
        let value = |part: &str, name: &str| part.trim().strip_prefix(name).ok_or_else(fault).and_then(count);
        let (half, most) = (value(first, "p50=")?, value(second, "p90=")?);
        match half <= most {
            true => Ok(OutputTokens::Quantiles { half, most }),
            false => Err(format!("`{text}`: p90 cannot be less than p50")),
        }
    }

    /// The log-normal lengths that fit.
    pub(crate) fn lengths(self) -> Lengths {
        Lengths::spread(&match self {
            OutputTokens::Quantiles { half, most } => {
                Spread { median: half as f64, sigma: (most as f64 / half as f64).ln() / NINE_IN_TEN }
            }
            OutputTokens::Mean(mean) => {
                Spread { median: mean as f64 * (-USUAL_SIGMA * USUAL_SIGMA / 2.0).exp(), sigma: USUAL_SIGMA }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_means_are_read_and_met() {
        let lengths = OutputTokens::parse("p50=300, p90=900").unwrap().lengths();
        assert!(lengths.quantile(0.5).abs_diff(300) < 5, "{}", lengths.quantile(0.5));
        assert!(lengths.quantile(0.9).abs_diff(900) < 20, "{}", lengths.quantile(0.9));
        let mean = OutputTokens::parse("1k").unwrap().lengths().mean(None);
        assert!((mean - 1_000.0).abs() < 10.0, "{mean}");
        assert_eq!(OutputTokens::parse("p50=7,p90=7").unwrap().lengths().quantile(1.0), 7);
    }

    #[test]
    fn what_is_neither_says_what_helps() {
        for text in
            ["", "p50=300", "p90=9,p50=3", "p50=9,p90=3", "p50=0,p90=3", "many", "-5", "p50=1,p90=2M", "9G"]
        {
            assert!(OutputTokens::parse(text).is_err(), "{text}");
        }
    }
}

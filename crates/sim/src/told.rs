//! What an answer tells about limits: the provider's meter, worded as headers by the mock and read back as the client
//! reads them, rounding and all.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_core::feedback::LimitSeen;
use paceline_core::time::Time;
use paceline_mock::headers;
use paceline_mock::model::Standing;
use paceline_wire::limits;
use paceline_wire::provider::{Catalog, Provider};

/// The wall clock at the start of virtual time: some moment that is no round number.
const START_UNIX: Duration = Duration::from_millis(1_763_904_071_370);

/// Whose manners the provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// `anthropic-ratelimit-*`: tokens rounded to a thousand.
    Anthropic,
    /// `x-ratelimit-*`: exact, requests and tokens only.
    OpenAi,
}

impl Manners {
    fn provider(self) -> &'static Provider {
        let name = match self {
            Manners::Anthropic => "anthropic",
            Manners::OpenAi => "openai",
        };
        Catalog::embedded().provider(name).expect("the embedded catalog has the two providers")
    }
}

/// The limits that the headers of an answer made at `now` report.
pub fn limits(manners: Manners, standings: &[Standing], now: Time) -> Vec<LimitSeen> {
    let now_unix = START_UNIX + now.since(Time::ZERO);
    let lines = match manners {
        Manners::Anthropic => headers::anthropic(standings, now_unix),
        Manners::OpenAi => headers::openai(standings),
    };
    let lines = lines.into_iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    });
    limits::read(manners.provider(), &lines.collect::<HeaderMap>(), now_unix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::quota::Dimension;

    #[test]
    fn a_standing_survives_the_way_through_headers() {
        let window = Duration::from_secs(60);
        let standing = |dimension, limit, remaining| {
            let reset = Duration::from_secs(30);
            Standing { dimension, window, limit, remaining, reset }
        };
        let standings =
            [standing(Dimension::Requests, 600, 420), standing(Dimension::InputTokens, 900_000, 123_456)];
        let seen = limits(Manners::Anthropic, &standings, Time::ZERO);
        let of = |dimension| seen.iter().find(|seen| seen.dimension == dimension).expect("it was told");
        assert_eq!(
            (of(Dimension::Requests).limit, of(Dimension::Requests).remaining),
            (Some(600), Some(420))
        );
        let input = of(Dimension::InputTokens);
        assert_eq!((input.limit, input.remaining, input.rounding), (Some(900_000), Some(123_000), 1_000));
    }
}

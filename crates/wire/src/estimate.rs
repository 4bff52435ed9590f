//! Tokens of a request before anyone has counted them: bytes times a ratio that usage teaches.
//!
//! No tokenizer: there is none for most models, and what one counts is not what a provider charges. A few answers of
//! the same kind (model and route) tell more.

use std::collections::BTreeMap;

use crate::provider::Provider;

/// How far an untaught estimate lies above its prior: too low costs refusals, too high only a moment.
const CAUTION: f64 = 1.1;
/// How many answers the prior is worth at first.
const PRIOR_ANSWERS: f64 = 2.0;
/// What an observation is still worth after one more.
const MEMORY: f64 = 0.97;
/// An answer may lie this many times above or below the estimate; beyond that it tells of something else.
const MOST_SURPRISE: f64 = 16.0;

/// How big a request is, as far as its bytes show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes of text and tools.
    pub bytes: u64,
    /// Tokens known beforehand, such as those of images.
    pub fixed_tokens: u64,
}

/// The learned ratio of one kind of request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Tokens per byte that the provider's data suggests.
    prior: f64,
    /// What the prior is still worth, in answers.
    prior_weight: f64,
    /// Answers seen, older ones counting less.
    answers: f64,
    /// Tokens the prior alone gives for what was seen, faded likewise.
    expected: f64,
    /// Tokens there really were.
    actual: f64,
}

impl Ratio {
    /// The ratio before any answer.
    pub fn prior(provider: &Provider) -> Self {
        let prior = 1000.0 / f64::from(provider.milli_bytes_per_token.max(1));
        Ratio { prior, prior_weight: PRIOR_ANSWERS, answers: 0.0, expected: 0.0, actual: 0.0 }
    }

    /// The tokens that a request of this size is expected to have, rounded up.
    pub fn tokens(&self, size: Size) -> u64 {
        // Rounded to a millionth first: the noise of floats must not turn 110 into 111.
        let micro_tokens_per_byte = (self.prior * self.factor() * 1e6).round() as u128;
        let text = (u128::from(size.bytes) * micro_tokens_per_byte).div_ceil(1_000_000);
        size.fixed_tokens.saturating_add(u64::try_from(text).unwrap_or(u64::MAX))
    }

    /// Learns that a request of this size had `tokens`: its whole prompt, cached or not.
    pub fn observe(&mut self, size: Size, tokens: u64) {
        let expected = size.bytes as f64 * self.prior;
        let actual = tokens.saturating_sub(size.fixed_tokens) as f64;
        if expected < 1.0 {
            return;
        }
        let actual = actual.clamp(expected / MOST_SURPRISE, expected * MOST_SURPRISE);
        self.answers = self.answers * MEMORY + 1.0;
        self.expected = self.expected * MEMORY + expected;
        self.actual = self.actual * MEMORY + actual;
        self.prior_weight *= MEMORY;
    }

    /// How many times the prior's tokens there are, as far as is known.
    fn factor(&self) -> f64 {
        let seen = if self.expected > 0.0 { self.actual / self.expected } else { 0.0 };
        (CAUTION * self.prior_weight + seen * self.answers) / (self.prior_weight + self.answers)
    }
}

/// The ratios of many kinds of requests. Bounded: the kind unused for longest is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Ratios {
    /// By model, then by route: so each is looked up by the names as they are.
    models: BTreeMap<String, BTreeMap<String, Learned>>,
    kinds: usize,
    uses: u64,
}

/// What is remembered of one kind.
#[derive(Clone, Copy, Debug)]
struct Learned {
    ratio: Ratio,
    /// When it was used last, counted in uses of all.
    used: u64,
}

impl Ratios {
    /// The most kinds remembered.
    pub const MOST_KINDS: usize = 1024;

    /// The ratio for `model` on `route` (whatever tells kinds of requests apart: a tenant, a file of jobs). A new route
    /// starts from what the model's other routes taught.
    pub fn ratio(&self, provider: &Provider, model: &str, route: &str) -> Ratio {
        let routes = self.models.get(model);
        let known = routes.and_then(|routes| routes.get(route).or_else(|| routes.get("")));
        known.map_or_else(|| Ratio::prior(provider), |learned| learned.ratio)
    }

    /// Learns that a request for `model` on `route` had `tokens`.
    pub fn observe(&mut self, provider: &Provider, model: &str, route: &str, size: Size, tokens: u64) {
        for route in [route, ""].iter().take(if route.is_empty() { 1 } else { 2 }) {
            let mut ratio = self.ratio(provider, model, route);
            ratio.observe(size, tokens);
            self.uses += 1;
            self.set(model, route, Learned { ratio, used: self.uses });
        }
        for _ in Self::MOST_KINDS..self.kinds {
            self.forget_oldest();
        }
    }

    fn set(&mut self, model: &str, route: &str, learned: Learned) {
        if let Some(known) = self.models.get_mut(model).and_then(|routes| routes.get_mut(route)) {
            *known = learned;
            return;
        }
        self.models.entry(model.to_owned()).or_default().insert(route.to_owned(), learned);
        self.kinds += 1;
    }

    fn forget_oldest(&mut self) {
        let kinds = self.models.iter().flat_map(|(model, routes)| {
            routes.iter().map(move |(route, learned)| (learned.used, model, route))
        });
        let Some((_, model, route)) = kinds.min() else { return };
        let (model, route) = (model.clone(), route.clone());
        if let Some(routes) = self.models.get_mut(&model) {
            routes.remove(&route);
            if routes.is_empty() {
                self.models.remove(&model);
            }
        }
        self.kinds -= 1;
    }

    /// How many kinds are remembered.
    pub fn len(&self) -> usize {
        self.kinds
    }

    /// Whether nothing was learned yet.
    pub fn is_empty(&self) -> bool {
        self.kinds == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::Catalog;

    fn mistral() -> &'static Provider {
        Catalog::embedded().provider("mistral").expect("it is embedded")
    }

    fn text(bytes: u64) -> Size {
        Size { bytes, fixed_tokens: 0 }
    }

    #[test]
    fn it_starts_with_caution() {
        let ratio = Ratio::prior(mistral());
        for (bytes, tokens) in [(0, 0), (1, 1), (4, 2), (400, 110), (4_000, 1_100)] {
            assert_eq!(ratio.tokens(text(bytes)), tokens, "{bytes} bytes");
        }
        assert_eq!(ratio.tokens(Size { bytes: 400, fixed_tokens: 1_000 }), 1_110);
    }

    #[test]
    fn tens_of_answers_teach_it() {
        for (per_thousand_bytes, slack) in [(125, 5), (250, 5), (900, 25)] {
            let mut ratio = Ratio::prior(mistral());
            for _ in 0..60 {
                ratio.observe(text(1_000), per_thousand_bytes);
            }
            let learned = ratio.tokens(text(1_000));
            assert!(learned.abs_diff(per_thousand_bytes) <= slack, "{learned} for {per_thousand_bytes}");
        }
    }

    #[test]
    fn one_odd_answer_does_not_turn_it_over() {
        let mut ratio = Ratio::prior(mistral());
        for _ in 0..30 {
            ratio.observe(text(1_000), 250);
        }
        ratio.observe(text(1_000), u64::MAX);
        assert!(ratio.tokens(text(1_000)) < 500);
        ratio.observe(text(0), 1_000);
        ratio.observe(text(1_000), 0);
        assert!(ratio.tokens(text(1_000)) > 200);
    }

    #[test]
    fn a_new_route_starts_from_its_model() {
        let mut ratios = Ratios::default();
        for _ in 0..60 {
            ratios.observe(mistral(), "m", "one", text(1_000), 500);
        }
        assert!(ratios.ratio(mistral(), "m", "two").tokens(text(1_000)) > 480);
        assert_eq!(ratios.ratio(mistral(), "other", "one"), Ratio::prior(mistral()));
    }

    #[test]
    fn the_kinds_are_bounded_and_the_oldest_goes() {
        let mut ratios = Ratios::default();
        for n in 0..Ratios::MOST_KINDS * 2 {
            ratios.observe(mistral(), &format!("m{n}"), "", text(1_000), 500);
        }
        assert_eq!(ratios.len(), Ratios::MOST_KINDS);
        assert_eq!(ratios.ratio(mistral(), "m0", ""), Ratio::prior(mistral()));
        let last = format!("m{}", Ratios::MOST_KINDS * 2 - 1);
        assert_ne!(ratios.ratio(mistral(), &last, ""), Ratio::prior(mistral()));
    }

    proptest! {
        #[test]
        fn no_history_makes_it_absurd(seen in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 0..40)) {
            let mut ratio = Ratio::prior(mistral());
            for (bytes, fixed_tokens, tokens) in seen {
                ratio.observe(Size { bytes, fixed_tokens }, tokens);
            }
            let tokens = ratio.tokens(text(16_000));
            prop_assert!((16_000 / 4 / 17..=16_000 / 4 * 17).contains(&tokens), "{} tokens", tokens);
        }
    }
}

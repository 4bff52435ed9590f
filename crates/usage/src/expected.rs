//! What a request may take, before it is sent.

use paceline::Candidate;
use paceline_wire::FullUsage;
use paceline_wire::estimate::Ratio;
use paceline_wire::price::{self, MicroUsd};
use paceline_wire::request::{self, Peek};

/// The most that a request is expected to take at whoever may serve it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Input, and the most output.
    pub tokens: u64,
    /// What that costs; `None` when nobody knows the price.
    pub cost: Option<MicroUsd>,
}

impl Expected {
    /// What the request of `peek` may take at any of `candidates`.
    pub fn of(peek: &Peek<'_>, candidates: &[Candidate]) -> Self {
        let mut most = Self::default();
        for candidate in candidates {
            let provider = candidate.provider();
            let demand = request::demand(provider, peek, &Ratio::prior(provider));
            let output = demand.max_output_tokens.unwrap_or(0);
            let usage = FullUsage {
                input_tokens: demand.input_tokens,
                output_tokens: output,
                ..FullUsage::default()
            };
            most.tokens = most.tokens.max(demand.input_tokens.saturating_add(output));
            most.cost = most.cost.max(price::cost(provider, candidate.model(), &usage));
        }
        most
    }
}

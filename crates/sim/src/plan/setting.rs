//! What is planned: the jobs, what meters them, and how their answers come.

use std::time::Duration;

use paceline_core::engine::{LimiterSpec, Priority, TenantId};
use paceline_mock::model::{Limit, Rules};
use paceline_wire::estimate::{Ratio, Size};

use super::answers::Answers;
use crate::told::Manners;

/// The `most_output` of a job that names none.
pub const NO_MOST: u32 = u32::MAX;

/// Jobs, and the world that they are to run in.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The jobs in the order of their input, or as many as were kept, evenly spread over it. Recorded ones are all kept.
    pub jobs: Vec<Sketch>,
    /// How many jobs these stand for.
    pub stands_for: u64,
    /// What jobs have in common, by [`Sketch::kind`].
    pub kinds: Vec<Kind>,
    /// The meters, by [`KindLane::meter`].
    pub meters: Vec<MeterSetting>,
    /// How many upstreams there are.
    pub upstreams: usize,
    /// How the jobs come.
    pub coming: Coming,
    /// One way through the network, median.
    pub latency: Duration,
}

/// One job, as far as its pacing goes: small, because there may be a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Which kind.
    pub kind: u16,
    /// Bytes of text, from which its tokens are estimated.
    pub text_bytes: u32,
    /// Tokens known beforehand.
    pub fixed_tokens: u32,
    /// The most tokens its answer may have, or [`NO_MOST`].
    pub most_output: u32,
    /// Bytes of its body.
    pub body_bytes: u32,
}

impl Sketch {
    /// Its size, for estimates.
    pub fn size(&self) -> Size {
        Size { bytes: u64::from(self.text_bytes), fixed_tokens: u64::from(self.fixed_tokens) }
    }

    /// The most tokens of its answer, when it says.
    pub fn most_output(&self) -> Option<u64> {
        (self.most_output != NO_MOST).then_some(u64::from(self.most_output))
    }
}

/// What jobs for one model at one endpoint have in common.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Who can serve them.
    pub lanes: Vec<KindLane>,
    /// How their tokens are estimated before any answer has taught better.
    pub prior: Ratio,
    /// How many tokens a byte of their text is believed to have in truth.
    pub tokens_per_byte: f64,
    /// How their answers come.
    pub answers: Answers,
}

impl Kind {
    /// The input tokens that the provider is believed to charge for a job.
    pub fn input_tokens(&self, job: &Sketch) -> u64 {
        u64::from(job.fixed_tokens) + (f64::from(job.text_bytes) * self.tokens_per_byte).round() as u64
    }
}

/// One way to serve a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindLane {
    /// Which of the upstreams.
    pub upstream: usize,
    /// Which of the meters.
    pub meter: usize,
    /// Order: see [`paceline_core::engine::Lane`].
    pub tier: u8,
    /// Share within its tier.
    pub weight: u32,
}

/// One account's limits for some models, on both sides.
#[derive(Clone, Debug)]
pub struct MeterSetting {
    /// What the engine starts from.
    pub spec: LimiterSpec,
    /// What the provider enforces.
    pub limits: Vec<Limit>,
    /// How it counts.
    pub rules: Rules,
    /// How its answers tell of the limits; `None` when they don't.
    pub manners: Option<Manners>,
}

/// How jobs come.
#[derive(Clone, Debug, PartialEq)]
pub enum Coming {
    /// All are there from the beginning, and so much of them waits in the engine at once. Their answers are drawn.
    Batch(Ahead),
    /// Each at its own time, and its answer as it was: one for each job, in the order in which they came.
    Recorded(Vec<Recorded>),
}

/// What is known of a job that was done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When it came, since the first one.
    pub at: Duration,
    /// Its class.
    pub priority: Priority,
    /// Whom it counts for.
    pub tenant: TenantId,
    /// What its answer had.
    pub output_tokens: u64,
    /// How long that took to begin.
    pub first_token_after: Duration,
    /// And from token to token.
    pub token_every: Duration,
}

/// How much of a batch waits in the engine at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Jobs.
    pub jobs: usize,
    /// Bytes of their bodies together; a heavier one goes alone.
    pub bytes: usize,
}

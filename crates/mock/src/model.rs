//! The provider's meter: what it counts, and when it says no.
//!
//! Pure and in virtual time: `now` is a parameter. Deliberately naive, so that it can be believed: every limit keeps its
//! own plain record ([`gauge`]), admission asks all of them and charges all or none, and output is counted in small
//! steps as it is produced. It shares no arithmetic with the limiter it is there to check.

pub(crate) mod flight;
pub mod gauge;

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::quota::{Dimension, Metering, OutputRule};
use paceline_core::time::Time;

use self::flight::Flight;
use self::gauge::Gauge;

/// How finely output that is produced while nobody asks is charged: no later than this after it was produced.
const ACCRUAL_STEP: Duration = Duration::from_millis(100);
/// The most steps that are made for one question; after a longer silence they are longer.
const MAX_ACCRUAL_STEPS: u32 = 100_000;

/// How one limit is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Refills steadily, `amount` per window, and holds at most `capacity`: the whole amount for a minute bucket, a
    /// sixtieth of it for one enforced by the second.
    Bucket {
        /// The most that can be taken at once.
        capacity: u64,
    },
    /// A count that starts again every `period`, at instants that are `phase` after a multiple of it.
    FixedWindow {
        /// How long one count lasts; shorter than the limit's window, it gets its share of the amount.
        period: Duration,
        /// Where the boundaries lie.
        phase: Duration,
    },
    /// Everything charged in the last `period`, whenever that is asked.
    SlidingLog {
        /// How long a charge is remembered; shorter than the limit's window, it gets its share of the amount.
        period: Duration,
    },
    /// This fixed window's count plus the last one's, weighted by how much of it a sliding window would still see.
    SlidingCounter {
        /// How long one count lasts; shorter than the limit's window, it gets its share of the amount.
        period: Duration,
        /// Where the boundaries lie.
        phase: Duration,
    },
}

impl Algorithm {
    /// A bucket that holds the share of `amount` that `of` is of `window`: `bucket(600, minute, 1 s)` holds 10.
    pub fn bucket(amount: u64, window: Duration, of: Duration) -> Self {
        Algorithm::Bucket { capacity: gauge::share(amount, of, window) }
    }

    /// Whether a change from `self` to `other` can keep what was counted so far.
    fn keeps_count(self, other: Algorithm) -> bool {
        match (self, other) {
            (Algorithm::Bucket { .. }, Algorithm::Bucket { .. }) => true,
            _ => self == other,
        }
    }
}

/// At most `amount` of `dimension` per `window`, enforced by `algorithm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub dimension: Dimension,
    /// How much.
    pub amount: u64,
    /// Over how long.
    pub window: Duration,
    /// How that is enforced.
    pub algorithm: Algorithm,
}

/// What a provider counts, beside the limits themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When output is charged and whether refusals count.
    pub metering: Metering,
    /// The most calls in flight at once.
    pub concurrency: Option<u32>,
    /// What a call without `max_tokens` is charged where `max_tokens` is charged.
    pub assumed_max_tokens: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { metering: Metering::default(), concurrency: None, assumed_max_tokens: 4096 }
    }
}

/// One call, with all that will be true of it: the caller plays the model, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The caller's name for it, unique among those in flight.
    pub id: u64,
    /// Input tokens as they will be charged.
    pub input_tokens: u64,
    /// What the request allows the model to produce.
    pub max_tokens: Option<u64>,
    /// What the model will produce.
    pub output_tokens: u64,
    /// From admission to the first token.
    pub first_token_after: Duration,
    /// From each token to the next.
    pub token_every: Duration,
}

/// Why a call was not admitted: the limit that makes it wait longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What ran out; `None` means too many calls in flight.
    pub dimension: Option<Dimension>,
    /// Over how long it is counted; zero for calls in flight.
    pub window: Duration,
    /// The limit for that window (or in flight).
    pub limit: u64,
    /// How much of it is used, rounded up.
    pub used: u64,
    /// How much the call wanted.
    pub requested: u64,
    /// When the same call would fit if nobody else came; zero for calls in flight, whose end nobody knows.
    pub retry_in: Duration,
}

impl Refused {
    /// The call wants more than the limit ever grants: waiting will not help.
    pub fn never_fits(&self) -> bool {
        self.limit < self.requested
    }
}

/// One limit as an exact observer sees it; [`crate::headers`] turns it into what a provider sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it counts.
    pub dimension: Dimension,
    /// Over how long.
    pub window: Duration,
    /// The amount per window.
    pub limit: u64,
    /// What would be granted now, rounded down. Enforced by the second, this is a second's share at most.
    pub remaining: u64,
    /// Time until nothing is used any more.
    pub reset: Duration,
}

/// Everything one organisation has used of one model pool.
#[derive(Clone, Debug)]
pub struct Meter {
    rules: Rules,
    gauges: Vec<(Limit, Gauge)>,
    flights: BTreeMap<u64, Flight>,
    accrued_until: Time,
}

impl Meter {
    /// A meter on which nothing was used yet.
    pub fn new(limits: Vec<Limit>, rules: Rules) -> Self {
        let gauges = limits.into_iter().map(|limit| (limit, Gauge::new(&limit))).collect();
        Meter { rules, gauges, flights: BTreeMap::new(), accrued_until: Time::ZERO }
    }

    /// Admits the call and charges every limit, or charges none and says why (refusals may count as requests).
    pub fn admit(&mut self, now: Time, call: &Call) -> Result<(), Refused> {
        self.accrue(now);
        if let Some(refused) = self.refusal(now, call) {
            if self.rules.metering.refusals_count {
                self.charge(now, Dimension::Requests, 1, Gauge::charge_refusal);
            }
            return Err(refused);
        }
        for (limit, gauge) in &mut self.gauges {
            gauge.charge(now, charged_at_admission(&self.rules, limit.dimension, call));
        }
        self.flights.insert(call.id, Flight::new(now, call));
        Ok(())
    }

    /// The refusal that [`Meter::admit`] would give; nothing is charged.
    pub fn check(&mut self, now: Time, call: &Call) -> Result<(), Refused> {
        self.accrue(now);
        self.refusal(now, call).map_or(Ok(()), Err)
    }

    /// The call is over: all its output is charged, what was reserved too much is given back.
    pub fn finish(&mut self, now: Time, id: u64) {
        self.accrue(now);
        if let Some(flight) = self.flights.remove(&id) {
            self.settle(now, &flight, flight.call.output_tokens);
        }
    }

    /// The caller left: only what was produced so far counts.
    pub fn cancel(&mut self, now: Time, id: u64) {
        self.accrue(now);
        if let Some(flight) = self.flights.remove(&id) {
            self.settle(now, &flight, flight.produced_by(now));
        }
    }

    /// Every limit as it stands, in the order they were given.
    pub fn standing(&mut self, now: Time) -> Vec<Standing> {
        self.accrue(now);
        let standing = |(limit, gauge): &mut (Limit, Gauge)| Standing {
            dimension: limit.dimension,
            window: limit.window,
            limit: limit.amount,
            remaining: gauge.remaining(now),
            reset: gauge.empty_in(now),
        };
        self.gauges.iter_mut().map(standing).collect()
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The limits in force.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.gauges.iter().map(|(limit, _)| limit)
    }

    /// Puts other limits in force; those that only changed in size keep what was used.
    pub fn set_limits(&mut self, now: Time, limits: Vec<Limit>) {
        self.accrue(now);
        let mut old = std::mem::take(&mut self.gauges);
        for limit in limits {
            let same = |(was, _): &(Limit, Gauge)| {
                was.dimension == limit.dimension
                    && was.window == limit.window
                    && was.algorithm.keeps_count(limit.algorithm)
            };
            let gauge = match old.iter().position(same) {
                Some(at) => old.swap_remove(at).1.resized(now, &limit),
                None => Gauge::new(&limit),
            };
            self.gauges.push((limit, gauge));
        }
    }

    /// The refusal with the longest wait, if any limit refuses.
    fn refusal(&mut self, now: Time, call: &Call) -> Option<Refused> {
        if let Some(limit) = self.rules.concurrency.filter(|&most| most as usize <= self.flights.len()) {
            let used = self.flights.len() as u64;
            let (dimension, window, retry_in) = (None, Duration::ZERO, Duration::ZERO);
            return Some(Refused { dimension, window, limit: limit.into(), used, requested: 1, retry_in });
        }
        let rules = &self.rules;
        let refused = |(limit, gauge): &mut (Limit, Gauge)| {
            let requested = needed_at_admission(rules, limit.dimension, call);
            let retry_in = gauge.wait(now, requested)?;
            let (dimension, window, used) = (Some(limit.dimension), limit.window, gauge.used(now));
            Some(Refused { dimension, window, limit: limit.amount, used, requested, retry_in })
        };
        let all = self.gauges.iter_mut().filter_map(refused);
        all.max_by_key(|refused| (refused.never_fits(), refused.retry_in))
    }

    /// Charges what the calls in flight produced up to `now`, in steps, so that each token is charged about when it was
    /// produced however rarely anyone asks.
    fn accrue(&mut self, now: Time) {
        if self.rules.metering.output != OutputRule::Produced {
            return;
        }
        let step = ACCRUAL_STEP.max(now.since(self.accrued_until) / MAX_ACCRUAL_STEPS);
        while self.accrued_until < now {
            let silent = self.flights.values().all(Flight::is_exhausted);
            self.accrued_until = if silent { now } else { now.min(self.accrued_until + step) };
            let until = self.accrued_until;
            let produced = self.flights.values_mut().map(|flight| flight.produce(until)).sum();
            self.charge_output(until, produced);
        }
    }

    /// The end of a call that produced `output` tokens in all.
    fn settle(&mut self, now: Time, flight: &Flight, output: u64) {
        match self.rules.metering.output {
            OutputRule::Produced => self.charge_output(now, output.saturating_sub(flight.charged)),
            OutputRule::Reserved => {
                let unused = max_tokens(&self.rules, &flight.call).saturating_sub(output);
                for (limit, gauge) in &mut self.gauges {
                    if matches!(limit.dimension, Dimension::OutputTokens | Dimension::TotalTokens) {
                        gauge.refund(now, flight.admitted, unused);
                    }
                }
            }
            OutputRule::UpFront | OutputRule::NotCounted => {}
        }
    }

    fn charge_output(&mut self, now: Time, amount: u64) {
        self.charge(now, Dimension::OutputTokens, amount, Gauge::charge);
        self.charge(now, Dimension::TotalTokens, amount, Gauge::charge);
    }

    fn charge(&mut self, now: Time, dimension: Dimension, amount: u64, how: fn(&mut Gauge, Time, u64)) {
        if 0 < amount {
            let meant = self.gauges.iter_mut().filter(|(limit, _)| limit.dimension == dimension);
            meant.for_each(|(_, gauge)| how(gauge, now, amount));
        }
    }
}

fn max_tokens(rules: &Rules, call: &Call) -> u64 {
    call.max_tokens.unwrap_or(rules.assumed_max_tokens)
}

/// What an admission charges at once.
fn charged_at_admission(rules: &Rules, dimension: Dimension, call: &Call) -> u64 {
    let output = match rules.metering.output {
        OutputRule::UpFront | OutputRule::Reserved => max_tokens(rules, call),
        OutputRule::Produced | OutputRule::NotCounted => 0,
    };
    match dimension {
        Dimension::Requests => 1,
        Dimension::InputTokens => call.input_tokens,
        Dimension::OutputTokens => output,
        Dimension::TotalTokens => call.input_tokens.saturating_add(output),
    }
}

/// What an admission must find: its charge, or a single token where output is charged as it comes.
fn needed_at_admission(rules: &Rules, dimension: Dimension, call: &Call) -> u64 {
    let charged = charged_at_admission(rules, dimension, call);
    let produced = rules.metering.output == OutputRule::Produced;
    let counts_output = matches!(dimension, Dimension::OutputTokens | Dimension::TotalTokens);
    if produced && counts_output { charged.max(1) } else { charged }
}

#[cfg(test)]
mod tests;

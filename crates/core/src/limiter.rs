//! The buckets that one request must pass: charged together, all or nothing.
//!
//! One limiter stands for the quotas of one account and one set of models, whichever key or upstream is used.

mod answer;
mod guesses;
mod interactive;
mod merge;

use std::time::Duration;

use crate::bucket::{Ask, Bucket};
use crate::engine::{AttemptId, Bind, Learned, LimitSource, LimiterSpec, Priority};
use crate::gate::Gate;
use crate::in_flight::InFlight;
use crate::production::Production;
use crate::quota::{Demand, Dimension, LONGEST_WINDOW, Metering, OutputRule, Quota, SHORTEST_WINDOW};
use crate::time::Time;
use crate::tuning::{
    OUTPUT_COMMITTED, OUTPUT_MARGIN, PROVEN_PACE, PROVEN_PACE_SHARED, PROVEN_SHARE, PROVEN_SPOILED,
    RAMP_GROWTH,
};

pub(crate) use answer::Outcome;
use guesses::Guesses;
use interactive::Interactive;

/// More quotas than any provider has for one set of models: what errors name is not to grow without end.
const MOST_BUCKETS: usize = 16;

const MINUTE: Duration = Duration::from_secs(60);

/// What a request costs, by dimension.
pub(crate) type Charges = [u64; 4];

#[derive(Debug)]
pub(crate) struct Limiter {
    metering: Metering,
    buckets: Vec<Bucket>,
    production: Production,
    pub(crate) slots: InFlight,
    gate: Gate,
    closed_at: Option<Time>, // When the last round of refusals began.
    ramp_began: Option<Time>,
    interactive: Interactive,
    bursting: bool, // The pace was raised on proof, and may be raised again as soon as anything is left.
    burst_at: Option<Time>, // When it was raised last: a window remembers that.
    burst_spoiled: Option<Time>,
    guesses: Guesses,
    binds: Option<Bind>,
    self_hosted: bool,
    throttled: u64,
    told: bool, // Some limit was named, by the user or by a response.
}

/// Headroom held for an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reservation {
    pub(crate) sent_at: Time,
    pub(crate) charges: Charges,
}

/// A request that asks to be admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant<'a> {
    pub(crate) priority: Priority,
    /// What must stay free for those who go first.
    pub(crate) hold: &'a Charges,
    /// Room is being gathered for a large request: what is saved up for it must not be lost.
    pub(crate) gather: &'a Charges,
}

/// When a request may go, and what holds it back until then.
#[derive(Clone, Copy, Debug)]
struct Ready {
    at: Time,
    bind: Bind,
}

impl Limiter {
    pub(crate) fn new(now: Time, spec: &LimiterSpec) -> Self {
        // Every dimension is metered from the start, so that a limit which is told later finds its ledger filled.
        let buckets = Dimension::ALL.iter().map(|&dimension| Bucket::new(dimension, MINUTE)).collect();
        let mut limiter = Self {
            metering: spec.metering,
            buckets,
            production: Production::new(),
            slots: InFlight::new(spec.in_flight, spec.self_hosted),
            gate: Gate::OPEN,
            closed_at: None,
            ramp_began: None,
            interactive: Interactive::new(now),
            bursting: false,
            burst_at: None,
            burst_spoiled: None,
            guesses: Guesses::default(),
            binds: None,
            self_hosted: spec.self_hosted,
            throttled: 0,
            told: spec.self_hosted || !spec.ceilings.is_empty(),
        };
        limiter.set_ceilings(&spec.ceilings);
        limiter.recall(now, &spec.learned);
        if !limiter.told && spec.learned.iter().all(|learned| learned.source == LimitSource::Typed) {
            limiter.bucket(Dimension::Requests, MINUTE).rise(now);
        }
        limiter
    }

    /// Starts from what an earlier session learned, where nothing better is known.
    pub(crate) fn recall(&mut self, now: Time, learned: &[Learned]) {
        for learned in learned {
            let bucket = self.bucket(learned.quota.dimension, learned.quota.window);
            if learned.age < bucket.window {
                bucket.restore(now, learned.used);
            }
            match learned.source {
                _ if bucket.knows_better() => {}
                LimitSource::Typed => {} // Typed again, or no longer wanted.
                LimitSource::Reported => bucket.recall(learned.quota.limit),
                LimitSource::Learned => bucket.remember(now, learned.quota.limit),
            }
        }
        if learned.iter().any(|learned| learned.source != LimitSource::Typed) {
            self.buckets.iter_mut().for_each(Bucket::stop_rising);
        }
    }

    pub(crate) fn set_ceilings(&mut self, ceilings: &[Quota]) {
        self.told |= !ceilings.is_empty();
        for quota in ceilings {
            self.bucket(quota.dimension, quota.window);
        }
        for bucket in &mut self.buckets {
            let same = |quota: &&Quota| {
                quota.dimension == bucket.dimension && metered(quota.window) == bucket.window
            };
            bucket.set_ceiling(ceilings.iter().find(same).map(|quota| quota.limit));
        }
    }

    /// Replaces or adds one ceiling.
    pub(crate) fn set_ceiling(&mut self, ceiling: Quota) {
        self.told = true;
        self.bucket(ceiling.dimension, ceiling.window).set_ceiling(Some(ceiling.limit.max(1)));
    }

    /// The bucket of a dimension and window, made when it is new; the minute's when there are too many.
    fn bucket(&mut self, dimension: Dimension, window: Duration) -> &mut Bucket {
        let window = metered(window);
        let known = self.buckets.iter().position(|b| b.dimension == dimension && b.window == window);
        let index = known.unwrap_or_else(|| {
            if MOST_BUCKETS <= self.buckets.len() {
                return dimension as usize;
            }
            self.buckets.push(Bucket::new(dimension, window));
            self.buckets.len() - 1
        });
        &mut self.buckets[index]
    }

    /// What a request will be charged, as far as can be known before it is sent.
    pub(crate) fn charges(&self, now: Time, demand: &Demand) -> Charges {
        let output = match self.metering.output {
            OutputRule::NotCounted => 0,
            OutputRule::Produced => self.production.expected(now, demand.max_output_tokens),
            OutputRule::UpFront | OutputRule::Reserved => {
                demand.max_output_tokens.unwrap_or_else(|| self.production.expected(now, None))
            }
        };
        [1, demand.input_tokens, output, demand.input_tokens.saturating_add(output)]
    }

    /// The limit this request exceeds all by itself, so that it could never go.
    pub(crate) fn too_large(&self, charges: &Charges) -> Option<(Dimension, u64, u64)> {
        self.buckets.iter().find_map(|bucket| {
            let want = charges[bucket.dimension as usize];
            let known = !self.charged_as_produced(bucket.dimension) && bucket.told() < want;
            known.then_some((bucket.dimension, want, bucket.told()))
        })
    }

    /// When the request may go; now or earlier means now, and [`Limiter::admit`] will hold the headroom.
    pub(crate) fn ready_at(&mut self, now: Time, applicant: &Applicant, charges: &Charges) -> Time {
        let ready = self.find_ready(now, applicant, charges);
        if now < ready.at {
            self.binds = Some(ready.bind);
        }
        ready.at
    }

    fn find_ready(&mut self, now: Time, applicant: &Applicant, charges: &Charges) -> Ready {
        let gate = self.gate.ready_at(now);
        if now < gate {
            return Ready { at: gate, bind: Bind::Gate };
        }
        if !self.slots.has_room() {
            return Ready { at: Time::NEVER, bind: Bind::InFlight };
        }
        let interactive = applicant.priority == Priority::Interactive;
        let pace = self.pace(now);
        // What is left now will be produced into by those in flight: output is never hurried.
        let unhurried = pace.min(1.0);
        if let Some(ready) = self.output_slots_ready(now, interactive, unhurried) {
            return ready;
        }
        let underway = self.production.underway(now);
        let committed = self.committed(now);
        let cautious = self.is_cautious(now);
        let others = if interactive { Default::default() } else { self.interactive.arrivals(now) };
        let mut latest = Ready { at: Time::ZERO, bind: Bind::Learning };
        for index in 0..self.buckets.len() {
            let dimension = self.buckets[index].dimension;
            let produced = self.charged_as_produced(dimension);
            let ask = Ask {
                cost: charges[dimension as usize],
                hold: applicant.hold[dimension as usize],
                others: others[dimension as usize],
                burst_at: self.burst_at,
                underway: if produced { underway } else { 0 },
                committed: if produced { committed } else { 0 },
                cautious,
                interactive,
                pace: if produced { unhurried } else { pace },
                gather: applicant.gather[dimension as usize],
            };
            let bucket = &mut self.buckets[index];
            let at = bucket.ready_at(now, &ask);
            if latest.at < at {
                let learning = bucket.is_learning();
                let bind = if learning { Bind::Learning } else { Bind::Quota(dimension, bucket.window) };
                latest = Ready { at, bind };
            }
        }
        latest
    }

    /// Output that is charged as it is produced is limited by how many produce at once.
    fn output_slots_ready(&self, now: Time, interactive: bool, pace: f64) -> Option<Ready> {
        if self.metering.output != OutputRule::Produced {
            return None;
        }
        let bucket = &self.buckets[Dimension::OutputTokens as usize];
        if !bucket.is_limited() {
            return None;
        }
        let slots =
            (bucket.rate(now) * pace * (1.0 - OUTPUT_MARGIN) / self.production.speed()).ceil().max(1.0);
        let slots = if interactive { slots * 1.2 + 2.0 } else { slots };
        let full = slots <= f64::from(self.production.in_flight());
        full.then_some(Ready { at: Time::NEVER, bind: Bind::Quota(Dimension::OutputTokens, bucket.window) })
    }

    /// The pace as a multiple of the steady rate: raised on proof only, lowered after the provider asked for it.
    fn pace(&mut self, now: Time) -> f64 {
        let shared = self.interactive.is_active(now);
        // Alone, a burst that has begun goes on almost to the end; beside others, half is always left to them.
        let allowed = self.told && !self.is_cautious(now);
        let half_left = allowed && self.all_have_proven(now, PROVEN_SHARE);
        self.bursting = allowed && !shared && (self.bursting || half_left);
        let may_burst =
            self.bursting && self.all_limited(now, |bucket, committed| bucket.may_burst(now, committed));
        if may_burst {
            self.burst_at = Some(now);
        }
        let faster = match (may_burst, shared) {
            (true, _) => PROVEN_PACE,
            (false, true) if half_left => PROVEN_PACE_SHARED,
            _ => 1.0,
        };
        faster * self.ramp_factor(now)
    }

    fn all_have_proven(&self, now: Time, share: f64) -> bool {
        self.all_limited(now, |bucket, committed| bucket.has_proven(now, share, committed))
    }

    /// Whether something holds for all buckets that limit, and what is committed of them; and there are any.
    fn all_limited(&self, now: Time, holds: impl Fn(&Bucket, u64) -> bool) -> bool {
        let mut limited = self.buckets.iter().filter(|bucket| bucket.is_limited()).peekable();
        limited.peek().is_some()
            && limited.all(|bucket| {
                let committed =
                    if self.charged_as_produced(bucket.dimension) { self.committed(now) } else { 0 };
                holds(bucket, committed)
            })
    }

    /// Output tokens that those in flight will have produced in the end.
    fn committed(&self, now: Time) -> u64 {
        let expected = self.production.expected(now, None) as f64 * f64::from(self.production.in_flight());
        (expected * OUTPUT_COMMITTED) as u64
    }

    /// Whether a refusal or an outage was not long ago.
    fn is_cautious(&self, now: Time) -> bool {
        self.burst_spoiled.is_some_and(|at| now.since(at) < PROVEN_SPOILED)
    }

    /// A refusal or an outage: from now on nothing faster than the steady pace, for some time.
    pub(crate) fn spoil_burst(&mut self, now: Time) {
        self.burst_spoiled = Some(now);
    }

    fn ramp_factor(&self, now: Time) -> f64 {
        let Some(began) = self.ramp_began else { return 1.0 };
        let grown = 1.5f64.powf(now.since(began).as_secs_f64() / RAMP_GROWTH.as_secs_f64());
        (0.5 * grown).min(1.0)
    }

    /// Charges an admitted request to every bucket.
    pub(crate) fn admit(
        &mut self,
        now: Time,
        priority: Priority,
        charges: Charges,
        attempt: AttemptId,
    ) -> Reservation {
        if priority == Priority::Interactive {
            self.interactive.note(now, &charges);
        }
        self.gate.pass(now, attempt);
        self.slots.start();
        self.production.start(now);
        for index in 0..self.buckets.len() {
            let on_ledger = !self.charged_as_produced(self.buckets[index].dimension);
            let bucket = &mut self.buckets[index];
            let cost = charges[bucket.dimension as usize];
            bucket.charge(now, cost, on_ledger);
            if on_ledger && bucket.is_estimated() {
                bucket.note_estimate(cost);
            }
        }
        Reservation { sent_at: now, charges }
    }

    /// What is known of when there is room, for who was told `ready_at`: when somebody else will be done, nobody knows;
    /// when a gate opens, it says itself.
    pub(crate) fn as_known(&self, now: Time, ready_at: Time) -> Time {
        if ready_at < Time::NEVER { ready_at } else { now + self.gate.closed_for(now).unwrap_or_default() }
    }

    pub(crate) fn is_self_hosted(&self) -> bool {
        self.self_hosted
    }

    fn charged_as_produced(&self, dimension: Dimension) -> bool {
        dimension == Dimension::OutputTokens && self.metering.output == OutputRule::Produced
    }

    /// Share of the tightest bucket that is free: lanes with more go first.
    pub(crate) fn headroom(&mut self, now: Time) -> f64 {
        let fullness = self.buckets.iter_mut().filter(|b| b.is_limited()).map(|b| b.fullness(now));
        1.0 - fullness.fold(0.0, f64::max)
    }

    /// How fast the limiter serves each dimension, in units per second; infinite where nothing limits.
    pub(crate) fn rates(&self, now: Time) -> [f64; 4] {
        let mut rates = [f64::INFINITY; 4];
        for bucket in self.buckets.iter().filter(|bucket| bucket.is_limited()) {
            let rate = &mut rates[bucket.dimension as usize];
            *rate = rate.min(bucket.rate(now));
        }
        rates
    }

    pub(crate) fn view(&self, now: Time, id: crate::engine::LimiterId) -> crate::engine::LimiterView {
        crate::engine::LimiterView {
            id,
            buckets: self.buckets.iter().filter_map(|bucket| bucket.view(now)).collect(),
            in_flight: (self.slots.current(), self.slots.limit()),
            closed_for: self.gate.closed_for(now),
            throttled: self.throttled,
            binds: self.binds,
        }
    }

    pub(crate) fn learned(&self, now: Time) -> Vec<Learned> {
        let known = self.buckets.iter().filter(|bucket| !bucket.is_learning());
        known
            .filter_map(|bucket| bucket.view(now))
            .map(|view| Learned {
                quota: view.quota,
                source: view.source,
                age: Duration::ZERO,
                used: view.used,
            })
            // What the user typed is typed again, but what was used of it is known only here.
            .filter(|learned| learned.source != LimitSource::Typed || 0 < learned.used)
            .collect()
    }
}

/// The window that is metered for the one that is named.
fn metered(window: Duration) -> Duration {
    window.clamp(SHORTEST_WINDOW, LONGEST_WINDOW)
}

//! The running meter of one quota: an exact ledger, a smooth pacer, and what headers prove.

use std::time::Duration;

use crate::engine::{BucketView, LimitSource};
use crate::estimates::Estimates;
use crate::evidence::{Evidence, Refill, Sent};
use crate::feedback::LimitSeen;
use crate::ledger::Ledger;
use crate::pacer::{Pace, Pacer};
use crate::quota::{Dimension, MOST_LIMIT, Quota};
use crate::setpoint::{Refusal, SetPoint};
use crate::time::Time;
use crate::tuning::{
    EVIDENCE_MARGIN, GATHER_IMPATIENCE, INTERACTIVE_HOLD, INTERACTIVE_OVERDRAFT, INTERACTIVE_PATIENCE,
    LEDGER_MARGIN_PRODUCED, LONGEST_PACED_WINDOW, PACER_BURST, PACER_BURST_CAUTIOUS, PACER_MARGIN,
    PACER_REFUND, PROVEN_BURST, PROVEN_FLOOR, PROVEN_FLOOR_WINDOW, PROVEN_OVERDRAFT, PROVING_REQUEST,
    RAISE_SIGHTINGS, REFUSED_AGAIN, SETPOINT_LEAST, SETPOINT_LEAST_PRODUCED, SETPOINT_LEAST_PRODUCED_AGAIN,
    SMALLEST_BURST,
};

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) dimension: Dimension,
    pub(crate) window: Duration,
    ceiling: Option<u64>,
    reported: Option<u64>,
    reported_at: Time, // When the request was sent whose answer told it: older answers may tell what was before.
    raise: Option<(u64, u32)>, // A higher limit that was reported, and how often in a row.
    set_point: Option<SetPoint>,
    pub(crate) ledger: Ledger,
    restored: Option<(Time, u64)>, // Charged by an earlier session, as far as a report hasn't told otherwise.
    pacer: Option<Pacer>,          // None while there is no limit to pace.
    evidence: Option<Evidence>,
    refill: Refill,
    largest_accepted: u64,
    refused_at: Option<Time>,
    first_charge: Option<Time>,
    estimates: Estimates,
}

/// One question to a bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// What the request costs here.
    pub(crate) cost: u64,
    /// What must stay free for those who go first.
    pub(crate) hold: u64,
    /// Interactive requests to come, for whom room is left.
    pub(crate) others: Arrivals,
    /// When the pace was raised last.
    pub(crate) burst_at: Option<Time>,
    /// Charged, but not on the ledger yet (output that is under way).
    pub(crate) underway: u64,
    /// What those in flight will have been charged in the end, where the charge comes as they produce.
    pub(crate) committed: u64,
    /// A refusal or an outage was not long ago.
    pub(crate) cautious: bool,
    /// Somebody waits for this one.
    pub(crate) interactive: bool,
    /// The pace, as a multiple of the steady rate.
    pub(crate) pace: f64,
    /// Room is being gathered for a large head: so much more may be saved up meanwhile.
    pub(crate) gather: u64,
}

/// Interactive requests to come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrivals {
    /// What one of them costs here.
    pub(crate) cost: f64,
    /// How many come in a second.
    pub(crate) rate: f64,
}

impl Bucket {
    pub(crate) fn new(dimension: Dimension, window: Duration) -> Self {
        Self {
            dimension,
            window,
            ceiling: None,
            reported: None,
            reported_at: Time::ZERO,
            raise: None,
            set_point: None,
            ledger: Ledger::new(window),
            restored: None,
            pacer: None,
            evidence: None,
            refill: Refill::default(),
            largest_accepted: 0,
            refused_at: None,
            first_charge: None,
            estimates: Estimates::default(),
        }
    }

    /// Nothing is known of this limit: find it by rising until the provider refuses.
    pub(crate) fn rise(&mut self, now: Time) {
        self.set_point = Some(SetPoint::rising(now, self.window));
    }

    /// Others were told, so there is no need to find this one.
    pub(crate) fn stop_rising(&mut self) {
        if self.is_learning() {
            self.set_point = None;
        }
    }

    /// Whether there is anything to hold to.
    pub(crate) fn is_limited(&self) -> bool {
        self.set_point.is_some() || self.told() != u64::MAX
    }

    pub(crate) fn set_ceiling(&mut self, ceiling: Option<u64>) {
        self.ceiling = ceiling.map(|limit| limit.min(MOST_LIMIT));
        if ceiling.is_some() {
            self.stop_rising();
        }
    }

    pub(crate) fn remember(&mut self, now: Time, limit: u64) {
        self.set_point = Some(SetPoint::remembered(now, self.window, limit.min(MOST_LIMIT)));
    }

    /// The limit held to now.
    pub(crate) fn limit(&self, now: Time) -> u64 {
        let told = self.told();
        match &self.set_point {
            Some(point) => (point.value(now) as u64).min(told).max(1),
            None => told,
        }
    }

    /// What a window may hold: more than the limit for a while after more than that was accepted.
    fn window_limit(&self, now: Time) -> u64 {
        let told = self.told();
        match &self.set_point {
            Some(point) => (point.window_value(now) as u64).min(told).max(1),
            None => told,
        }
    }

    /// The limit that the user or the provider named.
    pub(crate) fn told(&self) -> u64 {
        self.ceiling.unwrap_or(u64::MAX).min(self.reported.unwrap_or(u64::MAX))
    }

    pub(crate) fn is_learning(&self) -> bool {
        self.set_point.as_ref().is_some_and(SetPoint::is_rising)
    }

    /// The steady rate, in units per second.
    pub(crate) fn rate(&self, now: Time) -> f64 {
        self.limit(now) as f64 / self.window.as_secs_f64()
    }

    /// When the request may go, as far as this bucket is concerned: `now` or earlier means now.
    pub(crate) fn ready_at(&mut self, now: Time, ask: &Ask) -> Time {
        if !self.is_limited() {
            return Time::ZERO;
        }
        self.advance(now, ask);
        let pacer = self.pacer_ready_at(now, ask);
        if now < pacer {
            return pacer;
        }
        self.room_at(now, ask)
    }

    fn advance(&mut self, now: Time, ask: &Ask) {
        let told = self.told();
        if let Some(point) = &mut self.set_point {
            point.advance(now, self.ledger.total());
            // A learned restriction that has grown past what is told is over.
            if !point.is_rising() && told as f64 <= point.value(now) {
                self.set_point = None;
            }
        }
        if self.window <= LONGEST_PACED_WINDOW {
            let pace = self.pace(now, ask);
            let saved = if self.ledger.total() == 0 { pace.burst } else { 0.0 };
            self.pacer.get_or_insert(Pacer::new(now, saved)).advance(now, pace);
        }
    }

    fn pace(&self, now: Time, ask: &Ask) -> Pace {
        let rate = self.rate(now) * (1.0 - PACER_MARGIN) * ask.pace;
        // What is charged as it is produced comes smoothly, however many begin at once.
        let cautious = ask.cautious && !self.is_produced(ask);
        let burst = rate * if cautious { PACER_BURST_CAUTIOUS } else { PACER_BURST }.as_secs_f64();
        // What was accepted at once proves that the provider's burst is no smaller.
        let proven = self.largest_accepted as f64;
        let proves = !ask.cautious && rate * PROVING_REQUEST.as_secs_f64() < proven;
        let proven = if proves { proven * PROVEN_BURST } else { 0.0 };
        // What is saved up for a large head, and not spent by it, goes at once after it. A burst of that size must be
        // possible, if the head itself is.
        let gather = if self.smallest_burst(now) < ask.gather as f64 { ask.gather as f64 } else { 0.0 };
        Pace { rate, burst, saved: burst.max(proven) + gather }
    }

    /// The smallest burst that providers allow.
    fn smallest_burst(&self, now: Time) -> f64 {
        self.rate(now) * SMALLEST_BURST.as_secs_f64()
    }

    fn pacer_ready_at(&self, now: Time, ask: &Ask) -> Time {
        let Some(pacer) = &self.pacer else { return Time::ZERO };
        let pace = self.pace(now, ask);
        let overdraft = if ask.interactive && !ask.cautious {
            let proven = (self.proven_left(now, ask.cost, ask.committed) as f64)
                .clamp(0.0, pace.rate * PROVEN_OVERDRAFT.as_secs_f64());
            proven.max(pace.rate * INTERACTIVE_OVERDRAFT.as_secs_f64())
        } else {
            0.0
        };
        pacer.ready_at(ask.cost as f64, (ask.hold as f64).min(pace.burst) - overdraft, pace)
    }

    /// What headers prove to be left for a request of this cost; negative when they prove nothing.
    fn proven_left(&self, now: Time, cost: u64, committed: u64) -> i64 {
        // What is left of a higher limit proves nothing about the ceiling.
        let capped = self.ceiling.is_some_and(|ceiling| Some(ceiling) < self.reported);
        match &self.evidence {
            Some(evidence) if !capped && evidence.is_fresh(now) => {
                let quota = (self.limit(now), self.window);
                let left = evidence.at_least(now, &self.ledger, quota, self.refill.is_continuous());
                let margin = (quota.0 as f64 * EVIDENCE_MARGIN).max(self.estimate_margin(cost));
                left.saturating_sub_unsigned(committed).saturating_sub_unsigned(margin.ceil() as u64)
            }
            _ => -1,
        }
    }

    /// Whether headers prove that this share of the limit is left, beside what is committed already.
    pub(crate) fn has_proven(&self, now: Time, share: f64, committed: u64) -> bool {
        self.proven_left(now, 0, committed) as f64 >= self.limit(now) as f64 * share
    }

    fn room_at(&mut self, now: Time, ask: &Ask) -> Time {
        let limit = self.limit(now);
        let in_window = self.window_limit(now);
        let sum = self.ledger.sum(now);
        let need = ask.cost.saturating_add(self.leave(now, sum, ask));
        let usable = self.usable(in_window, ask, ask.cost);
        // Larger than the whole limit: goes when nothing else is charged, as the provider may see it as smaller.
        let target = usable.saturating_sub(need);
        let ledger_says = if sum <= target {
            self.not_delaying(now, in_window, ask)
        } else {
            self.ledger.falls_to(now, target)
        };
        let proven = self.proven_left(now, ask.cost.max(ask.hold), ask.committed)
            >= need.saturating_add(ask.hold) as i64;
        let room = if proven { now } else { ledger_says };
        room.max(self.shown_room_at(now, limit, ask))
    }

    /// What the window is not to be filled with, for the sake of those who will come before room comes by itself, half of
    /// it at most. After a burst nothing leaves a window for long.
    fn leave(&mut self, now: Time, sum: u64, ask: &Ask) -> u64 {
        let Arrivals { cost, rate } = ask.others;
        if cost <= 0.0 {
            return 0;
        }
        let mut count = INTERACTIVE_HOLD;
        let after_burst = ask.burst_at.is_some_and(|at| now.since(at) <= self.window);
        if after_burst && self.window <= LONGEST_PACED_WINDOW && !self.refill.is_continuous() {
            let soon = self.smallest_burst(now) as u64;
            let idle = self.ledger.falls_to(now, sum.saturating_sub(soon)).since(now);
            let expected = rate * idle.saturating_sub(INTERACTIVE_PATIENCE).as_secs_f64();
            count += expected + 2.0 * expected.sqrt(); // Chance may bring more.
        }
        ((count * cost) as u64).min(self.limit(now) / 2)
    }

    /// Whether a burst may go on: as long as headers prove that something is left.
    pub(crate) fn may_burst(&self, now: Time, committed: u64) -> bool {
        let floor = if self.refill.is_continuous() { PROVEN_FLOOR } else { PROVEN_FLOOR_WINDOW };
        self.has_proven(now, floor, committed)
    }

    /// What a window may hold, for a request of this cost: the limit less the margins for what is not known.
    fn usable(&self, limit: u64, ask: &Ask, cost: u64) -> u64 {
        let margin = if self.is_produced(ask) { limit as f64 * LEDGER_MARGIN_PRODUCED } else { 0.0 };
        let margin = margin + self.estimate_margin(cost);
        limit.saturating_sub(margin as u64).saturating_sub(ask.underway)
    }

    /// Whether the charge comes as it is produced, by those in flight.
    fn is_produced(&self, ask: &Ask) -> bool {
        self.dimension == Dimension::OutputTokens && 0 < ask.committed
    }

    fn estimate_margin(&self, cost: u64) -> f64 {
        if self.is_estimated() { self.estimates.margin(cost) } else { 0.0 }
    }

    /// Whether charges are guessed: a request is always one request.
    pub(crate) fn is_estimated(&self) -> bool {
        self.dimension != Dimension::Requests
    }

    /// When the request may go without delaying those it makes way for: there may be more room than they will need,
    /// and a large one had better wait until much leaves the window at once.
    fn not_delaying(&mut self, now: Time, limit: u64, ask: &Ask) -> Time {
        if ask.hold == 0 {
            return now;
        }
        let target = self.usable(limit, ask, ask.hold).saturating_sub(ask.hold);
        let theirs = if ask.gather == 0 {
            self.ledger.falls_to(now, target)
        } else {
            let need = limit - target;
            self.ledger.best_fall(now, target, need, limit as f64 * GATHER_IMPATIENCE)
        };
        let delayed = self.ledger.falls_to(now, target.saturating_sub(ask.cost));
        if delayed <= theirs { now } else { theirs }
    }

    /// Headers may show that less is left than our own ledger knows of: somebody else draws on the quota.
    fn shown_room_at(&self, now: Time, limit: u64, ask: &Ask) -> Time {
        let Some(evidence) = self.evidence.filter(|e| e.is_fresh(now)) else { return now };
        let missing =
            (ask.cost as i64).saturating_sub(evidence.at_most(now, &self.ledger, limit, self.window));
        if missing <= 0 || self.dimension == Dimension::OutputTokens {
            return now;
        }
        let wait = missing as f64 / (limit as f64 / self.window.as_secs_f64());
        now + Duration::try_from_secs_f64(wait).unwrap_or(self.window).min(self.window)
    }

    /// Takes over what another bucket of the same dimension and window holds; of what both believe, the stricter.
    pub(crate) fn absorb(&mut self, now: Time, other: Bucket) {
        let strictly = self.limit(now).min(other.limit(now));
        self.reported = self.reported.or(other.reported);
        // One who knows beats one who is finding out; of two who know, the lower.
        let known = match (self.is_learning(), other.is_learning()) {
            (true, false) => other.is_limited(),
            (false, true) => false,
            _ => strictly < self.limit(now),
        };
        if known {
            self.set_point = other.set_point;
        }
        self.ledger.absorb(now, other.ledger);
        self.largest_accepted = self.largest_accepted.min(other.largest_accepted);
        self.first_charge = [self.first_charge, other.first_charge].into_iter().flatten().min();
        self.estimates.absorb(&other.estimates);
        // What was left before says nothing about what is left to both.
        self.evidence = None;
        if let Some(pacer) = &mut self.pacer {
            pacer.drain();
        }
    }

    /// Charges a request: the pacer at once, the ledger unless the charge comes as it is produced.
    pub(crate) fn charge(&mut self, now: Time, cost: u64, on_ledger: bool) {
        if let Some(pacer) = &mut self.pacer {
            pacer.take(cost as f64);
        }
        self.first_charge.get_or_insert(now);
        if on_ledger {
            self.ledger.charge(now, cost);
        }
    }

    /// What an earlier session charged, as if it had been just now: that is when at the latest.
    pub(crate) fn restore(&mut self, now: Time, used: u64) {
        let used = used.min(MOST_LIMIT);
        if 0 < used && self.restored.is_none() {
            self.ledger.charge(now, used);
            self.restored = Some((now, used));
        }
    }

    /// Whoever has used no more than this in all has not used more in an earlier session.
    fn correct_restored(&mut self, shown: u64) {
        if let Some((at, used)) = self.restored.filter(|(_, used)| shown < *used) {
            self.ledger.adjust(at, -((used - shown) as i64));
            self.restored = Some((at, shown));
        }
    }

    /// Whether this session has learned a limit already.
    pub(crate) fn knows_better(&self) -> bool {
        self.reported.is_some() || self.set_point.as_ref().is_some_and(|point| !point.is_rising())
    }

    /// A limit that was told to an earlier session.
    pub(crate) fn recall(&mut self, limit: u64) {
        self.reported = Some(limit.clamp(1, MOST_LIMIT));
    }

    /// Corrects a charge made at `at` by `delta`, on pacer and ledger.
    pub(crate) fn correct(&mut self, now: Time, at: Time, delta: i64, on_ledger: bool) {
        let rate = self.rate(now);
        if let Some(pacer) = &mut self.pacer {
            let burst = rate * PACER_BURST.as_secs_f64();
            let given_back = if delta < 0 { -delta as f64 * PACER_REFUND } else { -delta as f64 };
            pacer.correct(given_back, Pace { rate, burst, saved: burst });
        }
        if on_ledger {
            self.ledger.adjust(at, delta);
        }
    }

    /// A charge is an estimate until it is settled.
    pub(crate) fn note_estimate(&mut self, cost: u64) {
        self.estimates.note(cost);
    }

    /// An estimate of `cost` is settled; `charged` is what it should have been if that is known.
    pub(crate) fn note_settled(&mut self, cost: u64, charged: Option<u64>) {
        self.estimates.settle(cost, charged);
    }

    /// A request of this cost was accepted: the provider's own burst is no smaller.
    pub(crate) fn note_accepted(&mut self, cost: u64) {
        self.largest_accepted = self.largest_accepted.max(cost);
    }

    /// A response reports this bucket's state.
    pub(crate) fn handle_report(&mut self, now: Time, seen: &LimitSeen, sent: Sent) {
        // Zero stands for what is not known.
        if let Some(limit) = seen.limit.filter(|limit| 0 < *limit && self.reported_at <= sent.at) {
            let before = self.reported;
            self.adopt(limit);
            if self.reported != before {
                self.reported_at = sent.at;
            }
        }
        // Of another window than the header's, nothing is shown.
        if let (Some(limit), Some(remaining)) = (seen.limit, seen.remaining)
            && (seen.window == Some(self.window) || seen.window.is_none() && self.told() == limit)
        {
            self.correct_restored(limit.saturating_sub(remaining).saturating_add(seen.rounding));
        }
        self.refill.handle_report(seen, self.window, now.since(sent.at));
        let limit = self.limit(now);
        if let Some(newer) = Evidence::read(seen, limit, sent, &self.ledger, self.evidence.as_ref()) {
            self.evidence = Some(newer);
        }
    }

    /// Believes a reported limit: a lower one at once, a higher one when it is repeated.
    pub(crate) fn adopt(&mut self, limit: u64) {
        let limit = limit.min(MOST_LIMIT);
        match self.reported {
            Some(known) if known < limit => {
                let sightings = match self.raise {
                    Some((raised, count)) if raised == limit => count + 1,
                    _ => 1,
                };
                self.raise = Some((limit, sightings));
                if sightings < RAISE_SIGHTINGS {
                    return;
                }
            }
            _ => {}
        }
        self.raise = None;
        if self.reported != Some(limit) {
            self.evidence = None;
            self.reported = Some(limit);
        }
        self.stop_rising();
    }

    /// The provider refused, and this bucket is to blame.
    /// `produced`: its charge comes as it is produced.
    pub(crate) fn handle_refusal(&mut self, now: Time, produced: bool) {
        let refusal = Refusal {
            at: now,
            accepted: self.ledger.sum(now),
            charged: self.ledger.total(),
            least: self.least_left(now, produced),
            age: self.first_charge.map_or(Duration::ZERO, |first| now.since(first)),
        };
        match &mut self.set_point {
            Some(point) => point.handle_refusal(refusal),
            None => self.set_point = Some(SetPoint::refused(self.window, self.limit(now), refusal)),
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.drain();
        }
        self.largest_accepted = 0;
        self.refused_at = Some(now);
        self.evidence = None;
    }

    /// The share of a limit that a refusal leaves at least. Where the charge comes as it is produced it was mostly chance,
    /// unless it happens again.
    fn least_left(&self, now: Time, produced: bool) -> f64 {
        let again = self.refused_at.is_some_and(|at| now.since(at) <= REFUSED_AGAIN * self.window);
        match (produced, again) {
            (false, _) => SETPOINT_LEAST,
            (true, false) => SETPOINT_LEAST_PRODUCED,
            (true, true) => SETPOINT_LEAST_PRODUCED_AGAIN,
        }
    }

    /// The provider refuses again and again.
    pub(crate) fn handle_block(&mut self) {
        if let Some(point) = &mut self.set_point {
            point.handle_block();
        }
    }

    /// How full it is, as a share of what is believed: the fullest bucket is blamed for an unnamed refusal.
    pub(crate) fn fullness(&mut self, now: Time) -> f64 {
        self.ledger.sum(now) as f64 / self.limit(now) as f64
    }

    /// What people are shown; nothing while there is no limit.
    pub(crate) fn view(&self, now: Time) -> Option<BucketView> {
        if !self.is_limited() {
            return None;
        }
        let limit = self.limit(now);
        let source = match (&self.set_point, self.ceiling, self.reported) {
            (Some(_), ..) if limit < self.told() => LimitSource::Learned,
            (_, Some(ceiling), reported) if reported.is_none_or(|r| ceiling <= r) => LimitSource::Typed,
            _ => LimitSource::Reported,
        };
        let quota = Quota { dimension: self.dimension, window: self.window, limit };
        Some(BucketView { quota, source, used: self.ledger.peek_sum(now) })
    }
}

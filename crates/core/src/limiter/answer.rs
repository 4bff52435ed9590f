//! What an answer does to a limiter: settle, release, learn.

use std::time::Duration;

use super::{Limiter, MINUTE, Reservation, metered};
use crate::bucket::Bucket;
use crate::engine::AttemptId;
use crate::evidence::Sent;
use crate::feedback::{Class, Failure, LimitSeen};
use crate::quota::{Dimension, LONGEST_WINDOW, MOST_UNITS, OutputRule, Usage};
use crate::time::Time;
use crate::tuning::EXPLAINED_SHARE;

/// A daily limit that names no reset is tried again after this long.
const DAILY_DEFAULT: Duration = Duration::from_secs(3600);
/// A window this long is a day's, for our purposes: nobody waits at a gate for it.
const LONG_WINDOW: Duration = Duration::from_secs(3600);

/// How an attempt ended, as far as charges go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It was served, and used this much.
    Used(Usage),
    /// It was served, or may have been: what was held stays charged. So many output tokens were seen.
    Unknown { produced: u64 },
    /// The provider refused it.
    Refused,
    /// It never reached the provider.
    Unprocessed,
}

impl Limiter {
    /// The response's head says success so far.
    pub(crate) fn handle_accepted(&mut self, now: Time, attempt: AttemptId, reservation: &Reservation) {
        self.gate.handle_accepted(now, attempt);
        for bucket in &mut self.buckets {
            bucket.note_accepted(reservation.charges[bucket.dimension as usize]);
        }
    }

    /// Corrects what was held to what was used. Exactly once per reservation.
    pub(crate) fn settle(&mut self, now: Time, reservation: &Reservation, outcome: Outcome) {
        self.slots.end();
        let produced = match outcome {
            Outcome::Used(usage) => Some(usage.output_tokens.min(MOST_UNITS)),
            _ => None,
        };
        self.production.end(reservation.sent_at, now.since(reservation.sent_at), produced);
        for index in 0..self.buckets.len() {
            self.settle_bucket(index, now, reservation, outcome);
        }
    }

    fn settle_bucket(&mut self, index: usize, now: Time, reservation: &Reservation, outcome: Outcome) {
        let dimension = self.buckets[index].dimension;
        let as_produced = self.charged_as_produced(dimension);
        let held = reservation.charges[dimension as usize];
        let final_charge = self.final_charge(dimension, reservation, outcome);
        let bucket = &mut self.buckets[index];
        if !as_produced {
            let known = matches!(outcome, Outcome::Used(_)).then_some(final_charge);
            bucket.note_settled(held, known);
        }
        if as_produced {
            bucket.ledger.spread(reservation.sent_at, now, final_charge);
        }
        let delta = final_charge as i64 - held as i64;
        if delta != 0 {
            bucket.correct(now, reservation.sent_at, delta, !as_produced);
        }
    }

    /// What the provider has charged in the end, by its own rule.
    fn final_charge(&self, dimension: Dimension, reservation: &Reservation, outcome: Outcome) -> u64 {
        let [requests, input, output, _] = reservation.charges;
        let bounded = |tokens: u64| tokens.min(MOST_UNITS);
        let (input, output) = match outcome {
            Outcome::Unprocessed => return 0,
            Outcome::Refused if dimension == Dimension::Requests && self.metering.refusals_count => {
                return requests;
            }
            Outcome::Refused => return 0,
            Outcome::Unknown { produced } => (input, self.final_output(output, bounded(produced))),
            Outcome::Used(usage) => {
                let input = if self.metering.input_is_estimate { input } else { bounded(usage.input_tokens) };
                (input, self.final_output(output, bounded(usage.output_tokens)))
            }
        };
        match dimension {
            Dimension::Requests => requests,
            Dimension::InputTokens => input,
            Dimension::OutputTokens => output,
            Dimension::TotalTokens => input.saturating_add(output),
        }
    }

    fn final_output(&self, held: u64, produced: u64) -> u64 {
        match self.metering.output {
            OutputRule::NotCounted => 0,
            OutputRule::UpFront => held,
            OutputRule::Produced | OutputRule::Reserved => produced,
        }
    }

    /// Limits that a response reports. True when one of them changed what is believed.
    pub(crate) fn handle_reports(
        &mut self,
        now: Time,
        reservation: &Reservation,
        seen: &[LimitSeen],
    ) -> bool {
        let mut changed = false;
        for report in seen {
            let Some(index) = self.bucket_of(report) else { continue };
            let bucket = &mut self.buckets[index];
            let before = bucket.told();
            let cost = reservation.charges[bucket.dimension as usize];
            bucket.handle_report(now, report, Sent { at: reservation.sent_at, cost });
            changed |= bucket.told() < before;
            self.told = true;
        }
        if !seen.is_empty() && self.told {
            self.buckets.iter_mut().for_each(Bucket::stop_rising);
        }
        changed
    }

    /// The bucket a report speaks of; `None` when that cannot be told.
    fn bucket_of(&mut self, report: &LimitSeen) -> Option<usize> {
        let limit = report.limit?;
        let same = |bucket: &Bucket| bucket.dimension == report.dimension;
        let convinced = report.window_is_guessed && self.guesses.note(report);
        if let Some(window) = report.window.map(metered) {
            let known = self.buckets.iter().position(|bucket| same(bucket) && bucket.window == window);
            if known.is_some() || report.window_is_guessed && !convinced {
                return known;
            }
            self.bucket(report.dimension, window);
            return self.buckets.iter().position(|bucket| same(bucket) && bucket.window == window);
        }
        // The header does not say which window. A limit that a bucket already has is that bucket's; else it is the
        // minute's, the common case.
        let having = self.buckets.iter().position(|bucket| same(bucket) && bucket.told() == limit);
        having.or_else(|| self.buckets.iter().position(|bucket| same(bucket) && bucket.window == MINUTE))
    }

    /// The provider refused. A round of refusals teaches once: those sent before the gate closed say nothing new.
    pub(crate) fn handle_refusal(
        &mut self,
        now: Time,
        attempt: AttemptId,
        reservation: &Reservation,
        failure: &Failure,
        limits: &[LimitSeen],
        jitter: f64,
    ) {
        self.throttled += 1;
        let new_round = self.closed_at.is_none_or(|closed| closed < reservation.sent_at);
        let told_news = self.handle_reports(now, reservation, limits) | self.adopt_named(failure);
        if failure.class == Class::Daily || self.is_long_wait(failure) {
            let wait = failure.wait.unwrap_or(DAILY_DEFAULT).min(LONGEST_WINDOW);
            self.gate.close_until(now + wait.mul_f64(1.0 + 0.1 * jitter));
            return;
        }
        let unexplained = failure.named.is_none() && self.all_have_proven(now, EXPLAINED_SHARE);
        let nothing_new = self.gate.close(now, attempt, failure.wait, jitter);
        self.spoil_burst(now);
        if nothing_new && !told_news {
            self.buckets.iter_mut().for_each(Bucket::handle_block);
            return;
        }
        if !new_round {
            return;
        }
        self.closed_at = Some(now);
        match failure.class {
            Class::Concurrency => self.slots.handle_refusal(now, reservation.sent_at),
            Class::Ramp => self.ramp_began = Some(now),
            _ if told_news || unexplained => {} // A new limit explains the refusal, or no limit does.
            _ => self.blame(now, failure, limits),
        }
    }

    fn is_long_wait(&self, failure: &Failure) -> bool {
        failure.named.is_some_and(|named| named.window.is_some_and(|window| LONG_WINDOW < window))
            && failure.wait.is_some()
    }

    /// Believes the numbers in an error's text. True when they are news.
    fn adopt_named(&mut self, failure: &Failure) -> bool {
        let Some((named, limit)) = failure.named.and_then(|named| Some((named, named.limit?))) else {
            return false;
        };
        let bucket = self.bucket(named.dimension, named.window.unwrap_or(MINUTE));
        let before = bucket.told();
        bucket.adopt(limit);
        let news = bucket.told() < before;
        self.told = true;
        self.buckets.iter_mut().for_each(Bucket::stop_rising);
        news
    }

    /// Lowers the bucket that refused: the named one, else the one that headers show exhausted, else the fullest.
    fn blame(&mut self, now: Time, failure: &Failure, limits: &[LimitSeen]) {
        let named = failure.named.map(|named| (named.dimension, named.window.unwrap_or(MINUTE)));
        let shown = limits.iter().find(|seen| seen.remaining == Some(0));
        let shown = shown.map(|seen| (seen.dimension, seen.window.unwrap_or(MINUTE)));
        if let Some((dimension, window)) = named.or(shown) {
            let produced = self.charged_as_produced(dimension);
            self.bucket(dimension, window).handle_refusal(now, produced);
            return;
        }
        let fullness = self.buckets.iter_mut().map(|b| if b.is_limited() { b.fullness(now) } else { -1.0 });
        let fullest = fullness.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index);
        let produced = self.charged_as_produced(self.buckets[fullest].dimension);
        self.buckets[fullest].handle_refusal(now, produced);
    }
}

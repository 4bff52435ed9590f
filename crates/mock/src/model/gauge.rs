//! The record one limit keeps, in four plain ways.
//!
//! All arithmetic is in integers, scaled up where time divides amounts, so that a refusal's wait is exact: the same call
//! fits then, and not a nanosecond earlier.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_core::time::Time;

use super::{Algorithm, Limit};

/// A log remembers charges at this many different instants of its period; closer ones are kept as one, at the later
/// instant.
const LOG_SLOTS: u64 = 65_536;

/// What `of` gets of an `amount` per `window`: at least 1, so that no limit refuses everything.
pub(super) fn share(amount: u64, of: Duration, window: Duration) -> u64 {
    let share = u128::from(amount) * of.as_nanos() / window.as_nanos().max(1);
    u64::try_from(share).unwrap_or(u64::MAX).clamp(1, amount.max(1))
}

/// How much of a limit is used, and when that changes.
#[derive(Clone, Debug)]
pub struct Gauge {
    /// The most that may be used at once (of a bucket, or in one period).
    capacity: u64,
    /// The most any single call may ever want.
    amount: u64,
    record: Record,
}

#[derive(Clone, Debug)]
enum Record {
    /// `level` is used tokens times `window`; it falls by `amount` each nanosecond.
    Bucket { level: u128, window: u128, at: Time },
    /// `counts` are this window's and the last one's; a plain fixed window ignores the last.
    Windows { counts: [u64; 2], index: u64, period: u64, phase: u64, weighted: bool },
    /// Every charge of the last `period`, oldest first, and their sum.
    Log { entries: VecDeque<(Time, u64)>, sum: u64, period: Duration },
}

impl Gauge {
    /// An unused record for `limit`.
    pub fn new(limit: &Limit) -> Self {
        let record = match limit.algorithm {
            Algorithm::Bucket { .. } => {
                Record::Bucket { level: 0, window: limit.window.as_nanos().max(1), at: Time::ZERO }
            }
            Algorithm::FixedWindow { period, phase } => windows(period, phase, false),
            Algorithm::SlidingCounter { period, phase } => windows(period, phase, true),
            Algorithm::SlidingLog { period } => Record::Log { entries: VecDeque::new(), sum: 0, period },
        };
        Gauge { capacity: capacity(limit), amount: limit.amount, record }
    }

    /// The same record under a limit of another size.
    pub fn resized(mut self, now: Time, limit: &Limit) -> Self {
        self.advance(now);
        (self.capacity, self.amount) = (capacity(limit), limit.amount);
        self
    }

    /// Adds to what is used, beyond the limit if need be.
    pub fn charge(&mut self, now: Time, amount: u64) {
        self.advance(now);
        match &mut self.record {
            Record::Bucket { level, window, .. } => *level += u128::from(amount) * *window,
            Record::Windows { counts, .. } => counts[0] = counts[0].saturating_add(amount),
            Record::Log { entries, sum, period } => {
                let slot = nanos(*period) / LOG_SLOTS + 1;
                *sum = sum.saturating_add(amount);
                match entries.back_mut() {
                    Some((at, kept)) if at.as_nanos() / slot == now.as_nanos() / slot => {
                        (*at, *kept) = (now, kept.saturating_add(amount));
                    }
                    _ if 0 < amount => entries.push_back((now, amount)),
                    _ => {}
                }
            }
        }
    }

    /// Adds a refused call. A bucket cannot hold less than nothing; counts count on.
    pub fn charge_refusal(&mut self, now: Time, amount: u64) {
        let before = self.level_of_bucket();
        self.charge(now, amount);
        if let Record::Bucket { level, window, .. } = &mut self.record {
            *level = (*level).min(before.max(u128::from(self.capacity) * *window));
        }
    }

    /// Takes back part of what was charged at `charged`, as far as it is still remembered.
    pub fn refund(&mut self, now: Time, charged: Time, amount: u64) {
        self.advance(now);
        match &mut self.record {
            Record::Bucket { level, window, .. } => {
                *level = level.saturating_sub(u128::from(amount) * *window);
            }
            Record::Windows { counts, index, period, phase, .. } => {
                let age = *index - window_index(charged, *period, *phase).min(*index);
                if let Some(count) = counts.get_mut(usize::try_from(age).unwrap_or(usize::MAX)) {
                    *count = count.saturating_sub(amount);
                }
            }
            Record::Log { entries, sum, .. } => {
                let at = entries.partition_point(|(at, _)| *at < charged);
                if let Some((_, kept)) = entries.get_mut(at) {
                    let back = amount.min(*kept);
                    *kept -= back;
                    *sum -= back;
                }
            }
        }
    }

    /// What is used, rounded up.
    pub fn used(&mut self, now: Time) -> u64 {
        self.advance(now);
        match &self.record {
            Record::Bucket { level, window, .. } => saturate(level.div_ceil(*window)),
            Record::Windows { counts, weighted: false, .. } => counts[0],
            Record::Windows { counts, period, phase, .. } => {
                let seen = u128::from(counts[1]) * u128::from(left_of_window(now, *period, *phase));
                counts[0].saturating_add(saturate(seen.div_ceil(u128::from(*period))))
            }
            Record::Log { sum, .. } => *sum,
        }
    }

    /// What would be granted now, rounded down.
    pub fn remaining(&mut self, now: Time) -> u64 {
        self.capacity.saturating_sub(self.used(now))
    }

    /// `None` when `want` fits now; else when it would, if nobody else came.
    ///
    /// A call larger than a sub-minute share, but not than the limit, passes when nothing is used at all: a limit that
    /// is advertised can be spent.
    pub fn wait(&mut self, now: Time, want: u64) -> Option<Duration> {
        let used = self.used(now);
        if want == 0 || used.saturating_add(want) <= self.capacity {
            return None;
        }
        let oversized = self.capacity < want;
        if oversized && want <= self.amount {
            return if used == 0 { None } else { Some(self.empty_in(now)) };
        }
        if oversized && !matches!(self.record, Record::Bucket { .. }) {
            return Some(self.empty_in(now)); // Never fits; some wait is quoted all the same.
        }
        Some(self.time_until_free(now, want))
    }

    /// Time until nothing is used.
    pub fn empty_in(&mut self, now: Time) -> Duration {
        if self.used(now) == 0 {
            return Duration::ZERO;
        }
        match &self.record {
            Record::Bucket { level, .. } => to_duration(level.div_ceil(u128::from(self.amount.max(1)))),
            Record::Windows { counts, period, phase, weighted, .. } => {
                let more = if *weighted && 0 < counts[0] { *period } else { 0 };
                Duration::from_nanos(left_of_window(now, *period, *phase).saturating_add(more))
            }
            Record::Log { entries, period, .. } => {
                let last = entries.back().map_or(now, |(at, _)| *at);
                (last + *period).since(now)
            }
        }
    }

    /// Time until `used + want <= capacity`, knowing that it is not so now.
    fn time_until_free(&self, now: Time, want: u64) -> Duration {
        match &self.record {
            Record::Bucket { level, window, .. } => {
                let wanted = level + u128::from(want) * window;
                let excess = wanted.saturating_sub(u128::from(self.capacity) * window);
                to_duration(excess.div_ceil(u128::from(self.amount.max(1))))
            }
            Record::Windows { counts, period, phase, weighted, .. } => {
                let left = left_of_window(now, *period, *phase);
                let room = self.capacity.saturating_sub(want);
                let nanos = match weighted {
                    false => left,
                    true if counts[0] <= room => {
                        left - weighted_left(counts[1], room - counts[0], *period).min(left)
                    }
                    true => left + (*period - weighted_left(counts[0], room, *period)),
                };
                Duration::from_nanos(nanos)
            }
            Record::Log { entries, sum, period } => {
                let mut excess = sum.saturating_add(want).saturating_sub(self.capacity);
                for (at, amount) in entries {
                    if excess <= *amount {
                        return (*at + *period).since(now);
                    }
                    excess -= amount;
                }
                Duration::ZERO
            }
        }
    }

    fn level_of_bucket(&self) -> u128 {
        match self.record {
            Record::Bucket { level, .. } => level,
            _ => 0,
        }
    }

    /// Lets the time up to `now` pass.
    fn advance(&mut self, now: Time) {
        match &mut self.record {
            Record::Bucket { level, at, .. } => {
                let drained = now.since(*at).as_nanos().saturating_mul(u128::from(self.amount));
                *level = level.saturating_sub(drained);
                *at = now.max(*at);
            }
            Record::Windows { counts, index, period, phase, .. } => {
                let current = window_index(now, *period, *phase);
                *counts = match current.saturating_sub(*index) {
                    0 => *counts,
                    1 => [0, counts[0]],
                    _ => [0, 0],
                };
                *index = current.max(*index);
            }
            Record::Log { entries, sum, period } => {
                while let Some((_, amount)) = entries.front().filter(|(at, _)| *at + *period <= now) {
                    *sum -= amount;
                    entries.pop_front();
                }
            }
        }
    }
}

/// The most of the window that may be left so that `count`, weighted by it, is no more than `room`.
fn weighted_left(count: u64, room: u64, period: u64) -> u64 {
    let left = u128::from(room) * u128::from(period) / u128::from(count.max(1));
    saturate(left).min(period)
}

fn windows(period: Duration, phase: Duration, weighted: bool) -> Record {
    let period = nanos(period).max(1);
    let phase = nanos(phase) % period;
    Record::Windows { counts: [0, 0], index: 0, period, phase, weighted }
}

fn capacity(limit: &Limit) -> u64 {
    match limit.algorithm {
        Algorithm::Bucket { capacity } => capacity.min(limit.amount),
        Algorithm::FixedWindow { period, .. }
        | Algorithm::SlidingLog { period }
        | Algorithm::SlidingCounter { period, .. } => share(limit.amount, period, limit.window),
    }
}

/// Which fixed window `now` lies in; the boundaries are at `phase + n * period`.
fn window_index(now: Time, period: u64, phase: u64) -> u64 {
    now.as_nanos().saturating_add(period - phase) / period
}

/// How long the fixed window that `now` lies in still lasts: more than nothing.
fn left_of_window(now: Time, period: u64, phase: u64) -> u64 {
    period - now.as_nanos().saturating_add(period - phase) % period
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn saturate(amount: u128) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}

fn to_duration(nanos: u128) -> Duration {
    Duration::from_nanos(saturate(nanos))
}

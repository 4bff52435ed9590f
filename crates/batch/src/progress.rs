//! How a run gets on: numbers that its shell may ask for at any time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_wire::price::MicroUsd;
use tokio::time::Instant;

use crate::sender::Reply;

/// Seconds over which the present rates are taken.
const RATE_SECONDS: usize = 60;

/// A run's numbers, shared between the run and whoever shows them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Numbers>>);

#[derive(Debug, Default)]
struct Numbers {
    view: View,
    started: Option<Instant>,
    rates: Vec<Slot>, // One for each of the last seconds; the second's number tells which.
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    requests: u64,
    tokens: u64,
}

/// A run at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Jobs chosen.
    pub jobs: u64,
    /// Jobs that are done, those of earlier runs included.
    pub done: u64,
    /// Jobs that failed in this run.
    pub failed: u64,
    /// Jobs done or failed in this run.
    pub ended: u64,
    /// Jobs with an attempt under way.
    pub in_flight: u64,
    /// Jobs handed over that wait for an attempt.
    pub waiting: u64,
    /// Attempts that were sent for the jobs that are over.
    pub attempts: u64,
    /// How many of them were throttled.
    pub throttled: u64,
    /// Input tokens used.
    pub input_tokens: u64,
    /// Output tokens used.
    pub output_tokens: u64,
    /// Money spent, as far as prices are known.
    pub spent: MicroUsd,
    /// Answers whose price is not known.
    pub unpriced: u64,
    /// Time since the run began.
    pub elapsed: Duration,
    /// Requests a minute, of late.
    pub requests_per_minute: u64,
    /// Tokens a minute, of late.
    pub tokens_per_minute: u64,
}

impl View {
    /// Jobs that are neither done nor failed.
    pub fn left(&self) -> u64 {
        self.jobs.saturating_sub(self.done).saturating_sub(self.failed)
    }

    /// When the run will be over, at the pace it has had so far; `None` while nothing has ended.
    pub fn time_left(&self) -> Option<Duration> {
        if self.ended == 0 {
            return None;
        }
        let nanos = self.elapsed.as_nanos() * u128::from(self.left()) / u128::from(self.ended);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// What the run will have cost, if the rest costs what the jobs so far did; `None` while that isn't known.
    pub fn projected(&self) -> Option<MicroUsd> {
        if self.ended == 0 || self.unpriced > 0 {
            return None;
        }
        let all = u128::from(self.ended) + u128::from(self.left());
        let micros = (u128::from(self.spent.micros()) * all).div_ceil(u128::from(self.ended));
        Some(MicroUsd::new(u64::try_from(micros).unwrap_or(u64::MAX)))
    }
}

impl Progress {
    /// Numbers of a run that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// The run as it is now.
    pub fn view(&self) -> View {
        let numbers = self.numbers();
        let Some(started) = numbers.started else { return numbers.view };
        let elapsed = started.elapsed();
        let now = elapsed.as_secs();
        let recent = |slot: &&Slot| slot.second + RATE_SECONDS as u64 > now;
        // In its first minute a run is as fast as its average.
        let covered = elapsed.as_secs_f64().clamp(1.0, RATE_SECONDS as f64);
        let per_minute = |sum: u64| (sum as f64 * 60.0 / covered) as u64;
        View {
            elapsed,
            requests_per_minute: per_minute(
                numbers.rates.iter().filter(recent).map(|slot| slot.requests).sum(),
            ),
            tokens_per_minute: per_minute(numbers.rates.iter().filter(recent).map(|slot| slot.tokens).sum()),
            ..numbers.view
        }
    }

    pub(crate) fn begin(&self, jobs: u64, done: u64) {
        let mut numbers = self.numbers();
        *numbers = Numbers {
            view: View { jobs, done, ..View::default() },
            started: Some(Instant::now()),
            rates: vec![Slot::default(); RATE_SECONDS],
        };
    }

    pub(crate) fn handed_over(&self) {
        self.numbers().view.waiting += 1;
    }

    pub(crate) fn sent(&self) {
        let mut numbers = self.numbers();
        numbers.view.waiting = numbers.view.waiting.saturating_sub(1);
        numbers.view.in_flight += 1;
    }

    /// A job's attempt has failed, and it waits for another one.
    pub(crate) fn waits(&self) {
        let mut numbers = self.numbers();
        numbers.view.in_flight = numbers.view.in_flight.saturating_sub(1);
        numbers.view.waiting += 1;
    }

    /// A job is over, whatever became of it.
    pub(crate) fn over(&self, was_in_flight: bool) {
        let view = &mut self.numbers().view;
        let place = if was_in_flight { &mut view.in_flight } else { &mut view.waiting };
        *place = place.saturating_sub(1);
    }

    /// What a reply took.
    pub(crate) fn took(&self, reply: &Reply) {
        let mut numbers = self.numbers();
        let view = &mut numbers.view;
        view.attempts += u64::from(reply.attempts);
        view.throttled += u64::from(reply.throttled);
        let (input, output) =
            reply.usage.map_or((0, 0), |usage| (usage.prompt_tokens(), usage.output_tokens));
        view.input_tokens = view.input_tokens.saturating_add(input);
        view.output_tokens = view.output_tokens.saturating_add(output);
        match reply.cost {
            Some(cost) => view.spent += cost,
            None if reply.usage.is_some() => view.unpriced += 1,
            None => {}
        }
        let second = numbers.started.map_or(0, |started| started.elapsed().as_secs());
        if let Some(slot) = numbers.rates.get_mut(second as usize % RATE_SECONDS) {
            if slot.second != second {
                *slot = Slot { second, ..Slot::default() };
            }
            slot.requests += u64::from(reply.attempts);
            slot.tokens = slot.tokens.saturating_add(input).saturating_add(output);
        }
    }

    /// A job's line is on disk.
    pub(crate) fn committed(&self, ok: bool) {
        let view = &mut self.numbers().view;
        view.ended += 1;
        *if ok { &mut view.done } else { &mut view.failed } += 1;
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rates_are_those_of_the_last_minute() {
        let progress = Progress::new();
        progress.begin(100, 10);
        for _ in 0..120 {
            progress.handed_over();
            progress.sent();
            progress.took(&Reply { attempts: 2, ..Reply::of(crate::sender::End::Withdrawn) });
            progress.over(true);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(progress.view().requests_per_minute, 2 * 59);
        assert_eq!(progress.view().attempts, 240);
        assert_eq!((progress.view().in_flight, progress.view().waiting), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_expected_to_go_like_the_beginning() {
        let progress = Progress::new();
        progress.begin(100, 40);
        assert_eq!((progress.view().time_left(), progress.view().projected()), (None, None));
        tokio::time::advance(Duration::from_secs(20)).await;
        for ok in [true, true, true, false] {
            let cost = Some(MicroUsd::new(10));
            progress.took(&Reply { cost, ..Reply::of(crate::sender::End::Withdrawn) });
            progress.committed(ok);
        }
        let view = progress.view();
        assert_eq!((view.done, view.failed, view.left()), (43, 1, 56));
        assert_eq!(view.time_left(), Some(Duration::from_secs(280)));
        assert_eq!(view.projected(), Some(MicroUsd::new(600)));
    }
}

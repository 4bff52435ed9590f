//! What dashboards see: one look a second for all of them, written once, and none while nobody looks.
//!
//! Whoever comes gets all there is (`full`), and from then on what is new (`tick`).

mod body;
mod costs;
mod history;
mod line;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use paceline::Snapshot;
use paceline_status::{Batch, Cost, Status};
use paceline_usage::Spent;
use paceline_wire::price::MicroUsd;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};

use self::costs::Costs;
use self::history::{History, SAMPLE_EVERY};
use self::line::Line;
use super::Admin;
use super::recent::Left;
pub(super) use body::LiveBody;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Dashboards that are open at once.
const MOST_LOOKERS: usize = 64;
/// Looks that a slow reader may lag behind before it gets everything anew.
const MOST_BEHIND: usize = 8;
/// Requests that ended of which details are kept.
const LINES: usize = 500;
/// Of those that ended since the last look, so many are shown at most.
const NEW_LINES: usize = 100;

/// What dashboards share. Clones are one and the same.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    ticks: broadcast::Sender<Tick>,
    lookers: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    number: u64,
    history: History,
    lines: VecDeque<Line>, // Newest last.
    costs: Costs,
    latest: Option<Status>,
    runs: Arc<Vec<Run>>,
}

/// One look, for everybody.
#[derive(Clone)]
struct Tick {
    number: u64,
    event: Bytes,
}

/// A batch that runs by itself on this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its process.
    pub pid: u32,
    /// It sends nothing until somebody resumes it.
    pub paused: bool,
    /// How it gets on.
    pub batch: Batch,
}

/// All there is.
#[derive(Serialize)]
struct Full<'a> {
    at_ms: u64,
    status: Option<&'a Status>,
    history: &'a History,
    lines: &'a VecDeque<Line>,
    runs: &'a [Run],
}

/// What is new.
#[derive(Serialize)]
struct New<'a> {
    at_ms: u64,
    status: &'a Status,
    /// This look is a sample of the history.
    sampled: bool,
    lines: &'a [Line],
    /// Requests that ended, and are not among the lines.
    untold: u64,
    runs: &'a [Run],
}

impl Default for Live {
    fn default() -> Self {
        let (ticks, _) = broadcast::channel(MOST_BEHIND);
        Self(Arc::new(Inner { ticks, lookers: AtomicUsize::new(0), state: Mutex::default() }))
    }
}

impl Live {
    /// What was spent since midnight.
    pub(super) fn today(&self, now: Duration) -> Cost {
        self.lock().costs.today(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any dashboard is open.
    pub fn is_watched(&self) -> bool {
        0 < self.0.lookers.load(Ordering::Acquire)
    }

    /// All there is, and the number of the look it is as new as.
    fn full(&self, now: Duration) -> Tick {
        let state = self.lock();
        let full = Full {
            at_ms: millis(now),
            status: state.latest.as_ref(),
            history: &state.history,
            lines: &state.lines,
            runs: &state.runs,
        };
        Tick { number: state.number, event: event("full", &full) }
    }

    /// Takes note of requests that ended. Returns how many of the latest lines are theirs, and how many are left out.
    fn note_ended(&self, left: Left, desk: &Admin) -> (usize, u64) {
        let now = (Instant::now(), millis(desk.clock.now()));
        let unpriced =
            left.requests.iter().any(|gone| gone.ended.cost.is_none() && gone.ended.usage.is_some());
        let upstreams = if unpriced { desk.client.upstreams() } else { Vec::new() };
        let count = left.requests.len();
        let mut state = self.lock();
        state.costs.note_lost(desk.clock.now(), left.lost);
        for (index, gone) in left.requests.into_iter().enumerate() {
            let cost = costs::cost(&gone.ended, &upstreams);
            state.costs.note(desk.clock.now(), &gone.ended, cost);
            // Earlier ones would be pushed out by those behind them.
            if count < index + 1 + LINES {
                if state.lines.len() == LINES {
                    state.lines.pop_front();
                }
                state.lines.push_back(Line::of(gone, cost, now));
            }
        }
        (count.min(LINES), left.lost)
    }

    fn note_look(
        &self,
        (status, runs): (Status, Arc<Vec<Run>>),
        sampled: bool,
        new: &mut Unsent,
        now: Duration,
    ) {
        let mut state = self.lock();
        if sampled {
            state.history.note(millis(now), &status);
        }
        let shown = new.lines.min(NEW_LINES).min(state.lines.len());
        let from = state.lines.len() - shown;
        let untold = new.untold + (new.lines - shown) as u64;
        let lines = &state.lines.make_contiguous()[from..];
        let look = New { at_ms: millis(now), status: &status, sampled, lines, untold, runs: &runs };
        let event = event("tick", &look);
        *new = Unsent::default();
        state.number += 1;
        state.latest = Some(status);
        state.runs = runs;
        let number = state.number;
        // An error only says that nobody looks any more.
        let _ = self.0.ticks.send(Tick { number, event });
    }
}

/// Requests that ended since the last look.
#[derive(Default)]
struct Unsent {
    lines: usize,
    untold: u64,
}

impl Admin {
    /// Looks once a second while anybody watches, and takes samples all the time. Never ends, where there is
    /// anything to see.
    pub async fn watch(self) {
        let Some(recent) = self.recent.clone() else { return };
        self.recall().await;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sampled_at: Option<Instant> = None;
        let mut new = Unsent::default();
        loop {
            let called = tokio::select! {
                _ = looks.tick() => false,
                () = recent.many() => true,
            };
            let (lines, lost) = self.live.note_ended(recent.take(), &self);
            new.lines = (new.lines + lines).min(LINES);
            new.untold = new.untold.saturating_add(lost);
            if called {
                continue;
            }
            let due = sampled_at.is_none_or(|at| SAMPLE_EVERY <= at.elapsed() + LOOK_EVERY / 2);
            if !due && !self.live.is_watched() {
                new = Unsent::default(); // They are among the lines of whoever comes.
                continue;
            }
            let snapshot: Snapshot = self.client.snapshot().await;
            let status = self.status_of(&snapshot);
            let runs = self.runs.borrow().clone();
            self.live.note_look((status, runs), due, &mut new, self.clock.now());
            if due {
                sampled_at = Some(Instant::now());
            }
        }
    }

    /// Asks the ledger what earlier processes spent today.
    async fn recall(&self) {
        let Some(ledger) = self.ledger.clone() else { return };
        let now = self.clock.now();
        let read = tokio::task::spawn_blocking(move || ledger.spent(costs::midnight(now)));
        if let Ok(Ok(spent)) = read.await {
            let spent: MicroUsd = spent.iter().map(|of: &Spent| of.amount).sum();
            self.live.lock().costs.recall(now, spent);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An event of a stream. JSON has no line ends of its own.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    // Names are strings and numbers are finite, so that it can be written.
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    format!("event: {name}\ndata: {data}\n\n").into()
}

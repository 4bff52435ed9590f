//! Looks at a run while it goes on: pictures of it, and which limits hold it back.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_core::engine::{Bind, Snapshot};
use paceline_core::quota::{Dimension, Quota};
use paceline_core::time::Time;

use super::World;
use crate::plan::setting::Coming;

/// Windows up to this long are paced, so that a part of them allows a part of the limit ...
const LONGEST_PACED: Duration = Duration::from_secs(600);
/// ... but over less than this, a burst hides the pace.
const SHORTEST_LOOK: Duration = Duration::from_secs(10);

/// A run at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Since the start.
    pub at: Duration,
    /// Jobs that were not sent yet.
    pub waiting: u64,
    /// Attempts in flight.
    pub in_flight: u64,
    /// Which share was charged of what each limit allows, in its last window or since the start, on the fullest meter.
    pub used: Vec<(Dimension, Duration, f64)>,
}

/// What the looks at a run saw in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watched {
    /// The largest share that was ever used of a limit in its window, by meter, dimension and window.
    pub fullest: BTreeMap<(usize, Dimension, Duration), f64>,
    /// How long which limit held requests back, by meter.
    pub held: BTreeMap<usize, Vec<(Bind, Duration)>>,
    /// The most requests that waited at once.
    pub most_waiting: usize,
}

impl World<'_> {
    /// Takes the looks that are due before `at`.
    pub(super) fn look_until(&mut self, at: Time) {
        let Some(every) = self.every else { return };
        loop {
            let due = every.saturating_mul(self.looks);
            if at.since(Time::ZERO) <= due {
                return;
            }
            self.looks = self.looks.saturating_add(1);
            let snapshot = self.engine.snapshot(Time::ZERO + due);
            match self.setting.coming {
                Coming::Batch(_) => {
                    let frame = self.frame(due, &snapshot);
                    self.play.frames.push(frame);
                }
                Coming::Recorded(_) => self.watch(every, &snapshot),
            }
        }
    }

    fn frame(&self, at: Duration, snapshot: &Snapshot) -> Frame {
        let mut used: Vec<(Dimension, Duration, f64)> = Vec::new();
        for bucket in snapshot.limiters.iter().flat_map(|limiter| &limiter.buckets) {
            let Quota { dimension, window, limit } = bucket.quota;
            let share = bucket.used as f64 / (limit.max(1) as f64 * begun(at, window));
            let key = (dimension, window);
            match used.iter_mut().find(|known| (known.0, known.1) == key) {
                Some(known) => known.2 = known.2.max(share),
                None => used.push((key.0, key.1, share)),
            }
        }
        let in_flight = snapshot.in_flight as u64;
        Frame { at, waiting: (self.jobs - self.play.ended).saturating_sub(in_flight), in_flight, used }
    }

    /// Adds a look that stands for the time since the one before.
    fn watch(&mut self, every: Duration, snapshot: &Snapshot) {
        let held_back = self.held_back();
        let watched = &mut self.play.watched;
        for (meter, limiter) in snapshot.limiters.iter().enumerate() {
            for bucket in &limiter.buckets {
                let Quota { dimension, window, limit } = bucket.quota;
                let share = bucket.used as f64 / limit.max(1) as f64;
                let most = watched.fullest.entry((meter, dimension, window)).or_default();
                *most = most.max(share);
            }
            // A limiter remembers what held its queue back when that is long gone.
            if let Some(bind) = limiter.binds.filter(|_| held_back[meter]) {
                let held = watched.held.entry(meter).or_default();
                match held.iter_mut().find(|(known, _)| *known == bind) {
                    Some((_, time)) => *time += every,
                    None => held.push((bind, every)),
                }
            }
        }
        watched.most_waiting = watched.most_waiting.max(snapshot.waiting.iter().sum());
    }

    /// The meters at which somebody waits.
    fn held_back(&self) -> Vec<bool> {
        let mut held_back = vec![false; self.meters.len()];
        let kinds = self.setting.kinds.iter().zip(&self.waiting).filter(|(_, waiting)| **waiting > 0);
        for lane in kinds.flat_map(|(kind, _)| &kind.lanes) {
            held_back[lane.meter] = true;
        }
        held_back
    }
}

/// The share of a window that has passed at most, since the start: what a limit allows for a minute is earned bit by bit. A
/// day's may be used in the morning.
fn begun(at: Duration, window: Duration) -> f64 {
    match window <= LONGEST_PACED {
        true => (at.max(SHORTEST_LOOK).as_secs_f64() / window.as_secs_f64()).min(1.0),
        false => 1.0,
    }
}

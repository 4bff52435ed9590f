//! Requests of another day, played again as they came: how long each would have waited under these limits.

use std::time::Duration;

use super::setting::{Coming, Setting};
use super::world::{Play, Watched, play};

/// What happened is known: nothing is drawn but the network's latency, so one run tells all.
const SEED: u64 = 1;
/// Looks at the shortest window while it passes ...
const LOOKS_A_WINDOW: u32 = 60;
/// ... and at the whole run, at most.
const MOST_LOOKS: u32 = 200_000;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);

/// How requests fared that were played again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// How long each waited until the attempt went out that was answered; `None` for those without an answer.
    pub waits: Vec<Option<Duration>>,
    /// From the first arrival to the last answer; `None` when that never came.
    pub finish: Option<Duration>,
    /// Attempts that were throttled.
    pub throttled: u64,
    /// Which limits were full, and what held requests back.
    pub watched: Watched,
}

/// Plays the jobs of `setting`, which were recorded.
pub fn replay(setting: &Setting) -> Replay {
    let Play { waits, finish, throttled, watched, .. } = play(setting, 1, SEED, Some(interval(setting)));
    Replay { waits, finish, throttled, watched }
}

/// The time between two looks.
fn interval(setting: &Setting) -> Duration {
    let Coming::Recorded(recorded) = &setting.coming else { return Duration::MAX };
    let told = setting.meters.iter().flat_map(|meter| meter.limits.iter().map(|limit| limit.window));
    let typed = setting.meters.iter().flat_map(|meter| meter.spec.ceilings.iter().map(|quota| quota.window));
    let shortest = told.chain(typed).min().unwrap_or(Duration::from_secs(60));
    let whole = recorded.last().map_or(Duration::ZERO, |last| last.at);
    (shortest / LOOKS_A_WINDOW).max(whole / MOST_LOOKS).max(SHORTEST_INTERVAL)
}

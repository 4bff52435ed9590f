//! When a batch will be done: runs under several seeds, and what they have in common.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use super::setting::Setting;
use super::world::{Frame, Play, play};

/// Jobs that all runs of a forecast play together: more are played in part, and the rest at the pace of that part.
const MOST_PLAYED: usize = 400_000;
/// A part of a batch has at steady so many jobs.
const LEAST_PART: usize = 2_000;
/// Pictures that a timeline has, about.
const FRAMES: u32 = 240;

/// What the runs of a forecast showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// When each run was done, in order; runs that were never done are missing.
    pub finishes: Vec<Duration>,
    /// How many runs there were.
    pub runs: u64,
    /// Jobs that each run played, of how many.
    pub played: u64,
    /// See `played`.
    pub of: u64,
    /// Throttled attempts of the run that had the most, and jobs without an answer likewise.
    pub throttled: u64,
    /// See `throttled`.
    pub failed: u64,
    /// The seed whose run was the middle one.
    pub middle: u64,
}

impl Forecast {
    /// By when this share of the runs was done; `None` when not so many ever were.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let at = (share * (self.runs.max(1) - 1) as f64).round() as usize;
        self.finishes.get(at).copied()
    }
}

/// Plays the batch under `seeds` seeds. `steady` is the time that the limits take at their own speed: a batch that is played in
/// part only is told to take no less.
pub fn forecast(setting: &Setting, seeds: u64, steady: Duration) -> Forecast {
    let stride = stride(setting, seeds);
    let plays = play_all(setting, stride, seeds);
    let played = setting.jobs.len().div_ceil(stride) as u64;
    let mut finishes: Vec<(Duration, u64)> = plays
        .iter()
        .zip(1..)
        .filter_map(|(play, seed)| Some((whole(play, played, setting.stands_for, steady)?, seed)))
        .collect();
    finishes.sort_unstable();
    Forecast {
        middle: finishes.get(finishes.len() / 2).map_or(1, |(_, seed)| *seed),
        finishes: finishes.into_iter().map(|(finish, _)| finish).collect(),
        runs: seeds,
        played,
        of: setting.stands_for,
        throttled: plays.iter().map(|play| play.throttled).max().unwrap_or(0),
        failed: plays.iter().map(|play| play.failed).max().unwrap_or(0),
    }
}

/// The run under one seed, in pictures. What was played in part is shown in part.
pub fn timeline(setting: &Setting, forecast: &Forecast) -> Vec<Frame> {
    let stride = stride(setting, forecast.runs);
    let whole = play(setting, stride, forecast.middle, None);
    let Some(every) = whole.finish.map(|finish| finish / FRAMES).filter(|every| !every.is_zero()) else {
        return Vec::new();
    };
    play(setting, stride, forecast.middle, Some(every)).frames
}

fn stride(setting: &Setting, seeds: u64) -> usize {
    let seeds = usize::try_from(seeds.max(1)).unwrap_or(usize::MAX);
    let most = (MOST_PLAYED / seeds).max(LEAST_PART);
    setting.jobs.len().div_ceil(most).max(1)
}

/// One run after the other, on as many threads as there are processors.
fn play_all(setting: &Setting, stride: usize, seeds: u64) -> Vec<Play> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64).min(seeds.max(1));
    let mut plays: Vec<(u64, Play)> = thread::scope(|scope| {
        let share = |first: u64| {
            let seeds = (first..=seeds).step_by(threads as usize);
            move || seeds.map(|seed| (seed, play(setting, stride, seed, None))).collect::<Vec<_>>()
        };
        let running: Vec<_> = (1..=threads).map(|first| scope.spawn(share(first))).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    plays.sort_unstable_by_key(|(seed, _)| *seed);
    plays.into_iter().map(|(_, play)| play).collect()
}

/// When the whole batch is done, if `play` is a part of it.
fn whole(play: &Play, played: u64, of: u64, steady: Duration) -> Option<Duration> {
    let finish = play.finish?;
    if of <= played {
        return Some(finish);
    }
    let rest = play.each?.as_secs_f64() * (of - played) as f64;
    let rest = Duration::try_from_secs_f64(rest).unwrap_or(Duration::MAX);
    Some(finish.saturating_add(rest).max(steady))
}

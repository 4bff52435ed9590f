//! Axes whose ticks are round numbers.

use std::time::Duration;

use crate::progress::short;

/// Ticks of an axis of values, about, and of the axis of time.
const VALUE_TICKS: f64 = 4.0;
const TIME_TICKS: f64 = 8.0;
/// Spans that people count in, in seconds.
const ROUND_SPANS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0,
    21_600.0, 43_200.0, 86_400.0,
];

/// From nothing to `most`.
#[derive(Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) most: f64,
    pub(super) ticks: Vec<Tick>,
}

/// A value, and how it is written.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

/// Time, to the end of a run.
pub(super) fn time_axis(finish: Duration) -> Axis {
    let seconds = finish.as_secs_f64().max(0.1);
    let rough = seconds / TIME_TICKS;
    let round = ROUND_SPANS.iter().copied().find(|round| rough <= *round);
    let day = ROUND_SPANS[ROUND_SPANS.len() - 1];
    let step = round.unwrap_or_else(|| day * round_up(rough / day));
    let (unit, name) = match step {
        step if step < 60.0 => (1.0, "s"),
        step if step < 3_600.0 => (60.0, "min"),
        step if step < day => (3_600.0, "h"),
        _ => (day, "d"),
    };
    let label = |at: f64| if at == 0.0 { "0".to_owned() } else { format!("{} {name}", at / unit) };
    Axis { most: seconds, ticks: ticks(step, seconds, label) }
}

/// Shares of a limit, to the full and beyond if need be.
pub(super) fn share_axis(most: f64) -> Axis {
    let step = if most <= 1.5 { 0.25 } else { 0.5 };
    let most = (most / step).ceil() * step;
    Axis { most, ticks: ticks(step, most, |at| format!("{:.0} %", at * 100.0)) }
}

/// A number of things.
pub(super) fn count_axis(most: u64) -> Axis {
    let most = most.max(1) as f64;
    let step = round_up(most / VALUE_TICKS).max(1.0);
    Axis { most, ticks: ticks(step, most, |at| short(at as u64)) }
}

fn ticks(step: f64, most: f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
    let last = (most / step + 1e-9).floor() as u32;
    (0..=last).map(|tick| f64::from(tick) * step).map(|at| Tick { at, label: label(at) }).collect()
}

/// The next of 1, 2, 5, 10, 20, ...
fn round_up(value: f64) -> f64 {
    let scale = 10_f64.powf(value.max(1e-9).log10().floor());
    let digit = value / scale;
    [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| digit <= round + 1e-9).unwrap_or(10.0) * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_have_units() {
        let time = |seconds| time_axis(Duration::from_secs(seconds));
        assert_eq!(labels(&time(30)), ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s"]);
        assert_eq!(labels(&time(600)), ["0", "2 min", "4 min", "6 min", "8 min", "10 min"]);
        assert_eq!(labels(&time(20 * 86_400)), ["0", "5 d", "10 d", "15 d", "20 d"]);
        assert_eq!(labels(&count_axis(5_000)), ["0", "2,000", "4,000"]);
        assert_eq!(labels(&count_axis(1)), ["0", "1"]);
        assert_eq!(labels(&share_axis(1.0)), ["0 %", "25 %", "50 %", "75 %", "100 %"]);
        assert_eq!(labels(&share_axis(1.1)).last(), Some(&"125 %"));
        assert_eq!(labels(&share_axis(2.1)), ["0 %", "50 %", "100 %", "150 %", "200 %", "250 %"]);
        assert!(labels(&time_axis(Duration::ZERO)).len() == 1);
    }
}

//! Windows that reports are guessed to speak of.
//!
//! Where no name tells a window, it follows from what a bucket would show that refills over it. The countdown of a fixed
//! window, or the full minute of a sliding one, shows the same at some point of use, and does so again in each minute: a
//! minute's limit that is taken for an hour's stops everything. The two agree at one point of use, but not at two; and no
//! minute counts down from more than a minute.

use std::time::Duration;

use super::MINUTE;
use crate::feedback::LimitSeen;
use crate::tuning::{WINDOW_SIGHTINGS, WINDOW_SPREAD};

/// What the reports of each dimension have been guessed to speak of in a row.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    rows: [Option<Row>; 4],
}

#[derive(Clone, Copy, Debug)]
struct Row {
    window: Duration,
    sightings: u32,
    least_used: u64,
    most_used: u64,
    longest_reset: Duration,
}

impl Row {
    fn new(window: Duration) -> Self {
        Self { window, sightings: 0, least_used: u64::MAX, most_used: 0, longest_reset: Duration::ZERO }
    }

    fn is_convincing(&self) -> bool {
        let at_two_points = self.least_used.max(1) as f64 * WINDOW_SPREAD <= self.most_used as f64;
        WINDOW_SIGHTINGS <= self.sightings && (at_two_points || MINUTE < self.longest_reset)
    }
}

impl Guesses {
    /// Notes what a report is guessed to speak of, and whether to believe it.
    pub(super) fn note(&mut self, report: &LimitSeen) -> bool {
        let used = report.limit.unwrap_or(0).saturating_sub(report.remaining.unwrap_or(0));
        let row = &mut self.rows[report.dimension as usize];
        let Some(window) = report.window else {
            // What is unused fits every window; what is used and fits none ends the row.
            if 0 < used {
                *row = None;
            }
            return false;
        };
        let mut next = row.filter(|row| row.window == window).unwrap_or(Row::new(window));
        next.sightings = next.sightings.saturating_add(1);
        next.least_used = next.least_used.min(used);
        next.most_used = next.most_used.max(used);
        next.longest_reset = next.longest_reset.max(report.reset.unwrap_or_default());
        *row = Some(next);
        next.is_convincing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Dimension;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn report(window: Option<Duration>, used: u64, reset: u64) -> LimitSeen {
        LimitSeen {
            dimension: Dimension::Requests,
            window,
            window_is_guessed: true,
            limit: Some(600),
            remaining: Some(600 - used),
            reset: Some(Duration::from_secs(reset)),
            rounding: 1,
        }
    }

    fn believed(reports: &[LimitSeen]) -> bool {
        let mut guesses = Guesses::default();
        reports.iter().any(|report| guesses.note(report))
    }

    #[test]
    fn one_point_of_use_proves_nothing() {
        let hour = |used, reset| report(Some(HOUR), used, reset);
        assert!(!believed(&[hour(10, 59); 100]), "a window's countdown");
        assert!(!believed(&[hour(10, 60), hour(10, 60), hour(11, 60)].repeat(10)), "a sliding one");
        assert!(believed(&[hour(6, 36), hour(8, 48), hour(9, 54)]), "two points");
        assert!(!believed(&[hour(6, 36), hour(9, 54)]), "too few");
        assert!(believed(&[hour(100, 600), hour(101, 606), hour(102, 612)]), "no minute's countdown");
    }

    #[test]
    fn a_report_that_fits_nothing_ends_the_row() {
        let hour = |used, reset| report(Some(HOUR), used, reset);
        let between = |between| believed(&[hour(6, 36), hour(8, 48), between, hour(9, 54)]);
        assert!(!between(report(None, 40, 50)));
        assert!(!between(report(Some(MINUTE), 300, 30)));
        assert!(between(report(None, 0, 0)), "nothing used, nothing said");
    }
}

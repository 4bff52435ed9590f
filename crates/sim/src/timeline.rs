//! One run in slices of time, for whoever tunes: what was sent, let in, refused, and how long people waited.

use std::io::{self, Write};
use std::time::Duration;

use paceline_core::engine::Priority;
use paceline_core::time::Time;

use crate::provider::charge;
use crate::record::Outcome;
use crate::scenario::Scenario;

/// Length of a slice.
const SLICE: Duration = Duration::from_secs(10);

/// Prints a run, a line every ten seconds.
pub fn print(scenario: &Scenario, outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", scenario.title())?;
    let quotas = scenario.quotas(100);
    write!(out, "{:>6} {:>6} {:>6} {:>6} {:>9}", "from", "sent", "let in", "429", "wait max")?;
    for quota in &quotas {
        write!(out, " {:>14}", quota.dimension.name())?;
    }
    writeln!(out)?;
    let mut from = Time::ZERO;
    while from < outcome.ended {
        let to = from + SLICE;
        let inside = |at: Time| from <= at && at < to;
        let sent = outcome.sends.iter().filter(|send| inside(send.at)).count();
        let admitted: Vec<_> = outcome.admitted.iter().filter(|admitted| inside(admitted.at)).collect();
        let throttled: Vec<_> = outcome.throttles.iter().filter(|throttle| inside(throttle.at)).collect();
        let interactive = outcome.records.iter().filter(|r| r.job.priority == Priority::Interactive);
        let waits =
            interactive.filter_map(|r| Some(r.last_sent.filter(|at| inside(*at))?.since(r.submitted)));
        let wait = waits.max().unwrap_or_default().as_secs_f64();
        let (let_in, refused) = (admitted.len(), throttled.len());
        write!(out, "{:>6.0} {sent:>6} {let_in:>6} {refused:>6} {wait:>9.2}", from.as_secs_f64())?;
        for quota in &quotas {
            let metering = scenario.metering();
            let job = |request: usize| &outcome.records[request].job;
            let used: u64 = admitted.iter().map(|a| charge(job(a.request), quota.dimension, &metering)).sum();
            let full = quota.limit as f64 * SLICE.as_secs_f64() / quota.window.as_secs_f64();
            write!(out, " {:>13.1}%", used as f64 / full * 100.0)?;
        }
        let mut dimensions: Vec<&str> = throttled.iter().filter_map(|t| Some(t.dimension?.name())).collect();
        dimensions.dedup();
        writeln!(out, " {}", dimensions.join(" "))?;
        from = to;
    }
    Ok(())
}

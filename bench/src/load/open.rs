//! Open loop: requests are due at fixed times, whether or not earlier ones were answered. Times count from when a request was
//! due, so that a pause of the gateway shows in every request that it held up (no coordinated omission).

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::caller::Caller;
use super::tally::{Figures, Tally};

/// How late the system may wake a thread that asked to sleep, in nanoseconds. It is 50,000 by default, which is of the order
/// of what is measured.
const TIMER_SLACK: &str = "1";
/// Before the first request is due, so that every caller is connected.
const LEAD: Duration = Duration::from_millis(200);

/// Asks `rate` times a second for `long`, callers in turn. Who cannot keep the rate is behind at the end, up to twice `long`.
pub fn run(mut callers: Vec<Caller>, rate: f64, long: Duration) -> Result<Figures> {
    ensure!(rate > 0.0 && rate.is_finite(), "the rate must be above 0");
    // Threads inherit it. Where it cannot be set, everything measured here is a little later, direct requests too.
    let _ = fs::write("/proc/self/timerslack_ns", TIMER_SLACK);
    for caller in &mut callers {
        caller.connect()?;
    }
    let turn = Duration::from_secs_f64(callers.len() as f64 / rate);
    let began = Instant::now() + LEAD;
    let mut threads = Vec::new();
    for (place, caller) in callers.into_iter().enumerate() {
        let first = began + Duration::from_secs_f64(place as f64 / rate);
        threads.push(thread::spawn(move || one(caller, first, turn, began + long, began + 2 * long)));
    }
    let mut tally = Tally::default();
    for thread in threads {
        tally.add(thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?);
    }
    Ok(tally.figures(began.elapsed()))
}

/// Asks whenever a request is due until `end`, and gives up at `last`.
fn one(mut caller: Caller, first: Instant, turn: Duration, end: Instant, last: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut due = first;
    while due < end && Instant::now() < last {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        match caller.ask() {
            Ok(()) => tally.right(due.elapsed()),
            Err(error) => tally.wrong(&error),
        }
        due += turn;
    }
    (0..caller.reconnects()).for_each(|_| tally.reconnected());
    tally
}

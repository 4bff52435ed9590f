//! Closed loop: each caller asks again as soon as it has its answer. Says what a gateway can do at most, and what a request
//! costs; its times say little, for a slow gateway is asked less.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::caller::Caller;
use super::tally::{Figures, Tally};

/// Failures in a row after which a caller gives up.
const MOST_FAILURES: usize = 10;

/// Lets `callers` ask for `long`; those asked before the end are answered still.
pub fn run(callers: Vec<Caller>, long: Duration) -> Result<Figures> {
    let began = Instant::now();
    let threads: Vec<_> = callers.into_iter().map(|c| thread::spawn(move || one(c, began + long))).collect();
    let mut tally = Tally::default();
    for thread in threads {
        tally.add(thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?);
    }
    Ok(tally.figures(began.elapsed()))
}

fn one(mut caller: Caller, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut failures = 0;
    while Instant::now() < end && failures < MOST_FAILURES {
        let asked = Instant::now();
        match caller.ask() {
            Ok(()) => {
                failures = 0;
                tally.right(asked.elapsed());
            }
            Err(error) => {
                failures += 1;
                tally.wrong(&error);
            }
        }
    }
    (0..caller.reconnects()).for_each(|_| tally.reconnected());
    tally
}

//! Gives memory back to the system once a crowd has gone; the allocator would keep it for the next one.

use std::time::Duration;

use paceline::Client;
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// So many in flight are a crowd: fewer leave little behind.
const CROWD: usize = 256;
/// What a crowd leaves is given back with so many looks: some of its connections rest for most of a minute.
const TIMES: u32 = 7;

/// Watches how many are in flight, as long as the process lives.
pub(super) fn watch(client: Client) {
    tokio::spawn(async move {
        let mut tide = Tide::default();
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if tide.leaves(client.snapshot().await.in_flight) {
                // It takes a while, and cannot fail.
                let _ = tokio::task::spawn_blocking(paceline_memory::give_back).await;
            }
        }
    });
}

/// How many were in flight.
#[derive(Debug, Default)]
struct Tide {
    highest: usize,
    times: u32,
}

impl Tide {
    /// Whether there is something to give back: three of four of a crowd have gone, not long ago.
    fn leaves(&mut self, in_flight: usize) -> bool {
        self.highest = self.highest.max(in_flight);
        if CROWD <= self.highest && in_flight <= self.highest / 4 {
            self.highest = in_flight;
            self.times = TIMES;
        }
        let leaves = 0 < self.times;
        self.times = self.times.saturating_sub(1);
        leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_for_a_minute_after_a_crowd_has_gone() {
        let mut tide = Tide::default();
        for few in [0, CROWD - 1, 0] {
            assert!(!tide.leaves(few));
        }
        for (in_flight, leaves) in [(3_000, false), (2_000, false), (750, true), (1_000, true)] {
            assert_eq!(tide.leaves(in_flight), leaves, "{in_flight}");
        }
        let looks = (0..20).filter(|_| tide.leaves(900)).count();
        assert_eq!(looks, TIMES as usize - 2);
        assert!(tide.leaves(10), "the rest of them are a crowd, too");
    }
}

//! What earlier processes used, with the time by which they had: so that starting again and again does not make use look
//! younger and younger, and a window never end.

use std::time::Duration;

use super::limits::LimitEntry;

/// What a process that was killed may have done since it last saved.
const UNSAVED: Duration = Duration::from_millis(1_200);

/// A part of what was used of a limit: by when (unix time in milliseconds), and how much.
pub(super) type Part = (u64, u64);

/// What this process was told of its limits, and when that had been used.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited(Vec<(LimitEntry, Vec<Part>)>);

impl Inherited {
    /// Takes entries over at `now` (unix time), each with what counts as used of it. Of a process that was killed the last
    /// moments count as used at the steady rate.
    pub(super) fn take(entries: &mut [LimitEntry], now: Duration, killed: bool) -> Self {
        let inherit = |entry: &mut LimitEntry| {
            let mut parts = std::mem::take(&mut entry.older);
            let older = sum(&parts);
            // The file has whole seconds: the last moment of this one is the safe side.
            parts.push((
                entry.confirmed.saturating_mul(1_000).saturating_add(999),
                entry.used.saturating_sub(older),
            ));
            let window = entry.window_ms;
            let unsaved = parts.last().is_some_and(|last| killed && is_alive(*last, window, now));
            parts.retain(|part| is_alive(*part, window, now));
            if unsaved {
                let share = UNSAVED.as_millis().saturating_mul(u128::from(entry.limit));
                let share = u64::try_from(share.div_ceil(u128::from(window.max(1)))).unwrap_or(u64::MAX);
                parts.push((millis(now), share.min(entry.limit.saturating_sub(sum(&parts)))));
            }
            parts.retain(|(_, amount)| *amount > 0);
            entry.used = sum(&parts);
            (entry.clone(), parts)
        };
        Self(entries.iter_mut().map(inherit).collect())
    }

    /// Tells of each entry, which is to be saved at `now`, which part of its use was inherited.
    pub(super) fn tell(&self, entries: &mut [LimitEntry], now: Duration) {
        for entry in entries {
            let Some((_, parts)) = self.0.iter().find(|(known, _)| known.is_of(entry)) else { continue };
            let mut left = entry.used;
            // A header may have shown that less was used: what is oldest is over soonest, so it goes first.
            let newest_first = parts.iter().rev().filter(|part| is_alive(**part, entry.window_ms, now));
            let held = newest_first.map(|(at, amount)| {
                let amount = *amount.min(&left);
                left -= amount;
                (*at, amount)
            });
            entry.older = held.filter(|(_, amount)| *amount > 0).collect();
            entry.older.reverse();
        }
    }
}

fn sum(parts: &[Part]) -> u64 {
    parts.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
}

fn is_alive((at, _): Part, window: u64, now: Duration) -> bool {
    millis(now) < at.saturating_add(window)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

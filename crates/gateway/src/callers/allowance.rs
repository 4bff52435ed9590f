//! One allowance of one caller: so much in any window of time. Charged when a request is let through, corrected when it is
//! known what it took.

use std::collections::VecDeque;
use std::time::Duration;

/// A window is kept in so many slices; a slice counts until all of it has left the window.
const SLICES: u32 = 64;
/// What a request has to wait for is in flight and may come back at any time.
const SOON: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// Requests.
    Requests,
    /// Tokens, input and output together.
    Tokens,
    /// Millionths of a US dollar.
    Money,
}

impl Counted {
    /// All of them.
    pub const ALL: [Counted; 3] = [Counted::Requests, Counted::Tokens, Counted::Money];

    /// The name in config, metrics, files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Counted::Requests => "requests",
            Counted::Tokens => "tokens",
            Counted::Money => "budget",
        }
    }
}

/// At most `limit` in any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Of what.
    pub counted: Counted,
    /// Over how long.
    pub window: Duration,
    /// How much.
    pub limit: u64,
}

/// What was spent since `start` (unix time), until the next slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Unix time.
    pub start: Duration,
    /// How much.
    pub amount: u64,
}

/// An allowance with what was spent of it.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) allowance: Allowance,
    slices: VecDeque<Slice>, // By start; never more than fit into a window.
}

impl Account {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, slices: VecDeque::new() }
    }

    /// Spent in the window that ends at `now`.
    pub(super) fn spent(&mut self, now: Duration) -> u64 {
        self.forget(now);
        self.slices.iter().fold(0, |sum, slice| sum.saturating_add(slice.amount))
    }

    /// Whether `want` more fits; an error says when to ask again, or that it never fits.
    pub(super) fn fits(&mut self, now: Duration, want: u64) -> Result<(), Option<Duration>> {
        let limit = self.allowance.limit;
        let needed = match self.allowance.counted {
            // Tokens are a guess on the safe side. Whoever asks for more than all waits until nothing else is charged.
            Counted::Tokens => want.min(limit),
            Counted::Requests | Counted::Money => want,
        };
        if limit < needed {
            return Err(None);
        }
        let mut spent = self.spent(now);
        if needed == 0 || spent.saturating_add(needed) <= limit {
            return Ok(());
        }
        let expiry = self.slice_length() + self.allowance.window;
        for slice in &self.slices {
            spent = spent.saturating_sub(slice.amount);
            if spent.saturating_add(needed) <= limit {
                return Err(Some((slice.start + expiry).saturating_sub(now).max(Duration::from_millis(1))));
            }
        }
        Err(Some(SOON))
    }

    /// Charges `amount` at `now`, and says in which slice.
    pub(super) fn charge(&mut self, now: Duration, amount: u64) -> Duration {
        self.forget(now);
        let start = self.slice_at(now);
        match self.slices.back_mut() {
            // A clock that went back goes on in the newest slice.
            Some(slice) if start <= slice.start => {
                slice.amount = slice.amount.saturating_add(amount);
                slice.start
            }
            _ => {
                self.slices.push_back(Slice { start, amount });
                start
            }
        }
    }

    /// Corrects `charged` in the slice that starts at `start` to `amount`.
    pub(super) fn correct(&mut self, now: Duration, start: Duration, charged: u64, amount: u64) {
        self.forget(now);
        if let Some(slice) = self.slices.iter_mut().find(|slice| slice.start == start) {
            slice.amount = slice.amount.saturating_sub(charged).saturating_add(amount);
        } else if charged < amount {
            // The window went by meanwhile: what is beyond the charge is charged now.
            self.charge(now, amount - charged);
        }
    }

    /// The same spending under another allowance.
    pub(super) fn under(&self, allowance: Allowance) -> Self {
        let mut account = Self::new(allowance);
        account.restore(self.slices.iter().copied());
        account
    }

    /// Adds what an earlier process spent. What it says of the future was said by a wrong clock, and counts as of its own
    /// slice all the same: it is the safe side, and ends with the window.
    pub(super) fn restore(&mut self, slices: impl Iterator<Item = Slice>) {
        let mut all: Vec<Slice> = self.slices.drain(..).chain(slices).collect();
        all.sort_by_key(|slice| slice.start);
        for Slice { start, amount } in all {
            let start = self.slice_at(start);
            match self.slices.back_mut() {
                Some(last) if last.start == start => last.amount = last.amount.saturating_add(amount),
                _ => self.slices.push_back(Slice { start, amount }),
            }
        }
    }

    /// Takes note of another account of the past: in each slice, the larger one counts.
    pub(super) fn recall(&mut self, now: Duration, charged: impl Iterator<Item = (Duration, u64)>) {
        let mut other = Self::new(self.allowance);
        other.restore(charged.map(|(start, amount)| Slice { start, amount }));
        for slice in &mut other.slices {
            let known = self.slices.iter().find(|known| known.start == slice.start);
            slice.amount = slice.amount.saturating_sub(known.map_or(0, |known| known.amount));
        }
        self.restore(other.slices.into_iter());
        self.forget(now);
    }

    /// What is to be kept.
    pub(super) fn slices(&mut self, now: Duration) -> Vec<Slice> {
        self.forget(now);
        self.slices.iter().copied().filter(|slice| slice.amount > 0).collect()
    }

    fn slice_length(&self) -> Duration {
        (self.allowance.window / SLICES).max(Duration::from_millis(1))
    }

    fn slice_at(&self, at: Duration) -> Duration {
        let length = self.slice_length().as_nanos();
        let start = at.as_nanos() / length * length;
        Duration::from_nanos(u64::try_from(start).unwrap_or(u64::MAX))
    }

    fn forget(&mut self, now: Duration) {
        let expiry = self.slice_length() + self.allowance.window;
        while self.slices.front().is_some_and(|slice| slice.start.saturating_add(expiry) <= now) {
            self.slices.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn account(counted: Counted, window: Duration, limit: u64) -> Account {
        Account::new(Allowance { counted, window, limit })
    }

    #[test]
    fn a_spent_budget_says_when_some_of_it_is_back() {
        let mut money = account(Counted::Money, DAY, 100);
        let start = secs(1_000_000_000);
        assert_eq!(money.fits(start, 101), Err(None));
        assert_eq!(money.fits(start, 100), Ok(()));
        money.charge(start, 60);
        money.charge(start + secs(3_600), 40);
        assert_eq!(money.fits(start + secs(7_200), 0), Ok(()));
        let wait = money.fits(start + secs(7_200), 1).unwrap_err().unwrap();
        let back = start + secs(7_200) + wait;
        assert!(start + DAY <= back && back <= start + DAY + secs(1_350), "{wait:?}");
        assert_eq!(money.fits(back, 60), Ok(()));
        assert!(money.fits(back, 61).is_err());
    }

    #[test]
    fn more_tokens_than_the_window_has_wait_until_it_is_empty() {
        let mut tokens = account(Counted::Tokens, secs(64), 1_000);
        tokens.charge(secs(640), 1);
        assert_eq!(tokens.fits(secs(641), 5_000), Err(Some(secs(64))));
        assert_eq!(tokens.fits(secs(705), 5_000), Ok(()));
        tokens.charge(secs(705), 5_000);
        assert!(tokens.fits(secs(706), 1).is_err());
        assert_eq!(account(Counted::Requests, secs(64), 1).fits(secs(1), 2), Err(None));
    }

    #[test]
    fn corrections_find_their_slice_or_count_now() {
        let mut money = account(Counted::Money, secs(64), 100);
        let slice = money.charge(secs(640), 50);
        money.correct(secs(650), slice, 50, 20);
        assert_eq!(money.spent(secs(650)), 20);
        money.correct(secs(800), slice, 20, 30); // The window is over: only the rest is charged.
        assert_eq!(money.spent(secs(800)), 10);
        money.correct(secs(864), slice, 20, 0);
        assert_eq!(money.spent(secs(864)), 10);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_back() {
        let mut requests = account(Counted::Requests, secs(64), 3);
        requests.charge(secs(6_400), 2);
        requests.charge(secs(10), 1);
        assert!(requests.fits(secs(10), 1).is_err());
        let mut restored = account(Counted::Requests, secs(64), 3);
        restored.restore(requests.slices(secs(6_400)).into_iter());
        assert!(restored.fits(secs(6_300), 1).is_err());
        assert_eq!(restored.fits(secs(6_465), 1), Ok(()));
    }

    proptest! {
        /// Whatever is asked and however it is settled below the charge: no window holds more than the limit.
        #[test]
        fn no_window_is_overspent(steps in prop::collection::vec((0_u64..40, 0_u64..60, 0_u64..60), 1..200)) {
            let (window, limit) = (secs(100), 100);
            let mut money = account(Counted::Money, window, limit);
            let mut now = secs(1_000);
            let mut log: Vec<(Duration, u64)> = Vec::new();
            for (pause, want, used) in steps {
                now += secs(pause);
                match money.fits(now, want) {
                    Ok(()) => {
                        let slice = money.charge(now, want);
                        let used = used.min(want);
                        money.correct(now, slice, want, used);
                        log.push((now, used));
                    }
                    Err(Some(wait)) => {
                        // Asking again after the wait succeeds.
                        prop_assert!(money.clone().fits(now + wait, want).is_ok());
                    }
                    Err(None) => prop_assert!(limit < want),
                }
                let recent = log.iter().filter(|(at, _)| now < *at + window);
                prop_assert!(recent.map(|(_, used)| used).sum::<u64>() <= limit);
                prop_assert!(money.slices.len() <= SLICES as usize + 2);
            }
        }
    }
}

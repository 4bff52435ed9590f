//! What one caller may use: all its allowances, charged together or not at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_wire::price::MicroUsd;

use super::Clock;
use super::allowance::{Account, Allowance, Counted, Slice};

/// What a request is expected to take at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Input and output tokens.
    pub tokens: u64,
    /// Money; `None` when nobody knows the price.
    pub cost: Option<MicroUsd>,
}

/// Why a caller's own bounds let nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// An allowance is used up for now.
    UsedUp {
        /// Which.
        allowance: Allowance,
        /// When enough of it is back.
        wait: Duration,
    },
    /// The request alone is over the whole allowance.
    TooMuch {
        /// Which.
        allowance: Allowance,
        /// What the request may take.
        want: u64,
    },
    /// The caller has a budget, and the model no known price.
    Unpriced,
}

/// The allowances of one caller. Outlives a reload, with what was spent.
pub struct Purse {
    accounts: Mutex<Vec<Account>>,
    clock: Clock,
}

impl Purse {
    /// A purse of which nothing is spent yet.
    pub fn new(allowances: &[Allowance], clock: Clock) -> Self {
        let accounts = allowances.iter().copied().map(Account::new).collect();
        Self { accounts: Mutex::new(accounts), clock }
    }

    /// Changes what is allowed. What was spent stays spent, under a new window too.
    pub fn reconfigure(&self, allowances: &[Allowance]) {
        let mut accounts = self.lock();
        let renewed = allowances.iter().map(|allowance| {
            let same = |account: &&Account| account.allowance.counted == allowance.counted;
            let exact = accounts.iter().filter(same).find(|it| it.allowance.window == allowance.window);
            let widest = || accounts.iter().filter(same).max_by_key(|it| it.allowance.window);
            exact
                .or_else(widest)
                .map_or_else(|| Account::new(*allowance), |account| account.under(*allowance))
        });
        let renewed = renewed.collect();
        *accounts = renewed;
    }

    /// Charges what a request may take, in all allowances or in none.
    pub fn reserve(self: &Arc<Self>, ask: &Ask) -> Result<Reservation, Spent> {
        let now = self.clock.now();
        let mut accounts = self.lock();
        let mut longest: Option<Spent> = None;
        for account in accounts.iter_mut() {
            let want = amount(account.allowance.counted, ask).ok_or(Spent::Unpriced)?;
            let allowance = account.allowance;
            match account.fits(now, want) {
                Ok(()) => {}
                Err(None) => return Err(Spent::TooMuch { allowance, want }),
                Err(Some(wait)) => {
                    if !matches!(longest, Some(Spent::UsedUp { wait: known, .. }) if wait <= known) {
                        longest = Some(Spent::UsedUp { allowance, wait });
                    }
                }
            }
        }
        if let Some(spent) = longest {
            return Err(spent);
        }
        let charge = |account: &mut Account| {
            let amount = amount(account.allowance.counted, ask).unwrap_or_default();
            Charge { allowance: account.allowance, slice: account.charge(now, amount), amount }
        };
        let charges = accounts.iter_mut().map(charge).collect();
        Ok(Reservation { purse: self.clone(), charges, sent: false })
    }

    /// Each allowance, with what is spent of it in the window that ends now.
    pub fn standing(&self) -> Vec<(Allowance, u64)> {
        let now = self.clock.now();
        self.lock().iter_mut().map(|account| (account.allowance, account.spent(now))).collect()
    }

    /// What to keep over a restart. Reservations are in it, so that a crash forgets nothing.
    pub fn spending(&self) -> Vec<(Counted, Duration, Vec<Slice>)> {
        let now = self.clock.now();
        let kept = |account: &mut Account| {
            (account.allowance.counted, account.allowance.window, account.slices(now))
        };
        self.lock().iter_mut().map(kept).filter(|(.., slices)| !slices.is_empty()).collect()
    }

    /// Adds what an earlier process spent to every allowance of that kind and window.
    pub fn restore(&self, counted: Counted, window: Duration, slices: &[Slice]) {
        for account in self.lock().iter_mut() {
            if (account.allowance.counted, account.allowance.window) == (counted, window) {
                account.restore(slices.iter().copied());
            }
        }
    }

    /// Takes note of what earlier processes were charged, by another account of the same: of two that differ, the larger
    /// one counts.
    pub fn recall(&self, counted: Counted, charged: impl Iterator<Item = (Duration, u64)> + Clone) {
        let now = self.clock.now();
        for account in self.lock().iter_mut().filter(|account| account.allowance.counted == counted) {
            account.recall(now, charged.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Account>> {
        // Every change is complete before anything in it can panic.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn amount(counted: Counted, ask: &Ask) -> Option<u64> {
    match counted {
        Counted::Requests => Some(1),
        Counted::Tokens => Some(ask.tokens),
        Counted::Money => ask.cost.map(MicroUsd::micros),
    }
}

struct Charge {
    allowance: Allowance,
    slice: Duration,
    amount: u64,
}

/// What is held for one request until it is known what it took. Dropped before anything was sent, it is given back; dropped
/// later, it stands.
pub struct Reservation {
    purse: Arc<Purse>,
    charges: Vec<Charge>,
    sent: bool,
}

impl Reservation {
    /// Something went to an upstream, so from here on it may cost.
    pub fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// The request took this. A price that is still unknown leaves the charge as it is.
    pub fn settle(mut self, used: &Ask) {
        self.correct(Some(used));
        self.charges.clear();
    }

    fn correct(&mut self, used: Option<&Ask>) {
        if self.charges.is_empty() {
            return;
        }
        let now = self.purse.clock.now();
        let mut accounts = self.purse.lock();
        for charge in &self.charges {
            let used = match used {
                Some(used) => amount(charge.allowance.counted, used).unwrap_or(charge.amount),
                None => 0,
            };
            // A reload may have changed the limit, and even the window: the slice is found if there still is one.
            let same = |account: &&mut Account| {
                let (now, then) = (account.allowance, charge.allowance);
                (now.counted, now.window) == (then.counted, then.window)
            };
            if let Some(account) = accounts.iter_mut().find(same) {
                account.correct(now, charge.slice, charge.amount, used);
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.sent {
            self.correct(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    fn allowances() -> [Allowance; 3] {
        [
            Allowance { counted: Counted::Requests, window: MINUTE, limit: 3 },
            Allowance { counted: Counted::Tokens, window: MINUTE, limit: 1_000 },
            Allowance { counted: Counted::Money, window: DAY, limit: 100 },
        ]
    }

    fn purse() -> Arc<Purse> {
        Arc::new(Purse::new(&allowances(), Clock::frozen(Duration::from_secs(1_000_000))))
    }

    fn ask(tokens: u64, cost: u64) -> Ask {
        Ask { tokens, cost: Some(MicroUsd::new(cost)) }
    }

    fn spent(purse: &Purse) -> [u64; 3] {
        let standing: Vec<u64> = purse.standing().iter().map(|(_, spent)| *spent).collect();
        standing.try_into().unwrap()
    }

    #[test]
    fn all_or_nothing_then_settled() {
        let purse = purse();
        let mut first = purse.reserve(&ask(400, 60)).unwrap();
        assert_eq!(spent(&purse), [1, 400, 60]);
        // The money would fit, the tokens would not: nothing is charged.
        let refused = purse.reserve(&ask(700, 10)).err().unwrap();
        assert!(matches!(refused, Spent::UsedUp { allowance, .. } if allowance.counted == Counted::Tokens));
        assert_eq!(spent(&purse), [1, 400, 60]);
        first.mark_sent();
        first.settle(&ask(100, 20));
        assert_eq!(spent(&purse), [1, 100, 20]);
        purse.reserve(&ask(700, 10)).unwrap().settle(&ask(700, 10));
        assert_eq!(spent(&purse), [2, 800, 30]);
    }

    #[test]
    fn given_back_unless_it_was_sent() {
        let purse = purse();
        drop(purse.reserve(&ask(400, 60)).unwrap());
        assert_eq!(spent(&purse), [0, 0, 0]);
        let mut sent = purse.reserve(&ask(400, 60)).unwrap();
        sent.mark_sent();
        drop(sent);
        assert_eq!(spent(&purse), [1, 400, 60]);
    }

    #[test]
    fn the_longest_wait_is_told() {
        let purse = purse();
        let mut all = purse.reserve(&ask(1_000, 100)).unwrap();
        all.mark_sent();
        drop(all);
        let refused = purse.reserve(&ask(1, 1)).err().unwrap();
        assert!(matches!(refused, Spent::UsedUp { allowance, wait }
            if allowance.counted == Counted::Money && DAY - Duration::from_secs(1_350) <= wait));
        // What costs nothing is only held up by what else is used up.
        let refused = purse.reserve(&ask(1, 0)).err().unwrap();
        assert!(matches!(refused, Spent::UsedUp { allowance, wait }
            if allowance.counted == Counted::Tokens && wait <= 2 * MINUTE));
    }

    #[test]
    fn a_budget_needs_a_price_and_never_lets_more_through_than_all() {
        let purse = purse();
        assert_eq!(purse.reserve(&Ask { tokens: 1, cost: None }).err(), Some(Spent::Unpriced));
        let refused = purse.reserve(&ask(1, 101)).err().unwrap();
        assert!(matches!(refused, Spent::TooMuch { want: 101, .. }));
        let free = Arc::new(Purse::new(&allowances()[..2], Clock::frozen(DAY)));
        assert!(free.reserve(&Ask { tokens: 1, cost: None }).is_ok());
    }

    #[test]
    fn a_reload_forgets_nothing() {
        let purse = purse();
        let mut held = purse.reserve(&ask(400, 60)).unwrap();
        held.mark_sent();
        let week = 7 * DAY;
        purse.reconfigure(&[
            Allowance { counted: Counted::Money, window: week, limit: 300 },
            Allowance { counted: Counted::Requests, window: MINUTE, limit: 1 },
        ]);
        let standing: Vec<u64> = purse.standing().iter().map(|(_, spent)| *spent).collect();
        assert_eq!(standing, [60, 1]);
        assert!(matches!(purse.reserve(&ask(1, 1)), Err(Spent::UsedUp { .. })));
        held.settle(&ask(100, 20)); // Its windows are partly gone; what is left is corrected or stands.
        assert!(purse.standing()[0].1 <= 60);
    }

    #[test]
    fn of_two_accounts_of_the_past_the_larger_one_counts() {
        let after = purse();
        let (now, hour) = (Duration::from_secs(1_000_000), Duration::from_secs(3_600));
        after.restore(Counted::Money, DAY, &[Slice { start: now - hour, amount: 30 }]);
        let charged =
            [(now - 2 * DAY, 50), (now - 2 * hour, 15), (now - hour, 12), (now - hour, 12), (now, 5)];
        after.recall(Counted::Money, charged.into_iter());
        assert_eq!(spent(&after), [0, 0, 15 + 30 + 5]);
        after.recall(Counted::Money, charged.into_iter());
        assert_eq!(spent(&after), [0, 0, 15 + 30 + 5], "it is the same past");
    }

    #[test]
    fn spending_comes_back_after_a_restart() {
        let before = purse();
        let mut held = before.reserve(&ask(400, 60)).unwrap();
        held.mark_sent();
        let after = purse();
        for (counted, window, slices) in before.spending() {
            after.restore(counted, window, &slices);
        }
        assert_eq!(spent(&after), [1, 400, 60]);
    }
}

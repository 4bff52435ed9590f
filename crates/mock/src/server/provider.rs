//! What all connections share: the account's meters, the script, the log, the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_core::time::Time;

use super::options::Options;
use crate::accounts::{Account, Meters};
use crate::clock::Clock;
use crate::log::CallLog;
use crate::profile::{Amounts, Enforcement, Profile};
use crate::script::{Change, Director};

/// Counting tokens has its own limit (Anthropic, Start tier, 2026-08-22).
const COUNTING_REQUESTS_PER_MINUTE: u64 = 2_000;

/// One provider.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) clock: Clock,
    pub(super) profile: Profile,
    pub(super) seed: u64,
    pub(super) odd_headers: bool,
    pub(super) accounts: Vec<Account>,
    pub(super) log: CallLog,
    amounts: Mutex<Amounts>,
    changes: Mutex<Vec<Change>>,
    director: Mutex<Director>,
    meters: Mutex<Meters>,
    counting: Mutex<Meters>,
    calls: AtomicU64,
}

impl Provider {
    pub(super) fn new(options: Options, log: CallLog, unix: Duration) -> Self {
        let mut profile = if options.instant { options.profile.without_latency() } else { options.profile };
        profile.limits = profile.limits.overridden_by(options.limits);
        if let Some(window) = options.window {
            (profile.window, profile.requests_window) = (window, None);
        }
        let mut changes = options.script.changes;
        changes.sort_by_key(|change| change.at);
        let counting =
            Amounts { requests_per_minute: Some(COUNTING_REQUESTS_PER_MINUTE), ..Amounts::default() };
        let counting = counting.enforced(Enforcement::MinuteBucket);
        let window = profile.window;
        Provider {
            clock: Clock::start(unix, options.speed),
            seed: options.seed,
            odd_headers: options.odd_headers,
            accounts: options.script.accounts,
            log,
            amounts: Mutex::new(profile.limits),
            changes: Mutex::new(changes),
            director: Mutex::new(Director::new(options.script.rules, options.seed)),
            meters: Mutex::new(Meters::new(profile.meter_limits(), window, profile.rules)),
            counting: Mutex::new(Meters::new(counting, Enforcement::MinuteBucket, profile.rules)),
            calls: AtomicU64::new(0),
            profile,
        }
    }

    /// The number of a new call, from 1.
    pub(super) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn director(&self) -> MutexGuard<'_, Director> {
        lock(&self.director)
    }

    /// The meters of token counting, or of everything else.
    pub(super) fn meters(&self, counting: bool) -> MutexGuard<'_, Meters> {
        lock(if counting { &self.counting } else { &self.meters })
    }

    /// Other limits from now on; what is `None` stays as it is.
    pub(super) fn set_limits(&self, now: Time, limits: Amounts) {
        let mut amounts = lock(&self.amounts);
        *amounts = amounts.overridden_by(limits);
        self.meters(false).set_limits(now, self.profile.enforce(*amounts));
    }

    /// Makes the script's changes whose time has come.
    pub(super) fn make_changes(&self, now: Time) {
        let due: Vec<Change> = {
            let mut changes = lock(&self.changes);
            let due = changes.partition_point(|change| change.at <= now.since(Time::ZERO));
            changes.drain(..due).collect()
        };
        due.into_iter().for_each(|change| self.set_limits(now, change.limits));
    }
}

/// A panic elsewhere leaves counters that are still good enough to go on with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

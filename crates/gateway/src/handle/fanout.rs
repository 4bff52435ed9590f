//! Lets one request go first where many begin alike.
//!
//! Anthropic's prompt cache can be read only once the first answer has begun that writes it. Of several requests that arrive
//! together with the same marked beginning, each would pay for writing it; so all but the first wait for its answer's
//! head. Only for a while, and not at all where the beginning was seen lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline::Priority;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Nobody waits longer for another's head.
const LONGEST: Duration = Duration::from_secs(30);
/// A cache entry lives five minutes from its last use; a little less, so that it still lives when we count on it.
const LIFETIME: Duration = Duration::from_secs(270);
/// Beginnings that are remembered. Those beyond go unheeded until others have expired.
const MOST_KNOWN: usize = 4096;

/// The beginnings under way and lately seen.
pub(super) struct Fanout {
    known: Mutex<HashMap<u64, Known>>,
}

#[derive(Clone)]
enum Known {
    /// A request with it is on its way; its answer has not begun.
    Written { by: Arc<Notify>, priority: Priority },
    /// The cache has had it since then.
    Cached(Instant),
}

impl Fanout {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(HashMap::new()) }
    }

    /// Waits until nobody else is about to write one of `marks`, at most until `deadline`. Who holds the [`Lead`] goes first.
    pub(super) async fn enter(
        self: Arc<Self>,
        marks: Vec<u64>,
        priority: Priority,
        deadline: Instant,
    ) -> Lead {
        let until = deadline.min(Instant::now() + LONGEST);
        let by = Arc::new(Notify::new());
        loop {
            let other = {
                let mut known = self.lock();
                match writer(&known, &marks, priority) {
                    Some(other) => other.notified_owned(),
                    None => {
                        claim(&mut known, &marks, &by, priority);
                        drop(known);
                        return Lead { fanout: self, marks, by };
                    }
                }
            };
            if timeout_at(until, other).await.is_err() {
                return Lead { fanout: self, marks, by };
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is about to write one of `marks`. Nobody waits for a request of a later class.
fn writer(known: &HashMap<u64, Known>, marks: &[u64], mine: Priority) -> Option<Arc<Notify>> {
    marks.iter().find_map(|mark| match known.get(mark) {
        Some(Known::Written { by, priority }) if *priority <= mine => Some(by.clone()),
        _ => None,
    })
}

fn claim(known: &mut HashMap<u64, Known>, marks: &[u64], by: &Arc<Notify>, priority: Priority) {
    if known.len() + marks.len() > MOST_KNOWN {
        known.retain(|_, known| !matches!(known, Known::Cached(at) if at.elapsed() > LIFETIME));
    }
    for mark in marks {
        let there = match known.get(mark) {
            Some(Known::Cached(at)) => at.elapsed() <= LIFETIME,
            Some(Known::Written { .. }) => true,
            None => known.len() >= MOST_KNOWN,
        };
        if !there {
            known.insert(*mark, Known::Written { by: by.clone(), priority });
        }
    }
}

/// The right to go first. Dropped before its answer has begun, it passes to one of those who wait.
pub(super) struct Lead {
    fanout: Arc<Fanout>,
    marks: Vec<u64>,
    by: Arc<Notify>,
}

impl Lead {
    /// The answer has begun: the cache can be read from now on.
    pub(super) fn handle_begun(self) {
        let mut known = self.fanout.lock();
        for mark in &self.marks {
            match known.get_mut(mark) {
                Some(known) if known.is_by(&self.by) => *known = Known::Cached(Instant::now()),
                Some(Known::Cached(at)) => *at = Instant::now(),
                _ => {}
            }
        }
        drop(known);
        // What is left is to wake the others, which dropping does.
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut known = self.fanout.lock();
        for mark in &self.marks {
            if known.get(mark).is_some_and(|known| known.is_by(&self.by)) {
                known.remove(mark);
            }
        }
        drop(known);
        self.by.notify_waiters();
    }
}

impl Known {
    fn is_by(&self, lead: &Arc<Notify>) -> bool {
        matches!(self, Known::Written { by, .. } if Arc::ptr_eq(by, lead))
    }
}

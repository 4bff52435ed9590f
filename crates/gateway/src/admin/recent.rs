//! The requests that ended of late: handlers leave them here in passing, and who shows them takes them away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paceline::Priority;
use paceline_usage::Ended;
use paceline_wire::Dialect;
use tokio::sync::Notify;

/// Requests that wait to be taken away at most. What comes on top is only counted.
const MOST_LEFT: usize = 8_192;
/// With so many waiting, whoever takes them is called.
const CALL_AT: usize = 2_048;
/// Names of models come from callers: as much is kept of one.
const LONGEST_MODEL: usize = 128;

/// Where handlers leave what ended. Clones are one and the same.
#[derive(Clone, Default)]
pub struct Recent(Arc<Inner>);

#[derive(Default)]
struct Inner {
    left: Mutex<Left>,
    many: Notify,
}

/// What was left since it was last taken away.
#[derive(Default)]
pub(super) struct Left {
    pub(super) requests: Vec<Gone>,
    /// Those that there was no room for.
    pub(super) lost: u64,
}

/// A request that has ended.
pub(super) struct Gone {
    pub(super) id: Box<str>,
    pub(super) dialect: Dialect,
    pub(super) model: Box<str>,
    pub(super) caller: Arc<str>,
    pub(super) priority: Priority,
    pub(super) ended_at: Instant,
    pub(super) total: Duration,
    pub(super) ended: Ended,
}

/// A request that has not ended, to be noted when it has.
pub(crate) struct Passing {
    recent: Recent,
    id: Box<str>,
    dialect: Dialect,
    model: Box<str>,
    caller: Arc<str>,
    priority: Priority,
    begun: Instant,
}

impl Recent {
    /// A request has begun.
    pub(crate) fn begin(
        &self,
        id: &str,
        dialect: Dialect,
        model: &str,
        caller: &Arc<str>,
        priority: Priority,
    ) -> Passing {
        Passing {
            recent: self.clone(),
            id: id.into(),
            dialect,
            model: shortened(model).into(),
            caller: caller.clone(),
            priority,
            begun: Instant::now(),
        }
    }

    /// Takes away what was left.
    pub(super) fn take(&self) -> Left {
        std::mem::take(&mut *self.lock())
    }

    /// Returns when there is much to be taken away.
    pub(super) async fn many(&self) {
        self.0.many.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        // Every change is complete before anything in it can panic.
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passing {
    /// It has ended.
    pub(crate) fn end(self, ended: Ended) {
        let Self { recent, id, dialect, model, caller, priority, begun } = self;
        let (ended_at, total) = (Instant::now(), begun.elapsed());
        let gone = Gone { id, dialect, model, caller, priority, ended_at, total, ended };
        let many = {
            let mut left = recent.lock();
            if MOST_LEFT <= left.requests.len() {
                left.lost += 1;
                return;
            }
            left.requests.push(gone);
            left.requests.len() == CALL_AT
        };
        if many {
            recent.0.many.notify_one();
        }
    }
}

/// As much of a name as is kept.
fn shortened(name: &str) -> &str {
    let end = (0..=LONGEST_MODEL.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    &name[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use paceline_usage::Finish;

    use super::*;

    #[test]
    fn holds_no_more_than_its_bound_and_counts_the_rest() {
        let recent = Recent::default();
        let end = |model: &str| {
            let passing = recent.begin("1", Dialect::OpenAi, model, &Arc::from("ci"), Priority::Normal);
            passing.end(Ended::of(Finish::Done));
        };
        (0..MOST_LEFT + 3).for_each(|_| end("m"));
        let left = recent.take();
        assert_eq!((left.requests.len(), left.lost), (MOST_LEFT, 3));
        end(&"\u{e9}".repeat(200));
        let left = recent.take();
        assert_eq!((left.lost, left.requests[0].model.len()), (0, LONGEST_MODEL));
        assert!(recent.take().requests.is_empty());
    }
}

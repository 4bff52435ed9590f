//! Answers that have come and are not written yet: what a killed process would ask for again, though it was answered.

use std::sync::Arc;

use tokio::sync::watch;

/// While more answers than this are not written, no attempt goes out. So the next run repeats no more calls than this
/// and those in flight, however long the disk takes or the thread that writes gets no turn.
pub const MOST_UNWRITTEN: usize = 64;

/// The answers of a run that are not written, counted. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Unwritten(Arc<watch::Sender<usize>>);

impl Default for Unwritten {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Unwritten {
    /// Counts one more, until what is returned is dropped. It has come already: nothing is left to be refused here.
    pub(crate) fn add(&self) -> Held {
        self.0.send_if_modified(|count| {
            *count += 1;
            false // Nobody waits for more.
        });
        Held(self.clone())
    }

    /// Returns while they are few enough.
    pub(crate) async fn are_few(&self) {
        if !is_few(&self.0.borrow()) {
            // The sender lives in this value: waiting can't fail.
            let _ = self.0.subscribe().wait_for(is_few).await;
        }
    }
}

fn is_few(count: &usize) -> bool {
    *count <= MOST_UNWRITTEN
}

/// One answer that is not written. Dropped once it is, or once nobody will write it.
#[derive(Debug)]
pub(crate) struct Held(Unwritten);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|count| {
            *count -= 1;
            *count == MOST_UNWRITTEN
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_are_waited_for_until_one_is_written() {
        let unwritten = Unwritten::default();
        let mut held: Vec<_> = (0..MOST_UNWRITTEN).map(|_| unwritten.add()).collect();
        unwritten.are_few().await;
        held.extend([unwritten.add(), unwritten.add()]);
        let waiting = [1, 2].map(|_| {
            tokio::spawn({
                let unwritten = unwritten.clone();
                async move { unwritten.are_few().await }
            })
        });
        for _ in 0..2 {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert!(waiting.iter().all(|task| !task.is_finished()), "{} are held", held.len());
            held.pop();
        }
        for task in waiting {
            task.await.unwrap();
        }
    }
}

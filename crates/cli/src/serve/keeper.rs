//! Saves every second what is to outlast the process, as long as there is a folder for it.

use std::sync::Arc;
use std::time::Duration;

use paceline::Client;
use paceline_gateway::callers::{Callers, Clock};
use paceline_gateway::state::{Ended, Spending, State, StateFile};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

/// A process that is killed forgets no more than this.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// A disk that does not take the state is complained about no more often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Saves until it is told to finish.
pub(super) struct Keeper {
    file: Arc<StateFile>,
    client: Client,
    callers: watch::Receiver<Arc<Callers>>,
    clock: Clock,
    complained: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(
        file: StateFile,
        client: Client,
        callers: watch::Receiver<Arc<Callers>>,
        clock: Clock,
    ) -> Self {
        Self { file: Arc::new(file), client, callers, clock, complained: None }
    }

    /// Saves now and then until `end` is told; then once more, against power cuts too.
    pub(super) async fn keep(mut self, mut end: watch::Receiver<bool>) {
        // A sender that is gone ends it, too.
        let mut ended = std::pin::pin!(async { drop(end.wait_for(|end| *end).await) });
        let mut saves = interval(SAVE_EVERY);
        saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = saves.tick() => self.save(Ended::NotYet).await,
                () = &mut ended => break,
            }
        }
        self.save(Ended::Yes).await;
    }

    async fn save(&mut self, ended: Ended) {
        let spending = Spending::of(&self.callers.borrow());
        let limits = self.client.learned().await;
        let (file, now) = (self.file.clone(), self.clock.now());
        // A disk may hang: nothing but the next save waits for it.
        let stored = tokio::task::spawn_blocking(move || file.store(&State { limits, spending }, now, ended));
        if let Ok(Err(fault)) = stored.await
            && self.complained.is_none_or(|at| COMPLAIN_EVERY <= at.elapsed())
        {
            self.complained = Some(Instant::now());
            warn!("{fault}");
        }
    }
}

//! The batches that run by themselves on this machine, for the dashboard: found by their control sockets.

use std::sync::Arc;
use std::time::Duration;

use paceline_control::{Found, find};
use paceline_gateway::admin::{Live, Run};
use paceline_status::{Kind, Status};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::ctl::folder;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Batches that are shown at most.
const MOST_SHOWN: usize = 20;

/// Looks for batches while somebody watches the dashboard, as long as anybody wants to know.
pub(super) fn watched(live: &Live) -> watch::Receiver<Arc<Vec<Run>>> {
    let (tell, told) = watch::channel(Arc::default());
    let live = live.clone();
    tokio::spawn(async move {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = tell.closed() => return,
                _ = looks.tick() => {}
            }
            let runs = if live.is_watched() { look().await } else { Vec::new() };
            tell.send_replace(Arc::new(runs));
        }
    });
    told
}

async fn look() -> Vec<Run> {
    // Where the folder cannot be used, there are no sockets in it.
    let found = find(&folder()).await.unwrap_or_default();
    let mut runs = Vec::new();
    for one in found.iter().filter(|one| one.who.kind == Kind::Run).take(MOST_SHOWN) {
        runs.extend(ask(one).await);
    }
    runs
}

/// How a batch gets on; nothing when it has just ended.
async fn ask(found: &Found) -> Option<Run> {
    let status: Status = found.place.get("/v1/status").await.ok()?;
    Some(Run { pid: found.who.pid, paused: status.paused, batch: status.batch? })
}

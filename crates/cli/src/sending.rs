//! When the first attempt of a run went out and when the last one did.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use paceline::{Client, ClientEvent};
use tokio::sync::broadcast::error::RecvError;

/// Watches a client until it ends.
pub(crate) struct Sending(Arc<Mutex<Option<(Instant, Instant)>>>);

impl Sending {
    /// Starts watching.
    pub(crate) fn watch(client: &Client) -> Self {
        let times = Arc::new(Mutex::new(None));
        let (seen, mut events) = (times.clone(), client.events());
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(ClientEvent::Sent { .. }) => {
                        let now = Instant::now();
                        let mut times = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        times.get_or_insert((now, now)).1 = now;
                    }
                    // Events that were missed lie between the first and the last.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self(times)
    }

    /// From the first attempt to the last.
    pub(crate) fn span(&self) -> Duration {
        let times = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.map_or(Duration::ZERO, |(first, last)| last - first)
    }
}

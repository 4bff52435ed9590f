//! The stream of one dashboard.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use paceline_usage::Clock;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Live, MOST_LOOKERS, Tick};
use crate::body::BodyError;

type Next = Pin<Box<dyn Future<Output = (Result<Tick, RecvError>, Receiver<Tick>)> + Send>>;

/// What one dashboard is sent: everything, then what is new, until it leaves or the process ends.
pub(in crate::admin) struct LiveBody {
    live: Live,
    clock: Clock,
    seen: u64,
    first: Option<Bytes>,
    next: Next,
}

impl LiveBody {
    /// `None` when too many look already.
    pub(in crate::admin) fn open(live: &Live, clock: Clock) -> Option<Self> {
        let lookers = &live.0.lookers;
        let room = |lookers| (lookers < MOST_LOOKERS).then_some(lookers + 1);
        lookers.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        // First the ear, then the eye: nothing falls between them, and what comes twice is passed over by its number.
        let next = receive(live.0.ticks.subscribe());
        let full = live.full(clock.now());
        Some(Self { live: live.clone(), clock, seen: full.number, first: Some(full.event), next })
    }
}

fn receive(mut ticks: Receiver<Tick>) -> Next {
    Box::pin(async move { (ticks.recv().await, ticks) })
}

impl http_body::Body for LiveBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            let (tick, ticks) = ready!(this.next.as_mut().poll(cx));
            this.next = receive(ticks);
            let tick = match tick {
                Ok(tick) => tick,
                Err(RecvError::Lagged(_)) => this.live.full(this.clock.now()),
                Err(RecvError::Closed) => return Poll::Ready(None),
            };
            if this.seen < tick.number {
                this.seen = tick.number;
                return Poll::Ready(Some(Ok(Frame::data(tick.event))));
            }
        }
    }
}

impl Drop for LiveBody {
    fn drop(&mut self) {
        self.live.0.lookers.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt;
    use paceline_status::Status;

    use super::super::Unsent;
    use super::*;

    fn look(live: &Live, sent: u64) {
        let status = Status { sent, ..Status::default() };
        live.note_look(
            (status, Default::default()),
            false,
            &mut Unsent::default(),
            Duration::from_secs(sent),
        );
    }

    async fn read(body: &mut LiveBody) -> String {
        let frame = body.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn everything_first_then_what_is_new() {
        let live = Live::default();
        look(&live, 1);
        let mut body = LiveBody::open(&live, Clock::start()).unwrap();
        look(&live, 2);
        assert!(read(&mut body).await.contains("event: full\ndata: {"));
        let tick = read(&mut body).await;
        assert!(tick.starts_with("event: tick\n") && tick.contains("\"sent\":2"), "{tick}");
    }

    #[tokio::test]
    async fn who_lags_behind_gets_everything_anew() {
        let live = Live::default();
        let mut body = LiveBody::open(&live, Clock::start()).unwrap();
        read(&mut body).await;
        (0..50).for_each(|sent| look(&live, sent));
        let full = read(&mut body).await;
        assert!(full.starts_with("event: full\n") && full.contains("\"sent\":49"), "{full}");
        look(&live, 50);
        assert!(read(&mut body).await.contains("\"sent\":50"));
    }

    #[tokio::test]
    async fn only_so_many_look_at_once() {
        let live = Live::default();
        let all: Vec<_> = (0..MOST_LOOKERS + 3).map(|_| LiveBody::open(&live, Clock::start())).collect();
        assert_eq!(all.iter().flatten().count(), MOST_LOOKERS);
        drop(all);
        assert!(!live.is_watched() && LiveBody::open(&live, Clock::start()).is_some());
    }
}

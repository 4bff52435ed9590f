//! What is asked before attempts go out, and told of answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use paceline::SendError;
use paceline::core::engine::Health;
use tokio::sync::Semaphore;

use crate::support::{ANSWER, Server, ask, json};

#[tokio::test(start_paused = true)]
async fn an_attempt_waits_for_its_leave() {
    let server = Server::start(vec![json(500, "{}"), json(200, ANSWER)]).await;
    let client = server.client();
    let leaves = Arc::new(Semaphore::new(0));
    let answers = Arc::new(AtomicUsize::new(0));
    let request = ask()
        .before_send({
            let leaves = leaves.clone();
            move || {
                let leaves = leaves.clone();
                async move { leaves.acquire().await.map(tokio::sync::SemaphorePermit::forget).is_ok() }
            }
        })
        .on_answer({
            let answers = answers.clone();
            move || {
                answers.fetch_add(1, Ordering::SeqCst);
            }
        });
    let sending = tokio::spawn(async move { client.send(request).await });
    for attempt in 0..2 {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert_eq!((server.seen().len(), answers.load(Ordering::SeqCst)), (attempt, 0));
        leaves.add_permits(1);
    }
    assert_eq!(sending.await.unwrap().unwrap().trip.attempts, 2);
    assert_eq!((server.seen().len(), answers.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_veto_is_nobodys_failure() {
    const VETOES: usize = 30; // More than failures that open a breaker, and than a retry budget.
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let client = server.client();
    for _ in 0..VETOES {
        let ended = client.send(ask().before_send(|| async { false })).await;
        assert!(matches!(ended, Err(SendError::Vetoed)), "{ended:?}");
    }
    let snapshot = client.snapshot().await;
    assert_eq!((snapshot.in_flight, snapshot.retries, snapshot.throttled), (0, 0, 0));
    assert_eq!(snapshot.upstreams[0].view.health, Health::Closed);
    assert_eq!(server.seen().len(), 0);
    assert_eq!(client.send(ask()).await.unwrap().trip.attempts, 1);
}

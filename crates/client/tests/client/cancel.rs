//! Leaving, pausing, closing.

use std::time::Duration;

use paceline::{ClientEvent, SendError, Snapshot};
use tokio::time::Instant;

use crate::support::{ANSWER, Server, Step, ask, json};

fn busy(snapshot: &Snapshot) -> usize {
    snapshot.waiting.iter().sum::<usize>() + snapshot.in_flight
}

#[tokio::test(start_paused = true)]
async fn leaving_closes_the_connection_before_and_after_the_head() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    for script in [vec![Step::Hang], vec![Step::Bytes(head), Step::Hang]] {
        let server = Server::start(vec![script]).await;
        let client = server.client();
        let start = Instant::now();
        tokio::select! {
            answer = client.send(ask()) => panic!("{answer:?}"),
            () = async {
                server.has_seen(1).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            } => {}
        }
        server.was_left(1).await;
        assert!(start.elapsed() < Duration::from_millis(120), "{:?}", start.elapsed());
        assert_eq!(busy(&client.snapshot().await), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn leaving_while_waiting_sends_nothing() {
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let client = server.client();
    let later = Instant::now() + Duration::from_secs(60);
    let waiting = tokio::time::timeout(Duration::from_secs(1), client.send(ask().not_before(later)));
    assert!(waiting.await.is_err());
    assert_eq!(busy(&client.snapshot().await), 0);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(server.seen().len(), 0);
    client.send(ask()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_leave_at_random_and_nothing_is_kept() {
    let server = Server::start(vec![vec![Step::Sleep(Duration::from_millis(500)), Step::Hang]; 200]).await;
    let client = server.client();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..200_u64 {
        let client = client.clone();
        tasks.spawn(async move {
            let patience = Duration::from_millis(index * 7 % 50);
            let _ = tokio::time::timeout(patience, client.send(ask())).await;
        });
    }
    while tasks.join_next().await.is_some() {}
    assert_eq!(busy(&client.snapshot().await), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_back_what_is_not_sent_yet() {
    let server = Server::start(vec![json(200, ANSWER), json(200, ANSWER)]).await;
    let client = server.client();
    client.pause();
    let start = Instant::now();
    let sending = tokio::spawn({
        let client = client.clone();
        async move { client.send(ask()).await }
    });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.seen().len(), 0);
    let snapshot = client.snapshot().await;
    assert!(snapshot.paused && busy(&snapshot) == 1, "{snapshot:?}");
    client.resume();
    sending.await.unwrap().unwrap();
    assert!(30 <= start.elapsed().as_secs());
}

#[tokio::test(start_paused = true)]
async fn leaving_works_in_a_pause() {
    let server = Server::start(vec![vec![Step::Hang], json(200, ANSWER)]).await;
    let client = server.client();
    tokio::select! {
        answer = client.send(ask()) => panic!("{answer:?}"),
        () = server.has_seen(1) => client.pause(),
    }
    server.was_left(1).await;
    client.resume();
    client.send(ask()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_ends_what_waits_and_what_is_in_flight() {
    let server = Server::start(vec![vec![Step::Hang]]).await;
    let client = server.client();
    let later = Instant::now() + Duration::from_secs(60);
    let requests = [ask(), ask().not_before(later)].map(|request| {
        let client = client.clone();
        tokio::spawn(async move { client.send(request).await })
    });
    server.has_seen(1).await;
    client.clone().close().await;
    server.was_left(1).await;
    for request in requests {
        assert!(matches!(request.await.unwrap(), Err(SendError::Closed)));
    }
    assert!(matches!(client.send(ask()).await, Err(SendError::Closed)));
    assert_eq!(client.snapshot().await, Snapshot::default());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_start_in_time_is_refused() {
    let server = Server::start(vec![]).await;
    let client = server.client();
    let mut events = client.events();
    let now = Instant::now();
    let request = ask().not_before(now + Duration::from_secs(60)).deadline(now + Duration::from_secs(10));
    let error = client.send(request).await.unwrap_err();
    assert!(matches!(error, SendError::TooLate { .. }), "{error:?}");
    assert!(matches!(events.recv().await.unwrap(), ClientEvent::Refused { request: 1, .. }));
}

//! The end of serving: everybody who has begun is answered, and nobody is kept.

use paceline_gateway::{Caps, Settings};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, answer, ends, start, status, with_caps};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn what_is_under_way_finishes_and_what_was_on_its_way_is_answered() {
    let front = start(Settings::default()).await;
    let mut resting = front.connect().await;
    resting.write_all(GET).await.unwrap();
    assert_eq!(status(&answer(&mut resting).await), 200);
    let mut waiting = front.connect().await;
    waiting.write_all(WAIT).await.unwrap();
    front.recorder.entered.notified().await;
    let mut half = front.connect().await;
    half.write_all(&GET[..20]).await.unwrap();
    assert_eq!(status(&front.exchange(GET).await), 200); // By now the half is there.
    let mut fresh = front.connect().await;

    front.drain.begin();
    assert!(front.drain.is_draining());
    // The next request of a connection at rest may have been sent before its caller could know.
    for (stream, bytes) in [(&mut resting, GET), (&mut half, &GET[20..]), (&mut fresh, GET)] {
        stream.write_all(bytes).await.unwrap();
        let answer = answer(stream).await;
        assert!(status(&answer) == 200 && answer.contains("connection: close"), "{answer}");
        assert!(ends(stream).await);
    }
    front.recorder.release.notify_one();
    let answer = answer(&mut waiting).await;
    assert!(answer.ends_with("waited") && answer.contains("connection: close"), "{answer}");
    timeout(PATIENCE, front.drain.finished()).await.unwrap();
    timeout(PATIENCE, front.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(front.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn who_was_in_the_line_is_served() {
    let caps = Caps { connections: 1, ..Caps::default() };
    let front = start(with_caps(caps)).await;
    let mut first = front.connect().await;
    first.write_all(WAIT).await.unwrap();
    front.recorder.entered.notified().await;
    let mut second = front.connect().await;
    second.write_all(GET).await.unwrap();
    front.drain.begin();
    assert_eq!(status(&answer(&mut second).await), 200);
    front.recorder.release.notify_one();
    assert_eq!(status(&answer(&mut first).await), 200);
    timeout(PATIENCE, front.drain.finished()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_ask_delays_the_end_for_a_second() {
    let front = start(Settings::default()).await;
    let mut resting = front.connect().await;
    resting.write_all(GET).await.unwrap();
    assert_eq!(status(&answer(&mut resting).await), 200);
    let mut fresh = front.connect().await;
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    front.drain.begin();
    assert!(ends(&mut fresh).await && ends(&mut resting).await);
    front.drain.finished().await;
    assert!(begun.elapsed().as_secs_f64() < 1.1, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn stopping_cuts_everything() {
    let front = start(Settings::default()).await;
    let mut waiting = front.connect().await;
    waiting.write_all(WAIT).await.unwrap();
    front.recorder.entered.notified().await;
    front.drain.begin();
    front.drain.stop();
    assert!(ends(&mut waiting).await);
    timeout(PATIENCE, front.recorder.left.notified()).await.unwrap();
    timeout(PATIENCE, front.drain.finished()).await.unwrap();
    timeout(PATIENCE, front.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_room_lets_the_next_one_wait() {
    let caps = Caps { connections: 2, ..Caps::default() };
    let front = start(with_caps(caps)).await;
    let mut seated = Vec::new();
    for _ in 0..2 {
        let mut stream = front.connect().await;
        stream.write_all(WAIT).await.unwrap();
        front.recorder.entered.notified().await;
        seated.push(stream);
    }
    let mut next = front.connect().await;
    next.write_all(WAIT).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(front.recorder.seen().len(), 2);
    front.recorder.release.notify_one();
    timeout(PATIENCE, front.recorder.entered.notified()).await.unwrap();
    front.recorder.release.notify_waiters();
    assert_eq!(status(&answer(&mut next).await), 200);
}

#[tokio::test]
async fn a_crowded_room_keeps_nobody() {
    for (connections, stays) in [(1, false), (10, true)] {
        let front = start(with_caps(Caps { connections, ..Caps::default() })).await;
        let answer = front.exchange(GET).await;
        assert_eq!(!answer.contains("connection: close"), stays, "{answer}");
    }
}

//! Callers who take their time are closed when it is up, and nobody else notices them. The clock moves by hand only.

use std::future::poll_fn;
use std::sync::mpsc;
use std::time::Duration;

use paceline_gateway::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::advance;

use crate::support::{Front, answer, ends, start, status};

const POST: &[u8] = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

/// Keeps the paused clock from moving by itself as long as it lives, but no longer than anything here may take.
struct Still(#[expect(dead_code, reason = "its end is what is waited for")] mpsc::Sender<()>);

fn still() -> Still {
    let (sender, receiver) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || receiver.recv_timeout(crate::support::PATIENCE));
    Still(sender)
}

/// Lets the server do all that there is to do now.
async fn settle(front: &Front) {
    for _ in 0..3 {
        let answer = front.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        assert_eq!(status(&answer), 200, "a healthy caller is served: {answer}");
    }
}

/// Moves the clock second by second, with what the caller does each time.
async fn pass(front: &Front, stream: &mut TcpStream, seconds: u32, drip: &[u8]) {
    for _ in 0..seconds {
        advance(SECOND).await;
        // An error is the end that is asked about later.
        let _ = stream.write_all(drip).await;
        settle(front).await;
    }
}

/// Nothing is there to read, not even the end.
async fn is_open(stream: &mut TcpStream) -> bool {
    poll_fn(|cx| {
        std::task::Poll::Ready(stream.poll_peek(cx, &mut tokio::io::ReadBuf::new(&mut [0])).is_pending())
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn slow_callers_are_closed_when_their_time_is_up() {
    let _still = still();
    let front = start(Settings::default()).await;
    // What is sent, what drips each second, when it is over, and with what answer.
    type Case = (&'static str, &'static [u8], &'static [u8], u32, u16);
    let cases: [Case; 8] = [
        ("no byte", b"", b"", 10, 0),
        ("part of a line", b"GET / HT", b"", 10, 408),
        ("part of a header", b"GET / HTTP/1.1\r\nHost: loc", b"", 10, 408),
        ("all but the end", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"", 10, 408),
        ("a dripping header", b"GET / HTTP/1.1\r\nX: ", b"y", 10, 408),
        ("dripping headers", b"GET / HTTP/1.1\r\n", b"X: y\r\n", 10, 408),
        ("a body never sent", POST, b"", 10, 408),
        ("a dripping body", POST, b"1", 10, 408),
    ];
    for (name, sent, drip, seconds, expected) in cases {
        let mut stream = front.connect().await;
        stream.write_all(sent).await.unwrap();
        settle(&front).await;
        pass(&front, &mut stream, seconds - 1, drip).await;
        assert!(is_open(&mut stream).await, "{name}: closed too early");
        pass(&front, &mut stream, 2, drip).await;
        let answer = answer(&mut stream).await;
        assert_eq!(status(&answer), expected, "{name}: {answer}");
        assert!(ends(&mut stream).await, "{name} goes on");
    }
    assert!(front.recorder.seen().iter().all(|seen| seen.target == "/"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_keeps_the_pace_is_waited_for() {
    let _still = still();
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(POST).await.unwrap();
    pass(&front, &mut stream, 16, &[b'1'; 1_200]).await; // 19,200 bytes, in more than the first ten seconds.
    stream.write_all(&[b'1'; 800]).await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 200);
    let mut stream = front.connect().await;
    stream.write_all(POST).await.unwrap();
    pass(&front, &mut stream, 12, &[b'1'; 900]).await; // Slower than 1 KiB a second.
    assert_eq!(status(&answer(&mut stream).await), 408);
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_rest_only_so_long() {
    let _still = still();
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), 200);
        pass(&front, &mut stream, 74, b"").await;
        assert!(is_open(&mut stream).await);
    }
    pass(&front, &mut stream, 2, b"").await;
    assert!(ends(&mut stream).await);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_answer_is_not_hurried() {
    let _still = still();
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    front.recorder.entered.notified().await;
    for _ in 0..10 {
        advance(SECOND * 60).await;
        settle(&front).await;
    }
    front.recorder.release.notify_one();
    assert!(answer(&mut stream).await.ends_with("waited"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_takes_nothing_is_cut_off() {
    let _still = still();
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    for _ in 0..59 {
        advance(SECOND).await;
        settle(&front).await;
    }
    let mut taken = vec![0; 1 << 20];
    stream.read_exact(&mut taken).await.unwrap(); // Taking a little gives time again.
    settle(&front).await;
    for _ in 0..59 {
        advance(SECOND).await;
        settle(&front).await;
    }
    stream.read_exact(&mut taken).await.unwrap();
    settle(&front).await;
    // The system may take a little more from the server at any time after that.
    for _ in 0..200 {
        advance(SECOND).await;
        settle(&front).await;
    }
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest).await;
    assert!(end.is_err() || rest.len() < 30 << 20, "{} bytes came all the same", rest.len());
}

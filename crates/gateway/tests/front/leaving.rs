//! A caller who leaves is noticed at once, whatever else it has sent; what it sends too early is not served.

use std::time::Duration;

use paceline_gateway::Settings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, answer, ends, start, status};

const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[derive(Clone, Copy, Debug)]
enum Leave {
    Close,
    Reset,
    HalfClose,
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_request_along() {
    let front = start(Settings::default()).await;
    for leave in [Leave::Close, Leave::Reset, Leave::HalfClose] {
        for early in [&b""[..], NEXT, b"x", &[b'y'; 60_000]] {
            for at_once in [true, false] {
                let mut stream = front.connect().await;
                let (first, second) =
                    if at_once { ([WAIT, early].concat(), vec![]) } else { (WAIT.to_vec(), early.to_vec()) };
                stream.write_all(&first).await.unwrap();
                timeout(PATIENCE, front.recorder.entered.notified()).await.unwrap();
                stream.write_all(&second).await.unwrap();
                let kept = left(stream, leave).await;
                timeout(PATIENCE, front.recorder.left.notified())
                    .await
                    .unwrap_or_else(|_| panic!("{leave:?} with {} early bytes goes unnoticed", early.len()));
                drop(kept);
            }
        }
    }
    assert!(front.recorder.seen().iter().all(|seen| seen.target == "/wait"));
}

async fn left(mut stream: TcpStream, leave: Leave) -> Option<TcpStream> {
    match leave {
        Leave::Close => None,
        Leave::Reset => {
            stream.set_zero_linger().unwrap();
            None
        }
        Leave::HalfClose => {
            stream.shutdown().await.unwrap();
            Some(stream)
        }
    }
}

#[tokio::test]
async fn what_comes_early_is_not_served() {
    let front = start(Settings::default()).await;
    for (first, second) in [([WAIT, NEXT].concat(), &b""[..]), (WAIT.to_vec(), NEXT)] {
        let mut stream = front.connect().await;
        stream.write_all(&first).await.unwrap();
        front.recorder.entered.notified().await;
        stream.write_all(second).await.unwrap();
        // Another caller's exchange: by then ours has been read.
        assert_eq!(status(&front.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await), 200);
        front.recorder.release.notify_one();
        let answer = answer(&mut stream).await;
        assert!(answer.ends_with("waited") && answer.contains("connection: close"), "{answer}");
        assert!(ends(&mut stream).await);
    }
    assert!(front.recorder.seen().iter().all(|seen| seen.target != "/next"));
}

#[tokio::test]
async fn a_flood_while_an_answer_is_due_is_cut() {
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(WAIT).await.unwrap();
    front.recorder.entered.notified().await;
    let flood = async { while stream.write_all(&[b'x'; 65_536]).await.is_ok() {} };
    timeout(PATIENCE, flood).await.unwrap();
    timeout(Duration::from_secs(10), front.recorder.left.notified()).await.unwrap();
}

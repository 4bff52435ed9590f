//! Random changes of valid requests: the handler sees what a naive reading takes for a request, and nothing else.

use paceline_gateway::{Caps, Settings};
use tokio::io::AsyncWriteExt;

use crate::requests::{Ending, naive};
use crate::support::{Front, Seen, answer, ends, start, status};

const CASES: u64 = 4_000;
const MAX_CHANGES: usize = 4;

const VALID: [&str; 6] = [
    "GET /v1/models?limit=20&after=a%2Fb HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"a\":[1,2]}",
    "POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n",
    "POST /v1/x HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "DELETE /v1/files/f-1 HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    "POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nX-Title: a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

const PIECES: [&str; 30] = [
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "\0",
    "/",
    "//",
    "/..",
    "%2e",
    "?",
    "#",
    "0",
    "1",
    "-",
    "\u{b}",
    "\u{e9}",
    "0\r\n\r\n",
    "\r\n\r\n",
    " HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\n",
    "Host: localhost\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "chunked",
    "identity, ",
    "X: y\r\n z\r\n",
];

/// What the gate turns away, whose rules have tests of their own.
const GATE: [u16; 4] = [400, 405, 415, 421];

fn changed(chance: &mut fastrand::Rng) -> Vec<u8> {
    let mut request = chance.choice(VALID).unwrap().as_bytes().to_vec();
    for _ in 0..chance.usize(0..=MAX_CHANGES) {
        if request.len() < 2 {
            break;
        }
        let at = chance.usize(0..request.len());
        match chance.u8(0..6) {
            0 => request[at] = chance.u8(..),
            1 => drop(request.remove(at)),
            2 => drop(request.splice(at..at, chance.choice(PIECES).unwrap().bytes())),
            3 => request[at] ^= 0x20,
            4 => {
                let end = (at + chance.usize(1..12)).min(request.len());
                let again = request[at..end].to_vec();
                drop(request.splice(at..at, again));
            }
            _ => request.truncate(at + 1),
        }
    }
    request
}

#[tokio::test]
async fn the_handler_sees_what_a_naive_reading_sees() {
    let front = start(Settings::default()).await;
    let mut tally = [0; 3];
    for seed in 0..CASES {
        let request = changed(&mut fastrand::Rng::with_seed(seed));
        let shown = format!("seed {seed}: {:?}", String::from_utf8_lossy(&request));
        front.recorder.seen.lock().unwrap().clear();
        let (asked, ending) = naive(&request, &Caps::default());
        let answer = exchange(&front, &request, asked.is_empty() && ending == Ending::Unfinished).await;
        let seen = front.recorder.seen();
        match asked.into_iter().next() {
            Some(asked) => {
                tally[0] += seen.len();
                let is_gate = GATE.contains(&status(&answer)) && seen.is_empty();
                let asked = Seen { method: asked.method, target: asked.target, body: asked.body };
                assert!(
                    is_gate || (status(&answer) == 200 && seen == [asked]),
                    "{shown}\n{seen:?}\n{answer}"
                );
            }
            None if ending == Ending::Refused => {
                tally[1] += 1;
                assert!(
                    seen.is_empty() && (400..=505).contains(&status(&answer)),
                    "{shown}\n{seen:?}\n{answer}"
                );
            }
            None => {
                tally[2] += 1;
                assert!(seen.is_empty() && status(&answer) != 200, "{shown}\n{seen:?}\n{answer}");
            }
        }
    }
    assert!(tally.iter().all(|count| *count > 200), "taken, refused, unfinished: {tally:?}");
}

/// Sends it in one piece. Nothing more comes for what is unfinished.
async fn exchange(front: &Front, request: &[u8], unfinished: bool) -> String {
    let mut stream = front.connect().await;
    stream.write_all(request).await.unwrap();
    if unfinished {
        stream.shutdown().await.unwrap();
    }
    let answer = answer(&mut stream).await;
    let answer = answer.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n").to_owned();
    if !answer.contains("HTTP/1.1 200") {
        stream.shutdown().await.ok();
        assert!(ends(&mut stream).await);
    }
    answer
}

//! The upstream: says the same to everybody, at once, and has no limits to speak of.
//!
//! The model's name says what is wanted, because every gateway passes that on: `bench-chat` for a whole answer of about
//! 1 KB, `bench-stream-50-0` for a stream of 50 chunks with 0 ms between them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::tokens::{micros_now, word};

const STREAM: &[u8] = b"bench-stream-";
/// A provider's headers for an account that is never full: pacing has nothing to wait for.
const LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "1000000000"),
    ("x-ratelimit-remaining-requests", "999999999"),
    ("x-ratelimit-reset-requests", "1ms"),
    ("x-ratelimit-limit-tokens", "1000000000000"),
    ("x-ratelimit-remaining-tokens", "999999999999"),
    ("x-ratelimit-reset-tokens", "1ms"),
];

/// Answers until the listener fails. `limits` says whether headers tell of limits, which are too high to be met.
pub async fn serve(listener: TcpListener, limits: bool) -> std::io::Result<Infallible> {
    let said = Said::new(limits);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let said = said.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(said.clone(), request));
            // Whoever leaves in the middle is no concern of ours: the load generator counts what it missed.
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What does not change from answer to answer.
#[derive(Clone)]
struct Said {
    headers: HeaderMap,
    chat: Bytes,
}

impl Said {
    fn new(limits: bool) -> Self {
        let mut headers = HeaderMap::new();
        let limits = if limits { &LIMITS[..] } else { &[] };
        for (name, value) in limits {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Self { headers, chat: chat() }
    }
}

/// A whole answer of about 1 KB.
fn chat() -> Bytes {
    let text = word(0, 0) + &"and so it goes on, one word after another. ".repeat(16);
    let answer = serde_json::json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "bench-chat",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350},
    });
    answer.to_string().into()
}

async fn answer(
    said: Said,
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Events>>, hyper::Error> {
    let asked = request.into_body().collect().await?.to_bytes();
    let (kind, body) = match asked_stream(&asked) {
        None => ("application/json", Either::Left(Full::new(said.chat))),
        Some((count, every)) => {
            let usage = memmem::find(&asked, b"include_usage").is_some();
            ("text/event-stream", Either::Right(Events::new(count, every, usage)))
        }
    };
    let mut response = Response::new(body);
    *response.headers_mut() = said.headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// How many chunks, and how long between them.
fn asked_stream(body: &[u8]) -> Option<(usize, Duration)> {
    let at = memmem::find(body, STREAM)? + STREAM.len();
    let end = at + body[at..].iter().position(|b| *b == b'"')?;
    let (count, millis) = std::str::from_utf8(&body[at..end]).ok()?.split_once('-')?;
    Some((count.parse().ok()?, Duration::from_millis(millis.parse().ok()?)))
}

/// A stream of chunks, each written by itself.
struct Events {
    said: usize,
    count: usize,
    usage: bool,
    every: Duration,
    due: Pin<Box<Sleep>>,
    rested: bool, // Between two chunks we must have been pending once: only then what was said is written.
    ended: bool,
}

impl Events {
    fn new(count: usize, every: Duration, usage: bool) -> Self {
        let due = Box::pin(sleep_until(Instant::now()));
        Self { said: 0, count, usage, every, due, rested: true, ended: false }
    }

    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rested {
            return Poll::Ready(());
        }
        if self.every.is_zero() {
            self.rested = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.due.as_mut().poll(cx)
    }

    fn next(&mut self) -> String {
        self.rested = false;
        if self.said == self.count {
            self.ended = true;
            return the_end(self.usage);
        }
        if !self.every.is_zero() {
            let next = self.due.deadline() + self.every;
            self.due.as_mut().reset(next);
        }
        self.said += 1;
        chunk(&word(self.said - 1, micros_now()))
    }
}

fn chunk(text: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\
         \"finish_reason\":null}}]}}\n\n"
    )
}

fn the_end(usage: bool) -> String {
    let head = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
                \"model\":\"bench\",\"choices\":";
    let used = "\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":50,\"total_tokens\":250}";
    let usage = if usage { format!("{head}[],{used}}}\n\n") } else { String::new() };
    format!("{head}[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n{usage}data: [DONE]\n\n")
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.rest(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(self.next().into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Words;

    #[test]
    fn knows_what_is_asked() {
        let stream = |count, millis| Some((count, Duration::from_millis(millis)));
        let cases = [
            (r#"{"model":"bench-chat"}"#, None),
            (r#"{"messages": [], "model": "bench-stream-50-0"}"#, stream(50, 0)),
            (r#"{"model":"bench-stream-40-1000","stream":true}"#, stream(40, 1_000)),
            (r#"{"model":"bench-stream-x-1"}"#, None),
            (r#"{"model":"bench-stream-4"#, None),
        ];
        for (body, expected) in cases {
            assert_eq!(asked_stream(body.as_bytes()), expected, "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_says_every_word_in_its_time_and_ends() {
        let began = Instant::now();
        let events = Events::new(5, Duration::from_secs(1), true);
        let text = events.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
        let mut words = Words::default();
        words.feed(&text, |_| ());
        assert!(words.are(5));
        assert!(text.ends_with(b"data: [DONE]\n\n"));
        assert!(memmem::find(&text, b"\"total_tokens\":250").is_some());
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[test]
    fn a_whole_answer_weighs_about_a_kilobyte() {
        assert!((900..1_200).contains(&chat().len()), "{}", chat().len());
    }
}

//! Many slow streams at once: all are opened, held for a while, and read to their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::answer::Answer;
use super::request::Wanted;
use super::tally::{Figures, Tally};
use crate::tokens::micros_now;

/// Events are small, and there are thousands of buffers.
const READ_BYTES: usize = 2 << 10;

/// Opens `count` streams, evenly over `ramp`, and calls `all_open` once each has said a word. The times told are how late
/// words came after they were said.
pub async fn run(
    address: SocketAddr,
    request: Vec<u8>,
    wanted: Wanted,
    count: usize,
    ramp: Duration,
    all_open: impl Fn() + Clone + Send + Sync + 'static,
) -> Result<Figures> {
    let began = Instant::now();
    let request: Arc<[u8]> = request.into();
    let open = Arc::new(AtomicUsize::new(0));
    let mut streams = JoinSet::new();
    for place in 0..count {
        let at = began + ramp.mul_f64(place as f64 / count as f64);
        let (request, open, all_open) = (request.clone(), open.clone(), all_open.clone());
        let opened = move || {
            if open.fetch_add(1, Ordering::Relaxed) + 1 == count {
                all_open();
            }
        };
        streams.spawn(async move {
            sleep_until(at).await;
            read(address, &request, wanted, opened).await
        });
    }
    let mut tally = Tally::default();
    while let Some(ended) = streams.join_next().await {
        match ended.context("a stream's reader panicked")? {
            Ok(delays) => delays.into_iter().for_each(|delay| tally.right(delay)),
            Err(error) => tally.wrong(&error),
        }
    }
    Ok(tally.figures(began.elapsed()))
}

/// How late each word of one stream came.
async fn read(
    address: SocketAddr,
    request: &[u8],
    wanted: Wanted,
    opened: impl FnOnce(),
) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await.context("cannot send")?;
    let (mut answer, mut delays) = (Answer::new(wanted), Vec::with_capacity(wanted.words()));
    let (mut buffer, mut opened) = ([0; READ_BYTES], Some(opened));
    loop {
        let read = stream.read(&mut buffer).await.context("cannot read")?;
        if read == 0 {
            bail!("the stream was cut");
        }
        let now = micros_now();
        let complete = answer.feed(&buffer[..read], |said_at| {
            delays.push(Duration::from_micros(now.saturating_sub(said_at)));
        })?;
        if answer.words() > 0
            && let Some(opened) = opened.take()
        {
            opened();
        }
        if complete {
            return Ok(delays);
        }
    }
}

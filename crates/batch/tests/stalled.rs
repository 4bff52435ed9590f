//! The thread that writes gets stuck: what is answered meanwhile is bounded, and the run still ends as it should.

#![allow(clippy::unwrap_used)] // Nothing but tests.

mod support;

use std::collections::HashMap;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::{Ceilings, Client, Upstream};
use paceline_batch::{
    Checked, ClientSender, Control, End, MOST_UNWRITTEN, Progress, Reply, RunOptions, Sender, Start,
    StopReason, Summary,
};
use paceline_core::quota::{Dimension, Quota};
use paceline_wire::line::Line;
use paceline_wire::provider::Catalog;
use support::{Desk, answered, jobs};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const JOBS: usize = 1_000;
const IN_FLIGHT: usize = 8;

/// Writes what it is told to, and is stuck until then.
struct Stuck {
    orders: mpsc::Receiver<io::Result<()>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once nobody gives orders any more, everything is written.
        self.orders.recv().unwrap_or(Ok(()))?;
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A provider that answers at once, with so many slots; a slot is free again as soon as its answer is here.
#[derive(Clone)]
struct Quick {
    slots: Arc<Semaphore>,
    calls: Arc<Mutex<usize>>,
    tells: bool,
}

impl Sender for Quick {
    async fn send(&self, job: Arc<Line>, start: Start) -> Reply {
        let slot = self.slots.acquire().await.unwrap();
        if !start.may_go().await {
            return Reply::of(End::Withdrawn);
        }
        *self.calls.lock().unwrap() += 1;
        tokio::task::yield_now().await;
        if self.tells {
            start.answered();
            drop(slot);
            // The answer is long on its way to the job, as through a loop with much to do.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        answered(&job.body)
    }

    fn unpriced(&self, _: &Line) -> Option<String> {
        None
    }
}

struct Stage {
    _desk: Desk,
    sender: Quick,
    control: Control,
    progress: Progress,
    orders: mpsc::Sender<io::Result<()>>,
    written: Arc<Mutex<Vec<u8>>>,
    run: tokio::task::JoinHandle<Summary>,
}

impl Stage {
    /// A run that has come to where nothing more goes out until something is written.
    async fn held_up(tells: bool) -> Self {
        let desk = Desk::new(&jobs(JOBS));
        let slots = Arc::new(Semaphore::new(IN_FLIGHT));
        let sender = Quick { slots, calls: Arc::default(), tells };
        let (control, progress) = (Control::new(), Progress::new());
        let (orders, inbox) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let options = RunOptions { output: None, ..desk.options() };
        let checked = Checked::new(options).unwrap();
        let stream = Box::new(Stuck { orders: inbox, written: written.clone() });
        let run = tokio::spawn({
            let (sender, control, progress) = (sender.clone(), control.clone(), progress.clone());
            async move { paceline_batch::run(checked, sender, control, progress, stream).await.unwrap() }
        });
        let stage = Self { _desk: desk, sender, control, progress, orders, written, run };
        while stage.calls() <= MOST_UNWRITTEN {
            tokio::task::yield_now().await;
        }
        stage.nothing_more_goes_out().await;
        stage
    }

    async fn nothing_more_goes_out(&self) {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let calls = self.calls();
        assert!(calls <= IN_FLIGHT + MOST_UNWRITTEN, "{calls} calls, and nothing is written");
    }

    fn calls(&self) -> usize {
        *self.sender.calls.lock().unwrap()
    }

    fn lines(&self) -> usize {
        self.written.lock().unwrap().iter().filter(|byte| **byte == b'\n').count()
    }
}

#[tokio::test]
async fn what_is_answered_and_not_written_is_bounded() {
    for tells in [true, false] {
        let stage = Stage::held_up(tells).await;
        assert_eq!(stage.lines(), 0);
        for _ in 0..5 {
            stage.orders.send(Ok(())).unwrap();
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
                let (lines, calls) = (stage.lines(), stage.calls());
                assert!(calls <= lines + IN_FLIGHT + MOST_UNWRITTEN, "{calls} calls, {lines} lines");
            }
        }
        drop(stage.orders);
        let summary = stage.run.await.unwrap();
        assert_eq!((summary.view.done, summary.stop), (JOBS as u64, None));
    }
}

#[tokio::test]
async fn a_run_that_is_held_up_can_be_ended() {
    for stop in [false, true] {
        let stage = Stage::held_up(true).await;
        if stop {
            stage.control.stop();
        } else {
            stage.control.drain();
        }
        let in_the_works = |view: paceline_batch::View| view.waiting + view.in_flight;
        while in_the_works(stage.progress.view()) > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.lines(), 0, "nobody has waited for the one who writes");
        stage.nothing_more_goes_out().await;
        let (calls, written) = (stage.calls(), stage.written.clone());
        drop(stage.orders);
        let summary = stage.run.await.unwrap();
        assert_eq!((summary.view.done, summary.stop), (calls as u64, Some(StopReason::Interrupted)));
        assert_eq!(written.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), calls);
    }
}

#[tokio::test]
async fn a_disk_that_breaks_while_it_is_waited_for_lets_nothing_more_go_out() {
    let stage = Stage::held_up(true).await;
    let calls = stage.sender.calls.clone();
    stage.orders.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    let summary = stage.run.await.unwrap();
    assert!(matches!(summary.stop, Some(StopReason::Disk { .. })), "{:?}", summary.stop);
    assert_eq!(summary.view.done, 0);
    assert!(*calls.lock().unwrap() <= IN_FLIGHT + MOST_UNWRITTEN);
}

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// Answers every request on a connection, and counts them.
async fn serve(mut tcp: TcpStream, calls: Arc<Mutex<usize>>) {
    tcp.set_nodelay(true).unwrap();
    let mut unread = Vec::new();
    while tcp.read_buf(&mut unread).await.is_ok_and(|read| read > 0) {
        // A body is small enough to come in one piece, and nothing else ends in a brace.
        if unread.ends_with(b"}") {
            unread.clear();
            *calls.lock().unwrap() += 1;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
            tcp.write_all(format!("{head}: {}\r\n\r\n{ANSWER}", ANSWER.len()).as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_held_up_paces_nothing_meanwhile() {
    let calls = Arc::<Mutex<usize>>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counted = calls.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, counted.clone()));
        }
    });
    let openai = Catalog::embedded().provider("openai").unwrap().clone();
    let upstream = Upstream::new("here", openai.clone()).base_url(format!("http://{address}")).api_key("k");
    let quota = Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit: 6_000 };
    let ceilings = Ceilings::new().quota(quota);
    let client = Client::builder().upstream(upstream).ceilings(ceilings).seed(1).build().unwrap();
    let desk = Desk::new(&jobs(3 * MOST_UNWRITTEN));
    let checked = Checked::new(RunOptions { output: None, ..desk.options() }).unwrap();
    let (orders, inbox) = mpsc::channel();
    let stream = Box::new(Stuck { orders: inbox, written: Arc::default() });
    let sender = ClientSender::new(client.clone(), None, HashMap::from([("here".to_owned(), openai)]), None);
    let run = tokio::spawn(paceline_batch::run(checked, sender, Control::new(), Progress::new(), stream));
    while *calls.lock().unwrap() <= MOST_UNWRITTEN {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let snapshot = client.snapshot().await;
    let held_up = snapshot.in_flight;
    assert!(snapshot.paused && (1..=IN_FLIGHT).contains(&held_up), "{held_up} would go out at once");
    assert!(*calls.lock().unwrap() <= MOST_UNWRITTEN + IN_FLIGHT);
    drop(orders);
    assert_eq!(run.await.unwrap().unwrap().view.done, 3 * MOST_UNWRITTEN as u64);
    assert!(!client.snapshot().await.paused);
}

//! A run that drains waits for attempts under way, and for nothing else; and it says of no job that it may have been
//! billed when that cannot be.

#![allow(clippy::unwrap_used)] // Nothing but tests.

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use paceline::{Client, Upstream};
use paceline_batch::{
    ClientSender, Control, Progress, Record, Reply, Sender, Start, StopReason, Summary, scan,
};
use paceline_wire::line::Line;
use paceline_wire::provider::Catalog;
use support::{Desk, answered, jobs};
use tokio::sync::Semaphore;
use tokio::time::Instant;

struct Run {
    control: Control,
    progress: Progress,
    task: tokio::task::JoinHandle<Summary>,
}

impl Run {
    fn start(desk: &Desk, sender: impl Sender) -> Self {
        let (control, progress) = (Control::new(), Progress::new());
        let run = paceline_batch::run(
            desk.check().unwrap(),
            sender,
            control.clone(),
            progress.clone(),
            Box::new(std::io::sink()),
        );
        Self { control, progress, task: tokio::spawn(async move { run.await.unwrap() }) }
    }

    /// Jobs that are neither over nor still in the input.
    fn at_work(&self) -> u64 {
        self.progress.view().waiting + self.progress.view().in_flight
    }
}

async fn until(met: impl Fn() -> bool) {
    while !met() {
        tokio::task::yield_now().await;
    }
}

/// Keeps tokio's clock still until what is returned is dropped.
fn still() -> std::sync::mpsc::Sender<()> {
    let (release, blocked) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || blocked.recv());
    release
}

#[tokio::test(start_paused = true)]
async fn against_a_dead_upstream_a_drain_takes_no_time_and_leaves_no_doubt() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let openai = Catalog::embedded().provider("openai").unwrap().clone();
    let upstream = Upstream::new("gone", openai.clone()).base_url(format!("http://{closed}")).api_key("k");
    let client = Client::builder().upstream(upstream).seed(1).build().unwrap();
    let desk = Desk::new(&jobs(50));
    let providers = HashMap::from([("gone".to_owned(), openai)]);
    let run = Run::start(&desk, ClientSender::new(client.clone(), None, providers, None));
    while client.snapshot().await.sent < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    let release = still();
    let begun = Instant::now();
    run.control.drain();
    until(|| run.at_work() == 0).await;
    assert!(begun.elapsed().is_zero());
    drop(release);

    let summary = run.task.await.unwrap();
    assert_eq!((summary.view.done, summary.view.failed, summary.stop), (0, 0, Some(StopReason::Interrupted)));
    let (mut sent, mut returned) = (0, 0);
    let journal = std::fs::read(desk.path("out.journal")).unwrap();
    scan(&journal[..], |_, record| {
        sent += u32::from(matches!(record, Record::Sent { .. }));
        returned += u32::from(matches!(record, Record::Returned { .. }));
    })
    .unwrap();
    assert!(sent > 0 && returned == sent, "{sent} sent, {returned} returned");
    assert_eq!(desk.check().unwrap().report().in_flight, 0);
}

/// Every job fails its first attempt, or is answered when the gate lets it.
#[derive(Clone)]
struct Halfway(Arc<Semaphore>);

impl Sender for Halfway {
    async fn send(&self, job: Arc<Line>, start: Start) -> Reply {
        assert!(start.may_go().await);
        match &job.id[..] {
            "a0" => start.failed(false),
            "a1" => start.failed(true),
            "a2" => {
                start.failed(true);
                assert!(start.may_go().await);
                start.failed(false); // Says that the earlier one wasn't billed either.
            }
            "a3" => {
                start.failed(false);
                assert!(start.may_go().await);
                let _leave = self.0.acquire().await.unwrap();
                return answered(&job.body);
            }
            _ => {
                let _leave = self.0.acquire().await.unwrap();
                return answered(&job.body);
            }
        }
        std::future::pending().await
    }

    fn unpriced(&self, _: &Line) -> Option<String> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_attempts_under_way_alone() {
    let desk = Desk::new(&jobs(5));
    let gate = Arc::new(Semaphore::new(0));
    let release = still();
    let run = Run::start(&desk, Halfway(gate.clone()));
    until(|| run.progress.view().in_flight == 2 && run.progress.view().waiting == 3).await;
    run.control.drain();
    until(|| run.at_work() == 2).await;
    assert_eq!(run.progress.view().in_flight, 2);
    gate.add_permits(1);
    until(|| run.at_work() == 0).await;
    drop(release);
    assert_eq!(run.task.await.unwrap().view.done, 2);
    let report = desk.check().unwrap().report();
    assert_eq!((report.done, report.in_flight), (2, 1), "only `a1` may have been billed");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_nothing_and_says_what_may_have_been_billed() {
    let desk = Desk::new(&jobs(5));
    let release = still();
    let run = Run::start(&desk, Halfway(Arc::new(Semaphore::new(0))));
    until(|| run.progress.view().in_flight == 2 && run.progress.view().waiting == 3).await;
    run.control.stop();
    until(|| run.at_work() == 0).await;
    drop(release);
    assert_eq!(run.task.await.unwrap().view.done, 0);
    assert_eq!(desk.check().unwrap().report().in_flight, 3, "`a1`, and those under way");
}

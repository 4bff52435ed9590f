//! Measures what recording costs, without a gateway around it: CPU time for each request, of those who record and of the writer.
//!
//!     cargo run --release -p paceline-usage --example bench_ledger [behind|ahead] [requests] [group]
//!
//! Requests come in groups (64), each of which is one commit. "Behind": a request is written once, when it has ended. "Ahead", as
//! budgets need it: it is written before it goes out and again at its end. As nothing depends on how quickly requests come,
//! instructions (`valgrind --tool=callgrind`, less those of a run without requests) differ by a hundredth or two between runs.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_core::engine::Priority;
use paceline_usage::{Begun, Clock, Ended, Finish, Ledger, OnFailure, Options, RETENTION, Record};
use paceline_wire::FullUsage;
use paceline_wire::price::MicroUsd;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

const WRITER: &str = "usage ledger";
/// Names are made beforehand, as their making is not what is measured.
const NAMES: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let ahead = match arguments.next().as_deref() {
        None | Some("behind") => false,
        Some("ahead") => true,
        Some(other) => return Err(format!("`{other}` is neither `behind` nor `ahead`").into()),
    };
    let mut numbers = arguments.map(|text| text.parse::<usize>());
    let requests = numbers.next().transpose()?.unwrap_or(100_000);
    let group = numbers.next().transpose()?.unwrap_or(64).max(1);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("usage.db");
    let options = Options { path, retention: RETENTION, on_failure: OnFailure::Serve };
    let bench = Bench { ledger: Ledger::open(options, Clock::start())?, names: Names::new() };
    let (before, start) = (cpu_times()?, Instant::now());
    for first in (0..requests).step_by(group) {
        let numbers = first..requests.min(first + group);
        match ahead {
            true => bench.ahead(numbers).await,
            false => bench.behind(numbers).await,
        }
    }
    let (after, took) = (cpu_times()?, start.elapsed());
    let each = |after: Duration, before| (after - before).as_secs_f64() * 1e6 / requests.max(1) as f64;
    let (recording, writing) = (each(after.0, before.0), each(after.1, before.1));
    bench.ledger.close();
    let health = bench.ledger.health();
    println!(
        "{requests} requests in {:.1} s, {} rows written, {} lost or unrecorded",
        took.as_secs_f64(),
        health.written,
        health.dropped + health.unrecorded
    );
    println!(
        "CPU a request: {recording:.2} us to record, {writing:.2} us to write, {:.2} us together",
        recording + writing
    );
    Ok(())
}

struct Bench {
    ledger: Ledger,
    names: Names,
}

/// What requests are called; most names are those of many.
struct Names {
    requests: Vec<String>,
    exchanges: Vec<String>,
    caller: Arc<str>,
    upstream: Arc<str>,
    account: Arc<str>,
    model: Arc<str>,
}

impl Names {
    fn new() -> Self {
        Self {
            requests: (0..NAMES).map(|number| format!("{number:016x}")).collect(),
            exchanges: (0..NAMES).map(|number| format!("req_{number:032x}")).collect(),
            caller: "batch-jobs".into(),
            upstream: "openai-main".into(),
            account: "openai".into(),
            model: "gpt-4o-mini-2024-07-18".into(),
        }
    }
}

impl Bench {
    /// Requests that end before they are written, and one that waits for them all to be on disk.
    async fn behind(&self, numbers: std::ops::Range<usize>) {
        let mut records = Vec::new();
        for number in numbers {
            let record = self.begin(number);
            record.leave().goes_out().await;
            records.push((number, record));
        }
        self.end(records);
        self.ledger.set_ahead(true);
        let last = self.begin(0);
        last.leave().goes_out().await;
        self.ledger.set_ahead(false);
        last.end(self.ended(0));
    }

    /// Requests that all wait until they are on disk. Their ends are written with the next group.
    async fn ahead(&self, numbers: std::ops::Range<usize>) {
        self.ledger.set_ahead(true);
        let records: Vec<_> = numbers.map(|number| (number, self.begin(number))).collect();
        // All at once, as the tasks of a gateway would.
        let going: JoinSet<bool> = records.iter().map(|(_, record)| record.leave().goes_out()).collect();
        going.join_all().await;
        self.end(records);
    }

    /// In another order than that in which they began.
    fn end(&self, mut records: Vec<(usize, Record)>) {
        records.sort_unstable_by_key(|(number, _)| number * 37 % 64);
        for (number, record) in records {
            record.end(self.ended(number));
        }
    }

    fn begin(&self, number: usize) -> Record {
        self.ledger.begin(Begun {
            name: self.names.requests[number % NAMES].clone(),
            model: "gpt-4o-mini".to_owned(),
            caller: self.names.caller.clone(),
            priority: Priority::Normal,
            reserved: Some(MicroUsd::new(1_234)),
        })
    }

    fn ended(&self, number: usize) -> Ended {
        let number = number as u64;
        Ended {
            usage: Some(FullUsage {
                input_tokens: 200 + number % 1_000,
                output_tokens: number % 300,
                ..FullUsage::default()
            }),
            cost: Some(MicroUsd::new(30 + number % 500)),
            upstream: Some(self.names.upstream.clone()),
            account: Some(self.names.account.clone()),
            sent_as: Some(self.names.model.clone()),
            waited: Some(Duration::from_millis(number % 100)),
            first_byte: Some(Duration::from_millis(400 + number % 400)),
            attempts: 1,
            exchange: Some(self.names.exchanges[number as usize % NAMES].clone()),
            ..Ended::of(Finish::Done)
        }
    }
}

/// What all other threads and the writer have used so far.
fn cpu_times() -> Result<(Duration, Duration), Failure> {
    let (mut recording, mut writing) = (0, 0);
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        let used = std::fs::read_to_string(thread.join("schedstat"))?;
        let used = used.split(' ').next().ok_or("no schedstat")?.parse::<u64>()?;
        match std::fs::read_to_string(thread.join("comm"))?.trim() == WRITER {
            true => writing += used,
            false => recording += used,
        }
    }
    Ok((Duration::from_nanos(recording), Duration::from_nanos(writing)))
}

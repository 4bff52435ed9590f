//! The standing of a running `paceline`, as its programs tell it: the document of `/v1/status`.
//!
//! One form for all who read it, be it a dashboard, a terminal or a script. What is unknown to an older or newer reader is
//! left out or passed over, so that programs of different versions understand each other.

mod batch;
mod flight;
mod limiter;
mod money;
mod queue;
mod upstream;
pub mod words;

use std::time::Duration;

use paceline::Snapshot;
use serde::{Deserialize, Serialize};

pub use batch::Batch;
pub use flight::{Flight, priority};
pub use limiter::{Limit, Limiter, Source};
pub use money::{Allowance, Caller, Cost};
pub use queue::{Classes, Tenant};
pub use upstream::{Health, Throttle, Upstream};

/// Limiters that are told at most: where callers bring their own credentials, each has its own, and callers name the models.
pub const MOST_LIMITERS: usize = 500;
/// Upstreams that are told at most.
pub const MOST_UPSTREAMS: usize = 500;
/// Tenants with waiting requests that are told at most: those with most of them.
pub const MOST_TENANTS: usize = paceline::core::engine::TENANTS_SHOWN;
/// Requests in flight that are told at most: those under way for longest.
pub const MOST_FLIGHTS: usize = paceline::FLIGHTS_SHOWN;
/// Callers that are told at most.
pub const MOST_CALLERS: usize = 500;
/// Throttled attempts that are told at most: the latest.
pub const MOST_THROTTLES: usize = 50;

/// Which face of the program it is that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The gateway.
    #[default]
    Serve,
    /// A batch.
    Run,
}

/// What a process knows of itself, beside what its client does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Which face of the program it is.
    pub kind: Kind,
    /// The program's version.
    pub version: String,
    /// Its process number.
    pub pid: u32,
    /// Time since it began.
    pub up: Duration,
    /// Whether it takes work.
    pub ready: bool,
}

/// The standing of everything at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Which face of the program it is.
    pub kind: Kind,
    /// The program's version.
    pub version: String,
    /// Its process number.
    pub pid: u32,
    /// It takes work; false once it drains.
    pub ready: bool,
    /// Time since it began.
    pub up_seconds: u64,
    /// Nothing more is sent until somebody resumes it.
    pub paused: bool,
    /// Requests waiting, by priority.
    pub waiting: Classes<u64>,
    /// When the first in line of each class can go, as computed; `None` where nobody waits or no time is known.
    pub wait_seconds: Classes<Option<f64>>,
    /// How long a newcomer of each class would wait behind those who do, as computed.
    pub newcomer_wait_seconds: Classes<Option<f64>>,
    /// Who waits, the largest queues first.
    pub tenants: Vec<Tenant>,
    /// Attempts in flight.
    pub in_flight: u64,
    /// Who is in flight, longest first.
    pub flights: Vec<Flight>,
    /// Attempts sent since the start.
    pub sent: u64,
    /// Attempts throttled since the start.
    pub throttled: u64,
    /// Retries charged to the retry budget since the start.
    pub retries: u64,
    /// The meters, one set for each account and model pool.
    pub limiters: Vec<Limiter>,
    /// Meters beyond those that are told.
    pub limiters_untold: u64,
    /// The upstreams.
    pub upstreams: Vec<Upstream>,
    /// Upstreams beyond those that are told.
    pub upstreams_untold: u64,
    /// The latest attempts that were throttled, newest first.
    pub throttles: Vec<Throttle>,
    /// Callers with keys of their own.
    pub callers: Vec<Caller>,
    /// What all callers together may use.
    pub budgets: Vec<Allowance>,
    /// What was spent since midnight (UTC), where that is known.
    pub cost_today: Option<Cost>,
    /// The batch that is run.
    pub batch: Option<Batch>,
}

impl Status {
    /// What a client's snapshot tells. The rest is for those who know it to add.
    pub fn of(about: About, snapshot: &Snapshot) -> Self {
        let limiters: Vec<_> = snapshot.limiters.iter().take(MOST_LIMITERS).map(Limiter::of).collect();
        let upstreams: Vec<_> = snapshot.upstreams.iter().take(MOST_UPSTREAMS).map(Upstream::of).collect();
        Self {
            kind: about.kind,
            version: about.version,
            pid: about.pid,
            ready: about.ready,
            up_seconds: about.up.as_secs(),
            paused: snapshot.paused,
            waiting: snapshot.waiting.map(|count| count as u64).into(),
            wait_seconds: snapshot.next_in.map(seconds).into(),
            newcomer_wait_seconds: snapshot.newcomer_waits.map(seconds).into(),
            tenants: snapshot.tenants.iter().take(MOST_TENANTS).map(Tenant::of).collect(),
            flights: snapshot.flights.iter().take(MOST_FLIGHTS).map(Flight::of).collect(),
            in_flight: snapshot.in_flight as u64,
            sent: snapshot.sent,
            throttled: snapshot.throttled,
            retries: snapshot.retries,
            limiters_untold: (snapshot.limiters.len() - limiters.len()) as u64,
            upstreams_untold: (snapshot.upstreams.len() - upstreams.len()) as u64,
            limiters,
            upstreams,
            ..Self::default()
        }
    }

    /// Requests waiting in all.
    pub fn waiting_in_all(&self) -> u64 {
        self.waiting.interactive + self.waiting.normal + self.waiting.batch
    }
}

fn seconds(wait: Option<Duration>) -> Option<f64> {
    wait.map(|wait| wait.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use paceline::core::engine::{self, BucketView, LimiterId, LimiterView, UpstreamId, UpstreamView};
    use paceline::core::quota::{Dimension, Quota};
    use paceline::{LimiterStanding, UpstreamStanding};
    use serde_json::json;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn snapshot() -> Snapshot {
        let quota = Quota { dimension: Dimension::Requests, window: MINUTE, limit: 50 };
        let view = LimiterView {
            id: LimiterId(0),
            buckets: vec![BucketView { quota, source: engine::LimitSource::Reported, used: 12 }],
            in_flight: (2, Some(8)),
            closed_for: Some(Duration::from_millis(1_500)),
            throttled: 4,
            binds: Some(engine::Bind::Quota(Dimension::Requests, MINUTE)),
        };
        let health = engine::Health::Open(Duration::from_secs(3));
        Snapshot {
            waiting: [1, 2, 3],
            next_in: [None, None, Some(Duration::from_millis(500))],
            in_flight: 2,
            sent: 40,
            limiters: vec![LimiterStanding { account: "org".into(), models: "m-*".into(), view }],
            upstreams: vec![UpstreamStanding {
                name: "main".into(),
                caller: None,
                view: UpstreamView { id: UpstreamId(0), health, in_flight: 2, taken_out: false },
            }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn keeps_the_form_that_programs_read() {
        let about = About { version: "1.2.3".into(), pid: 7, up: MINUTE, ready: true, ..About::default() };
        let told = serde_json::to_value(Status::of(about, &snapshot())).unwrap();
        assert_eq!(told["kind"], "serve");
        assert_eq!(told["waiting"], json!({"interactive": 1, "normal": 2, "batch": 3}));
        assert_eq!(told["wait_seconds"], json!({"interactive": null, "normal": null, "batch": 0.5}));
        assert_eq!(
            told["limiters"][0],
            json!({
                "account": "org", "models": "m-*", "in_flight": 2, "in_flight_limit": 8,
                "closed_for_seconds": 1.5, "throttled": 4, "binds": "requests/min",
                "limits": [{
                    "dimension": "requests", "window": "min", "window_seconds": 60.0, "limit": 50, "used": 12,
                    "source": "reported",
                }],
            })
        );
        assert_eq!(
            told["upstreams"][0],
            json!({
                "name": "main", "credential": null, "health": "open", "for_seconds": 3.0, "class": null,
                "in_flight": 2, "taken_out": false, "reason": "it failed too often; the next attempt goes in 3 s",
            })
        );
    }

    #[test]
    fn reads_what_it_writes_and_what_others_write() {
        let status = Status::of(About::default(), &snapshot());
        let written = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&written).unwrap(), status);
        let other: Status = serde_json::from_str(r#"{"sent": 3, "of_a_later_version": [1]}"#).unwrap();
        assert_eq!(other, Status { sent: 3, ..Status::default() });
    }

    #[test]
    fn tells_no_more_than_its_bounds() {
        let one = snapshot();
        let many = Snapshot { limiters: vec![one.limiters[0].clone(); MOST_LIMITERS + 3], ..one };
        let status = Status::of(About::default(), &many);
        assert_eq!((status.limiters.len(), status.limiters_untold), (MOST_LIMITERS, 3));
    }
}

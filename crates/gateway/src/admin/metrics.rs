//! `/metrics`: the counters, and the standing of everything at this moment.

use std::time::Duration;

use paceline::{LimiterStanding, Snapshot};
use paceline_status::{Health, words};
use paceline_usage::Ledger;
use paceline_wire::Dialect;

use super::counters::{Attempts, Counters, Outcome, WAITS};
use super::prometheus::Page;
use crate::callers::{Allowance, Callers};

/// Meters that are shown at most: in pass-through every credential has its own, and callers name the models.
const MOST_LIMITERS: usize = 500;
/// The same for upstreams.
const MOST_UPSTREAMS: usize = 500;
const PRIORITIES: [&str; 3] = ["interactive", "normal", "batch"];

/// Everything, as Prometheus reads it.
pub(super) fn page(
    counters: &Counters,
    snapshot: &Snapshot,
    callers: &Callers,
    ledger: Option<&Ledger>,
    is_ready: bool,
) -> String {
    let mut page = Page::default();
    requests(&mut page, counters);
    attempts(&mut page, &counters.attempts());
    standing(&mut page, snapshot, is_ready);
    limits(&mut page, &snapshot.limiters);
    upstreams(&mut page, snapshot);
    spending(&mut page, callers);
    if let Some(ledger) = ledger {
        recording(&mut page, ledger);
    }
    page.finish()
}

fn requests(page: &mut Page, counters: &Counters) {
    page.family("paceline_requests_total", "counter", "Requests of callers, by how they ended.");
    for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
        for outcome in Outcome::ALL {
            let labels = [("dialect", dialect.name()), ("outcome", outcome.name())];
            page.sample("paceline_requests_total", &labels, counters.requests(dialect, outcome));
        }
    }
    page.family("paceline_reloads_total", "counter", "Reloads of the configuration.");
    for (result, took_effect) in [("done", true), ("refused", false)] {
        page.sample("paceline_reloads_total", &[("result", result)], counters.reloads(took_effect));
    }
}

fn attempts(page: &mut Page, attempts: &Attempts) {
    page.family(
        "paceline_attempts_total",
        "counter",
        "Attempts that ended, by upstream and what came of them.",
    );
    for ((upstream, class), count) in &attempts.ended {
        page.sample("paceline_attempts_total", &[("upstream", upstream), ("class", class)], count);
    }
    let name = "paceline_wait_seconds";
    page.family(name, "histogram", "Time from taking a request to sending its first attempt.");
    let mut below = 0;
    for (most, count) in WAITS.iter().zip(attempts.waits) {
        below += count;
        let bound = (Duration::from_millis(*most).as_secs_f64()).to_string();
        page.sample("paceline_wait_seconds_bucket", &[("le", &bound)], below);
    }
    below += attempts.waits[WAITS.len()];
    page.sample("paceline_wait_seconds_bucket", &[("le", "+Inf")], below);
    page.sample("paceline_wait_seconds_sum", &[], attempts.waited.as_secs_f64());
    page.sample("paceline_wait_seconds_count", &[], below);
}

fn standing(page: &mut Page, snapshot: &Snapshot, is_ready: bool) {
    page.family("paceline_ready", "gauge", "1 while requests are taken, 0 while draining.");
    page.sample("paceline_ready", &[], u8::from(is_ready));
    page.family("paceline_waiting", "gauge", "Requests waiting for their turn.");
    for (priority, waiting) in PRIORITIES.into_iter().zip(snapshot.waiting) {
        page.sample("paceline_waiting", &[("priority", priority)], waiting);
    }
    let singles = [
        ("paceline_in_flight", "gauge", "Attempts in flight.", snapshot.in_flight as u64),
        ("paceline_sent_total", "counter", "Attempts sent.", snapshot.sent),
        ("paceline_throttled_total", "counter", "Attempts that a provider throttled.", snapshot.throttled),
        ("paceline_retries_total", "counter", "Retries charged to the retry budget.", snapshot.retries),
    ];
    for (name, kind, help, value) in singles {
        page.family(name, kind, help);
        page.sample(name, &[], value);
    }
}

fn limits(page: &mut Page, limiters: &[LimiterStanding]) {
    let shown = &limiters[..limiters.len().min(MOST_LIMITERS)];
    let mut each = |name: &str, help: &str, value: fn(&paceline::core::engine::BucketView) -> u64| {
        page.family(name, "gauge", help);
        for limiter in shown {
            for bucket in &limiter.view.buckets {
                let window = words::window(bucket.quota.window);
                let labels = [
                    ("account", limiter.account.as_str()),
                    ("models", &limiter.models),
                    ("dimension", bucket.quota.dimension.name()),
                    ("window", &window),
                ];
                page.sample(name, &labels, value(bucket));
            }
        }
    };
    each("paceline_limit", "What a provider grants in a window, as believed now.", |b| b.quota.limit);
    each("paceline_used", "What we were charged in the last window.", |b| b.used);
    page.family("paceline_limiters_untold", "gauge", "Meters beyond those that are shown.");
    page.sample("paceline_limiters_untold", &[], limiters.len() - shown.len());
}

fn upstreams(page: &mut Page, snapshot: &Snapshot) {
    let name = "paceline_upstream_health";
    page.family(name, "gauge", "1 for the state that an upstream is in, 0 for the others; by credential where callers bring their own.");
    for upstream in snapshot.upstreams.iter().take(MOST_UPSTREAMS) {
        let caller = upstream.caller.as_deref().unwrap_or_default();
        for state in Health::ALL {
            let labels = [("upstream", &*upstream.name), ("credential", caller), ("state", state.name())];
            page.sample(name, &labels, u8::from(state == upstream.view.health.into()));
        }
    }
}

fn spending(page: &mut Page, callers: &Callers) {
    let own: Vec<_> =
        callers.callers().iter().map(|caller| (&*caller.name, caller.purse.standing())).collect();
    let total: Vec<_> = callers.total().map(|total| ("", total.standing())).into_iter().collect();
    let families =
        [("paceline_caller", &own, "a caller"), ("paceline_budget", &total, "all callers together")];
    for (family, standing, whose) in families {
        let limit = format!("What {whose} may use in a window; money in millionths of a US dollar.");
        let used = format!("What {whose} used in the last window, reservations included.");
        amounts(page, &format!("{family}_limit"), &limit, standing, |(allowance, _)| allowance.limit);
        amounts(page, &format!("{family}_used"), &used, standing, |(_, spent)| *spent);
    }
}

/// One sample for each allowance of each caller.
fn amounts(
    page: &mut Page,
    name: &str,
    help: &str,
    standing: &[(&str, Vec<(Allowance, u64)>)],
    amount: fn(&(Allowance, u64)) -> u64,
) {
    page.family(name, "gauge", help);
    for (caller, allowances) in standing {
        for each in allowances {
            let window = words::window(each.0.window);
            let labels = [("caller", *caller), ("dimension", each.0.counted.name()), ("window", &window)];
            page.sample(name, &labels, amount(each));
        }
    }
}

fn recording(page: &mut Page, ledger: &Ledger) {
    let health = ledger.health();
    let singles = [
        (
            "failing",
            "gauge",
            "1 while the usage ledger cannot be written.",
            u64::from(health.failing.is_some()),
        ),
        ("queued", "gauge", "Requests that wait to be written to the usage ledger.", health.queued as u64),
        ("rows_written_total", "counter", "Rows written to the usage ledger.", health.written),
        ("rows_dropped_total", "counter", "Rows that the usage ledger has lost.", health.dropped),
        ("unrecorded_total", "counter", "Requests sent without being on record first.", health.unrecorded),
    ];
    for (name, kind, help, value) in singles {
        let name = format!("paceline_usage_ledger_{name}");
        page.family(&name, kind, help);
        page.sample(&name, &[], value);
    }
}

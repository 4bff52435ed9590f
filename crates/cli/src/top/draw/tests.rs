//! Pictures as people see them, at the sizes they have.

use paceline_status::{
    Allowance, Batch, Caller, Classes, Cost, Flight, Health, Kind, Limit, Limiter, Source, Status, Tenant,
    Throttle, Upstream,
};

use super::*;
use crate::args::Size;
use crate::top::once;

fn limit(dimension: &str, limit: u64, used: u64, source: Source) -> Limit {
    Limit { dimension: dimension.into(), window: "min".into(), window_seconds: 60.0, limit, used, source }
}

fn limiter(account: &str, models: &str, binds: Option<&str>) -> Limiter {
    Limiter {
        account: account.into(),
        models: models.into(),
        in_flight: 4,
        in_flight_limit: Some(10),
        binds: binds.map(str::to_owned),
        limits: vec![
            limit("requests", 50, 50, Source::Typed),
            limit("input_tokens", 30_000, 12_345, Source::Reported),
            limit("output_tokens", 8_000, 1_024, Source::Learned),
        ],
        ..Limiter::default()
    }
}

fn upstream(name: &str, health: Health, reason: &str) -> Upstream {
    Upstream { name: name.into(), health, in_flight: 2, reason: reason.into(), ..Upstream::default() }
}

fn flight(age_seconds: f64, attempt: u32) -> Flight {
    Flight {
        model: "claude-haiku-4-5".into(),
        upstream: "claude-main".into(),
        tenant: "ci".into(),
        priority: "batch".into(),
        attempt,
        waited_seconds: 12.3,
        age_seconds,
        begun: attempt == 1,
        ..Flight::default()
    }
}

fn run() -> Status {
    Status {
        kind: Kind::Run,
        pid: 4711,
        ready: true,
        up_seconds: 185,
        waiting: Classes { batch: 3_954, ..Classes::default() },
        wait_seconds: Classes { batch: Some(1.2), ..Classes::default() },
        in_flight: 2,
        flights: vec![flight(3.4, 1), flight(0.2, 2)],
        sent: 46,
        limiters: vec![limiter("org", "claude-haiku-4.5", Some("requests/min"))],
        upstreams: vec![upstream("claude-main", Health::Closed, "traffic flows")],
        batch: Some(Batch {
            output: "/home/me/out.jsonl".into(),
            total: 4_000,
            done: 43,
            failed: 1,
            eta_seconds: Some(4_725.0),
            binds: Some("requests/min".into()),
            tokens_per_minute: 13_369,
            cost_micro_usd: 579_600,
            projected_micro_usd: Some(53_900_000),
            budget_micro_usd: Some(60_000_000),
            ..Batch::default()
        }),
        ..Status::default()
    }
}

fn serve() -> Status {
    let budget =
        Allowance { dimension: "budget".into(), window: "day".into(), limit: 20_000_000, used: 3_200_000 };
    let requests = Allowance { dimension: "requests".into(), window: "min".into(), limit: 100, used: 12 };
    let waits = "it failed too often; the next attempt goes in 3 s";
    let refused = "the provider refuses its credential: replace the key; it is probed every 5 min";
    Status {
        kind: Kind::Serve,
        pid: 812,
        ready: true,
        up_seconds: 93_600,
        paused: true,
        waiting: Classes { interactive: 1, normal: 12, batch: 340 },
        wait_seconds: Classes { interactive: Some(0.0), normal: Some(4.2), batch: Some(75.0) },
        newcomer_wait_seconds: Classes { normal: Some(31.0), batch: Some(600.0), ..Classes::default() },
        tenants: vec![
            Tenant { name: "ci".into(), waiting: Classes { batch: 340, ..Classes::default() } },
            Tenant { name: "".into(), waiting: Classes { interactive: 1, normal: 12, ..Classes::default() } },
        ],
        in_flight: 140,
        flights: (0..20).map(|n| flight(60.0 - f64::from(n), 1)).collect(),
        sent: 91_234,
        throttled: 2,
        limiters: vec![
            limiter("org-a", "claude-sonnet-*", Some("in_flight")),
            Limiter {
                closed_for_seconds: Some(8.0),
                ..limiter("org-b", "gpt-\u{1b}[31m-very-long-model-name", None)
            },
        ],
        upstreams: vec![
            upstream("claude-main", Health::Closed, "traffic flows"),
            upstream("claude-backup", Health::Open, waits),
            upstream("openai", Health::OutOfService, refused),
            Upstream {
                taken_out: true,
                ..upstream(
                    "groq",
                    Health::Closed,
                    "an operator took it out; it gets nothing until it is put back",
                )
            },
        ],
        throttles: vec![Throttle {
            upstream: "openai".into(),
            class: "throttled".into(),
            ago_seconds: 12.0,
            wait_seconds: Some(20.0),
        }],
        callers: vec![Caller { name: "ci".into(), weight: 1, allowances: vec![budget.clone(), requests] }],
        budgets: vec![budget],
        cost_today: Some(Cost { micro_usd: 3_100_000, unpriced: 3 }),
        ..Status::default()
    }
}

fn picture(status: Status, size: (u16, u16), change: impl FnOnce(&mut Screen)) -> String {
    let mut screen = Screen::new("127.0.0.1:4000".to_owned(), status.clone(), true);
    for n in 0..40 {
        let sent = status.sent + n * (n % 7) / 3;
        screen.handle_look(Ok(Status { sent, ..status.clone() }));
    }
    change(&mut screen);
    once::text(&screen, Some(Size { columns: size.0, lines: size.1 }))
}

#[test]
fn a_run_at_the_size_of_old_terminals() {
    insta::assert_snapshot!(picture(run(), (80, 24), |_| {}));
}

#[test]
fn a_run_on_a_large_one() {
    insta::assert_snapshot!(picture(run(), (200, 50), |_| {}));
}

#[test]
fn a_gateway_at_the_size_of_old_terminals() {
    insta::assert_snapshot!(picture(serve(), (80, 24), |screen| screen.focus = Panel::Upstreams));
}

#[test]
fn a_gateway_on_a_large_one() {
    insta::assert_snapshot!(picture(serve(), (200, 50), |screen| screen.trouble =
        Some("nobody answers any more: it has ended".to_owned())));
}

#[test]
fn the_help_and_a_question() {
    insta::assert_snapshot!(picture(run(), (80, 24), |screen| screen.mode = Mode::Help));
    let asked = picture(run(), (80, 24), |screen| screen.mode = Mode::Asking(true));
    assert!(
        asked.ends_with("Pause? What is in flight ends, nothing more is sent. y: yes, else no\n"),
        "{asked}"
    );
}

#[test]
fn any_size_can_be_drawn_and_lists_scroll() {
    for size in [(1, 1), (3, 2), (10, 3), (40, 10), (119, 7), (121, 4), (500, 3)] {
        let text = picture(serve(), size, |screen| screen.scrolled = [3; Panel::ALL.len()]);
        assert_eq!(text.lines().count(), usize::from(size.1), "{size:?}");
    }
    let scrolled = picture(serve(), (80, 24), |screen| {
        screen.focus = Panel::Flights;
        screen.scrolled[Panel::Flights as usize] = 1_000;
    });
    assert!(scrolled.contains(" of 21\n") && scrolled.contains("and 120 more"), "{scrolled}");
}

#[test]
fn color_only_repeats_what_words_say() {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::style::Color;
    let colors = |color: bool| {
        let screen = Screen::new(String::new(), serve(), color);
        let mut terminal = Terminal::new(TestBackend::new(100, 40)).unwrap();
        terminal.draw(|frame| drop(Vec::from(draw(frame, &screen)))).unwrap();
        let cells = &terminal.backend().buffer().content;
        (
            cells.iter().filter(|cell| cell.fg != Color::Reset).count(),
            cells.iter().map(|cell| cell.symbol()).collect::<String>(),
        )
    };
    let ((none, plain), (some, colored)) = (colors(false), colors(true));
    assert!(none == 0 && some > 0);
    assert_eq!(plain, colored);
}

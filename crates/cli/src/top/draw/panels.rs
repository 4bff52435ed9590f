//! What stands in each panel.

use std::time::Duration;

use paceline_status::{Allowance, Health, Limit, Limiter, Status, Upstream};
use paceline_wire::price::MicroUsd;
use ratatui::text::Line;

use super::row::{Look, Palette, Row, bar};
use crate::ctl::source;
use crate::progress::{count, grouped, short, span};
use crate::top::screen::Panel;

/// The rows of a panel at that width; none where there is nothing to say.
pub(super) fn rows(panel: Panel, status: &Status, palette: Palette, width: u16) -> Vec<Line<'static>> {
    let row = || Row::new(palette, width);
    let rows = match panel {
        Panel::Limits => limits(status, &row),
        Panel::Upstreams => upstreams(status, &row),
        Panel::Queue => queue(status, &row),
        Panel::Flights => flights(status, &row),
        Panel::Money => money(status, &row),
        Panel::Throttled => throttled(status, &row),
    };
    rows.into_iter().map(Row::line).collect()
}

type NewRow<'a> = &'a dyn Fn() -> Row;

fn limits(status: &Status, row: NewRow<'_>) -> Vec<Row> {
    let names = Names::of(&status.limiters, row().left());
    let mut rows = Vec::new();
    for limiter in &status.limiters {
        let start = || names.begin(row(), limiter);
        rows.extend(limiter.limits.iter().map(|limit| one_limit(start(), limiter, limit)));
        rows.extend(limiter.in_flight_limit.map(|most| in_flight(start(), limiter, most)));
        rows.extend(held(limiter).map(|why| start().text(&why, Look::Warn)));
    }
    if status.limiters.is_empty() {
        rows.push(row().text("none known yet: they are learned from the first answers", Look::Dim));
    }
    if status.limiters_untold > 0 {
        rows.push(row().text(&format!("and {} more", grouped(status.limiters_untold)), Look::Dim));
    }
    rows
}

/// How limiters are told apart: by their models, and by their accounts where there are several.
struct Names {
    with_account: bool,
    width: usize,
}

impl Names {
    fn of(limiters: &[Limiter], room: usize) -> Self {
        let with_account = limiters.windows(2).any(|pair| pair[0].account != pair[1].account);
        let mut names = Self { with_account, width: 0 };
        let longest = limiters.iter().map(|limiter| names.name(limiter).chars().count()).max();
        names.width = longest.unwrap_or(0).min(room.saturating_sub(USED + LEAST_BAR));
        names
    }

    fn name(&self, limiter: &Limiter) -> String {
        match self.with_account {
            true => format!("{} {}", limiter.account, limiter.models),
            false => limiter.models.clone(),
        }
    }

    fn begin(&self, row: Row, limiter: &Limiter) -> Row {
        row.cell(&self.name(limiter), self.width, Look::Plain)
    }
}

fn one_limit(row: Row, limiter: &Limiter, limit: &Limit) -> Row {
    let name = format!("{}/{}", limit.dimension, limit.window);
    let binds = limiter.binds.as_ref() == Some(&name);
    let word = if binds { BINDS } else { source(limit.source) };
    used(row, &name, (limit.used, limit.limit), short, word)
}

fn in_flight(row: Row, limiter: &Limiter, most: u64) -> Row {
    let word = if limiter.binds.as_deref() == Some("in_flight") { BINDS } else { "" };
    used(row, "in flight", (limiter.in_flight, most), short, word)
}

/// What holds requests back that is no quota.
fn held(limiter: &Limiter) -> Option<String> {
    match (limiter.closed_for_seconds, limiter.binds.as_deref()) {
        (Some(wait), _) => Some(format!("the provider asked for a pause: {} more", seconds(wait))),
        (None, Some("learning")) => Some("looking for the unknown limit, step by step".to_owned()),
        (None, Some("health")) => Some("held by an upstream that is out of service".to_owned()),
        _ => None,
    }
}

/// Columns of [`used`] without the bar, and the narrowest bar.
const USED: usize = 18 + 14 + 5 + 9;
const LEAST_BAR: usize = 8;
/// The word for the limit that holds the next request back.
const BINDS: &str = "binds";

/// A name, how much is used of how much, a bar, and a word.
fn used(row: Row, name: &str, (used, limit): (u64, u64), shown: fn(u64) -> String, word: &str) -> Row {
    let percent = (u128::from(used) * 100).checked_div(u128::from(limit)).unwrap_or(0);
    let look = if word == BINDS || percent >= 100 { Look::Warn } else { Look::Good };
    let amounts = format!("{}/{}", shown(used), shown(limit));
    let row = row.cell(name, 17, Look::Plain).right(&amounts, 13, Look::Plain);
    let width = row.left().saturating_sub(5 + 9);
    let row =
        if width > LEAST_BAR / 2 { row.cell(&bar(used, limit, width - 1), width - 1, look) } else { row };
    let words = if word == BINDS { Look::Warn } else { Look::Dim };
    row.right(&format!("{percent}%"), 4, look).text(word, words)
}

fn upstreams(status: &Status, row: NewRow<'_>) -> Vec<Row> {
    let longest = status.upstreams.iter().map(|upstream| name_of(upstream).chars().count()).max();
    let width = longest.unwrap_or(0).min(row().left() * 2 / 5);
    let mut rows: Vec<Row> =
        status.upstreams.iter().flat_map(|upstream| one_upstream(upstream, width, row)).collect();
    if status.upstreams_untold > 0 {
        rows.push(row().text(&format!("and {} more", grouped(status.upstreams_untold)), Look::Dim));
    }
    rows
}

fn name_of(upstream: &Upstream) -> String {
    match &upstream.credential {
        Some(credential) => format!("{} {credential}", upstream.name),
        None => upstream.name.clone(),
    }
}

/// How it does. What is wrong with it is told in full: it says what helps.
fn one_upstream(upstream: &Upstream, width: usize, row: NewRow<'_>) -> Vec<Row> {
    let (word, look) = match upstream.health {
        _ if upstream.taken_out => ("taken out", Look::Warn),
        Health::Closed => ("well", Look::Good),
        Health::Open => ("open", Look::Bad),
        Health::HalfOpen => ("half open", Look::Warn),
        Health::OutOfService => ("out", Look::Bad),
    };
    let flying = format!("{} in flight", short(upstream.in_flight));
    let first =
        row().cell(&name_of(upstream), width, Look::Plain).cell(word, 9, look).right(&flying, 12, Look::Dim);
    if word == "well" {
        return vec![first];
    }
    match upstream.reason.chars().count() <= first.left() {
        true => vec![first.text(&upstream.reason, Look::Plain)],
        false => vec![first, row().text(&format!("  {}", upstream.reason), Look::Plain)],
    }
}

fn queue(status: &Status, row: NewRow<'_>) -> Vec<Row> {
    let (waiting, wait, newcomer) = (&status.waiting, &status.wait_seconds, &status.newcomer_wait_seconds);
    let classes = [
        ("interactive", waiting.interactive, wait.interactive, newcomer.interactive),
        ("normal", waiting.normal, wait.normal, newcomer.normal),
        ("batch", waiting.batch, wait.batch, newcomer.batch),
    ];
    let mut rows: Vec<Row> = classes
        .into_iter()
        .map(|(name, waiting, wait, newcomer)| {
            let row = row()
                .cell(name, 12, Look::Plain)
                .right(&short(waiting), 8, Look::Plain)
                .text("waiting", Look::Dim);
            let row = match wait {
                Some(wait) if wait < 0.05 => row.text(", the first goes now", Look::Plain),
                Some(wait) => row.text(&format!(", the first goes in {}", seconds(wait)), Look::Plain),
                None => row,
            };
            match newcomer.filter(|_| waiting > 0) {
                Some(wait) => row.text(&format!(", a newcomer in {}", seconds(wait)), Look::Dim),
                None => row,
            }
        })
        .collect();
    let many = if status.tenants.len() == 1 { Vec::new() } else { status.tenants.clone() };
    rows.extend(many.iter().map(|tenant| {
        let name = if tenant.name.is_empty() { "(no name)" } else { &tenant.name };
        let of = &tenant.waiting;
        let each = format!("{} interactive, {} normal, {} batch", of.interactive, of.normal, of.batch);
        row().text("  ", Look::Plain).cell(name, 18, Look::Plain).text(&each, Look::Dim)
    }));
    rows
}

fn flights(status: &Status, row: NewRow<'_>) -> Vec<Row> {
    let told = status.flights.iter().map(|flight| {
        let state = if flight.begun { "answering" } else { "sent" };
        let row = row().right(&seconds(flight.age_seconds), 8, Look::Plain).cell(state, 9, Look::Plain);
        let width = row.left() / 4;
        let row = row.cell(&flight.upstream, width, Look::Plain).cell(&flight.model, width, Look::Plain);
        let tenant = if flight.tenant.is_empty() { String::new() } else { format!(" for {}", flight.tenant) };
        let waited = format!("{}{tenant}, waited {}", flight.priority, seconds(flight.waited_seconds));
        let attempt =
            if flight.attempt > 1 { format!("attempt {}, ", flight.attempt) } else { String::new() };
        row.text(&attempt, Look::Warn).text(&waited, Look::Dim)
    });
    let mut rows: Vec<Row> = told.collect();
    let untold = status.in_flight.saturating_sub(rows.len() as u64);
    match (rows.len(), untold) {
        (0, 0) => rows.push(row().text("nothing", Look::Dim)),
        (_, 0) => {}
        _ => rows.push(row().text(&format!("and {} more", grouped(untold)), Look::Dim)),
    }
    rows
}

fn money(status: &Status, row: NewRow<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(cost) = &status.cost_today {
        let unpriced = match cost.unpriced {
            0 => String::new(),
            many => format!(" and {} of unknown price", count(many, "request")),
        };
        rows.push(row().text(&format!("today {}{unpriced}", MicroUsd::new(cost.micro_usd)), Look::Plain));
    }
    rows.extend(status.budgets.iter().map(|budget| allowance(row(), "all callers", budget)));
    for caller in &status.callers {
        rows.extend(caller.allowances.iter().map(|of| allowance(row(), &caller.name, of)));
    }
    if let Some(batch) = &status.batch {
        let spent = crate::ctl::money(batch);
        rows.push(row().text(&format!("this batch {spent}"), Look::Plain));
    }
    if rows.is_empty() {
        rows.push(row().text("not recorded: name a usage ledger to see what is spent", Look::Dim));
    }
    rows
}

fn allowance(row: Row, whose: &str, of: &Allowance) -> Row {
    let is_money = of.dimension == "budget";
    let shown: fn(u64) -> String = if is_money { |micros| MicroUsd::new(micros).to_string() } else { short };
    let width = row.left().saturating_sub(USED + LEAST_BAR).min(24);
    let name = format!("{}/{}", of.dimension, of.window);
    used(row.cell(whose, width, Look::Plain), &name, (of.used, of.limit), shown, "")
}

fn throttled(status: &Status, row: NewRow<'_>) -> Vec<Row> {
    let told = status.throttles.iter().map(|one| {
        let asked = one.wait_seconds.map(|wait| format!(", wait {}", seconds(wait))).unwrap_or_default();
        let row = row().right(&format!("{} ago", seconds(one.ago_seconds)), 11, Look::Plain);
        row.text(&format!("{}: {}{asked}", one.upstream, one.class), Look::Plain)
    });
    let rows: Vec<Row> = told.collect();
    match rows.is_empty() {
        false => rows,
        true => vec![row().text(
            &format!("{} of {} sent", short(status.throttled), count(status.sent, "attempt")),
            Look::Dim,
        )],
    }
}

fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "long".to_owned(), span)
}

//! What is known of one request.

use std::sync::Arc;
use std::time::Duration;

use paceline_wire::FullUsage;
use paceline_wire::price::MicroUsd;
use rusqlite::types::ValueRef;

/// What the table has of a row.
pub(crate) const COLUMNS: usize = 24;
/// Names of models and requests come from callers; what is kept of one is no longer than this.
const LONGEST_NAME: usize = 128;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It has gone out, and has not ended.
    Open,
    /// With its whole answer.
    Done,
    /// Without one: an upstream failed it.
    Failed,
    /// By our own decision, unsent.
    Refused,
    /// Its caller left.
    Canceled,
    /// It was open when an earlier process was killed: nobody knows.
    Unknown,
}

impl Finish {
    /// All of them.
    pub const ALL: [Finish; 6] =
        [Finish::Open, Finish::Done, Finish::Failed, Finish::Refused, Finish::Canceled, Finish::Unknown];

    /// The word in the file and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Open => "open",
            Finish::Done => "done",
            Finish::Failed => "failed",
            Finish::Refused => "refused",
            Finish::Canceled => "canceled",
            Finish::Unknown => "unknown",
        }
    }
}

/// How a request ended, and what it took.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub finish: Finish,
    /// What the failure or refusal means.
    pub class: Option<&'static str>,
    /// What it used, as far as that was told.
    pub usage: Option<FullUsage>,
    /// It may have used more than was told.
    pub in_doubt: bool,
    /// What `usage` costs; `None` when nobody knows the price.
    pub cost: Option<MicroUsd>,
    /// The upstream that served it, or failed it last.
    pub upstream: Option<Arc<str>>,
    /// Whose limits it counted against.
    pub account: Option<Arc<str>>,
    /// The model's name there.
    pub sent_as: Option<Arc<str>>,
    /// Time until the last attempt went out.
    pub waited: Option<Duration>,
    /// Time from there to the head of its answer.
    pub first_byte: Option<Duration>,
    /// Attempts that were sent.
    pub attempts: u32,
    /// How many of them were throttled.
    pub throttled: u32,
    /// The provider's own name for the exchange.
    pub exchange: Option<String>,
}

impl Ended {
    /// An end of which nothing else is known.
    pub fn of(finish: Finish) -> Self {
        Self {
            finish,
            class: None,
            usage: None,
            in_doubt: false,
            cost: None,
            upstream: None,
            account: None,
            sent_as: None,
            waited: None,
            first_byte: None,
            attempts: 0,
            throttled: 0,
            exchange: None,
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// Unix time.
    pub(crate) begun: Duration,
    pub(crate) model: String,
    pub(crate) caller: Arc<str>,
    pub(crate) priority: &'static str,
    /// The most that it was expected to cost.
    pub(crate) reserved: Option<MicroUsd>,
    pub(crate) total: Option<Duration>,
    pub(crate) ended: Ended,
}

impl Row {
    /// What budgets count: all that was reserved as long as nobody can tell, then what it cost.
    pub(crate) fn charged(&self) -> Option<MicroUsd> {
        match self.ended.in_doubt {
            true => self.reserved.max(self.ended.cost),
            false => self.ended.cost,
        }
    }

    /// As the table has it, column by column.
    pub(crate) fn values(&self) -> [ValueRef<'_>; COLUMNS] {
        let ended = &self.ended;
        let tokens = |of: fn(&FullUsage) -> u64| integer(ended.usage.as_ref().map(|usage| whole(of(usage))));
        let money = |amount: Option<MicroUsd>| integer(amount.map(|amount| whole(amount.micros())));
        let time = |time: Option<Duration>| integer(time.map(millis));
        [
            ValueRef::Integer(self.id),
            text(&self.name),
            ValueRef::Integer(millis(self.begun)),
            text(ended.finish.name()),
            text_or_null(ended.class),
            text(&self.model),
            text_or_null(ended.sent_as.as_deref()),
            text_or_null(ended.upstream.as_deref()),
            text_or_null(ended.account.as_deref()),
            text(&self.caller),
            text(self.priority),
            tokens(|usage| usage.input_tokens),
            tokens(|usage| usage.cache_read_tokens),
            tokens(|usage| usage.cache_write_tokens),
            tokens(|usage| usage.output_tokens),
            ValueRef::Integer(ended.in_doubt.into()),
            money(ended.cost),
            money(self.charged()),
            time(ended.waited),
            time(ended.first_byte),
            time(self.total),
            ValueRef::Integer(ended.attempts.into()),
            ValueRef::Integer(ended.throttled.into()),
            text_or_null(ended.exchange.as_deref()),
        ]
    }
}

fn integer<'a>(number: Option<i64>) -> ValueRef<'a> {
    number.map_or(ValueRef::Null, ValueRef::Integer)
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}

fn text_or_null(of: Option<&str>) -> ValueRef<'_> {
    of.map_or(ValueRef::Null, text)
}

/// SQLite's integers have a sign.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as the table has it.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// As much of `name` as is kept.
pub(crate) fn shortened(mut name: String) -> String {
    if LONGEST_NAME < name.len() {
        let end = (0..=LONGEST_NAME).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.truncate(end);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shortened("short".to_owned()), "short");
        assert_eq!(shortened("x".repeat(500)).len(), LONGEST_NAME);
        let cut = shortened("é".repeat(100));
        assert_eq!(cut.chars().count(), LONGEST_NAME / 2);
        assert_eq!(shortened(format!("x{}", "é".repeat(100))).len(), LONGEST_NAME - 1);
    }
}

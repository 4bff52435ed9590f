//! What is said when a run has ended.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use paceline_batch::{PricesAsOf, Summary};
use paceline_core::quota::OutputRule;
use paceline_wire::price::MicroUsd;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::messages;
use crate::progress::{Charges, Closeness, View, closeness, count, grouped, limit_name, span};

/// The most of a failed result that is read to quote its reason, in bytes.
const LONGEST_FAILURE: u64 = 1 << 20;
/// The most of a reason that is quoted, in characters.
const LONGEST_REASON: usize = 300;

/// A run that has ended.
pub(crate) struct Closing<'a> {
    /// Its last numbers.
    pub(crate) view: &'a View,
    /// How it ended.
    pub(crate) summary: &'a Summary,
    /// From the first attempt to the last.
    pub(crate) sending: Duration,
    /// How the provider counts output.
    pub(crate) output: OutputRule,
    /// How old the prices are by which its money was counted.
    pub(crate) prices: Option<PricesAsOf>,
    /// How the program ends.
    pub(crate) exit: Exit,
}

impl Closing<'_> {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let run = &self.view.run;
        let mut text = format!("{} done, {} failed, {} throttled", run.done, run.failed, self.view.throttled);
        if run.left() > 0 {
            text.push_str(&format!(", {} left", run.left()));
        }
        text.push_str(&format!(" in {}", span(run.elapsed)));
        if self.view.sent > 0 {
            if let Some(speed) = self.speed() {
                text.push_str(&format!("\n  speed     {speed}"));
            }
            text.push_str(&format!("\n  requests  {}", self.requests()));
            let (input, output) = (grouped(run.input_tokens), grouped(run.output_tokens));
            text.push_str(&format!("\n  tokens    {input} in, {output} out"));
            if let Some(money) = self.money() {
                text.push_str(&format!("\n  money     {money}"));
            }
        }
        if let Some(paths) = &self.summary.paths {
            text.push_str(&format!("\n  results   {}", paths.output.display()));
            if run.failed > 0 {
                text.push_str(&format!("\n  failures  {}", paths.errors.display()));
            }
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mut value = self.view.json("summary");
        let paths = self.summary.paths.as_ref();
        value["maybe_billed_twice"] = json!(self.summary.report.in_flight);
        value["exit"] = json!(self.exit.code());
        value["sending_seconds"] = json!(self.sending.as_millis() as f64 / 1000.0);
        value["share_of_limit"] =
            json!(self.closeness().map(|close| (close.share * 1000.0).round() / 1000.0));
        value["prices_as_of"] = json!(self.prices.as_ref().map(|prices| [&prices.oldest, &prices.newest]));
        value["stopped"] = json!(self.summary.stop.as_ref().map(ToString::to_string));
        value["output"] = json!(paths.map(|paths| paths.output.to_string_lossy()));
        value["errors"] = json!(paths.map(|paths| paths.errors.to_string_lossy()));
        value
    }

    /// What went wrong, and the command that finishes it.
    pub(crate) fn remedy(&self) {
        let failed = self.summary.view.failed;
        if let Some(reason) = &self.summary.stop {
            messages::error(&reason.to_string());
            if let Some(trouble) = &self.view.trouble {
                messages::warning(trouble);
            }
        } else if failed > 0 {
            messages::error(&format!("{} failed{}", count(failed, "job"), self.first_failure()));
        } else {
            return;
        }
        if self.summary.paths.is_some() {
            messages::hint(&format!("this finishes what is left: {}", command_line(std::env::args())));
        }
    }

    /// Why the first failed job did: often enough all others failed alike.
    fn first_failure(&self) -> String {
        let reason = self.summary.paths.as_ref().and_then(|paths| {
            let mut line = String::new();
            let file = File::open(&paths.errors).ok()?;
            BufReader::new(file).take(LONGEST_FAILURE).read_line(&mut line).ok()?;
            message(&serde_json::from_str(&line).ok()?)
        });
        reason.map(|reason| format!(", the first one with: {reason}")).unwrap_or_default()
    }

    /// How fast it went; too short a run tells nothing.
    fn speed(&self) -> Option<String> {
        let gaps = self.view.sent.checked_sub(1).filter(|gaps| *gaps > 0)?;
        let seconds = self.sending.as_secs_f64();
        let rate = (1.0 <= seconds).then(|| format!("{:.1} requests/min", gaps as f64 * 60.0 / seconds))?;
        let Some(Closeness { limit, share }) = self.closeness() else {
            return Some(format!("{rate}; no limit is known"));
        };
        let limit = format!("{} {}", grouped(limit.limit), limit_name(limit.dimension, limit.window));
        let burst = if share > 1.0 { " with the burst it allows" } else { "" };
        let percent = share.min(1.0) * 100.0;
        Some(format!("{percent:.0} % of the limit's own speed{burst}: {rate}, limit {limit}"))
    }

    fn requests(&self) -> String {
        let (sent, ended) = (self.view.sent, self.view.run.ended);
        // Only when all is over does every request belong to a job that has ended.
        let per_job = match self.view.run.left() {
            0 if ended > 0 => format!(" ({:.2} a job)", sent as f64 / ended as f64),
            _ => String::new(),
        };
        format!("{}{per_job}, {} retried", grouped(sent), self.view.retries)
    }

    fn money(&self) -> Option<String> {
        let run = &self.view.run;
        match (run.spent, run.unpriced) {
            (MicroUsd::ZERO, 0) => None, // Nothing was answered.
            (MicroUsd::ZERO, _) => Some("unknown: no price is known for these models".to_owned()),
            (spent, 0) => Some(format!("{spent} at {}", self.prices())),
            (spent, unpriced) => Some(format!(
                "{spent} at {}, and {} of unknown price",
                self.prices(),
                count(unpriced, "answer")
            )),
        }
    }

    fn prices(&self) -> String {
        match &self.prices {
            Some(PricesAsOf { oldest, newest }) if oldest != newest => {
                format!("list prices of {oldest} to {newest}")
            }
            Some(PricesAsOf { newest, .. }) => format!("list prices of {newest}"),
            None => "list prices".to_owned(),
        }
    }

    fn closeness(&self) -> Option<Closeness> {
        let run = &self.view.run;
        let charges = Charges {
            attempts: self.view.sent,
            input_tokens: run.input_tokens,
            output_tokens: run.output_tokens,
        };
        closeness(&charges, self.output, &self.view.meters, self.sending)
    }
}

/// The error message of a failed result, in whichever form it was written.
fn message(result: &Value) -> Option<String> {
    let places = [
        "/error/message",
        "/response/body/error/message",
        "/result/error/error/message",
        "/result/error/message",
    ];
    let text = places.iter().find_map(|place| result.pointer(place)?.as_str())?;
    Some(text.chars().take(LONGEST_REASON).collect())
}

/// The command as it was typed, ready for a shell; without `--fresh`, which would begin anew.
fn command_line(args: impl Iterator<Item = String>) -> String {
    args.filter(|arg| arg != "--fresh").map(|arg| quoted(&arg)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
pub(crate) fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    match arg.chars().all(plain) && !arg.is_empty() {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let args =
            ["paceline", "run", "my prompts.jsonl", "--fresh", "-o", "it's.jsonl", "--set", "a=$b", ""];
        assert_eq!(
            command_line(args.into_iter().map(str::to_owned)),
            r"paceline run 'my prompts.jsonl' -o 'it'\''s.jsonl' --set 'a=$b' ''"
        );
    }
}

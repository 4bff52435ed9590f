//! A replay for people, as a plan is told.

use std::time::Duration;

use paceline_sim::plan::Limited;
use paceline_wire::terminal;

use super::Replayed;
use super::json::moment;
use super::waits::{A_WAIT, Waits};
use crate::plan::layout::{paragraph, table};
use crate::plan::text::{label, models, origins};
use crate::progress::{count, grouped, span};

impl Replayed {
    /// For people.
    pub(super) fn text(&self) -> String {
        let to = if self.sources.mock.is_some() { "the mock" } else { &self.provider.name };
        let ledger = self.ledger.display().to_string();
        let mut text = format!("replay of {} for {to}\n", terminal::line(&ledger));
        let mut say = |label: &str, what: String| text.push_str(&paragraph(label, &what));
        say("requests", self.requests());
        say("left out", self.left_out());
        say("models", models(&self.traffic.survey));
        say("used", self.used());
        say("waited", self.waited());
        text.push_str(&self.waits());
        text.push_str(&self.limits());
        text.push('\n');
        let mut say = |label: &str, what: String| text.push_str(&paragraph(label, &what));
        say("finish", self.finish());
        say("429s", self.refusals());
        say("assumed", self.assumed().join("; "));
        text.truncate(text.trim_end().len());
        text
    }

    fn requests(&self) -> String {
        let traffic = &self.traffic;
        let (requests, callers) = (traffic.survey.jobs, traffic.callers as u64);
        let (requests, callers) = (grouped(requests), count(callers, "caller"));
        let first = moment(traffic.first);
        format!("{requests} of {callers} within {} from {first} on", span(traffic.lasted))
    }

    fn left_out(&self) -> String {
        let reasons = self.traffic.left_out.iter();
        let reasons = reasons.map(|(reason, requests)| format!("{}: {reason}", grouped(*requests)));
        reasons.collect::<Vec<_>>().join("; ")
    }

    fn used(&self) -> String {
        let totals = self.traffic.survey.models.iter().map(|model| &model.totals);
        let (input, output) =
            totals.fold((0, 0.0), |sum, totals| (sum.0 + totals.input_tokens, sum.1 + totals.output_tokens));
        let output = grouped(output.round() as u64);
        format!("{} input tokens as they are charged, {output} output tokens", grouped(input))
    }

    fn waited(&self) -> String {
        let sum = |of: fn(&super::ByPriority) -> u64| -> u64 { self.waits.iter().map(of).sum() };
        let (waited, before) = (sum(|of| of.replayed.waited()), sum(|of| of.recorded.waited()));
        let requests = grouped(self.traffic.survey.jobs);
        let most = self.replay.watched.most_waiting as u64;
        let at_once = if most > 0 { format!(", at most {} at once", grouped(most)) } else { String::new() };
        let unanswered = match self.unanswered() {
            0 => String::new(),
            unanswered => format!("; {} would get no answer: larger than a limit", grouped(unanswered)),
        };
        format!("{} of {requests}{at_once}; as recorded {}{unanswered}", grouped(waited), grouped(before))
    }

    fn waits(&self) -> String {
        let mut rows = Vec::new();
        for class in &self.waits {
            rows.push(row(class.name.to_owned(), class.requests, &class.replayed));
            rows.push(row("  as recorded".to_owned(), class.recorded.count(), &class.recorded));
        }
        let notes = vec![String::new(); rows.len()];
        table(&["priority", "requests", "waited", "p50", "p95", "p99", "most"], &rows, &notes)
    }

    fn limits(&self) -> String {
        let needs = &self.known.needs;
        let share = |share: f64| format!("{:.0} %", share * 100.0);
        let rows: Vec<[String; 5]> = needs
            .iter()
            .map(|need| {
                let needed = match need.limited {
                    Limited::Quota(..) => grouped(need.needed),
                    Limited::InFlight => format!("{} s", grouped(need.needed)),
                };
                let fullest = self.fullest(need).map_or_else(|| "-".to_owned(), share);
                [label(&self.known, need), grouped(need.limit), needed, fullest, brief(self.held(need))]
            })
            .collect();
        let binds = |need| if self.binds() == Some(need) { "binds".to_owned() } else { String::new() };
        let notes: Vec<String> = needs.iter().map(binds).collect();
        table(&["limit", "allows", "needed", "fullest", "held up"], &rows, &notes)
    }

    fn finish(&self) -> String {
        let before = span(self.traffic.lasted);
        match self.replay.finish {
            Some(finish) => format!("{} after the first came; as recorded {before}", span(finish)),
            None => "never: the limits let too little through".to_owned(),
        }
    }

    fn refusals(&self) -> String {
        match self.replay.throttled {
            0 => "none".to_owned(),
            throttled => {
                let held = span(self.held_by_refusals());
                format!("{}, which held requests up for {held}", count(throttled, "attempt"))
            }
        }
    }

    fn assumed(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(origins(&self.known));
        all.push(format!("a minute's limit is enforced by a {}", self.sources.window));
        if self.traffic.assumed > 0 {
            let requests = count(self.traffic.assumed, "request");
            all.push(format!("{requests} whose usage is not on record used what is usual for the model"));
        }
        if self.traffic.survey.models.iter().any(|model| model.charges_most()) {
            all.push("requests asked for no more output than they got".to_owned());
        }
        if self.traffic.callers > 1 {
            all.push("callers have equal shares".to_owned());
        }
        all.push("nobody gives up waiting".to_owned());
        all.push("nobody else uses the account".to_owned());
        all.push(format!("less than {} is no wait", brief(A_WAIT)));
        all
    }
}

fn row(name: String, requests: u64, waits: &Waits) -> [String; 7] {
    let at = |of_a_hundred| waits.percentile(of_a_hundred).map_or_else(|| "-".to_owned(), brief);
    [name, grouped(requests), grouped(waits.waited()), at(50), at(95), at(99), at(100)]
}

/// A span that may be none at all.
fn brief(wait: Duration) -> String {
    if wait.is_zero() { "0s".to_owned() } else { span(wait) }
}

//! A plan for people: compact, aligned, and no wider than a terminal of 80 columns.

use std::collections::BTreeSet;

use paceline_core::quota::Dimension;
use paceline_sim::plan::{Forecast, Limited, Need, Sketch};
use paceline_wire::provider::{Provider, Tier};
use paceline_wire::terminal;

use super::Plan;
use super::answers::{FIRST_TOKEN, LengthsFrom};
use super::layout::{paragraph, table};
use super::limits::Origin;
use super::survey::{Found, Survey, input_tokens};
use super::tiers;
use super::world::Known;
use crate::progress::{count, grouped, limit_name, span};

/// Models that are named.
const MODELS_NAMED: usize = 4;

impl Plan {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let inputs: Vec<String> = self
            .inputs
            .iter()
            .map(|input| terminal::line(&input.display().to_string()).into_owned())
            .collect();
        let to = if self.premises.sources.mock.is_some() { "the mock" } else { &self.premises.provider.name };
        let mut text = format!("plan of {} for {to}\n", inputs.join(", "));
        let mut say = |label: &str, what: String| text.push_str(&paragraph(label, &what));
        say("jobs", self.jobs());
        say("", wrong("cannot be read and would fail", &self.survey.unreadable));
        say("", wrong("larger than a limit and would fail", &self.survey.too_large));
        if self.survey.jobs > 0 {
            say("models", models(&self.survey));
            say("input", self.input());
            say("output", self.output());
            say("money", self.money.text());
        }
        if !self.known.needs.is_empty() && self.survey.jobs > 0 {
            text.push_str(&self.limits());
        }
        let mut say = |label: &str, what: String| text.push_str(&paragraph(label, &what));
        say("finish", self.finish());
        say("unknown", self.unknown());
        say("assumed", self.assumed().join("; "));
        if !self.tiers.is_empty() {
            text.push_str(&tiers::text(&self.tiers));
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn jobs(&self) -> String {
        let report = &self.report;
        let mut text = format!("{} to run, no id twice", grouped(self.survey.jobs));
        if report.done > 0 {
            text.push_str(&format!("; {} of {} are done", grouped(report.done), grouped(report.chosen)));
        } else if report.chosen < report.jobs {
            text.push_str(&format!("; chosen from {}", grouped(report.jobs)));
        }
        if report.in_flight > 0 {
            text.push_str(&format!("; {} may have been billed once", grouped(report.in_flight)));
        }
        text
    }

    fn input(&self) -> String {
        let survey = &self.survey;
        let of = |sketch: &Sketch| input_tokens(&survey.models[usize::from(sketch.kind)], sketch);
        let mut each: Vec<u64> = survey.sketches.iter().map(of).collect();
        each.sort_unstable();
        let at = |share: f64| {
            grouped(each.get(((each.len().max(1) - 1) as f64 * share).round() as usize).copied().unwrap_or(0))
        };
        let all = survey.models.iter().map(|model| model.totals.input_tokens).sum();
        let how = match survey.calibration.tokens_per_byte() {
            Some(_) => "as in the results so far",
            None => "estimated",
        };
        format!(
            "{} tokens, {how}; each {} (p50), {} (p90), {} (p99), {} (most)",
            grouped(all),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        )
    }

    fn output(&self) -> String {
        let models = &self.survey.models;
        let all: f64 = models.iter().map(|model| model.totals.output_tokens).sum();
        let Some(model) = models.iter().find(|model| model.endpoint.generates()) else {
            return "none: these endpoints produce no text".to_owned();
        };
        let lengths = &model.answers.lengths;
        let how = match self.lengths_from {
            LengthsFrom::Typed => "as typed".to_owned(),
            LengthsFrom::Results(answers) => format!("as in {}", count(answers as u64, "result")),
            LengthsFrom::Mock => "as the mock answers".to_owned(),
            LengthsFrom::Guess => "a guess".to_owned(),
        };
        format!(
            "about {} tokens; answers of {} (p50), {} (p90), {how}, cut off at `max_tokens`",
            grouped(all.round() as u64),
            grouped(lengths.quantile(0.5)),
            grouped(lengths.quantile(0.9))
        )
    }

    fn limits(&self) -> String {
        let rows: Vec<[String; 4]> = self
            .known
            .needs
            .iter()
            .map(|need| {
                let needed = match need.limited {
                    Limited::Quota(..) => grouped(need.needed),
                    Limited::InFlight => format!("{} s", grouped(need.needed)),
                };
                [label(&self.known, need), grouped(need.limit), needed, span(need.steady)]
            })
            .collect();
        let binds = |need| if self.binds() == Some(need) { "binds".to_owned() } else { String::new() };
        let notes: Vec<String> = self.known.needs.iter().map(binds).collect();
        format!("{}\n", table(&["limit", "allows", "needed", "at its speed"], &rows, &notes))
    }

    fn finish(&self) -> String {
        let Some(forecast) = &self.forecast else {
            let nothing = self.survey.jobs == 0;
            return if nothing { "there is nothing to do".to_owned() } else { String::new() };
        };
        let Some(middle) = forecast.quantile(0.5) else {
            return "never: the limits let too little through; raise them, or shorten the requests"
                .to_owned();
        };
        let end = |share| forecast.quantile(share).map_or_else(|| "never".to_owned(), span);
        let bound = match self.binds() {
            Some(_) => "",
            None => "; no limit binds, the slowest answers decide",
        };
        let part = match forecast.played < forecast.of {
            true => format!(", each of {} and the rest in proportion", count(forecast.played, "job")),
            false => String::new(),
        };
        format!(
            "after {} (p50), {} (p10), {} (p90): {}{part}{}{bound}",
            span(middle),
            end(0.1),
            end(0.9),
            count(forecast.runs, "simulated run"),
            trouble(forecast)
        )
    }

    /// What nobody has told, and what to type.
    fn unknown(&self) -> String {
        let (known, provider) = (&self.known, &self.premises.provider);
        if self.survey.jobs == 0 || (known.missing.is_empty() && known.unlimited.is_empty()) {
            return String::new();
        }
        let dimensions = || known.missing.iter().map(|it| it.name().replace('_', " ")).collect::<Vec<_>>();
        let what = match known.unlimited.is_empty() {
            true => format!("{} allowed", dimensions().join(", ")),
            false => format!("the limits of {}", known.unlimited.join(", ")),
        };
        let tiers = if self.premises.sources.tier.is_none() { &provider.tiers[..] } else { &[] };
        format!("{what} at {}; type {}", provider.name, remedy(provider, &known.missing, tiers))
    }

    fn assumed(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.survey.jobs == 0 || !self.known.unlimited.is_empty() {
            return all;
        }
        all.extend(origins(&self.known));
        all.push(format!("a minute's limit is enforced by a {}", self.premises.sources.window));
        if self.premises.sources.mock.is_none() {
            let premises = &self.premises;
            let speed = premises.tokens_per_second.unwrap_or(premises.provider.tokens_per_second);
            let first = premises.first_token.unwrap_or(FIRST_TOKEN).as_millis();
            all.push(format!("models write {speed} tokens/s, the first after {first} ms"));
        }
        if self.premises.accounts > 1 {
            all.push(format!("{} accounts of their own", self.premises.accounts));
        }
        if self.lengths_from == LengthsFrom::Guess
            && self.survey.models.iter().any(|model| model.endpoint.generates())
        {
            all.push("answers of a usual length: say `--output-tokens`, or run a few with `run --sample 50 -o OUT` and plan with `-o OUT`".to_owned());
        }
        if self.survey.timed > 0 {
            let lines = count(self.survey.timed, "line");
            all.push(format!("the times and deadlines of {lines} are left out"));
        }
        all.push("nobody else uses the account".to_owned());
        all
    }
}

fn trouble(forecast: &Forecast) -> String {
    let mut text = String::new();
    if forecast.throttled > 0 {
        text.push_str(&format!(", at most {} throttled", grouped(forecast.throttled)));
    }
    if forecast.failed > 0 {
        text.push_str(&format!(", at most {} failed", grouped(forecast.failed)));
    }
    text
}

/// Which models the jobs are for, those with most jobs first.
pub(super) fn models(survey: &Survey) -> String {
    let mut models: Vec<(&str, u64)> =
        survey.models.iter().map(|model| (model.model.as_str(), model.totals.jobs)).collect();
    models.sort_by_key(|(_, jobs)| std::cmp::Reverse(*jobs));
    let name = |model: &str| if model.is_empty() { "none named".to_owned() } else { model.to_owned() };
    if let [(model, _)] = models.as_slice() {
        return name(model);
    }
    let more = models.len().saturating_sub(MODELS_NAMED);
    let named =
        models.iter().take(MODELS_NAMED).map(|(model, jobs)| format!("{} ({})", name(model), grouped(*jobs)));
    let mut named: Vec<String> = named.collect();
    if more > 0 {
        named.push(format!("{} more", grouped(more as u64)));
    }
    named.join(", ")
}

/// The name of a limit, and of the models that it is for where not all share it.
pub(super) fn label(known: &Known, need: &Need) -> String {
    let models = known.models(need).map(|models| format!(" of {}", terminal::line(models)));
    format!("{}{}", limited(need.limited), models.unwrap_or_default())
}

/// Where the limits come from.
pub(super) fn origins(known: &Known) -> Option<String> {
    let origins: BTreeSet<String> =
        known.needs.iter().filter_map(|need| Some(origin(known.origin(need)?))).collect();
    let origins: Vec<String> = origins.into_iter().collect();
    (!origins.is_empty()).then(|| format!("limits {}", origins.join(" and ")))
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Typed => "as typed".to_owned(),
        Origin::Tier { name, as_of, .. } => format!("of tier `{name}` as of {as_of}"),
        Origin::Learned { reported: true, age } => format!("as reported {} ago", span(*age)),
        Origin::Learned { reported: false, age } => format!("as learned {} ago", span(*age)),
        Origin::Mock => "of the mock".to_owned(),
    }
}

/// The flags that make a limit known.
pub(super) fn remedy(provider: &Provider, missing: &[Dimension], tiers: &[Tier]) -> String {
    let flag = |dimension: &Dimension| match dimension {
        Dimension::Requests => "`--rpm`",
        Dimension::InputTokens => "`--itpm`",
        Dimension::OutputTokens => "`--otpm`",
        Dimension::TotalTokens => "`--tpm`",
    };
    let mut flags: Vec<&str> = missing.iter().map(flag).collect();
    if flags.is_empty() {
        flags = if provider.self_hosted { vec!["`--in-flight`"] } else { vec!["`--rpm`", "`--tpm`"] };
    }
    let tiers: Vec<String> = tiers.iter().map(|tier| format!("`{}`", tier.name)).collect();
    match tiers.is_empty() {
        true => flags.join(", "),
        false => format!("{}, or `--tier` with one of {}", flags.join(", "), tiers.join(", ")),
    }
}

/// The name of what is limited.
pub(super) fn limited(limited: Limited) -> String {
    match limited {
        Limited::Quota(dimension, window) => limit_name(dimension, window),
        Limited::InFlight => "in flight".to_owned(),
    }
}

fn wrong(what: &str, found: &Found) -> String {
    if found.count == 0 {
        return String::new();
    }
    let more = found.count.saturating_sub(found.first.len() as u64);
    let more = if more > 0 { format!("; and {} more", grouped(more)) } else { String::new() };
    format!("{} {what}: {}{more}", count(found.count, "line"), found.first.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_lines_are_counted_and_a_few_are_named() {
        assert_eq!(wrong("bad", &Found::default()), "");
        let found = Found::of(5, &["a:1: x", "a:2: y"]);
        assert_eq!(wrong("cannot be read", &found), "5 lines cannot be read: a:1: x; a:2: y; and 3 more");
    }
}

//! The script's TOML, read strictly: what is not understood is an error with its line and a remedy.

use std::time::Duration;

use serde::Deserialize;

use super::{Change, Choice, Details, Fault, Matching, Rule, Script};
use crate::accounts::{Account, Key};
use crate::profile::Amounts;

/// A script has at most this many rules.
const MAX_RULES: usize = 1_000;

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read the script `{name}`")]
    Unreadable {
        /// Its path.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not understood.
    #[error("{name}:{line}: {message}; `examples/faults.toml` shows every key")]
    Grammar {
        /// The script.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<toml::Spanned<WrittenRule>>,
    #[serde(default)]
    change: Vec<WrittenChange>,
    #[serde(default)]
    account: Vec<Account>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChange {
    at: Span,
    limits: Amounts,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    fault: Fault,
    nth: Option<Nth>,
    every: Option<u64>,
    probability: Option<f64>,
    count: Option<u64>,
    from: Option<Span>,
    until: Option<Span>,
    path: Option<String>,
    key: Option<Key>,
    model: Option<String>,
    body_contains: Option<String>,
    attempt: Option<u32>,
    stream: Option<bool>,
    after: Option<u64>,
    wait: Option<Span>,
    retry_after: Option<u64>,
    status: Option<u16>,
    message: Option<String>,
}

/// One number, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Nth {
    One(u64),
    Several(Vec<u64>),
}

/// A duration such as `500ms`, `10s`, `2m`, `1h`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no duration; write `500ms`, `10s`, `2m` or `1h`");
        let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        let number: f64 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "ms" => number / 1e3,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            _ => return Err(wrong()),
        };
        Duration::try_from_secs_f64(seconds).map(Span).map_err(|_| wrong())
    }
}

pub(super) fn parse(name: &str, text: &str) -> Result<Script, ScriptError> {
    let at = |offset: usize, message: String| {
        let line =
            1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count();
        ScriptError::Grammar { name: name.to_owned(), line, message }
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at(offset, error.message().trim().replace('\n', ", "))
    })?;
    if MAX_RULES < file.rule.len() {
        return Err(at(0, format!("{} rules, over the {MAX_RULES} a script may have", file.rule.len())));
    }
    let rule = |written: toml::Spanned<WrittenRule>| {
        let offset = written.span().start;
        rule(written.into_inner()).map_err(|message| at(offset, message))
    };
    let change = |written: WrittenChange| Change { at: written.at.0, limits: written.limits };
    Ok(Script {
        rules: file.rule.into_iter().map(rule).collect::<Result<_, _>>()?,
        changes: file.change.into_iter().map(change).collect(),
        accounts: file.account,
    })
}

fn rule(written: WrittenRule) -> Result<Rule, String> {
    let choice = match (written.nth, written.every, written.probability) {
        (None, None, None) => Choice::Each,
        (Some(Nth::One(nth)), None, None) => Choice::Nth(vec![nth]),
        (Some(Nth::Several(nth)), None, None) => Choice::Nth(nth),
        (None, Some(every), None) if 0 < every => Choice::Every(every),
        (None, Some(_), None) => return Err("`every` must be at least 1".to_owned()),
        (None, None, Some(share)) if (0.0..=1.0).contains(&share) => Choice::Probability(share),
        (None, None, Some(share)) => {
            return Err(format!("`probability` is {share}; it lies between 0 and 1"));
        }
        _ => return Err("a rule has one of `nth`, `every` and `probability`, not several".to_owned()),
    };
    if let Some(status) = written.status.filter(|status| !(200..=599).contains(status)) {
        return Err(format!("`status` is {status}; it lies between 200 and 599"));
    }
    let span = |span: Option<Span>| span.map(|span| span.0);
    Ok(Rule {
        fault: written.fault,
        matching: Matching {
            from: span(written.from),
            until: span(written.until),
            path: written.path,
            key: written.key,
            model: written.model,
            body_contains: written.body_contains,
            attempt: written.attempt,
            stream: written.stream,
        },
        choice,
        count: written.count,
        details: Details {
            after: written.after,
            wait: span(written.wait),
            retry_after: written.retry_after,
            status: written.status,
            message: written.message,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_understood() {
        let text = include_str!("../../../../examples/faults.toml");
        let script = Script::parse("examples/faults.toml", text).unwrap();
        assert!(10 < script.rules.len());
        assert!(!script.changes.is_empty());
    }

    #[test]
    fn mistakes_are_named_with_line_and_remedy() {
        let cases = [
            (
                "[[rule]]\nfault = \"hang\"\nwiat = \"2s\"\n",
                "f.toml:3: unknown field `wiat`, expected one of `fault`",
            ),
            (
                "[[rule]]\nfault = \"hnag\"\n",
                "f.toml:2: unknown variant `hnag`, expected one of `overloaded`",
            ),
            (
                "\n[[rule]]\nfault = \"hang\"\nwait = \"2 weeks\"\n",
                "f.toml:4: `2 weeks` is no duration; write `500ms`",
            ),
            (
                "[[rule]]\nfault = \"hang\"\nevery = 2\nnth = 1\n",
                "f.toml:1: a rule has one of `nth`, `every`",
            ),
            ("[[rule]]\nfault = \"hang\"\nprobability = 2.0\n", "f.toml:1: `probability` is 2"),
            ("rules = 3", "f.toml:1: unknown field `rules`, expected one of `rule`"),
            ("[[rule]", "f.toml:1: "),
        ];
        for (text, start) in cases {
            let error = Script::parse("f.toml", text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
            assert!(error.ends_with("; `examples/faults.toml` shows every key"), "{error}");
        }
    }

    #[test]
    fn names_are_those_of_the_grammar() {
        for fault in [Fault::Groq413, Fault::ErrorIn200, Fault::ResetBeforeHeaders, Fault::Crlf] {
            let text = format!("[[rule]]\nfault = \"{}\"\n", fault.name());
            assert_eq!(Script::parse("f", &text).unwrap().rules[0].fault, fault);
        }
    }
}

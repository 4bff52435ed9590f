//! Finds the limit that an error names, and its numbers.
//!
//! `on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906`; `rate limit of 30,000 input tokens per minute`;
//! `Tokens per Minute (actual/limit): 65605/16000`; Gemini's quota violations.

use std::time::Duration;

use paceline_core::feedback::NamedLimit;
use paceline_core::quota::Dimension;
use serde_json::Value;

use crate::limits::count;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// From here on a window is a daily one.
pub(super) const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// No message is read beyond this many words.
const MOST_WORDS: usize = 400;

/// What an error says about a limit; images and audio have numbers but none of our dimensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) dimension: Option<Dimension>,
    pub(crate) window: Option<Duration>,
    pub(crate) limit: Option<u64>,
    pub(crate) used: Option<u64>,
    pub(crate) requested: Option<u64>,
}

impl Named {
    /// Whether the request alone asks for more than the limit.
    pub(crate) fn never_fits(&self) -> bool {
        matches!((self.requested, self.limit), (Some(requested), Some(limit)) if requested > limit)
    }

    /// Whether it runs over a day or longer.
    pub(crate) fn is_daily(&self) -> bool {
        self.window.is_some_and(|window| window >= DAY)
    }

    /// When a bucket that refills steadily has room for the request, by the numbers.
    pub(crate) fn retry_in(&self) -> Option<Duration> {
        let (limit, window) = (self.limit?, self.window?);
        let over = self.used?.checked_add(self.requested?)?.checked_sub(limit)?;
        let nanos = u128::from(over) * window.as_nanos() / u128::from(limit.max(1));
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// The limit in the words of the core; `None` without a dimension.
    pub(crate) fn limit(self) -> Option<NamedLimit> {
        let Named { dimension, window, limit, used, requested } = self;
        let limit = limit.filter(|limit| *limit > 0);
        Some(NamedLimit { dimension: dimension?, window, limit, used, requested })
    }
}

/// What a message in lower case says about a limit; empty when it says nothing.
pub(super) fn in_text(lower: &str) -> Named {
    abbreviated(lower).unwrap_or_else(|| spoken(lower))
}

/// `(TPM): Limit 30000, Used 28039, Requested 3906`.
fn abbreviated(lower: &str) -> Option<Named> {
    let at = lower.find("): limit ")?;
    let (_, abbreviation) = lower[..at].rsplit_once('(')?;
    let numbers = &lower[at..];
    let after = |lead: &str| {
        let rest = &numbers[numbers.find(lead)? + lead.len()..];
        let end = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b',').count();
        count(rest[..end].trim_end_matches(','))
    };
    let (dimension, window) = meaning(abbreviation);
    Some(Named {
        dimension,
        window,
        limit: after(": limit "),
        used: after(" used "),
        requested: after(" requested "),
    })
}

/// What `rpm`, `itpm` or `asd` stands for.
fn meaning(abbreviation: &str) -> (Option<Dimension>, Option<Duration>) {
    let Some(unit) = abbreviation.chars().next_back() else { return (None, None) };
    let what = abbreviation[..abbreviation.len() - unit.len_utf8()].trim_end_matches('p');
    let dimension = match what {
        "r" => Some(Dimension::Requests),
        "t" => Some(Dimension::TotalTokens),
        "it" => Some(Dimension::InputTokens),
        "ot" => Some(Dimension::OutputTokens),
        _ => None,
    };
    let window = match unit {
        's' => Some(SECOND),
        'm' => Some(MINUTE),
        'h' => Some(HOUR),
        'd' => Some(DAY),
        _ => None,
    };
    (dimension, window)
}

/// `30,000 input tokens per minute` and its like, word by word.
fn spoken(lower: &str) -> Named {
    let trim = |word: &'static [char]| move |text| str::trim_matches(text, word);
    let words: Vec<&str> = lower
        .split_whitespace()
        .map(trim(&['.', ',', ':', ';', '!', '\'', '"', '`']))
        .take(MOST_WORDS)
        .collect();
    let per = (0..words.len()).find_map(|at| per_window(&words, at));
    per.or_else(|| (0..words.len()).find_map(|at| rate_limit(&words, at))).unwrap_or_default()
}

/// `<number> <kind> tokens per minute`, or `per minute request limit`, where `per` is the word at `at`.
fn per_window(words: &[&str], at: usize) -> Option<Named> {
    matches!(words[at], "per" | "/").then_some(())?;
    let window = unit(words.get(at + 1)?)?;
    let before = at.checked_sub(1).and_then(|at| Some((at, noun(words[at])?)));
    let Some((noun_at, dimension)) = before else {
        let dimension = noun(words.get(at + 2)?)?;
        return Some(Named { dimension: Some(dimension), window: Some(window), ..Named::default() });
    };
    let kind = noun_at.checked_sub(1).map_or("", |at| words[at]);
    let dimension = match (dimension, kind) {
        (Dimension::TotalTokens, "input" | "prompt") => Dimension::InputTokens,
        (Dimension::TotalTokens, "output" | "completion") => Dimension::OutputTokens,
        (other, _) => other,
    };
    let skip = usize::from(matches!(kind, "input" | "prompt" | "output" | "completion" | "api"));
    let number = noun_at.checked_sub(1 + skip).and_then(|at| count(words[at]));
    let (used, limit) = actual_and_limit(&words[at + 2..]).unwrap_or((None, number));
    Some(Named { dimension: Some(dimension), window: Some(window), limit, used, requested: None })
}

/// `(actual/limit): 65605/16000`.
fn actual_and_limit(words: &[&str]) -> Option<(Option<u64>, Option<u64>)> {
    words.first().filter(|word| **word == "(actual/limit)")?;
    let (actual, limit) = words.get(1)?.split_once('/')?;
    Some((count(actual), count(limit)))
}

/// `token rate limit`, `requests rate limit`, `too many tokens`: a dimension without window or number.
fn rate_limit(words: &[&str], at: usize) -> Option<Named> {
    let dimension = match words.get(at..at + 3)? {
        [what, "rate", "limit"] => noun(what)?,
        ["too", "many", "tokens"] => Dimension::TotalTokens,
        _ => return None,
    };
    Some(Named { dimension: Some(dimension), ..Named::default() })
}

fn noun(word: &str) -> Option<Dimension> {
    match word {
        "request" | "requests" | "call" | "calls" => Some(Dimension::Requests),
        "token" | "tokens" => Some(Dimension::TotalTokens),
        _ => None,
    }
}

fn unit(word: &str) -> Option<Duration> {
    match word {
        "second" | "sec" => Some(SECOND),
        "minute" | "min" => Some(MINUTE),
        "hour" => Some(HOUR),
        "day" => Some(DAY),
        "month" => Some(MONTH),
        _ => None,
    }
}

/// What Gemini's `QuotaFailure` names: the violation with the longest window.
pub(super) fn in_violations(error: &Value) -> Option<Named> {
    let details = error.get("details")?.as_array()?;
    let violations = details.iter().filter_map(|detail| detail.get("violations")?.as_array()).flatten();
    violations.take(MOST_WORDS).filter_map(violation).max_by_key(|named| named.window)
}

fn violation(violation: &Value) -> Option<Named> {
    let id = violation.get("quotaId")?.as_str()?;
    let metric = violation.get("quotaMetric").and_then(Value::as_str).unwrap_or_default();
    let windows = [("PerDay", DAY), ("PerHour", HOUR), ("PerMinute", MINUTE), ("PerSecond", SECOND)];
    let window = windows.into_iter().find(|(word, _)| id.contains(word)).map(|(_, window)| window);
    let dimension = if id.contains("InputToken") || metric.contains("input_token") {
        Some(Dimension::InputTokens)
    } else if id.contains("OutputToken") || metric.contains("output_token") {
        Some(Dimension::OutputTokens)
    } else if id.contains("Token") || metric.contains("token") {
        Some(Dimension::TotalTokens)
    } else if id.contains("Request") || metric.contains("request") {
        Some(Dimension::Requests)
    } else {
        None
    };
    let limit = match violation.get("quotaValue") {
        Some(Value::String(text)) => count(text),
        Some(number) => number.as_u64(),
        None => None,
    };
    Some(Named { dimension, window, limit, used: None, requested: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_in_many_ways() {
        use Dimension::*;
        type Said = (Option<Dimension>, Option<u64>, Option<u64>, Option<u64>, Option<u64>);
        let cases: [(&str, Said); 18] = [
            (
                "Rate limit reached for gpt-4.1 in organization org-X on tokens per min (TPM): Limit 30000, Used 28039, \
                 Requested 3906. Please try again in 3.89s.",
                (Some(TotalTokens), Some(60), Some(30_000), Some(28_039), Some(3_906)),
            ),
            (
                "in organization org-X on requests per day (RPD): Limit 1000, Used 1000, Requested 1. Please",
                (Some(Requests), Some(86_400), Some(1_000), Some(1_000), Some(1)),
            ),
            (
                "on tokens per minute (TPM): Limit 12000, Requested 14137, please reduce your message size",
                (Some(TotalTokens), Some(60), Some(12_000), None, Some(14_137)),
            ),
            (
                "on input tokens per min (ITPM): Limit 30,000, Used 1, Requested 2.",
                (Some(InputTokens), Some(60), Some(30_000), Some(1), Some(2)),
            ),
            (
                "on images per min (IPM): Limit 5, Used 5, Requested 1",
                (None, Some(60), Some(5), Some(5), Some(1)),
            ),
            (
                "exceed your organization's rate limit of 30,000 input tokens per minute (org: x, model: y). For",
                (Some(InputTokens), Some(60), Some(30_000), None, None),
            ),
            (
                "the rate limit for your organization (x) of 8,000 output tokens per minute. For details",
                (Some(OutputTokens), Some(60), Some(8_000), None, None),
            ),
            ("rate limit of 50 requests per minute", (Some(Requests), Some(60), Some(50), None, None)),
            ("limited to 40 API calls / minute. You can", (Some(Requests), Some(60), Some(40), None, None)),
            (
                "trial token rate limit exceeded, limit is 100000 tokens per minute",
                (Some(TotalTokens), Some(60), Some(100_000), None, None),
            ),
            (
                "You are past the per minute request limit, please",
                (Some(Requests), Some(60), None, None, None),
            ),
            (
                "rate limit is \u{2014} Tokens per Minute (actual/limit): 65605/16000 ...",
                (Some(TotalTokens), Some(60), Some(16_000), Some(65_605), None),
            ),
            ("Too many tokens per day, please wait", (Some(TotalTokens), Some(86_400), None, None, None)),
            (
                "Too many tokens, please wait before trying again.",
                (Some(TotalTokens), None, None, None, None),
            ),
            ("Tokens per minute limit exceeded - too", (Some(TotalTokens), Some(60), None, None, None)),
            (
                "have exceeded token rate limit of your current tier",
                (Some(TotalTokens), None, None, None, None),
            ),
            ("Requests rate limit exceeded", (Some(Requests), None, None, None, None)),
            ("Too many requests, please wait", (None, None, None, None, None)),
        ];
        for (text, want) in cases {
            let named = in_text(&text.to_ascii_lowercase());
            let window = named.window.map(|window| window.as_secs());
            assert_eq!((named.dimension, window, named.limit, named.used, named.requested), want, "{text}");
        }
    }

    #[test]
    fn the_numbers_tell_the_wait() {
        // Recorded messages: limit, used, requested, window, and the wait they quote.
        let cases = [
            (10_000, 8_554, 3_082, 60, 9_816),
            (30_000, 28_039, 3_906, 60, 3_890),
            (30_000, 14_567, 24_754, 60, 18_642),
            (30_000, 29_937, 385, 60, 644),
            (200_000, 162_960, 42_288, 60, 1_574),
            (1_000, 1_000, 1, 86_400, 86_400),
            (100_000, 97_050, 3_619, 86_400, 578_016),
        ];
        for (limit, used, requested, window, want) in cases {
            let named = Named {
                dimension: None,
                window: Some(Duration::from_secs(window)),
                limit: Some(limit),
                used: Some(used),
                requested: Some(requested),
            };
            assert_eq!(named.retry_in().unwrap().as_millis(), want);
        }
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for text in [
            "(): limit 5",
            "): limit ",
            "per",
            "/ minute",
            "tokens per",
            "(\u{b5}): limit 1, used , requested ,",
            "",
        ] {
            let _ = in_text(text);
        }
        assert_eq!(in_text("(tpm): limit 99999999999999999999, used 1, requested 2").limit, None);
    }
}

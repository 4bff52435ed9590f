//! What goes over the socket, besides the standing of the process.

use std::time::Duration;

use paceline_status::Kind;
use serde::{Deserialize, Serialize};

/// The name of what a process does, as commands and sockets have it.
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Run => "run",
        Kind::Serve => "serve",
    }
}

/// Who answers at a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// What it does.
    pub kind: Kind,
    /// Its number.
    pub pid: u32,
    /// What tells it from others of its kind, in words: its output, or where it listens.
    pub what: String,
    /// The file that a batch writes to, as a whole path.
    pub output: Option<String>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Attempts.
    Requests,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Input and output tokens.
    Tokens,
    /// Attempts at once: the only one without a window.
    InFlight,
}

impl Counted {
    /// Its name, as in the documents.
    pub fn name(self) -> &'static str {
        match self {
            Counted::Requests => "requests",
            Counted::InputTokens => "input_tokens",
            Counted::OutputTokens => "output_tokens",
            Counted::Tokens => "tokens",
            Counted::InFlight => "in_flight",
        }
    }
}

/// A ceiling that is to hold from now on, for every account and model, or to hold no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitChange {
    /// What it counts.
    pub dimension: Counted,
    /// Over how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u64>,
    /// The most; `None` lifts it.
    pub amount: Option<u64>,
}

impl LimitChange {
    /// Says what is wrong with it, if something is.
    pub fn check(&self) -> Result<(), &'static str> {
        match (self.dimension, self.window_seconds, self.amount) {
            (_, _, Some(0)) => Err("a limit of 0 would stop everything; pause instead"),
            (Counted::InFlight, Some(_), _) => Err("`in_flight` has no window"),
            (Counted::InFlight, None, Some(most)) if u32::try_from(most).is_err() => {
                Err("that many are never in flight")
            }
            (Counted::InFlight, None, _) | (_, Some(1..=Self::LONGEST_WINDOW), _) => Ok(()),
            (_, None, _) => Err("`window_seconds` is missing"),
            _ => Err("`window_seconds` must be between a second and a day"),
        }
    }

    /// The longest window, in seconds.
    const LONGEST_WINDOW: u64 = 86_400;

    /// Its window.
    pub fn window(&self) -> Option<Duration> {
        self.window_seconds.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_mean_nothing_are_refused() {
        let cases = [
            (r#"{"dimension":"requests","window_seconds":60,"amount":50}"#, true),
            (r#"{"dimension":"requests","window_seconds":60,"amount":null}"#, true),
            (r#"{"dimension":"in_flight","amount":4}"#, true),
            (r#"{"dimension":"in_flight","window_seconds":60,"amount":4}"#, false),
            (r#"{"dimension":"in_flight","amount":4294967296}"#, false),
            (r#"{"dimension":"tokens","amount":4}"#, false),
            (r#"{"dimension":"tokens","window_seconds":0,"amount":4}"#, false),
            (r#"{"dimension":"tokens","window_seconds":100000,"amount":4}"#, false),
            (r#"{"dimension":"requests","window_seconds":60,"amount":0}"#, false),
        ];
        for (text, good) in cases {
            let change: LimitChange = serde_json::from_str(text).unwrap();
            assert_eq!(change.check().is_ok(), good, "{text}");
        }
        let unknown = r#"{"dimension":"requests","window":60,"amount":5}"#;
        assert!(serde_json::from_str::<LimitChange>(unknown).is_err());
    }
}

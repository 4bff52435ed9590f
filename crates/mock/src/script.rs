//! Faults on purpose: a TOML file of rules, each saying when it strikes and what happens then.
//!
//! `examples/faults.toml` shows every key. Chance is a function of the seed, the rule and the body, so that the same
//! requests meet the same faults in whatever order they come.

mod director;
mod fault;
mod grammar;

use std::path::Path;
use std::time::Duration;

pub(crate) use self::director::{Chosen, Director, Disguises, Facts};
pub use self::fault::Fault;
pub use self::grammar::ScriptError;
use crate::accounts::Account;
use crate::profile::Amounts;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// What goes wrong, and when.
    pub rules: Vec<Rule>,
    /// Limits that change while the mock runs.
    pub changes: Vec<Change>,
    /// Who has which keys; empty means that any key will do.
    pub accounts: Vec<Account>,
}

impl Script {
    /// Reads a script; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Script, ScriptError> {
        grammar::parse(name, text)
    }

    /// Reads a script from a file.
    pub fn load(path: &Path) -> Result<Script, ScriptError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Script::parse(&name, &text),
            Err(source) => Err(ScriptError::Unreadable { name, source }),
        }
    }
}

/// One rule: the conditions all hold, then the choice by number or chance, then the fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// Which calls it concerns.
    pub matching: Matching,
    /// Which of those it strikes.
    pub choice: Choice,
    /// How often at most.
    pub count: Option<u64>,
    /// How it happens.
    pub details: Details,
}

/// Conditions on a call; `None` holds for every call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// From this long after the start.
    pub from: Option<Duration>,
    /// Until this long after the start.
    pub until: Option<Duration>,
    /// The path ends so.
    pub path: Option<String>,
    /// The key.
    pub key: Option<crate::accounts::Key>,
    /// The model; a `*` at the end stands for anything.
    pub model: Option<String>,
    /// The body contains this text.
    pub body_contains: Option<String>,
    /// The body comes for the n-th time.
    pub attempt: Option<u32>,
    /// The answer is to be streamed, or not.
    pub stream: Option<bool>,
}

/// Which of the matching calls a rule strikes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Choice {
    /// Each of them.
    #[default]
    Each,
    /// Those with these numbers, from 1.
    Nth(Vec<u64>),
    /// Every so many: 10 means the 10th, the 20th, …
    Every(u64),
    /// This share of them, by chance.
    Probability(f64),
}

/// What some faults can be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// How many events of a stream, or bytes of a body, come before the fault.
    pub after: Option<u64>,
    /// How long it hangs, stalls, or drips.
    pub wait: Option<Duration>,
    /// Seconds in `retry-after`.
    pub retry_after: Option<u64>,
    /// Another status for an error.
    pub status: Option<u16>,
    /// Another message for an error.
    pub message: Option<String>,
}

/// Other limits from an instant on.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// How long after the start.
    pub at: Duration,
    /// What is different; the rest stays.
    pub limits: Amounts,
}

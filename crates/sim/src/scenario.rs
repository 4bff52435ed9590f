//! One setting of the simulation: provider, knowledge, work, and what happens on the way.

use std::time::Duration;

use paceline_core::quota::{Dimension, Metering, OutputRule, Quota};

use crate::figures::Targets;
use crate::policy::Kind;
use crate::provider::{Candor, Mood};
use crate::told::Manners;
use crate::window::{Binding, Window};
use crate::workload::Mix;

/// What the policy knows of the limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knowledge {
    /// What the provider tells.
    pub candor: Candor,
    /// What the user typed, as a multiple of the truth.
    pub typed: Option<f64>,
}

impl Knowledge {
    /// Limits come from headers alone.
    pub const HEADERS: Knowledge = Knowledge { candor: Candor { headers: true, hints: true }, typed: None };
    /// Nothing is sent; the limits are typed.
    pub const TYPED: Knowledge =
        Knowledge { candor: Candor { headers: false, hints: false }, typed: Some(1.0) };
    /// Neither sent nor typed.
    pub const NONE: Knowledge = Knowledge { candor: Candor { headers: false, hints: false }, typed: None };

    /// Its name in tables.
    pub fn name(&self) -> String {
        match (self.candor.headers, self.typed) {
            (true, None) => "headers".to_owned(),
            (false, None) => "unknown".to_owned(),
            (headers, Some(factor)) => {
                let times = if factor == 1.0 { String::new() } else { format!(" x{factor:.2}") };
                format!("{}typed{times}", if headers { "headers + " } else { "" })
            }
        }
    }
}

/// Something that happens to the world while a run lasts.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// All accounts get this percentage of their quotas.
    Quotas(u64),
    /// The last `accounts` accounts change their mood.
    Mood {
        /// How many.
        accounts: usize,
        /// To what.
        mood: Mood,
    },
    /// Every caller dies at once and starts anew with what it had learned; unfinished requests are submitted again.
    Crash,
}

/// Somebody else who uses the same account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stranger {
    /// Their share of the binding limit.
    pub share: f64,
    /// When they come.
    pub from: Duration,
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Every request has ended; the span is a bound for policies that never get there.
    AllEnded(Duration),
    /// This span has passed: the backlog is endless.
    Passed(Duration),
}

impl Until {
    /// No run lasts longer.
    pub fn horizon(self) -> Duration {
        match self {
            Until::AllEnded(horizon) | Until::Passed(horizon) => horizon,
        }
    }
}

/// One setting. See the fields.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is special about it.
    pub name: String,
    /// Who decides.
    pub policy: Kind,
    /// How the provider enforces its limits.
    pub window: Window,
    /// A second enforcement that headers say nothing about.
    pub hidden: Option<Window>,
    /// Which limit binds.
    pub binding: Binding,
    /// What is known of the limits.
    pub knowledge: Knowledge,
    /// A refused call counts as a request all the same (and the provider speaks as OpenAI does).
    pub refusals_count: bool,
    /// Accounts, each with its own quotas.
    pub accounts: usize,
    /// Keys of each account: they share its quotas.
    pub keys: usize,
    /// Quotas of each account, in percent of the usual.
    pub percent: u64,
    /// Engines that share the accounts.
    pub callers: usize,
    /// The work.
    pub mix: Mix,
    /// Somebody else.
    pub stranger: Option<Stranger>,
    /// What happens when.
    pub script: Vec<(Duration, Change)>,
    /// When it is over.
    pub until: Until,
    /// Attempts per request; `None` leaves the engine's default.
    pub max_attempts: Option<u32>,
    /// What it should reach.
    pub targets: Targets,
}

impl Scenario {
    /// The usual job under `window`, with `binding` short.
    pub fn new(name: impl Into<String>, window: Window, binding: Binding, knowledge: Knowledge) -> Self {
        Self {
            name: name.into(),
            policy: Kind::Engine,
            window,
            hidden: None,
            binding,
            knowledge,
            refusals_count: false,
            accounts: 1,
            keys: 1,
            percent: 100,
            callers: 1,
            mix: Mix::default(),
            stranger: None,
            script: Vec::new(),
            until: Until::AllEnded(Duration::from_secs(2 * 3_600)),
            max_attempts: None,
            targets: Targets::default(),
        }
    }

    /// Its full name: unique within a table, and what a filter looks at.
    pub fn title(&self) -> String {
        // Baselines know the truth and look at nothing else.
        let who = match self.policy {
            Kind::Engine => self.knowledge.name(),
            other => other.name().to_owned(),
        };
        let parts = [&self.name, who.as_str(), self.window.name(), self.binding.name()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// How the provider counts.
    pub fn metering(&self) -> Metering {
        if self.refusals_count {
            return Metering {
                output: OutputRule::NotCounted,
                input_is_estimate: false,
                refusals_count: true,
            };
        }
        Metering::default()
    }

    /// How the provider words its headers.
    pub fn manners(&self) -> Manners {
        if self.refusals_count { Manners::OpenAi } else { Manners::Anthropic }
    }

    /// The true quotas of each account when it has `percent` of its usual ones.
    pub fn quotas(&self, percent: u64) -> Vec<Quota> {
        let quotas = self.binding.quotas(self.percent * percent / 100);
        if !self.refusals_count {
            return quotas;
        }
        let openai = quotas.into_iter().filter(|quota| quota.dimension != Dimension::OutputTokens);
        openai
            .map(|quota| match quota.dimension {
                Dimension::InputTokens => Quota { dimension: Dimension::TotalTokens, ..quota },
                _ => quota,
            })
            .collect()
    }

    /// What the user typed.
    pub fn ceilings(&self) -> Vec<Quota> {
        let Some(factor) = self.knowledge.typed else { return Vec::new() };
        let typed = |quota: Quota| Quota { limit: (quota.limit as f64 * factor).round() as u64, ..quota };
        self.quotas(100).into_iter().map(typed).collect()
    }

    /// The engine knows the whole truth, nobody else is there and nothing changes: no window may ever be overspent.
    pub fn is_exact(&self) -> bool {
        self.policy == Kind::Engine
            && self.knowledge == Knowledge::TYPED
            && self.stranger.is_none()
            && self.script.is_empty()
            && self.callers == 1
    }
}

//! Who may ask for what: the handler asks, whoever knows the callers answers.
//!
//! In two steps, so that a stranger is turned away before his body is read: [`Gatekeeper::admit`] with the head alone,
//! [`Purse::reserve`] once the body has been looked at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use paceline::Priority;
use paceline_wire::price::MicroUsd;

use super::credential::Presented;

/// Decides who may call, and keeps the callers' accounts.
pub trait Gatekeeper: Send + Sync + 'static {
    /// Lets a caller in by the credential it presents, or says why not.
    fn admit(&self, presented: Option<&Presented>, address: IpAddr) -> Result<Admitted, Refusal>;
}

/// A caller who has been let in.
#[derive(Clone)]
pub struct Admitted {
    /// Whom it counts for when capacity is shared: a caller's name; empty in pass-through.
    pub tenant: Arc<str>,
    /// The class of requests that name none.
    pub priority: Priority,
    /// The caller's own credential goes upstream; otherwise ours does, and the caller's stays here.
    pub pass_through: bool,
    /// Its quotas and budget; `None` when it has none.
    pub purse: Option<Arc<dyn Purse>>,
}

/// What a caller may use.
pub trait Purse: Send + Sync {
    /// Takes what the request may use, until the guard is settled.
    fn reserve(&self, ask: &Ask) -> Result<Box<dyn Guard>, Refusal>;
}

/// What a request is expected to use: upper bounds where there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Input, and the most output.
    pub tokens: u64,
    /// What that costs; `None` when the price is unknown.
    pub cost: Option<MicroUsd>,
}

/// What was reserved for one request. Dropped unsettled, nothing was sent: all of it is given back.
pub trait Guard: Send + Sync {
    /// Books what was used; `None` when it was sent, but nobody knows: the reservation stands.
    fn settle(self: Box<Self>, used: Option<Used>);
}

/// What a request did use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Input and output.
    pub tokens: u64,
    /// What that costs; `None` when the price is unknown.
    pub cost: Option<MicroUsd>,
}

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credential, or one that nobody knows.
    Unauthenticated,
    /// Too many failed tries from this address.
    TooManyTries {
        /// When the next one is looked at.
        wait: Duration,
    },
    /// The caller's own quota or budget is used up.
    Spent {
        /// Which.
        what: Spent,
        /// When there is some again.
        wait: Duration,
    },
    /// The request alone asks for more than the caller's whole allowance.
    TooMuch {
        /// Of what.
        what: Spent,
    },
    /// The caller has a budget, and nobody knows what the request costs.
    Unpriced,
}

impl Refusal {
    /// The word in the usage ledger.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Refusal::Unauthenticated | Refusal::TooManyTries { .. } => "unauthenticated",
            Refusal::Unpriced => "unpriced",
            Refusal::Spent { what, .. } | Refusal::TooMuch { what } => match what {
                Spent::Requests => "requests",
                Spent::Tokens => "tokens",
                Spent::Budget | Spent::Total => "budget",
            },
        }
    }
}

/// What a caller has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Its requests.
    Requests,
    /// Its tokens.
    Tokens,
    /// Its money.
    Budget,
    /// The money of all callers together.
    Total,
}

/// Everybody may, with a credential of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl Gatekeeper for PassThrough {
    fn admit(&self, _: Option<&Presented>, _: IpAddr) -> Result<Admitted, Refusal> {
        // Each credential has limits of its own, so there is nobody to share them with.
        Ok(Admitted { tenant: Arc::from(""), priority: Priority::Normal, pass_through: true, purse: None })
    }
}

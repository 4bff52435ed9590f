//! What is spent, and what may be. Money is in millionths of a US dollar.

use serde::{Deserialize, Serialize};

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    /// Money, as far as prices are known.
    pub micro_usd: u64,
    /// Requests whose price is not known.
    pub unpriced: u64,
}

/// A caller with a key of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Caller {
    /// Its name.
    pub name: String,
    /// Its share when capacity is shared.
    pub weight: u32,
    /// What it may use.
    pub allowances: Vec<Allowance>,
}

/// What a caller, or all of them, may use in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowance {
    /// What is counted: `requests`, `tokens`, or `budget` for money.
    pub dimension: String,
    /// Over how long, as people write it.
    pub window: String,
    /// How much.
    pub limit: u64,
    /// Used in the last window, reservations included.
    pub used: u64,
}

//! `/v1/status`: the standing of everything at this moment, as JSON for programs.

use std::sync::Arc;

use paceline::Snapshot;
use paceline_status::{About, Allowance, MOST_CALLERS, Status, words};

use crate::callers::{Caller, Callers, Purse};

/// What is so, in the words of the glossary.
pub(super) fn status(about: About, snapshot: &Snapshot, callers: &Callers) -> Status {
    Status {
        callers: callers.callers().iter().take(MOST_CALLERS).map(caller).collect(),
        budgets: callers.total().map(|total| allowances(total)).unwrap_or_default(),
        ..Status::of(about, snapshot)
    }
}

fn caller(caller: &Arc<Caller>) -> paceline_status::Caller {
    let allowances = allowances(&caller.purse);
    paceline_status::Caller { name: caller.name.to_string(), weight: caller.weight, allowances }
}

fn allowances(purse: &Purse) -> Vec<Allowance> {
    let told = purse.standing().into_iter().map(|(allowance, used)| Allowance {
        dimension: allowance.counted.name().to_owned(),
        window: words::window(allowance.window),
        limit: allowance.limit,
        used,
    });
    told.collect()
}

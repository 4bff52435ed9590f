//! The usage ledger of a run: which file, and what its budget leaves.

use anyhow::anyhow;
use paceline_gateway::callers::{Allowance, Clock};
use paceline_usage::{Health, Ledger, Options};
use paceline_wire::price::MicroUsd;

use crate::args::{OrNone, RunArgs};
use crate::config::Usage;
use crate::exit::Failure;
use crate::upstream::Destination;

/// A ledger that a run is recorded in.
pub(crate) struct RunLedger {
    ledger: Ledger,
    budget: Option<(Allowance, MicroUsd)>, // With what is left of it.
}

impl RunLedger {
    /// Opens the ledger that the flags or the configuration name; none for a run that sends nothing.
    pub(crate) fn open(args: &RunArgs, destination: &Destination) -> Result<Option<Self>, Failure> {
        let usage = match &args.usage {
            _ if args.scope.dry_run => None,
            Some(OrNone::None) => None,
            Some(OrNone::Some(file)) => Some(Usage::at(file.clone())),
            None => destination.usage.clone(),
        };
        let Some(Usage { file, retention, on_failure, budget }) = usage else { return Ok(None) };
        let clock = Clock::start();
        let opened = Ledger::open(Options { path: file, retention, on_failure }, clock);
        let ledger = opened.map_err(|fault| {
            Failure::usage(fault)
                .hint("record this run elsewhere with `--usage FILE`, or not: `--usage none`")
        })?;
        let left = |allowance: Allowance| {
            let charged =
                ledger.spent(clock.now().saturating_sub(allowance.window)).map_err(Failure::usage)?;
            let spent: MicroUsd = charged.iter().map(|charged| charged.amount).sum();
            let left = MicroUsd::new(allowance.limit.saturating_sub(spent.micros()));
            Ok::<_, Failure>((allowance, left))
        };
        let budget = budget.map(left).transpose()?;
        // What goes out counts against the budget even if this process is killed.
        ledger.set_ahead(budget.is_some());
        Ok(Some(Self { ledger, budget }))
    }

    /// What to record in.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// The tighter one of the run's own budget and of what is left for all together.
    pub(crate) fn within(&self, own: Option<MicroUsd>) -> Result<Option<MicroUsd>, Failure> {
        let Some((allowance, left)) = self.budget else { return Ok(own) };
        if left == MicroUsd::ZERO {
            let budget = MicroUsd::new(allowance.limit);
            return Err(Failure::stopped(anyhow!("the budget of {budget} in `[usage]` is used up for now"))
                .hint("run the same command later, or raise the budget"));
        }
        Ok(Some(own.map_or(left, |own| own.min(left))))
    }

    /// Writes what is left. Says so when rows are lost.
    pub(crate) fn close(self) -> Option<String> {
        self.ledger.close();
        let Health { failing, dropped, .. } = self.ledger.health();
        let why = failing.map(|why| format!(": {why}")).unwrap_or_default();
        (dropped > 0).then(|| format!("{dropped} rows of the usage ledger are lost{why}"))
    }
}

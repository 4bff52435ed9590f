//! What answers at the control socket of a run and of a gateway.

use std::path::PathBuf;
use std::time::Instant;

use paceline::core::quota::Dimension;
use paceline::{Client, CommonCeiling};
use paceline_batch::Progress;
use paceline_control::{Counted, Desk, LimitChange, Socket, Who};
use paceline_gateway::admin::Admin;
use paceline_status::{About, Batch, Kind, Status};
use paceline_wire::price::MicroUsd;
use tracing::info;

use crate::args::{OrNone, RunArgs};
use crate::ctl::folder;
use crate::progress::View;

/// Opens a control socket where the flag says, if there is to be one. Work goes on without: an error is for a warning.
pub(crate) fn open(at: Option<&OrNone<PathBuf>>, desk: impl Desk) -> Result<Option<Socket>, String> {
    let opened = match at {
        Some(OrNone::None) => return Ok(None),
        Some(OrNone::Some(path)) => Socket::open_at(path, desk),
        None => Socket::open(&folder(), desk),
    };
    opened.map(Some).map_err(|fault| {
        let fault = anyhow::Error::from(fault);
        format!("{fault:#}; `paceline ctl` and `paceline top` will not reach this process")
    })
}

/// What answers for a run.
#[derive(Clone)]
pub(crate) struct RunDesk {
    client: Client,
    progress: Progress,
    started: Instant,
    input: String,
    output: Option<PathBuf>,
    budget: Option<MicroUsd>,
}

impl RunDesk {
    /// The desk of a run that begins now.
    pub(crate) fn new(args: &RunArgs, client: Client, progress: Progress, budget: Option<MicroUsd>) -> Self {
        let inputs: Vec<_> = args.inputs.iter().map(|input| input.display().to_string()).collect();
        // As it is told to others, who may be elsewhere.
        let output =
            args.output.as_deref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        Self { client, progress, started: Instant::now(), input: inputs.join(" "), output, budget }
    }

    fn batch(&self, view: &View) -> Batch {
        let run = &view.run;
        Batch {
            input: self.input.clone(),
            output: self.output.as_deref().map(|path| path.display().to_string()).unwrap_or_default(),
            total: run.jobs,
            done: run.done,
            failed: run.failed,
            in_flight: run.in_flight,
            waiting: run.left().saturating_sub(run.in_flight),
            eta_seconds: run.time_left().map(|left| left.as_secs_f64()),
            binds: view.binds.clone(),
            requests_per_minute: run.requests_per_minute,
            tokens_per_minute: run.tokens_per_minute,
            cost_micro_usd: run.spent.micros(),
            projected_micro_usd: run.projected().map(MicroUsd::micros),
            budget_micro_usd: self.budget.map(MicroUsd::micros),
        }
    }
}

impl Desk for RunDesk {
    fn who(&self) -> Who {
        let name = self.output.as_deref().and_then(|path| path.file_name());
        let what = name.map_or_else(|| self.input.clone(), |name| name.to_string_lossy().into_owned());
        let output = self.output.as_deref().map(|path| path.display().to_string());
        Who { kind: Kind::Run, pid: std::process::id(), what, output }
    }

    async fn status(&self) -> Status {
        let snapshot = self.client.snapshot().await;
        let about = About {
            kind: Kind::Run,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            up: self.started.elapsed(),
            ready: true,
        };
        let view = View::new(self.progress.view(), &snapshot);
        Status { batch: Some(self.batch(&view)), ..Status::of(about, &snapshot) }
    }

    fn pause(&self, paused: bool) {
        pause(&self.client, paused);
    }

    async fn limit(&self, change: LimitChange) -> Result<(), String> {
        limit(&self.client, change)
    }
}

/// What answers for a gateway: the same as its admin side.
#[derive(Clone)]
pub(crate) struct ServeDesk {
    /// The admin side.
    pub(crate) admin: Admin,
    /// Where callers come in.
    pub(crate) listens: String,
}

impl Desk for ServeDesk {
    fn who(&self) -> Who {
        Who { kind: Kind::Serve, pid: std::process::id(), what: self.listens.clone(), output: None }
    }

    async fn status(&self) -> Status {
        self.admin.standing().await
    }

    fn pause(&self, paused: bool) {
        pause(&self.admin.client, paused);
        info!("by the operator: {}", if paused { "paused" } else { "resumed" });
    }

    async fn limit(&self, change: LimitChange) -> Result<(), String> {
        limit(&self.admin.client, change)?;
        info!(
            dimension = change.dimension.name(),
            window_seconds = change.window_seconds,
            amount = change.amount,
            "by the operator: a ceiling for every account and model, until the next reload"
        );
        Ok(())
    }
}

fn pause(client: &Client, paused: bool) {
    match paused {
        true => client.pause(),
        false => client.resume(),
    }
}

/// Puts a ceiling in force. What cannot be meant was refused before.
fn limit(client: &Client, change: LimitChange) -> Result<(), String> {
    let dimension = match change.dimension {
        Counted::Requests => Dimension::Requests,
        Counted::InputTokens => Dimension::InputTokens,
        Counted::OutputTokens => Dimension::OutputTokens,
        Counted::Tokens => Dimension::TotalTokens,
        Counted::InFlight => {
            let most = change.amount.map(u32::try_from).transpose();
            client.set_common_ceiling(CommonCeiling::InFlight(most.map_err(|error| error.to_string())?));
            return Ok(());
        }
    };
    let window = change.window().ok_or("`window_seconds` is missing")?;
    client.set_common_ceiling(CommonCeiling::Quota { dimension, window, limit: change.amount });
    Ok(())
}

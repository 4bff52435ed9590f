//! `paceline serve`: from the flags to listeners, and from a signal to an orderly end.

mod greeting;
mod handover;
mod keeper;
mod logs;
mod memory;
mod plan;
mod recording;
mod running;
mod runs;
mod watched;

use anyhow::Context;
use listenfd::ListenFd;

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure};
use crate::upstream::ProcessEnvironment;

use plan::Plan;
pub(crate) use plan::admin_token;
use running::Running;

/// Serves until a signal or the operator ends it.
pub(crate) fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    let handed = ListenFd::from_env(); // Before there are threads: it changes the environment.
    let plan = Plan::read(args, &ProcessEnvironment)?;
    logs::install(args.log, args.log_level);
    logs::hide_memory();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start").map_err(Failure::stopped)?;
    let ended = runtime.block_on(async { Running::start(args, plan, handed).await?.attend().await });
    // Not waited for: whatever is left was cut, or hangs in a disk.
    runtime.shutdown_background();
    ended
}

//! `paceline plan`, and `run --dry-run`: how long a batch takes, what it costs and which limit binds, before anything is
//! sent.
//!
//! [`survey`] reads the jobs, [`limits`] finds what holds them back, [`world`] puts both together for the simulator, and
//! [`draw_up`] makes the [`Plan`] that [`text`] and [`json`] tell. [`replay`] goes the same way with requests that were
//! recorded, under limits that they did not have.

mod answers;
mod assumed;
mod calibration;
mod json;
mod layout;
mod limits;
mod money;
mod plot;
mod replay;
mod survey;
mod text;
mod tiers;
mod world;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use paceline::LearnedLimits;
use paceline_batch::{Checked, OutputPaths, Report, RunOptions};
use paceline_mock::profile::Enforcement;
use paceline_sim::plan::{Forecast, Frame, Need, forecast, timeline};
use paceline_wire::provider::Provider;
use paceline_wire::terminal;

pub(crate) use assumed::OutputTokens;

use self::answers::{LengthsFrom, Outlook};
use self::limits::Sources;
use self::money::Money;
use self::survey::Survey;
use self::tiers::TierRow;
use self::world::{Known, World};
use crate::args::{Ceilings, PlanArgs, RunArgs};
use crate::exit::{Exit, Failure};
use crate::limits::LimitsFile;
use crate::mock;
use crate::upstream::{self, Destination, Keys, ProcessEnvironment};
use crate::{messages, run};

/// Runs that a plan simulates unless told otherwise: of small batches more, because their finishes lie far apart and cost little.
/// All runs together have so many jobs that the middle of the finishes is known to a percent.
const LEAST_SEEDS: u64 = 10;
const MOST_SEEDS: u64 = 100;
const JOBS_IN_ALL: u64 = 10_000;
/// Runs for each tier that is compared.
const SEEDS_PER_TIER: u64 = 3;

/// What a plan assumes, beside what its input says.
#[derive(Clone, Debug)]
pub(crate) struct Premises {
    /// The provider whose dialect lines without one of their own are for.
    pub(crate) provider: Provider,
    pub(crate) sources: Sources,
    pub(crate) accounts: u32,
    pub(crate) output: Option<OutputTokens>,
    pub(crate) tokens_per_second: Option<u32>,
    pub(crate) first_token: Option<Duration>,
    /// Runs that are simulated, when that was typed.
    pub(crate) seeds: Option<u64>,
    pub(crate) compare: bool,
    pub(crate) plot: bool,
}

/// A batch before it is run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) premises: Premises,
    pub(crate) report: Report,
    pub(crate) survey: Survey,
    pub(crate) lengths_from: LengthsFrom,
    pub(crate) money: Money,
    pub(crate) known: Known,
    /// None where limits are not known, or nothing is left to do.
    pub(crate) forecast: Option<Forecast>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) tiers: Vec<TierRow>,
}

impl Plan {
    /// Prints it on stdout; a reader who has closed the pipe has seen enough.
    pub(crate) fn print(&self, as_json: bool) {
        let text = if as_json { terminal::json(&self.json()) } else { self.text() };
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// The limit that decides how long it takes; none when that is the answers themselves.
    fn binds(&self) -> Option<&Need> {
        self.known.binding(self.forecast.as_ref()?.quantile(0.5)?)
    }
}

/// Prints the plan of a batch.
pub(crate) fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    if let Some(ledger) = &args.recorded.replay {
        return replay::plan(args, ledger);
    }
    let destination = destination(args)?;
    if let Some(tier) = &args.assumptions.tier {
        tiers::check(&destination.provider, tier)?;
    }
    let defaults = run::defaults(&args.defaults, args.target.mock, &destination.provider)?;
    if args.inputs.iter().any(|input| input.as_os_str() == "-") && io::stdin().is_terminal() {
        messages::say("reading lines from the terminal; Ctrl-D ends them");
    }
    let options =
        RunOptions { dry_run: true, ..RunOptions::new(args.inputs.clone(), args.output.clone(), defaults) };
    let checked = Checked::new(options).map_err(Failure::usage)?;
    let premises = premises(args, &destination.provider);
    let plan = draw_up(&checked, &args.inputs, destination, &args.ceilings, premises)?;
    if let Some(path) = &args.plot {
        draw(&plan, path)?;
    }
    plan.print(args.json);
    Ok(Exit::Done)
}

/// Where the jobs would be sent.
fn destination(args: &PlanArgs) -> Result<Destination, Failure> {
    if args.target.mock {
        return Ok(mock::outline(args.target.provider.as_deref().map(upstream::known).transpose()?));
    }
    let model = args.defaults.model.as_deref();
    upstream::choose(&args.target, model, Keys::Unneeded, &ProcessEnvironment)
}

fn premises(args: &PlanArgs, provider: &Provider) -> Premises {
    let assumed = &args.assumptions;
    let learned = args.output.as_deref().map(learned).unwrap_or_default();
    let sources = sources(args.target.mock, learned, assumed.window);
    Premises {
        provider: provider.clone(),
        sources: Sources { tier: assumed.tier.clone(), ..sources },
        accounts: assumed.accounts,
        output: assumed.output_tokens,
        tokens_per_second: assumed.tokens_per_second,
        first_token: assumed.first_token,
        seeds: assumed.seeds,
        compare: args.compare,
        plot: args.plot.is_some(),
    }
}

/// The plan of what `paceline run` with these arguments would do.
pub(crate) fn of_run(
    args: &RunArgs,
    checked: &Checked,
    destination: Destination,
    learned: Vec<LearnedLimits>,
) -> Result<Plan, Failure> {
    let premises = Premises {
        sources: sources(args.target.mock, learned, None),
        provider: destination.provider.clone(),
        accounts: 1,
        output: None,
        tokens_per_second: None,
        first_token: None,
        seeds: None,
        compare: false,
        plot: false,
    };
    draw_up(checked, &args.inputs, destination, &args.ceilings, premises)
}

fn draw_up(
    checked: &Checked,
    inputs: &[PathBuf],
    destination: Destination,
    typed: &Ceilings,
    premises: Premises,
) -> Result<Plan, Failure> {
    let routes = destination.client(typed).routes().map_err(Failure::usage)?;
    let outlook = Outlook::new(&premises);
    let survey = Survey::read(checked, &routes, &premises.sources, &outlook).map_err(Failure::usage)?;
    let World { setting, known } = World::new(&survey, &premises.sources, premises.accounts);
    let plays = survey.jobs > 0 && known.unlimited.is_empty();
    let forecast =
        plays.then(|| forecast(&setting, premises.seeds.unwrap_or(seeds(survey.jobs)), known.steady()));
    let frames = match &forecast {
        Some(forecast) if premises.plot => timeline(&setting, forecast),
        _ => Vec::new(),
    };
    drop(setting);
    let compares = premises.compare || (!known.unlimited.is_empty() && !premises.provider.tiers.is_empty());
    Ok(Plan {
        inputs: inputs.to_vec(),
        report: checked.report(),
        lengths_from: outlook.lengths_from(&survey.calibration),
        money: Money::of(&survey),
        tiers: if compares { tiers::compare(&survey, &premises) } else { Vec::new() },
        known,
        forecast,
        frames,
        survey,
        premises,
    })
}

/// How many runs a plan of so many jobs simulates.
fn seeds(jobs: u64) -> u64 {
    (JOBS_IN_ALL / jobs.max(1)).clamp(LEAST_SEEDS, MOST_SEEDS)
}

fn sources(to_mock: bool, learned: Vec<LearnedLimits>, window: Option<Enforcement>) -> Sources {
    let account = to_mock.then(mock::account);
    let usual = account.as_ref().map_or(Enforcement::MinuteBucket, |(_, window)| *window);
    let mock = account.map(|(profile, _)| profile);
    Sources { mock, tier: None, learned, window: window.unwrap_or(usual) }
}

/// The limits that were learned beside an output; a file that cannot be used is told and left alone.
fn learned(output: &Path) -> Vec<LearnedLimits> {
    let mut file = LimitsFile::beside(&OutputPaths::beside(output).journal);
    file.load(SystemTime::now()).unwrap_or_else(|note| {
        messages::warning(&note);
        Vec::new()
    })
}

fn draw(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let Some(forecast) = plan.forecast.as_ref().filter(|_| !plan.frames.is_empty()) else {
        messages::warning("there is nothing to draw: no run was simulated");
        return Ok(());
    };
    let drawing = plot::Drawing {
        frames: &plan.frames,
        finish: forecast.quantile(0.5).unwrap_or(Duration::ZERO),
        jobs: plan.survey.jobs,
        binds: plan.binds().map(|need| text::limited(need.limited)),
    };
    let written =
        fs::write(path, drawing.svg()).with_context(|| format!("cannot write `{}`", path.display()));
    written.map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_are_played_more_often() {
        for (jobs, runs) in [(0, 100), (90, 100), (250, 40), (1_000, 10), (1_000_000, 10)] {
            assert_eq!(seeds(jobs), runs, "{jobs}");
        }
    }
}

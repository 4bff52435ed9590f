//! `paceline run`: from the command line to a batch, and from its end to an exit code.

use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use paceline::{Client, LearnedLimits, Timeouts};
use paceline_batch::{
    CheckError, Checked, ClientSender, Control, OutputPaths, Progress, RunOptions, Selection, StopReason,
    Summary,
};
use paceline_core::quota::OutputRule;
use paceline_wire::line::Defaults;
use paceline_wire::provider::Provider;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::args::{self, ProgressStyle, RunArgs};
use crate::desk::{self, RunDesk};
use crate::exit::{Exit, Failure};
use crate::ledger::RunLedger;
use crate::limits::LimitsFile;
use crate::messages;
use crate::mock::{self, InProcess};
use crate::otel::{Telemetry, Voice};
use crate::plan;
use crate::progress::{Reporter, View, count};
use crate::sending::Sending;
use crate::signals::Signals;
use crate::summary::Closing;
use crate::upstream::{self, Destination, Keys, ProcessEnvironment};

/// Between two looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often what was learned is stored, besides when the end nears.
const STORE_EVERY: Duration = Duration::from_secs(60);

/// Runs the batch.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start").map_err(Failure::stopped)?;
    let ended = runtime.block_on(prepare_and_run(args));
    // Not waited for: a thread may still be blocked in reading an input that never ends.
    runtime.shutdown_background();
    ended
}

async fn prepare_and_run(args: &RunArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::install().context("cannot take signals over").map_err(Failure::stopped)?;
    let (destination, _mock) = destination(args).await?;
    let ledger = RunLedger::open(args, &destination)?;
    let mut options = options(args, &destination.provider)?;
    options.budget = ledger.as_ref().map_or(Ok(options.budget), |ledger| ledger.within(options.budget))?;
    if args.inputs.iter().any(|input| input.as_os_str() == "-") && io::stdin().is_terminal() {
        messages::say("reading lines from the terminal; Ctrl-D ends them");
    }
    let budget = options.budget;
    let checking = tokio::task::spawn_blocking(move || Checked::new(options));
    let checked = tokio::select! {
        checked = checking => checked.context("the check broke off").map_err(Failure::stopped)?.map_err(refused)?,
        exit = signals.next() => return Ok(exit), // Nothing was sent, so nothing has to end well.
    };
    let quiet = matches!(args.progress, ProgressStyle::Json | ProgressStyle::None);
    if !quiet {
        messages::findings(&checked.report());
    }
    let output = destination.provider.metering.output;
    let providers = destination.providers.clone();
    let mut limits =
        args.output.as_deref().map(|path| LimitsFile::beside(&OutputPaths::beside(path).journal));
    let learned =
        limits.as_mut().map(|file| file.load(SystemTime::now())).transpose().unwrap_or_else(|note| {
            if !quiet {
                messages::warning(&note);
            }
            None
        });
    let learned = learned.unwrap_or_default();
    if args.scope.dry_run {
        let args = args.clone();
        let planning = tokio::task::spawn_blocking(move || dry_run(&args, checked, destination, learned));
        return tokio::select! {
            ended = planning => ended.context("the plan broke off").map_err(Failure::stopped)?,
            exit = signals.next() => Ok(exit),
        };
    }
    let voice: Voice = if quiet { |_| () } else { messages::warning };
    let telemetry = Telemetry::begin(&ProcessEnvironment, voice)?;
    let client = client(args, destination, learned, telemetry.as_ref())?;
    let progress = Progress::new();
    let desk = RunDesk::new(args, client.clone(), progress.clone(), budget);
    let _socket = desk::open(args.control.as_ref(), desk).unwrap_or_else(|fault| {
        if !quiet {
            messages::warning(&fault);
        }
        None
    });
    let sender = ClientSender::new(client.clone(), None, providers, ledger.as_ref().map(RunLedger::ledger));
    let mut session =
        Session { client, output, signals, reporter: Reporter::new(args.progress), limits, quiet };
    let ended = session.run(checked, sender, args, progress).await;
    if let Some(telemetry) = telemetry {
        telemetry.end().await;
    }
    if let Some(note) = ledger.and_then(RunLedger::close).filter(|_| !quiet) {
        messages::warning(&note);
    }
    ended
}

/// Says what the run would do, on stdout, and ends it there.
fn dry_run(
    args: &RunArgs,
    checked: Checked,
    destination: Destination,
    learned: Vec<LearnedLimits>,
) -> Result<Exit, Failure> {
    let plan = plan::of_run(args, &checked, destination, learned)?;
    let report = checked.report();
    checked.abandon();
    match args.progress {
        ProgressStyle::Json => plan.print(true),
        ProgressStyle::None => {}
        ProgressStyle::Auto | ProgressStyle::Plain => plan.print(false),
    }
    messages::say(&format!("{} would run; nothing was sent", count(report.chosen - report.done, "job")));
    Ok(Exit::Done)
}

/// Where to send; the mock, when it is that, lives as long as its handle.
async fn destination(args: &RunArgs) -> Result<(Destination, Option<InProcess>), Failure> {
    if !args.target.mock {
        let model = args.defaults.model.as_deref();
        return Ok((upstream::choose(&args.target, model, Keys::Needed, &ProcessEnvironment)?, None));
    }
    let mock = mock::in_process().await?;
    let provider = args.target.provider.as_deref().map(upstream::known).transpose()?;
    Ok((mock.destination(provider), Some(mock)))
}

fn options(args: &RunArgs, provider: &Provider) -> Result<RunOptions, Failure> {
    let defaults = defaults(&args.defaults, args.target.mock, provider)?;
    let most = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let selection = match (args.scope.first, args.scope.sample) {
        (Some(n), _) => Selection::First(most(n)),
        (None, Some(n)) => Selection::Sample(most(n)),
        (None, None) => Selection::All,
    };
    Ok(RunOptions {
        selection,
        fresh: args.scope.fresh,
        ordered: args.scope.ordered,
        accept_changes: args.scope.accept_changes,
        dry_run: args.scope.dry_run,
        budget: args.bounds.budget,
        deadline: args.bounds.deadline,
        max_failures: args.bounds.max_failures,
        ..RunOptions::new(args.inputs.clone(), args.output.clone(), defaults)
    })
}

/// What lines get that they lack.
pub(crate) fn defaults(
    typed: &args::Defaults,
    to_mock: bool,
    provider: &Provider,
) -> Result<Defaults, Failure> {
    let mut defaults = Defaults::new(provider);
    defaults.model = typed.model.clone();
    if to_mock && defaults.model.is_none() {
        defaults.model = Some(mock::model(provider).to_owned());
    }
    defaults.max_tokens = typed.max_tokens;
    for pair in &typed.set {
        defaults.set(pair).map_err(Failure::usage)?;
    }
    Ok(defaults)
}

fn client(
    args: &RunArgs,
    destination: Destination,
    learned: Vec<LearnedLimits>,
    telemetry: Option<&Telemetry>,
) -> Result<Client, Failure> {
    let timeout = args.bounds.timeout;
    let timeouts = Timeouts { first_byte: timeout, total: Some(timeout), ..Timeouts::default() };
    let mut client = destination.client(&args.ceilings).timeouts(timeouts);
    if let Some(telemetry) = telemetry {
        client = client.on_event(telemetry.listener());
    }
    client.max_attempts(args.bounds.max_attempts).learned(learned).build().map_err(Failure::usage)
}

/// A batch that cannot begin; nothing was sent.
fn refused(error: CheckError) -> Failure {
    Failure::usage(error)
}

/// A run under way.
struct Session {
    client: Client,
    output: OutputRule,
    signals: Signals,
    reporter: Reporter,
    limits: Option<LimitsFile>, // None without an output to put it beside.
    quiet: bool,                // Only errors may be said in words.
}

impl Session {
    async fn run(
        &mut self,
        checked: Checked,
        sender: ClientSender,
        args: &RunArgs,
        progress: Progress,
    ) -> Result<Exit, Failure> {
        let control = Control::new();
        let sending = Sending::watch(&self.client);
        let asked = sender.clone();
        let batch =
            paceline_batch::run(checked, sender, control.clone(), progress.clone(), Box::new(io::stdout()));
        let ended = self.attend(batch, &control, &progress).await;
        self.store_limits().await;
        let (summary, signal) = ended?;
        let view = View::new(summary.view, &self.client.snapshot().await);
        self.reporter.finish();
        let exit = exit(&summary, signal);
        let closing = Closing {
            view: &view,
            summary: &summary,
            sending: sending.span(),
            output: self.output,
            prices: asked.prices_as_of(),
            exit,
        };
        match args.progress {
            ProgressStyle::Json => messages::say_json(&closing.json()),
            ProgressStyle::None => {}
            ProgressStyle::Auto | ProgressStyle::Plain => messages::say(&closing.text()),
        }
        closing.remedy();
        Ok(exit)
    }

    /// Stays with the batch until it ends: shows how it gets on, and passes signals to it.
    async fn attend(
        &mut self,
        batch: impl Future<Output = Result<Summary, CheckError>> + Send + 'static,
        control: &Control,
        progress: &Progress,
    ) -> Result<(Summary, Option<Exit>), Failure> {
        let mut batch = tokio::spawn(batch);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stores = interval_at(Instant::now() + STORE_EVERY, STORE_EVERY);
        let mut first = None;
        loop {
            tokio::select! {
                ended = &mut batch => {
                    let ended = ended.context("the run broke off").map_err(Failure::stopped)?;
                    return Ok((ended.map_err(refused)?, first));
                }
                signal = self.signals.next() => match first {
                    None => {
                        first = Some(signal);
                        control.drain();
                        let waiting = progress.view().in_flight;
                        self.reporter.aside(|| messages::draining(waiting));
                        self.store_limits().await;
                    }
                    Some(_) => control.stop(),
                },
                _ = stores.tick() => self.store_limits().await,
                _ = looks.tick() => {
                    let snapshot = self.client.snapshot().await;
                    self.reporter.show(&View::new(progress.view(), &snapshot));
                }
            }
        }
    }

    /// Keeps what was learned for the next run. The file is small: writing it holds up nothing but the display.
    async fn store_limits(&mut self) {
        let Some(file) = &mut self.limits else { return };
        let learned = self.client.learned().await;
        if let Err(note) = file.store(&learned, SystemTime::now())
            && !self.quiet
        {
            self.reporter.aside(|| messages::warning(&note));
        }
    }
}

fn exit(summary: &Summary, signal: Option<Exit>) -> Exit {
    match &summary.stop {
        Some(StopReason::Interrupted) => signal.unwrap_or(Exit::Interrupted),
        Some(_) => Exit::Stopped,
        None if summary.view.failed > 0 => Exit::SomeFailed,
        None => Exit::Done,
    }
}

//! The gateway while it runs: takes signals and orders, reads the configuration again, and ends in order.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use listenfd::ListenFd;
use paceline::wire::provider::Catalog;
use paceline::{CallerKey, Client, LearnedLimits};
use paceline_control::Socket;
use paceline_gateway::Gateway;
use paceline_gateway::Settings;
use paceline_gateway::admin::{Admin, Counters, Live, Observed, Order, Recent};
use paceline_gateway::callers::{CallerConfig, Callers, Clock, Door, KeyHash};
use paceline_gateway::front::{self, Drain};
use paceline_gateway::state::{State, StateFile};
use paceline_wire::terminal;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use super::keeper::Keeper;
use super::plan::{Keys, Plan, state_folder};
use super::recording::Recording;
use super::watched::Watched;
use super::{greeting, handover, logs, memory, runs};
use crate::args::ServeArgs;
use crate::desk::{self, ServeDesk};
use crate::exit::{Exit, Failure};
use crate::otel::Telemetry;
use crate::signals::{Signal, Signals};
use crate::upstream::ProcessEnvironment;

/// Between two looks at the configuration file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Orders that wait at most; whoever gives one waits for its turn.
const ORDERS: usize = 8;
/// The last save may take so long; a disk that hangs does not hold up the end.
const LAST_SAVE: Duration = Duration::from_secs(5);

/// A gateway that serves.
pub(super) struct Running<'a> {
    args: &'a ServeArgs,
    signals: Signals,
    client: Client,
    counters: Arc<Counters>,
    settings: watch::Sender<Arc<Settings>>,
    callers: watch::Sender<Arc<Callers>>,
    token: watch::Sender<Option<KeyHash>>,
    ready: watch::Sender<bool>,
    orders: mpsc::Receiver<Order>,
    watched: Option<Watched>,
    drain: Drain,
    grace: Duration,
    bound: (SocketAddr, Option<SocketAddr>), // As asked for: a reload cannot move them.
    admin: Option<Drain>,
    keeper: Option<Keeping>,
    recording: Option<Recording>,
    telemetry: Option<Telemetry>,
    _socket: Option<Socket>, // Open as long as this lives.
}

/// The task that saves the state: how to end it, and its end.
struct Keeping {
    ends: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl<'a> Running<'a> {
    /// Binds, restores and begins to serve.
    pub(super) async fn start(args: &'a ServeArgs, plan: Plan, handed: ListenFd) -> Result<Self, Failure> {
        let started = Instant::now();
        let signals = Signals::install().context("cannot take signals over").map_err(Failure::stopped)?;
        let listener = listener(handed, plan.listen).await?;
        let admin_listener = match plan.admin {
            Some(address) => Some(bind(address, "--admin").await?),
            None => None,
        };
        let clock = Clock::start();
        let (file, state) = restore(args, clock);
        let counters = Arc::new(Counters::default());
        let telemetry = Telemetry::begin(&ProcessEnvironment, |said| warn!("{said}"))?;
        let client = client(&plan, state.limits, file.as_ref(), &counters, telemetry.as_ref())?;
        let callers = Arc::new(callers(&Callers::pass_through(clock), &plan));
        for spending in &state.spending {
            spending.restore(&callers);
        }
        let recording =
            plan.usage.as_ref().map(|usage| Recording::begin(usage, &callers, clock)).transpose()?;
        let ledger = recording.as_ref().map(Recording::ledger);
        let (settings, seen) = watch::channel(Arc::new(plan.settings.clone()));
        let (callers, known) = watch::channel(callers);
        let (token, asked) = watch::channel(plan.admin_token);
        let (ready, is_ready) = watch::channel(true);
        let (give, orders) = mpsc::channel(ORDERS);
        let drain = Drain::default();
        let addresses = (address(&listener), admin_listener.as_ref().map(address));
        let recent = admin_listener.as_ref().map(|_| Recent::default());
        let catalog = Arc::new(Catalog::embedded().clone());
        let door = Arc::new(Door::new(known.clone()));
        let gateway =
            Gateway::new(client.clone(), catalog, seen.clone(), door, ledger.clone(), recent.clone());
        let observed = Observed::new(gateway, counters.clone(), drain.clone());
        tokio::spawn(front::serve(listener, seen.clone(), observed, drain.clone()));
        let live = Live::default();
        let admin = Admin {
            client: client.clone(),
            callers: known.clone(),
            ledger: ledger.clone(),
            counters: counters.clone(),
            recent,
            runs: runs::watched(&live),
            live,
            ready: is_ready,
            orders: give,
            token: asked,
            started,
            clock,
        };
        let socket = open_socket(args, &admin, addresses.0);
        let admin = admin_listener.map(|listener| serve_admin(listener, seen, admin));
        memory::watch(client.clone());
        let keeper = file.map(|file| keep(Keeper::new(file, client.clone(), known, clock)));
        // On stdout, so that a script that asked for port 0 can read it.
        let _ = writeln!(io::stdout(), "http://{}", addresses.0);
        greeting::say(&plan, addresses, args.log);
        Ok(Self {
            args,
            signals,
            client,
            counters,
            settings,
            callers,
            token,
            ready,
            orders,
            watched: args.config.clone().map(Watched::new),
            drain,
            grace: plan.drain,
            bound: (plan.listen, plan.admin),
            admin,
            keeper,
            recording,
            telemetry,
            _socket: socket,
        })
    }

    /// Serves until a signal or the operator ends it.
    pub(super) async fn attend(mut self) -> Result<Exit, Failure> {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                signal = self.signals.any() => match signal {
                    Signal::Hangup => drop(self.reload()),
                    Signal::Interrupt | Signal::Terminate => break,
                },
                Some(order) = self.orders.recv() => match order {
                    Order::Drain => break,
                    Order::Reload(reply) => drop(reply.send(self.reload())),
                    Order::Note(what) => info!("by the operator: {what}"),
                },
                _ = looks.tick() => self.look(),
            }
        }
        Ok(self.end().await)
    }

    fn look(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.look();
        }
        if self.watched.as_mut().is_some_and(Watched::has_changed) {
            drop(self.reload());
        }
    }

    /// Reads the configuration again and puts it in force, or leaves everything as it is.
    fn reload(&mut self) -> Result<(), String> {
        let done = self.replace().map_err(|failure| {
            let hint = failure.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            terminal::line(&format!("{:#}{hint}", failure.error)).into_owned()
        });
        self.counters.count_reload(done.is_ok());
        match &done {
            Ok(()) => info!("the configuration was read again and is in force"),
            Err(fault) => warn!("the configuration stays as it was: {fault}"),
        }
        done
    }

    fn replace(&mut self) -> Result<(), Failure> {
        let plan = Plan::read(self.args, &ProcessEnvironment)?;
        if (plan.listen, plan.admin) != self.bound {
            return Err(Failure::usage(anyhow!("the addresses to listen on cannot change while serving"))
                .hint("start the gateway again"));
        }
        if !Recording::stays(self.recording.as_ref(), plan.usage.as_ref()) {
            return Err(Failure::usage(anyhow!(
                "the usage ledger cannot change while serving, but for its budget"
            ))
            .hint("start the gateway again"));
        }
        // The client refuses what it cannot use; after it nothing can fail.
        self.client.reconfigure(plan.client(Vec::new())).map_err(Failure::usage)?;
        let renewed = callers(&self.callers.borrow(), &plan);
        if let Some(recording) = &self.recording {
            recording.handle_reload(&renewed);
        }
        self.callers.send_replace(Arc::new(renewed));
        self.settings.send_replace(Arc::new(plan.settings));
        self.token.send_replace(plan.admin_token);
        self.grace = plan.drain;
        Ok(())
    }

    /// Takes nothing new, lets what is under way finish, saves, and ends. A second signal ends it at once.
    async fn end(mut self) -> Exit {
        self.ready.send_replace(false);
        self.drain.begin();
        info!(
            at_most_seconds = self.grace.as_secs_f64(),
            "draining: requests under way finish; a second signal cuts them"
        );
        let exit = tokio::select! {
            finished = timeout(self.grace, self.drain.finished()) => {
                if finished.is_err() {
                    warn!("requests were still under way when the time for draining was over: cut");
                }
                Exit::Done
            }
            exit = self.signals.next() => exit,
        };
        self.drain.stop();
        if let Some(Keeping { ends, task }) = self.keeper.take() {
            ends.send_replace(true);
            if timeout(LAST_SAVE, task).await.is_err() {
                warn!("the state could not be saved in time");
            }
        }
        if let Some(recording) = self.recording.take() {
            recording.end(LAST_SAVE).await;
        }
        if let Some(telemetry) = self.telemetry.take() {
            telemetry.end().await;
        }
        if let Some(admin) = self.admin.take() {
            admin.stop();
        }
        info!("ended");
        exit
    }
}

/// Whom to let in. What was spent so far stays spent.
fn callers(before: &Callers, plan: &Plan) -> Callers {
    let keys = plan.keys.as_ref();
    let keys: Option<(&[CallerConfig], _)> =
        keys.map(|Keys { callers, upstreams }| (callers.as_slice(), upstreams.iter().cloned()));
    before.renewed(keys).bounded(plan.usage.as_ref().and_then(|usage| usage.budget))
}

/// Where callers come in: the socket that somebody holds for us, or one of our own.
async fn listener(handed: ListenFd, address: SocketAddr) -> Result<TcpListener, Failure> {
    match handover::listener(handed, address)? {
        Some(listener) => TcpListener::from_std(listener).context("cannot listen").map_err(Failure::stopped),
        None => bind(address, "--listen").await,
    }
}

/// The client that does the sending; what it tells is counted and logged.
fn client(
    plan: &Plan,
    learned: Vec<LearnedLimits>,
    file: Option<&StateFile>,
    counters: &Arc<Counters>,
    telemetry: Option<&Telemetry>,
) -> Result<Client, Failure> {
    let (counted, log) = (counters.clone(), logs::of_events());
    let export = telemetry.map(Telemetry::listener);
    let mut client = plan.client(learned).on_event(move |event| {
        counted.count_event(event);
        log(event);
        if let Some(export) = &export {
            export(event);
        }
    });
    if let Some(key) = file.and_then(caller_key) {
        client = client.caller_key(key);
    }
    client.build().map_err(Failure::usage)
}

/// The operator's socket on this machine. Trouble with it is told, and no more.
fn open_socket(args: &ServeArgs, admin: &Admin, listens: SocketAddr) -> Option<Socket> {
    let desk = ServeDesk { admin: admin.clone(), listens: listens.to_string() };
    desk::open(args.control.as_ref(), desk).unwrap_or_else(|fault| {
        warn!("{fault}");
        None
    })
}

/// Serves the operator's side; what ends it.
fn serve_admin(listener: TcpListener, settings: watch::Receiver<Arc<Settings>>, admin: Admin) -> Drain {
    tokio::spawn(admin.clone().watch());
    let drain = Drain::default();
    tokio::spawn(front::serve(listener, settings, admin, drain.clone()));
    drain
}

/// Saves the state now and then.
fn keep(keeper: Keeper) -> Keeping {
    let (ends, end) = watch::channel(false);
    Keeping { ends, task: tokio::spawn(keeper.keep(end)) }
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::usage(anyhow!("cannot listen on {address}: {error}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                failure.hint(format!("choose another one: `{flag} 127.0.0.1:0` takes any"))
            }
            _ => failure,
        }
    })
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a listener that is bound has an address")
}

/// What makes callers' names outlast the process. Trouble with it is told, and no more.
fn caller_key(file: &StateFile) -> Option<CallerKey> {
    let key = file
        .caller_key()
        .inspect_err(|fault| warn!("{fault}; callers' limits are learned again at each start"));
    key.ok()
}

/// The folder of the state, if there is to be one, and what it holds. Trouble with it is told, and no more.
fn restore(args: &ServeArgs, clock: Clock) -> (Option<StateFile>, State) {
    let Some(folder) = state_folder(args, &ProcessEnvironment) else { return (None, State::default()) };
    let file = match StateFile::open(&folder) {
        Ok(file) => file,
        Err(fault) => {
            warn!("{fault}; limits are learned again at each start");
            return (None, State::default());
        }
    };
    let state = file.load(clock.now()).unwrap_or_else(|fault| {
        warn!("{fault}");
        State::default()
    });
    (Some(file), state)
}

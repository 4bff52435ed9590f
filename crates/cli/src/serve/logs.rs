//! The log: one line an event on stderr, for people or for programs. It never sees a body or a key.

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline::ClientEvent;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::sync::mpsc;
use tracing::{Level, debug, enabled, info, warn};
use tracing_subscriber::filter::LevelFilter;

use crate::args::{LogForm, LogLevel};

/// Events that wait to be logged at most.
const MOST_WAITING: usize = 4096;

/// Sends the log where it is wanted. From here on a panic is an event as well: where it was, not what it said, because
/// its words may quote what it was about.
pub(super) fn install(form: LogForm, level: LogLevel) {
    let level = match level {
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level).with_target(false);
    // A log that is installed already is the one that is wanted: there is only one `serve` in a process.
    let _ = match form {
        LogForm::Json => lines.json().flatten_event(true).try_init(),
        LogForm::Pretty => lines.with_ansi(io::stderr().is_terminal()).compact().try_init(),
    };
    panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place, "a task panicked");
    }));
}

/// Keeps the memory of this process, which holds keys, out of core files and of other processes' reach.
pub(super) fn hide_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let hidden =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = hidden {
        warn!(%error, "core dumps cannot be turned off");
    }
}

/// Takes what a client tells, to be logged. Writing may take long, so a task of its own does it.
pub(super) fn of_events() -> impl Fn(&ClientEvent) + Send + Sync + 'static {
    let (waiting, mut events) = mpsc::channel(MOST_WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let missed = lost.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            log(&event);
            let missed = missed.swap(0, Ordering::Relaxed);
            if missed > 0 {
                debug!(missed, "events came too fast to be logged");
            }
        }
    });
    move |event| {
        if is_logged(event) && waiting.try_send(event.clone()).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn is_logged(event: &ClientEvent) -> bool {
    match event {
        ClientEvent::Finished { .. } => enabled!(Level::DEBUG),
        // What failed is told by what comes of it.
        ClientEvent::Sent { .. } | ClientEvent::Head { .. } => false,
        ClientEvent::Failed { .. } | ClientEvent::Canceled { .. } => false,
        _ => enabled!(Level::INFO),
    }
}

fn log(event: &ClientEvent) {
    match event {
        ClientEvent::Throttled { request, upstream, class, wait } => {
            let wait_seconds = wait.map(|wait| wait.as_secs_f64());
            info!(request, upstream = &**upstream, class = class.name(), wait_seconds, "throttled");
        }
        ClientEvent::Retried { request, after, attempt } => {
            info!(request, after = after.name(), attempt, "retried");
        }
        ClientEvent::Broken { request, upstream, class } => {
            info!(request, upstream = &**upstream, class = class.name(), "a stream broke off");
        }
        ClientEvent::Refused { request, verdict, .. } => info!(request, ?verdict, "ended without success"),
        ClientEvent::Finished { request, upstream, usage, took } => {
            let (input_tokens, output_tokens) =
                usage.map(|usage| (usage.prompt_tokens(), usage.output_tokens)).unzip();
            let took_seconds = took.as_secs_f64();
            debug!(request, upstream = &**upstream, took_seconds, input_tokens, output_tokens, "finished");
        }
        _ => {}
    }
}

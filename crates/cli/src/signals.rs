//! Signals: the first Ctrl-C or SIGTERM asks for an orderly end, the second one gets it at once.
//!
//! SIGHUP is taken. A job drops it, because it outlives its terminal; a gateway reads its configuration again. SIGPIPE is
//! ignored by Rust's runtime; a closed stdout shows as a failed write.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

use crate::exit::Exit;

/// The signals that people and service managers send.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    Hangup,
}

impl Signals {
    /// Takes the signals over; from here on they no longer kill the process.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them.
    pub(crate) async fn any(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.hangup.recv() => Signal::Hangup,
            // Signals come as long as there is a runtime.
            else => std::future::pending().await,
        }
    }

    /// Waits for a request to end, and says how the program will then end.
    pub(crate) async fn next(&mut self) -> Exit {
        loop {
            match self.any().await {
                Signal::Interrupt => return Exit::Interrupted,
                Signal::Terminate => return Exit::Terminated,
                Signal::Hangup => {}
            }
        }
    }
}

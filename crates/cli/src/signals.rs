//! Signals: the first Ctrl-C or SIGTERM asks for an orderly end, the second one gets it at once.
//!
//! SIGHUP is taken and dropped: a job outlives its terminal. SIGPIPE is ignored by Rust's runtime; a closed stdout shows
//! as a failed write.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;

/// The signals that people and service managers send.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
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

    /// Waits for a request to end, and says how the program will then end.
    pub(crate) async fn next(&mut self) -> Exit {
        loop {
            tokio::select! {
                Some(()) = self.interrupt.recv() => return Exit::Interrupted,
                Some(()) = self.terminate.recv() => return Exit::Terminated,
                Some(()) = self.hangup.recv() => {}
            }
        }
    }
}

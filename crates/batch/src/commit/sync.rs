//! The thread that brings files to the disk while another one goes on writing them.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::{Broken, Message};
use crate::journal::Journal;

/// What is to be synced.
pub(super) struct Round {
    /// Results files that were written.
    pub(super) results: Vec<(PathBuf, Arc<File>)>,
    pub(super) journal: Arc<Journal>,
}

impl Round {
    fn run(self) -> Result<(), Broken> {
        for (path, file) in &self.results {
            file.sync_data().map_err(Broken::at(path))?;
        }
        self.journal.sync().map_err(Broken::at(self.journal.path()))
    }
}

/// The thread.
pub(super) struct Syncer {
    rounds: Option<Sender<Round>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread, which tells `done` of the end of every round. After one that failed there is no other.
    pub(super) fn start(done: Sender<Message>) -> io::Result<Self> {
        let (rounds, inbox) = channel::<Round>();
        let thread = std::thread::Builder::new().name("paceline-sync".to_owned()).spawn(move || {
            for round in inbox {
                let result = round.run();
                let failed = result.is_err();
                if done.send(Message::Synced(result)).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { rounds: Some(rounds), thread: Some(thread) })
    }

    /// Begins a round; there is one at a time.
    pub(super) fn begin(&self, round: Round) {
        if let Some(rounds) = &self.rounds {
            // A thread that has ended has said why.
            let _ = rounds.send(round);
        }
    }

    /// Waits for the round under way: only then has it let go of the files.
    pub(super) fn finish(&mut self) {
        self.rounds = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic there has ended the announcements.
        }
    }
}

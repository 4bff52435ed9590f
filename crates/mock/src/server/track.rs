//! Follows one call to its end, whatever that is, so that its slot is freed and its line is written exactly once.

use std::sync::Arc;

use paceline_core::time::Time;

use super::provider::Provider;
use crate::accounts::MeterKey;
use crate::log::{Outcome, Record};
use crate::model::Call;
use crate::model::flight::Flight;

/// A call that has not ended. Dropped, it means that the caller left.
#[derive(Debug)]
pub(super) struct Track {
    provider: Arc<Provider>,
    record: Option<Box<Record>>,
    admitted: Option<Admitted>,
}

#[derive(Debug)]
struct Admitted {
    at: Time,
    call: Call,
    counting: bool,
    meters: Vec<MeterKey>,
}

impl Track {
    pub(super) fn new(provider: Arc<Provider>, record: Record) -> Self {
        Track { provider, record: Some(Box::new(record)), admitted: None }
    }

    /// Changes what the line will say.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// The meters have let it in.
    pub(super) fn admitted(&mut self, at: Time, call: Call, counting: bool, meters: Vec<MeterKey>) {
        self.note(|record| record.input_tokens = call.input_tokens);
        self.admitted = Some(Admitted { at, call, counting, meters });
    }

    /// It ended; later ends are ignored.
    pub(super) fn end(&mut self, outcome: Outcome) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        let now = self.provider.clock.now();
        let whole = outcome == Outcome::Completed;
        if let Some(Admitted { at, call, counting, meters }) = self.admitted.take() {
            let produced = Flight::new(at, &call).produced_by(now);
            record.output_tokens = if whole { call.output_tokens } else { produced };
            self.provider.meters(counting).end(now, &meters, call.id, whole);
        }
        record.end = now.as_secs_f64();
        record.outcome = outcome;
        self.provider.log.add(*record);
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        self.end(Outcome::ClientGone);
    }
}

//! What attempts report, told to the engine, to the caller, and to those who watch.

use paceline_core::engine::{AttemptId, Event};
use paceline_core::time::Time;
use paceline_wire::{FullUsage, response};

use super::attempt::{Report, WholeAnswer};
use super::driver::Driver;
use super::requests::{Loss, is_throttled};
use super::{Opening, ReplyTo};
use crate::answer::{Opened, Response};
use crate::error::SendError;
use crate::watch::ClientEvent;

impl Driver {
    pub(super) fn report(&mut self, now: Time, attempt: AttemptId, report: Report) {
        // Reports of attempts that were aborted meanwhile are of no interest.
        match report {
            _ if !self.attempts.contains_key(&attempt) => {}
            Report::Head { limits, organisation } => {
                self.publish_head(attempt);
                self.note_first_byte(attempt);
                self.note_affinity(attempt);
                self.belongs(now, attempt, organisation);
                self.engine.handle_event(now, Event::Head { attempt, limits });
            }
            Report::Produced(output_tokens) => {
                self.engine.handle_event(now, Event::Produced { attempt, output_tokens });
            }
            Report::Opened(opened) => self.opened(attempt, opened),
            Report::Succeeded { usage, answer } => self.succeeded(now, attempt, usage, answer),
            Report::Failed(loss) => self.failed(now, attempt, loss),
            Report::Left => {
                let request = self.attempts[&attempt].request;
                self.cancel(now, request);
            }
            Report::Vetoed => self.vetoed(now, attempt),
        }
    }

    /// Nothing was sent, so nobody has failed: the request is over as if its caller had left.
    fn vetoed(&mut self, now: Time, attempt: AttemptId) {
        let request = self.attempts[&attempt].request;
        if let Some(reply) = self.requests.get_mut(&request).and_then(|pending| pending.reply.take()) {
            reply.refuse(SendError::Vetoed);
        }
        self.cancel(now, request);
    }

    /// An answer named the organisation that the attempt's credential belongs to.
    fn belongs(&mut self, now: Time, attempt: AttemptId, organisation: Option<String>) {
        if let (Some(organisation), Some(running)) = (organisation, self.attempts.get(&attempt)) {
            self.registry.belongs(now, &mut self.engine, &running.place, running.upstream, &organisation);
        }
    }

    /// Its like go there again, if they can.
    fn note_affinity(&mut self, attempt: AttemptId) {
        let Some(running) = self.attempts.get(&attempt) else { return };
        let Some(pending) = self.requests.get(&running.request) else { return };
        if let Some(value) = pending.work.affinity {
            self.affinities.set(value, running.upstream);
        }
    }

    fn note_first_byte(&mut self, attempt: AttemptId) {
        let Some(running) = self.attempts.get(&attempt) else { return };
        if let Some(pending) = self.requests.get_mut(&running.request) {
            pending.first_byte = Some(running.sent.elapsed());
        }
    }

    fn publish_head(&self, attempt: AttemptId) {
        let Some(running) = self.attempts.get(&attempt) else { return };
        self.publish(|| ClientEvent::Head {
            request: running.request.0,
            upstream: running.place.name.clone(),
            after: running.sent.elapsed(),
        });
    }

    fn opened(&mut self, attempt: AttemptId, opened: Opened) {
        let Some(running) = self.attempts.get(&attempt) else { return };
        let request_id = response::request_id(&running.place.provider, &opened.headers);
        let Some(pending) = self.requests.get_mut(&running.request) else { return };
        if let Some(ReplyTo::Stream(reply)) = pending.reply.take() {
            let trip = pending.trip(request_id);
            // A caller that has gone cancels by itself.
            drop(reply.send(Ok(Opening { opened, trip })));
        }
    }

    fn succeeded(
        &mut self,
        now: Time,
        attempt: AttemptId,
        usage: Option<FullUsage>,
        answer: Option<WholeAnswer>,
    ) {
        let Some(running) = self.remove(attempt) else { return };
        let Some(mut pending) = self.requests.remove(&running.request) else { return };
        let place = &running.place;
        let model = running.send_as.as_ref().unwrap_or(&pending.work.model);
        let charged = usage.map(|usage| usage.charged(&place.provider, model));
        self.engine.handle_event(now, Event::Succeeded { attempt, usage: charged });
        if let Some(usage) = &usage {
            self.start.estimates.learn(&place.provider, &pending.work, usage);
        }
        self.publish(|| ClientEvent::Finished {
            request: running.request.0,
            upstream: place.name.clone(),
            usage,
            took: running.sent.elapsed(),
        });
        if let (Some(WholeAnswer { status, headers, body }), Some(ReplyTo::Whole(reply))) =
            (answer, pending.reply.take())
        {
            let trip = pending.trip(response::request_id(&place.provider, &headers));
            // A caller that has gone doesn't need its answer.
            drop(reply.send(Ok(Response { status, headers, body, usage, trip })));
        }
    }

    fn failed(&mut self, now: Time, attempt: AttemptId, mut loss: Box<Loss>) {
        self.belongs(now, attempt, loss.organisation.take());
        let Some(running) = self.remove(attempt) else { return };
        let Some(pending) = self.requests.get_mut(&running.request) else { return };
        let class = loss.failure.class;
        let request = running.request.0;
        let upstream = running.place.name.clone();
        let event = Event::Failed {
            attempt,
            failure: loss.failure.clone(),
            limits: std::mem::take(&mut loss.limits),
            committed: loss.committed,
        };
        let (committed, wait) = (loss.committed, loss.failure.wait);
        pending.failed(loss);
        self.failed.push(running.request);
        if committed {
            self.publish(|| ClientEvent::Broken { request, upstream, class });
        } else if is_throttled(class) {
            self.publish(|| ClientEvent::Throttled { request, upstream, class, wait });
        } else {
            self.publish(|| ClientEvent::Failed { request, upstream, class });
        }
        self.engine.handle_event(now, event);
    }
}

//! The loop: one task that owns the engine, tells it what happened, and does what it says.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use paceline_core::engine::{Action, AttemptId, Engine, Event, RequestId, Submission, UpstreamId, Verdict};
use paceline_core::time::Time;
use paceline_wire::response;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::affinity::Affinities;
use super::attempt::Attempt;
use super::clock::Clock;
use super::registry::{Registry, RouteKey, Tenants};
use super::requests::{Pending, Running, is_throttled};
use super::{Command, Message, ReplyTo, Start, Submit, verdict};
use crate::error::SendError;
use crate::net::ConnectionPool;
use crate::watch::{ClientEvent, OnEvent};

/// Messages taken at once before the engine is asked what to do.
const MOST_MESSAGES: usize = 256;
/// The shortest sleep: that of tokio's clock.
const SHORTEST_SLEEP: std::time::Duration = std::time::Duration::from_millis(1);

/// Runs until told to close.
pub(crate) async fn run(start: Start, mut mail: mpsc::UnboundedReceiver<Message>) {
    let mut driver = Driver::new(start);
    let mut messages = Vec::with_capacity(MOST_MESSAGES);
    let mut alarm = pin!(sleep_until(Instant::now()));
    let closed = loop {
        driver.drive();
        let wake = driver.wake();
        // Mostly it moves away, as the deadlines of those who come do. Then the timer is left alone: it rings early, and is
        // set again.
        if let Some(wake) = wake
            && (wake < alarm.deadline() || alarm.is_elapsed())
        {
            alarm.as_mut().reset(wake);
        }
        tokio::select! {
            biased;
            received = mail.recv_many(&mut messages, MOST_MESSAGES) => {
                if received == 0 {
                    break None;
                }
            }
            () = &mut alarm, if wake.is_some() => {}
        }
        let closing = messages.drain(..).find_map(|message| driver.handle(message));
        if let Some(Closing(done)) = closing {
            break done;
        }
    };
    // Attempts end with it, and with them their connections; callers learn it from their channels.
    drop(driver);
    drop(mail);
    if let Some(done) = closed {
        // Whoever asked may have gone.
        let _ = done.send(());
    }
}

/// The loop is to end, and whom to tell.
struct Closing(Option<oneshot::Sender<()>>);

/// Things by the numbers that we gave them ourselves, so nobody can make them collide.
type Numbered<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

pub(super) struct Driver {
    pub(super) start: Start,
    pub(super) engine: Engine,
    pub(super) pool: ConnectionPool,
    clock: Clock,
    pub(super) registry: Registry,
    pub(super) tenants: Tenants,
    pub(super) affinities: Affinities,
    pub(super) requests: Numbered<RequestId, Pending>,
    pub(super) attempts: Numbered<AttemptId, Running>,
    pub(super) by_request: Numbered<RequestId, AttemptId>,
    /// Whose attempts have failed since the engine was last asked what follows.
    pub(super) failed: Vec<RequestId>,
    pub(super) paused: bool,
}

impl Driver {
    fn new(mut start: Start) -> Self {
        let mut engine = Engine::new(start.plan.config.clone(), start.seed);
        let (learned, caller_key) = (std::mem::take(&mut start.learned), start.caller_key.take());
        Self {
            registry: Registry::new(&start.plan.directory, learned, caller_key, &mut engine),
            tenants: Tenants::new(std::mem::take(&mut start.plan.weights)),
            pool: ConnectionPool::new(start.plan.dialer.take().unwrap_or_default()),
            affinities: Affinities::default(),
            engine,
            clock: Clock::start(),
            start,
            requests: Numbered::default(),
            attempts: Numbered::default(),
            by_request: Numbered::default(),
            failed: Vec::new(),
            paused: false,
        }
    }

    /// Does all that the engine wants done now.
    fn drive(&mut self) {
        if self.paused {
            return;
        }
        let now = self.clock.now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now) {
            self.engine.handle_timeout(now);
        }
        while let Some(action) = self.engine.poll_action(now) {
            match action {
                Action::Send { request, attempt, upstream, tier, ordinal } => {
                    self.send(now, request, attempt, (upstream, tier), ordinal);
                }
                Action::Finish { request, verdict } => self.finish(request, verdict),
                Action::Abort { attempt } => self.abort(attempt),
            }
        }
        for request in std::mem::take(&mut self.failed) {
            if let (Some(pending), None) = (self.requests.get(&request), self.by_request.get(&request)) {
                pending.tell_retry();
            }
        }
    }

    fn wake(&self) -> Option<Instant> {
        let due = if self.paused { None } else { self.engine.poll_timeout() };
        // What is due was just asked for: to ask again at once would spin.
        due.filter(|due| *due < Time::NEVER)
            .map(|due| self.clock.instant(due).max(Instant::now() + SHORTEST_SLEEP))
    }

    fn handle(&mut self, message: Message) -> Option<Closing> {
        let now = self.clock.now();
        match message {
            Message::Report(attempt, report) => self.report(now, attempt, report),
            Message::Command(Command::Submit(submit)) => self.submit(now, submit),
            Message::Command(Command::Cancel(request)) => self.cancel(now, request),
            // Whoever asks these may have gone.
            Message::Command(Command::Snapshot(reply)) => drop(reply.send(self.snapshot(now))),
            Message::Command(Command::Learned(reply)) => {
                drop(reply.send(self.registry.learned(now, &self.engine)));
            }
            Message::Command(Command::Pause(paused)) => self.paused = paused,
            // Nor may whoever gives these.
            Message::Command(Command::Service { upstream, out, reply }) => {
                let _ = reply.send(self.set_service(&upstream, out));
            }
            Message::Command(Command::Retune { retune, reply }) => {
                let _ = reply.send(self.registry.retune(&mut self.engine, &retune));
            }
            Message::Command(Command::Reconfigure(plan)) => self.reconfigure(now, *plan),
            Message::Command(Command::Redirect(directory)) => self.replace_directory(now, directory),
            Message::Command(Command::Close { done }) => return Some(Closing(done)),
        }
        None
    }

    fn submit(&mut self, now: Time, submit: Submit) {
        let Submit { id, work, reply } = submit;
        let presented = work.presented.as_ref();
        let Ok(held) = presented.map(|caller| self.registry.hold(&mut self.engine, caller)).transpose()
        else {
            return reply.refuse(SendError::QueueFull);
        };
        let caller = presented.map(|presented| presented.id);
        let directory = self.start.plan.directory.clone();
        let target = match Arc::ptr_eq(&work.directory, &directory) {
            true => Ok(work.target),
            // A reload came between.
            false => work.heir(&directory, &work.directory, work.target),
        };
        let target = match target {
            Ok(target) => target,
            Err(error) => return reply.refuse(error),
        };
        let key = RouteKey { target, model: work.metered_as(), caller };
        let route = self.registry.route(now, &mut self.engine, &directory, key);
        let submission = Submission {
            request: id,
            route,
            demand: work.demand,
            priority: work.priority,
            tenant: self.tenants.number(&mut self.engine, &work.tenant),
            prefer: work.affinity.and_then(|value| self.affinities.get(value)),
            not_before: work.not_before.map(|at| self.clock.time(at)),
            deadline: work.deadline.map(|at| self.clock.time(at)),
        };
        self.requests.insert(id, Pending::new(work, target, reply, held));
        self.engine.handle_event(now, Event::Submitted(submission));
    }

    pub(super) fn cancel(&mut self, now: Time, request: RequestId) {
        let Some(pending) = self.requests.remove(&request) else { return }; // It was over already.
        // Not left to the engine's action, which a paused loop would not get to see.
        if let Some(attempt) = self.by_request.get(&request) {
            self.abort(*attempt);
        }
        self.engine.handle_event(now, Event::Canceled { request });
        self.publish(|| ClientEvent::Canceled { request: request.0, asked: pending.asked() });
    }

    fn send(
        &mut self,
        now: Time,
        request: RequestId,
        attempt: AttemptId,
        (id, tier): (UpstreamId, u8),
        ordinal: u32,
    ) {
        let directory = self.start.plan.directory.clone();
        let (Some(place), Some(pending)) = (self.registry.place(id), self.requests.get_mut(&request)) else {
            // Nobody waits for it any more; the engine may not have heard of that.
            self.engine.handle_event(now, Event::Canceled { request });
            return;
        };
        let Some(target) = pending.target else {
            let error = pending.work.gone(&directory);
            return self.give_up(now, request, error);
        };
        pending.tell_retry(); // Before the next attempt asks for its leave.
        pending.attempts += 1;
        pending.waited = pending.submitted.elapsed();
        pending.first_byte = None;
        let ways = directory.ways_of(target);
        let send_as = ways
            .iter()
            .find(|way| (way.place, way.tier) == (place, tier))
            .and_then(|way| way.send_as.clone());
        let place = directory.places[place].clone();
        pending.last_place = Some(place.clone());
        pending.last_send_as.clone_from(&send_as);
        let work = Attempt {
            id: attempt,
            work: pending.work.clone(),
            place: place.clone(),
            send_as: send_as.clone(),
            fresh: std::mem::take(&mut pending.fresh),
            asks_whose: self.registry.asks_whose(&place, id),
            streaming: matches!(pending.reply, Some(ReplyTo::Stream(_))),
            timeouts: self.start.plan.timeouts,
            pool: self.pool.clone(),
            mailbox: self.start.mailbox.clone(),
        };
        let after =
            pending.last.as_ref().map(|loss| loss.failure.class).filter(|class| !is_throttled(*class));
        // Boxed, because a task is moved several times before it begins and when it ends, and this one is big.
        let task = tokio::spawn(Box::pin(work.run())).abort_handle();
        self.attempts
            .insert(attempt, Running { request, upstream: id, place, send_as, sent: Instant::now(), task });
        self.by_request.insert(request, attempt);
        if let Some(after) = after {
            self.publish(|| ClientEvent::Retried { request: request.0, after, attempt: ordinal });
        }
        if let (Some(running), Some(pending)) = (self.attempts.get(&attempt), self.requests.get(&request)) {
            self.publish(|| running.sent_for(pending, ordinal));
        }
    }

    fn finish(&mut self, request: RequestId, verdict: Verdict) {
        let Some(mut pending) = self.requests.remove(&request) else { return };
        self.publish(|| ClientEvent::Refused { request: request.0, verdict, asked: pending.asked() });
        let headers = pending.last.as_ref().map(|loss| loss.headers.clone()).unwrap_or_default();
        let request_id =
            pending.last_place.as_ref().and_then(|place| response::request_id(&place.provider, &headers));
        let reply = pending.reply.take();
        let error = verdict::error(verdict, &mut pending, request_id);
        if let Some(reply) = reply {
            reply.refuse(error);
        }
    }

    fn abort(&mut self, attempt: AttemptId) {
        if let Some(running) = self.remove(attempt) {
            running.task.abort();
        }
    }

    pub(super) fn remove(&mut self, attempt: AttemptId) -> Option<Running> {
        let running = self.attempts.remove(&attempt)?;
        self.by_request.remove(&running.request);
        Some(running)
    }

    pub(super) fn publish(&self, event: impl FnOnce() -> ClientEvent) {
        let received = self.start.events.receiver_count() > 0;
        if !received && self.start.on_event.is_none() {
            return;
        }
        let event = event();
        if let Some(OnEvent(tell)) = &self.start.on_event {
            tell(&event);
        }
        if received {
            // The last receiver may have gone just now.
            let _ = self.start.events.send(event);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for running in self.attempts.values() {
            running.task.abort();
        }
        for (_, pending) in self.requests.drain() {
            if let Some(reply) = pending.reply {
                reply.refuse(SendError::Closed);
            }
        }
    }
}

//! Who is sent next, and where: upstreams pull work when their buckets have room.

use super::records::{Attempt, State, attempt_id};
use super::{Action, Engine, Lane, Priority, Submission, Upstream, Verdict};
use crate::feedback::Class;
use crate::limiter::{Applicant, Charges, Limiter};
use crate::queue::Key;
use crate::quota::Demand;
use crate::time::Time;
use crate::tuning::{LOOK_AHEAD, PATIENCE, RESERVE_AFTER, TIER_PATIENCE, TURN_AFTER, TURN_AFTER_WAIT};

/// No room is held for anybody.
const NOTHING: Charges = [0; 4];

impl Engine {
    /// The next thing to do; ask until `None`.
    pub fn poll_action(&mut self, now: Time) -> Option<Action> {
        if self.actions.is_empty() {
            self.dispatch(now);
        }
        self.actions.pop_front()
    }

    /// Sends at most one request, the first that may go.
    fn dispatch(&mut self, now: Time) {
        if self.dispatch_turns(now) {
            return;
        }
        for priority in [Priority::Interactive, Priority::Normal, Priority::Batch] {
            let (first, routes) = (self.turn, self.routes.len());
            for route in (0..routes).map(|index| (first + index) % routes) {
                if self.dispatch_class(now, route, priority, false) {
                    self.turn = route + 1;
                    return;
                }
            }
        }
    }

    /// A class that others have passed by again and again takes a turn before them: one that is never empty must not
    /// starve those below it.
    fn dispatch_turns(&mut self, now: Time) -> bool {
        for priority in [Priority::Normal, Priority::Batch] {
            for route in 0..self.routes.len() {
                let class = self.routes[route].queue.class(priority);
                let waited = |key| TURN_AFTER_WAIT <= now.since(self.requests[key].submitted);
                let due = TURN_AFTER <= class.passed_by && class.head().is_some_and(waited);
                if due && self.dispatch_class(now, route, priority, true) {
                    return true;
                }
            }
        }
        false
    }

    /// `due`: it is the class's turn, and it makes way for nobody.
    fn dispatch_class(&mut self, now: Time, route: usize, priority: Priority, due: bool) -> bool {
        let class = self.routes[route].queue.class(priority);
        if class.len() == 0 || now < class.blocked_until {
            return false;
        }
        let heads = if due { [None; 2] } else { self.higher_heads(now, route, priority) };
        let mut room = Room { heads, gather: None, holds_gather: false };
        let mut ready_at = Time::NEVER;
        let mut tried = 0;
        while let Some(key) = self.nth_in_line(route, priority, tried) {
            let stuck = tried == 0 && self.is_stuck(now, route, priority, key);
            if stuck {
                room.gather = Some(self.requests[key].submission.demand);
            }
            match self.place(now, key, &room) {
                Placed::Sent => {
                    self.routes[route].queue.note_served(priority);
                    self.note_head(route, priority, key, tried == 0);
                    return true;
                }
                Placed::Over => return true, // It was refused: the action is queued.
                Placed::Not(until) => ready_at = ready_at.min(until),
            }
            if tried == 0 {
                self.note_stuck(now, route, priority, key);
                if ready_at <= now + PATIENCE {
                    break;
                }
                room.holds_gather = stuck;
            }
            tried += 1;
        }
        // Never ask again at once: whatever says "now" and refuses is asked in a millisecond.
        let soonest = now + std::time::Duration::from_millis(1);
        self.routes[route].queue.class_mut(priority).blocked_until = ready_at.max(soonest);
        false
    }

    /// The first in line, or one of those behind it who may fit where it does not.
    fn nth_in_line(&self, route: usize, priority: Priority, nth: usize) -> Option<Key> {
        let class = self.routes[route].queue.class(priority);
        match nth {
            0 => class.head(),
            1..LOOK_AHEAD => class.first(LOOK_AHEAD).nth(nth),
            _ => None,
        }
    }

    fn is_stuck(&self, now: Time, route: usize, priority: Priority, key: Key) -> bool {
        let stuck = self.routes[route].queue.class(priority).stuck;
        stuck.is_some_and(|(head, since)| head == key && RESERVE_AFTER <= now.since(since))
    }

    fn note_stuck(&mut self, now: Time, route: usize, priority: Priority, key: Key) {
        let stuck = &mut self.routes[route].queue.class_mut(priority).stuck;
        if stuck.is_none_or(|(head, _)| head != key) {
            *stuck = Some((key, now));
        }
    }

    fn note_head(&mut self, route: usize, priority: Priority, key: Key, was_head: bool) {
        let class = self.routes[route].queue.class_mut(priority);
        if was_head && class.stuck.is_some_and(|(head, _)| head == key) {
            class.stuck = None;
        }
        // What was kept free for this one is free for others now.
        self.routes[route].queue.unblock();
    }

    /// The heads of higher classes that wait: lower ones may not take what those need.
    fn higher_heads(&self, now: Time, route: usize, priority: Priority) -> [Option<Demand>; 2] {
        [Priority::Interactive, Priority::Normal].map(|higher| {
            let class = self.routes[route].queue.class(higher);
            let waits = higher < priority && now < class.blocked_until;
            class.head().filter(|_| waits).map(|head| self.requests[head].submission.demand)
        })
    }

    /// Sends a request if a lane can take it now.
    fn place(&mut self, now: Time, key: Key, room: &Room) -> Placed {
        let submission = self.requests[key].submission;
        match self.choose_lane(now, key, &submission, room) {
            Choice::Lane(lane, charges) => {
                self.send(now, key, lane, charges);
                Placed::Sent
            }
            Choice::Wait(until) => Placed::Not(until),
            Choice::Never(verdict) => {
                self.finish(key, verdict);
                Placed::Over
            }
        }
    }

    /// The lane with the most room among those of the first tier that can serve in time.
    fn choose_lane(&mut self, now: Time, key: Key, submission: &Submission, room: &Room) -> Choice {
        let route = submission.route.0 as usize;
        let alone = self.lanes_in_service(route).take(2).count() < 2 || self.none_is_well(now, route);
        let mut best: Option<(f64, Lane, Charges)> = None;
        let mut soonest: Option<Time> = None;
        let mut verdict = Verdict::NoUpstream(Class::BadRequest); // Stands for a route without lanes.
        let mut tier_in_time = None;
        for index in 0..self.routes[route].lanes.len() {
            let lane = self.routes[route].lanes[index];
            if self.is_taken_out(&lane) {
                soonest = soonest.or(Some(Time::NEVER)); // Nobody knows when it is put back.
                continue;
            }
            if tier_in_time.is_some_and(|tier| tier != lane.tier) {
                break;
            }
            let (well_at, ready_at, charges) = match self.ask_lane(now, &lane, submission, room, alone) {
                Ok(answer) => answer,
                Err(never) => {
                    verdict = never;
                    continue;
                }
            };
            let room_at = self.limiters[lane.limiter.0 as usize].as_known(now, ready_at);
            if well_at <= now && is_in_time(now, room_at, submission.deadline) {
                tier_in_time = Some(lane.tier);
            }
            let at = well_at.max(ready_at);
            soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
            let score = if at <= now { self.score(now, key, &lane, submission, alone) } else { continue };
            if best.is_none_or(|(known, ..)| known < score) {
                best = Some((score, lane, charges));
            }
        }
        match (best, soonest) {
            (Some((_, lane, charges)), _) => Choice::Lane(lane, charges),
            (None, Some(until)) => Choice::Wait(until),
            (None, None) => Choice::Never(verdict),
        }
    }

    /// When a lane is well, when its limiter has room, and what it would charge; or why it never will.
    fn ask_lane(
        &mut self,
        now: Time,
        lane: &Lane,
        submission: &Submission,
        room: &Room,
        alone: bool,
    ) -> Result<(Time, Time, Charges), Verdict> {
        let breaker = &mut self.upstreams[lane.upstream.0 as usize].breaker;
        if let Some(class) = breaker.out_of_service(now) {
            return Err(Verdict::NoUpstream(class));
        }
        let well_at = breaker.ready_at(now, alone);
        let limiter = &mut self.limiters[lane.limiter.0 as usize];
        let charges = limiter.charges(now, &submission.demand);
        if let Some((dimension, want, limit)) = limiter.too_large(&charges) {
            return Err(Verdict::TooLarge { dimension, want, limit });
        }
        let (hold, gather) = (&room.hold(now, limiter), &room.gather(now, limiter));
        let applicant = Applicant { priority: submission.priority, hold, gather };
        Ok((well_at, limiter.ready_at(now, &applicant, &charges), charges))
    }

    /// More room is better, where it is preferred is best; where it failed last is worse.
    fn score(&mut self, now: Time, key: Key, lane: &Lane, submission: &Submission, alone: bool) -> f64 {
        if alone {
            return 1.0;
        }
        let avoided = self.requests[key].avoid == Some(lane.upstream);
        if submission.prefer == Some(lane.upstream) && !avoided {
            return f64::INFINITY;
        }
        let headroom = self.limiters[lane.limiter.0 as usize].headroom(now).max(0.0);
        let penalty = if avoided { 1e-6 } else { 1.0 };
        (headroom + 1e-9) * f64::from(lane.weight.max(1)) * penalty
    }

    fn none_is_well(&mut self, now: Time, route: usize) -> bool {
        let Self { routes, upstreams, .. } = self;
        let mut well = |lane: &Lane| {
            let upstream = &mut upstreams[lane.upstream.0 as usize];
            !upstream.taken_out && upstream.breaker.ready_at(now, false) <= now
        };
        !routes[route].lanes.iter().any(&mut well)
    }

    /// The lanes of a route but for those that an operator took out.
    pub(super) fn lanes_in_service(&self, route: usize) -> impl Iterator<Item = &Lane> {
        self.routes[route].lanes.iter().filter(|lane| !self.is_taken_out(lane))
    }

    /// Whether any lane could ever take the request.
    pub(super) fn check_route(&mut self, now: Time, submission: &Submission) -> Result<(), Verdict> {
        let Some(route) = self.routes.get(submission.route.0 as usize) else {
            return Err(Verdict::NoUpstream(Class::BadRequest));
        };
        let mut verdict = Verdict::NoUpstream(Class::BadRequest);
        for lane in &route.lanes {
            let limiter = &self.limiters[lane.limiter.0 as usize];
            let charges = limiter.charges(now, &submission.demand);
            let Upstream { breaker, taken_out, .. } = &self.upstreams[lane.upstream.0 as usize];
            if let Some(class) = breaker.out_of_service(now).filter(|_| !*taken_out) {
                verdict = Verdict::NoUpstream(class);
            } else if let Some((dimension, want, limit)) = limiter.too_large(&charges) {
                verdict = Verdict::TooLarge { dimension, want, limit };
            } else {
                return Ok(());
            }
        }
        Err(verdict)
    }

    fn send(&mut self, now: Time, key: Key, lane: Lane, charges: Charges) {
        self.dequeue(key);
        let request = &mut self.requests[key];
        let submission = request.submission;
        request.sent += 1;
        let ordinal = request.sent;
        if ordinal == 1 {
            self.budget.deposit(now);
        }
        self.attempts_made += 1;
        let slot = self.attempts.vacant_key();
        let attempt = attempt_id(self.attempts_made, slot);
        request.state = State::InFlight(slot);
        let upstream = &mut self.upstreams[lane.upstream.0 as usize];
        upstream.in_flight += 1;
        let probe = upstream.breaker.pass(now);
        let limiter = &mut self.limiters[lane.limiter.0 as usize];
        let rates = limiter.rates(now);
        let reservation = limiter.admit(now, submission.priority, charges, attempt);
        self.attempts.insert(Attempt { id: attempt, request: key, lane, reservation, probe, produced: 0 });
        let seconds = charges.iter().zip(rates).map(|(cost, rate)| *cost as f64 / rate).fold(0.0, f64::max);
        let weight = self.weights.get(&submission.tenant).copied().unwrap_or(1);
        let class = self.routes[submission.route.0 as usize].queue.class_mut(submission.priority);
        class.serve(submission.tenant, seconds, weight);
        let request = submission.request;
        let Lane { upstream, tier, .. } = lane;
        self.actions.push_back(Action::Send { request, attempt, upstream, tier, ordinal });
    }
}

/// Whether room at that time is worth waiting for, rather than leaving the request to a later tier.
pub(super) fn is_in_time(now: Time, room_at: Time, deadline: Option<Time>) -> bool {
    room_at <= deadline.unwrap_or(Time::NEVER).min(now + TIER_PATIENCE)
}

/// For whom the others leave room: for those who go first.
struct Room {
    /// The heads of higher classes that wait.
    heads: [Option<Demand>; 2],
    /// The head of the class itself, when it needs much: room is saved up for it ...
    gather: Option<Demand>,
    /// ... and others leave it free.
    holds_gather: bool,
}

impl Room {
    /// What is kept free at a limiter.
    fn hold(&self, now: Time, limiter: &Limiter) -> Charges {
        let gather = self.gather.filter(|_| self.holds_gather);
        let all = self.heads.iter().chain(std::iter::once(&gather)).flatten();
        all.fold(NOTHING, |sum, demand| add(&sum, &usable_by(demand, now, limiter)))
    }

    /// What is saved up there.
    fn gather(&self, now: Time, limiter: &Limiter) -> Charges {
        self.gather.map_or(NOTHING, |demand| usable_by(&demand, now, limiter))
    }
}

/// What a request would take of a limiter; nothing if it never can, so that it waits for others alone.
fn usable_by(demand: &Demand, now: Time, limiter: &Limiter) -> Charges {
    let charges = limiter.charges(now, demand);
    if limiter.too_large(&charges).is_some() { NOTHING } else { charges }
}

/// What became of a request that asked to go.
enum Placed {
    Sent,
    Over,
    Not(Time),
}

/// Where a request may go.
enum Choice {
    Lane(Lane, Charges),
    Wait(Time),
    Never(Verdict),
}

fn add(one: &Charges, other: &Charges) -> Charges {
    std::array::from_fn(|index| one[index].saturating_add(other[index]))
}

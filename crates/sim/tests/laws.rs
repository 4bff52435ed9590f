//! The laws catch those who break them.

use std::collections::{BTreeSet, VecDeque};

use paceline_core::engine::{
    Action, AttemptId, Event, Learned, RequestId, RouteId, Snapshot, UpstreamId, Verdict,
};
use paceline_core::feedback::Class;
use paceline_core::time::Time;
use paceline_sim::laws::Violation;
use paceline_sim::policy::{Briefing, Kind, Policy};
use paceline_sim::run::{run, run_policy};
use paceline_sim::scenario::{Knowledge, Scenario, Until};
use paceline_sim::window::{Binding, MINUTE, Window};
use paceline_sim::workload::Mix;

/// How to misbehave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Crime {
    None,
    SendTheUnknown,
    SendNowhere,
    ReuseNames,
    EndTwice,
    AbortTheUnknown,
    Spin,
    Forget,
    Starve,
    LeakReservations,
    RetryForever,
}

/// Sends everything at once, and commits its crime on the way.
#[derive(Debug)]
struct Criminal {
    crime: Crime,
    actions: VecDeque<Action>,
    starved: Option<Action>,
    flying: BTreeSet<AttemptId>,
    attempts: u64,
    due: Option<Time>,
}

impl Criminal {
    fn start(crime: Crime) -> (Box<dyn Policy>, RouteId) {
        let criminal = Criminal {
            crime,
            actions: VecDeque::new(),
            starved: None,
            flying: BTreeSet::new(),
            attempts: 0,
            due: (crime == Crime::Spin).then_some(Time::ZERO),
        };
        (Box::new(criminal), RouteId(0))
    }

    fn send(&mut self, request: RequestId) {
        self.attempts += u64::from(self.crime != Crime::ReuseNames);
        let attempt = AttemptId(self.attempts);
        let upstream = UpstreamId(if self.crime == Crime::SendNowhere { 7 } else { 0 });
        let action = Action::Send { request, attempt, upstream, tier: 0, ordinal: 1 };
        if self.crime == Crime::Starve && request == RequestId(0) {
            self.starved = Some(action);
            self.due = Some(Time::ZERO + 5 * MINUTE);
        } else {
            self.actions.push_back(action);
        }
        self.flying.insert(attempt);
    }
}

impl Policy for Criminal {
    fn handle_event(&mut self, _now: Time, event: Event) {
        match event {
            Event::Submitted(submission) => {
                let request = submission.request;
                match self.crime {
                    Crime::Forget => {}
                    Crime::SendTheUnknown => self.send(RequestId(request.0 + 1_000_000)),
                    Crime::EndTwice => {
                        let finish = Action::Finish { request, verdict: Verdict::Final(Class::Policy) };
                        self.actions.extend([finish.clone(), finish]);
                    }
                    Crime::AbortTheUnknown => {
                        self.actions.push_back(Action::Abort { attempt: AttemptId(99) });
                        self.send(request);
                    }
                    _ => self.send(request),
                }
            }
            Event::Succeeded { attempt, .. } => {
                self.flying.remove(&attempt);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.due.is_some_and(|due| due <= now) && self.crime != Crime::Spin {
            self.due = None;
            self.actions.extend(self.starved.take());
        }
    }

    fn poll_action(&mut self, _now: Time) -> Option<Action> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    fn snapshot(&self, _now: Time) -> Option<Snapshot> {
        let leaked = usize::from(self.crime == Crime::LeakReservations);
        let retries = if self.crime == Crime::RetryForever { 10_000 } else { 0 };
        Some(Snapshot { in_flight: leaked + self.flying.len(), retries, ..Snapshot::default() })
    }

    fn learned(&self, _now: Time) -> Vec<Vec<Learned>> {
        Vec::new()
    }
}

fn laws_broken_by(crime: Crime) -> BTreeSet<&'static str> {
    let scenario = Scenario::new("crime", Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS);
    let scenario = Scenario {
        mix: Mix { batch: 40, interactive_per_second: 0.0, ..Mix::default() },
        until: Until::AllEnded(20 * MINUTE),
        ..scenario
    };
    let outcome = run_policy(&scenario, 1, &|_: Time, _: &Briefing| Criminal::start(crime));
    outcome.violations.iter().map(|violation: &Violation| violation.law).collect()
}

#[test]
fn each_crime_is_found() {
    let cases = [
        (Crime::None, None),
        (Crime::SendTheUnknown, Some("actions are about what exists")),
        (Crime::SendNowhere, Some("actions are about what exists")),
        (Crime::ReuseNames, Some("attempts have names of their own")),
        (Crime::EndTwice, Some("a request ends once")),
        (Crime::AbortTheUnknown, Some("actions are about what exists")),
        (Crime::Spin, Some("time makes progress")),
        (Crime::Forget, Some("every request ends")),
        (Crime::Starve, Some("waiting is bounded")),
        (Crime::LeakReservations, Some("reservations are conserved")),
        (Crime::RetryForever, Some("the retry budget holds")),
    ];
    for (crime, law) in cases {
        let broken = laws_broken_by(crime);
        match law {
            Some(law) => assert!(broken.contains(law), "{crime:?} broke {broken:?}"),
            None => assert!(broken.is_empty(), "the honest broke {broken:?}"),
        }
    }
}

#[test]
fn a_bucket_that_starts_full_overspends_its_first_minute() {
    let scenario = Scenario::new("", Window::SlidingLog, Binding::Requests, Knowledge::TYPED);
    let start = |now: Time, briefing: &Briefing| paceline_sim::policy::start(Kind::FullBucket, now, briefing);
    let lenient = Scenario { window: Window::MinuteBucket, ..scenario };
    let outcome = run_policy(&lenient, 1, &start);
    assert!(outcome.violations.iter().any(|violation| violation.law == "no window is overspent"));
}

#[test]
fn a_violation_names_scenario_seed_and_time() {
    let scenario = Scenario::new("", Window::MinuteBucket, Binding::Requests, Knowledge::TYPED);
    let start = |now: Time, briefing: &Briefing| paceline_sim::policy::start(Kind::FullBucket, now, briefing);
    let outcome = run_policy(&scenario, 5, &start);
    let text = outcome.violations.first().map(ToString::to_string).unwrap_or_default();
    assert!(text.contains("seed 5, typed, minute bucket, requests at "), "{text}");
}

/// The engine under everything that a minute's batch can show: no law is broken.
#[test]
fn the_engine_breaks_none() {
    for window in Window::all() {
        for binding in Binding::ALL {
            for knowledge in [Knowledge::HEADERS, Knowledge::TYPED, Knowledge::NONE] {
                let scenario = Scenario::new("", window, binding, knowledge);
                let scenario = Scenario { mix: Mix { batch: 900, ..Mix::default() }, ..scenario };
                let violations = run(&scenario, 21).violations;
                assert!(violations.is_empty(), "{}", violations[0]);
            }
        }
    }
}

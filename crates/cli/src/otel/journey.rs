//! Puts the events of each request together, until it ends.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use paceline::core::engine::Verdict;
use paceline::wire::FullUsage;
use paceline::{Asked, Candidate, ClientEvent};

/// Requests that are followed at once; those beyond have no span.
const MOST_FOLLOWED: usize = 100_000;
/// The end of a request that is under way for longer was lost.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);

/// One attempt.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) to: Candidate,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) error: Option<&'static str>,
    over: bool,
}

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) asked: Asked,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) waited: Duration,
    pub(super) legs: Vec<Leg>,
    pub(super) usage: Option<FullUsage>,
    pub(super) error: Option<&'static str>,
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Journeys(HashMap<u64, Journey>);

impl Journeys {
    /// Takes an event that happened `at` a time; the request with it, if that was its end.
    pub(super) fn take(&mut self, at: SystemTime, event: ClientEvent) -> Option<Journey> {
        match event {
            ClientEvent::Sent { request, to, asked, .. } => {
                self.sent(at, request, to, asked);
                None
            }
            ClientEvent::Throttled { request, class, .. } | ClientEvent::Failed { request, class, .. } => {
                self.0.get_mut(&request)?.end_leg(at, Some(class.name()));
                None
            }
            ClientEvent::Finished { request, usage, .. } => {
                let journey = self.0.remove(&request)?;
                Some(Journey { usage, ..journey.end(at, None) })
            }
            ClientEvent::Broken { request, class, .. } => {
                Some(self.0.remove(&request)?.end(at, Some(class.name())))
            }
            ClientEvent::Refused { request, verdict, asked } => {
                let journey = self.0.remove(&request).unwrap_or_else(|| Journey::new(at, asked));
                Some(journey.end(at, Some(error(verdict))))
            }
            ClientEvent::Canceled { request, asked } => {
                let journey = self.0.remove(&request).unwrap_or_else(|| Journey::new(at, asked));
                Some(journey.end(at, Some("canceled")))
            }
            _ => None,
        }
    }

    fn sent(&mut self, at: SystemTime, request: u64, to: Candidate, asked: Asked) {
        if self.0.len() >= MOST_FOLLOWED {
            let is_young =
                |journey: &Journey| at.duration_since(journey.began).is_ok_and(|age| age < LONGEST);
            self.0.retain(|_, journey| is_young(journey));
            if self.0.len() >= MOST_FOLLOWED {
                return;
            }
        }
        let waited = asked.age;
        let journey = self.0.entry(request).or_insert_with(|| Journey::new(at, asked));
        journey.waited = waited;
        journey.end_leg(at, None); // Whose end was lost.
        journey.legs.push(Leg { to, began: at, ended: at, error: None, over: false });
    }
}

impl Journey {
    fn new(at: SystemTime, asked: Asked) -> Self {
        let (began, waited) = (at.checked_sub(asked.age).unwrap_or(at), asked.age);
        Self { asked, began, ended: at, waited, legs: Vec::new(), usage: None, error: None }
    }

    fn end_leg(&mut self, at: SystemTime, error: Option<&'static str>) {
        if let Some(leg) = self.legs.last_mut().filter(|leg| !leg.over) {
            (leg.ended, leg.error, leg.over) = (at, error, true);
        }
    }

    fn end(mut self, at: SystemTime, error: Option<&'static str>) -> Self {
        self.end_leg(at, error);
        Self { ended: at, error, ..self }
    }
}

/// What a verdict is called.
fn error(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Final(class)
        | Verdict::AttemptsExhausted(class)
        | Verdict::BudgetExhausted(class)
        | Verdict::NoUpstream(class) => class.name(),
        Verdict::TooLate { .. } => "too_late",
        Verdict::TooLarge { .. } => "too_large",
        Verdict::QueueFull => "queue_full",
    }
}

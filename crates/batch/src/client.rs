//! Sends jobs through the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paceline::{Candidate, Client, Failed, Priority, Request, Response, SendError, Trip};
use paceline_core::feedback::Class;
use paceline_usage::{Begun, Ended, Expected, Leave, Ledger, Record};
use paceline_wire::Endpoint;
use paceline_wire::line::{Line, When};
use paceline_wire::price::MicroUsd;
use paceline_wire::provider::Provider;
use paceline_wire::request::{self, Peek};
use paceline_wire::usage::FullUsage;
use tokio::time::Instant;

use crate::sender::{Answer, End, Reply, Sender, Start};

/// A client, with what the batch has to know beside it.
#[derive(Clone)]
pub struct ClientSender {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    to: Option<String>,
    providers: HashMap<String, Provider>,
    ledger: Option<Ledger>,
    begun: (Instant, Duration), // One moment on both clocks.
    priced: Mutex<Option<PricesAsOf>>,
    /// Attempts that wait for their leave.
    held_up: Mutex<usize>,
}

/// The days on which the prices held that answers were priced by, as `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricesAsOf {
    /// The oldest.
    pub oldest: String,
    /// The newest.
    pub newest: String,
}

impl ClientSender {
    /// Sends through `client`. `to` names an upstream or pool, for jobs that their model doesn't lead anywhere.
    /// `providers` are the upstreams' providers, by the upstreams' names: they tell what answers cost. The client is
    /// paused for as long as results can't be written as fast as they come. Each job is recorded in `ledger`, if there is one.
    pub fn new(
        client: Client,
        to: Option<String>,
        providers: HashMap<String, Provider>,
        ledger: Option<Ledger>,
    ) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = (Instant::now(), unix);
        let (priced, held_up) = (Mutex::new(None), Mutex::new(0));
        Self { shared: Arc::new(Shared { client, to, providers, ledger, begun, priced, held_up }) }
    }

    /// How old the prices are that answers were priced by so far; `None` before the first.
    pub fn prices_as_of(&self) -> Option<PricesAsOf> {
        self.shared.priced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for ClientSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSender").field("to", &self.shared.to).finish_non_exhaustive()
    }
}

impl Sender for ClientSender {
    async fn send(&self, job: Arc<Line>, start: Start) -> Reply {
        let (asked, answered, retried) = (start.clone(), start.clone(), start.clone());
        let shared = self.shared.clone();
        let recorded = self.shared.record(&job);
        let record = recorded.as_ref().map(|recorded| recorded.record.leave());
        let ask = move || leave(shared.clone(), asked.clone(), record.clone());
        let request = self.shared.request(&job).before_send(ask);
        let request = request
            .on_answer(move || answered.answered())
            .on_retry(move |maybe_billed| retried.failed(maybe_billed));
        match self.shared.client.send(request).await {
            Ok(response) => {
                if let Some(Recorded { record, candidates }) = recorded {
                    record.end(Ended::answered(&response.trip, response.usage.as_ref(), &candidates));
                }
                self.shared.answered(response)
            }
            Err(error) => {
                if let Some(Recorded { record, candidates }) = recorded {
                    record.end(Ended::failed(&error, &candidates));
                }
                if let SendError::Failed(failed) = &error {
                    start.failed(failed.maybe_billed);
                }
                self.shared.failed(error)
            }
        }
    }

    fn unpriced(&self, job: &Line) -> Option<String> {
        let model = model(job);
        let candidates = self.shared.client.candidates(self.shared.to.as_deref(), &job.path, &model);
        let unpriced = candidates.iter().find(|one| one.provider().price(one.model()).is_none())?;
        Some(unpriced.model().to_owned())
    }
}

/// Whether an attempt may go out. While one has to wait, the client starts no others: all that it would pace meanwhile
/// would go out at once afterwards.
async fn leave(shared: Arc<Shared>, start: Start, record: Option<Leave>) -> bool {
    let mut leave = std::pin::pin!(start.may_go());
    let goes = tokio::select! {
        biased;
        goes = &mut leave => goes,
        () = std::future::ready(()) => {
            let _pause = Pause::begin(shared);
            leave.await
        }
    };
    match record {
        Some(record) if goes => record.goes_out().await,
        _ => goes,
    }
}

/// A job on its way, in the usage ledger.
struct Recorded {
    record: Record,
    candidates: Vec<Candidate>,
}

/// The client is paused while any of these is there.
struct Pause(Arc<Shared>);

impl Pause {
    fn begin(shared: Arc<Shared>) -> Self {
        let mut held_up = shared.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        if *held_up == 0 {
            shared.client.pause();
        }
        *held_up += 1;
        drop(held_up);
        Self(shared)
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let mut held_up = self.0.held_up.lock().unwrap_or_else(PoisonError::into_inner);
        *held_up -= 1;
        if *held_up == 0 {
            self.0.client.resume();
        }
    }
}

impl Shared {
    fn request(&self, job: &Line) -> Request {
        let options = &job.options;
        let mut request = Request::new(job.path.clone(), job.body.clone())
            .priority(options.priority.unwrap_or(Priority::Batch))
            .tenant(options.tenant.clone().unwrap_or_default());
        if let Some(to) = &self.to {
            request = request.to(to.clone());
        }
        if let Some(at) = options.not_before {
            request = request.not_before(self.instant(at));
        }
        if let Some(at) = options.deadline {
            request = request.deadline(self.instant(at));
        }
        request
    }

    /// Begins the job's record, where there is a ledger.
    fn record(&self, job: &Line) -> Option<Recorded> {
        let ledger = self.ledger.as_ref()?;
        let peek = peek(job);
        let model = peek.as_ref().and_then(|peek| peek.model.as_deref()).unwrap_or_default();
        let candidates = self.client.candidates(self.to.as_deref(), &job.path, model);
        let record = ledger.begin(Begun {
            name: job.id.clone(),
            model: model.to_owned(),
            caller: job.options.tenant.clone().unwrap_or_default().into(),
            priority: job.options.priority.unwrap_or(Priority::Batch),
            reserved: peek.as_ref().and_then(|peek| Expected::of(peek, &candidates).cost),
        });
        Some(Recorded { record, candidates })
    }

    /// A point in time on the clock that never jumps. What lies in the past counts as now.
    fn instant(&self, when: When) -> Instant {
        let (begun, unix) = self.begun;
        let after = when.unix(unix).saturating_sub(unix);
        begun.checked_add(after).unwrap_or_else(|| begun + Duration::from_secs(60 * 60 * 24 * 365))
    }

    fn cost(&self, trip: &Trip, usage: Option<&FullUsage>) -> Option<MicroUsd> {
        let usage = usage?;
        let price = self.providers.get(&*trip.upstream)?.price_for(&trip.model, usage)?;
        let cost = price.of(usage);
        let mut priced = self.priced.lock().unwrap_or_else(PoisonError::into_inner);
        let (oldest, newest) = (price.as_of.clone(), price.as_of.clone());
        *priced = Some(match priced.take() {
            Some(known) => PricesAsOf { oldest: known.oldest.min(oldest), newest: known.newest.max(newest) },
            None => PricesAsOf { oldest, newest },
        });
        Some(cost)
    }

    fn answered(&self, response: Response) -> Reply {
        let trip = response.trip;
        Reply {
            cost: self.cost(&trip, response.usage.as_ref()),
            usage: response.usage,
            attempts: trip.attempts,
            throttled: trip.throttled,
            end: End::Answered(Answer {
                status: response.status.as_u16(),
                request_id: trip.request_id,
                body: response.body,
            }),
        }
    }

    fn failed(&self, error: SendError) -> Reply {
        let message = error.to_string();
        let failed = |class, passing| End::Failed { class, message: message.clone(), answer: None, passing };
        match error {
            SendError::Failed(failed) => self.failed_there(*failed, message),
            SendError::TooLate { .. } => Reply::of(End::Expired),
            SendError::NoUpstream { class } => Reply::of(no_upstream(class, message)),
            SendError::TooLarge { .. } => Reply::of(failed(Some(Class::TooBig), false)),
            SendError::QueueFull => Reply::of(failed(Some(Class::Overloaded), true)),
            SendError::Closed | SendError::Vetoed => Reply::of(End::Withdrawn),
            _ => Reply::of(failed(None, false)),
        }
    }

    fn failed_there(&self, failed: Failed, message: String) -> Reply {
        let cost = self.cost(&failed.trip, failed.usage.as_ref());
        let trip = failed.trip;
        let answer = failed.status.map(|status| Answer {
            status: status.as_u16(),
            request_id: trip.request_id,
            body: failed.body,
        });
        let end = match failed.end {
            paceline::End::NoUpstream => no_upstream(failed.class, message),
            paceline::End::Deadline(_) => End::Expired,
            _ => {
                End::Failed { passing: is_passing(failed.class), class: Some(failed.class), message, answer }
            }
        };
        Reply { end, attempts: trip.attempts, throttled: trip.throttled, usage: failed.usage, cost }
    }
}

/// Nobody can take the job. When a credential is at fault, none of the others will fare better until somebody does
/// something; else it may pass.
fn no_upstream(class: Class, message: String) -> End {
    match is_passing(class) {
        true => End::Failed { class: Some(class), message, answer: None, passing: true },
        false => End::NoUpstream { class, message },
    }
}

/// The fault lies with the provider or the way there, and may be gone later.
fn is_passing(class: Class) -> bool {
    matches!(
        class,
        Class::Transient | Class::Overloaded | Class::Throttled | Class::Ramp | Class::Concurrency
    )
}

/// The model that the body asks for; empty when it names none.
fn model(job: &Line) -> String {
    peek(job).and_then(|peek| peek.model.map(std::borrow::Cow::into_owned)).unwrap_or_default()
}

/// What the body asks for, as far as it can be read.
fn peek(job: &Line) -> Option<Peek<'_>> {
    let endpoint = Endpoint::from_path(&job.path);
    let dialect = match endpoint {
        Endpoint::Messages | Endpoint::CountTokens => paceline_wire::Dialect::Anthropic,
        _ => paceline_wire::Dialect::OpenAi,
    };
    request::peek(dialect, endpoint, &job.body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_fault_of_others_passes() {
        for (class, passing) in [
            (Class::Transient, true),
            (Class::Overloaded, true),
            (Class::Auth, false),
            (Class::Money, false),
            (Class::Daily, false),
            (Class::BadRequest, false),
        ] {
            assert_eq!(is_passing(class), passing, "{class:?}");
            assert_eq!(
                matches!(no_upstream(class, String::new()), End::NoUpstream { .. }),
                !passing,
                "{class:?}"
            );
        }
    }

    #[test]
    fn the_model_is_read_from_any_body() {
        let line = |path: &'static str, body: &'static str| Line {
            id: "a".to_owned(),
            family: paceline_wire::line::Family::Body,
            path: path.into(),
            body: body.into(),
            options: Default::default(),
        };
        assert_eq!(model(&line("/v1/messages", r#"{"model":"claude-x","messages":[]}"#)), "claude-x");
        assert_eq!(model(&line("/v1/embeddings", r#"{"input":"x","model":"e"}"#)), "e");
        assert_eq!(model(&line("/v1/messages", "garbage")), "");
    }
}

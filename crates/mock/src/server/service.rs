//! One request, from its head to the body that answers it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use paceline_core::time::Time;
use serde_json::{Value, json};

use super::pieces::{self, Trouble};
use super::provider::Provider;
use super::reply::Reply;
use super::socket::Rudeness;
use super::telling::{BrokenOff, Telling};
use super::track::Track;
use crate::accounts::{Caller, Decision, key_of};
use crate::answer::{Answer, models_anthropic, models_openai, request_id};
use crate::asked::{Asked, Endpoint};
use crate::headers::Header;
use crate::log::{Outcome, Record, fingerprint};
use crate::model::Call;
use crate::problem::{self, Problem};
use crate::profile::{Dialect, Manners};
use crate::script::{Chosen, Disguises, Facts, Fault};

/// The largest body that is read.
const MAX_BODY: usize = 32 << 20;

/// Answers one request; an error ends the connection without a word.
pub(super) async fn serve(
    provider: Arc<Provider>,
    rudeness: Rudeness,
    request: Request<Incoming>,
) -> Result<Response<Telling>, BrokenOff> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => None,
        Err(_) => return Err(BrokenOff),
    };
    let visit = Visit::new(provider, rudeness, head, body.as_deref().unwrap_or_default());
    match body {
        Some(body) => visit.answer(&body).await,
        None => {
            let problem = problem::body_too_large(visit.dialect);
            Ok(visit.refuse(&problem, Outcome::Rejected, Vec::new()))
        }
    }
}

/// A request whose answer is being decided.
struct Visit {
    provider: Arc<Provider>,
    rudeness: Rudeness,
    head: Parts,
    endpoint: Option<Endpoint>,
    dialect: Dialect,
    /// The call's number, which names it to the meters.
    call: u64,
    attempt: u32,
    request_id: String,
    /// Chance that differs from call to call: identifiers, odd headers.
    rng: Rng,
    track: Track,
}

impl Visit {
    fn new(provider: Arc<Provider>, rudeness: Rudeness, head: Parts, body: &[u8]) -> Self {
        let endpoint = Endpoint::of(&head.method, head.uri.path());
        let dialect = endpoint.map_or(provider.profile.dialect, |endpoint| endpoint.dialect(&head.headers));
        let call = provider.next_call();
        let mut rng = Rng::with_seed(provider.seed ^ call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let request_id = request_id(dialect, &mut rng);
        let attempt = if body.is_empty() { 1 } else { provider.director().attempt(body) };
        let record = Record {
            call,
            at: provider.clock.now().as_secs_f64(),
            end: 0.0,
            id: request_id.clone(),
            key: key_of(&head.headers).map(|key| fingerprint(key.as_bytes())).unwrap_or_default(),
            organization: String::new(),
            project: None,
            path: head.uri.path().to_owned(),
            model: String::new(),
            marker: fingerprint(body),
            attempt,
            stream: false,
            input_tokens: 0,
            prompt_tokens: 0,
            output_tokens: 0,
            status: 0,
            refused: None,
            fault: None,
            outcome: Outcome::ClientGone,
        };
        let track = Track::new(Arc::clone(&provider), record);
        Visit { provider, rudeness, head, endpoint, dialect, call, attempt, request_id, rng, track }
    }

    async fn answer(mut self, body: &[u8]) -> Result<Response<Telling>, BrokenOff> {
        let Some(endpoint) = self.endpoint else {
            let problem =
                problem::unknown_path(self.dialect, self.head.method.as_str(), self.head.uri.path());
            return Ok(self.refuse(&problem, Outcome::Rejected, Vec::new()));
        };
        if endpoint == Endpoint::Root {
            return Ok(self.say(json!({"name": "paceline mock"})));
        }
        let key = key_of(&self.head.headers).map(str::to_owned);
        let caller = key.as_deref().and_then(|key| Caller::of(&self.provider.accounts, key));
        let (Some(key), Some(caller)) = (&key, caller) else {
            let problem = problem::unauthorized(self.dialect, key.is_some());
            return Ok(self.refuse(&problem, Outcome::Rejected, Vec::new()));
        };
        self.track.note(|record| {
            record.organization.clone_from(&caller.organization);
            record.project = caller.project.as_ref().map(|(name, _)| name.clone());
        });
        if endpoint == Endpoint::Models {
            let anthropic = self.dialect == Dialect::Anthropic;
            return Ok(self.say(if anthropic { models_anthropic() } else { models_openai() }));
        }
        let asked = match Asked::read(endpoint, body) {
            Ok(asked) => asked,
            Err(invalid) => {
                let problem = Problem {
                    param: invalid.param,
                    code: invalid.code,
                    ..Problem::new(400, "invalid_request_error", invalid.message)
                };
                return Ok(self.refuse(&problem, Outcome::Rejected, Vec::new()));
            }
        };
        self.track.note(|record| {
            record.model.clone_from(&asked.model);
            record.prompt_tokens = asked.input_tokens;
            record.stream = asked.stream;
        });
        let chosen = self.choose(key, &asked, body);
        self.meet(endpoint, asked, &caller, chosen).await
    }

    /// Asks the script.
    fn choose(&mut self, key: &str, asked: &Asked, body: &[u8]) -> Chosen {
        let facts = Facts {
            since_start: self.provider.clock.now().since(Time::ZERO),
            path: self.head.uri.path(),
            key,
            model: &asked.model,
            body,
            attempt: self.attempt,
            stream: asked.stream,
        };
        let mut chosen = self.provider.director().choose(&facts);
        let streams_only = |fault: Fault| matches!(fault, Fault::StreamErrorFirst | Fault::StreamErrorMid);
        chosen.trouble = chosen.trouble.filter(|(fault, _)| asked.stream || !streams_only(*fault));
        let name = chosen.trouble.as_ref().map(|(fault, _)| fault.name());
        self.track.note(|record| record.fault = name);
        chosen
    }

    /// Trouble before the meters are reached, then the meters, then the answer.
    async fn meet(
        mut self,
        endpoint: Endpoint,
        asked: Asked,
        caller: &Caller,
        chosen: Chosen,
    ) -> Result<Response<Telling>, BrokenOff> {
        if let Some((fault, details)) = &chosen.trouble {
            if let Some(problem) = fault.problem(self.dialect, details, &asked.model) {
                return Ok(self.refuse(&problem, Outcome::Fault, Vec::new()));
            }
            match fault {
                Fault::ResetBeforeHeaders | Fault::CloseBeforeHeaders => {
                    if *fault == Fault::ResetBeforeHeaders {
                        self.rudeness.reset();
                    }
                    self.track.end(Outcome::Fault);
                    return Err(BrokenOff);
                }
                Fault::Hang => match details.wait {
                    Some(wait) => self.wait_until(self.provider.clock.now() + wait).await,
                    None => std::future::pending().await,
                },
                _ => {}
            }
        }
        let seed = asked.identity ^ self.provider.seed;
        let token = std::iter::repeat_with(|| self.rng.alphanumeric()).take(24).collect();
        let profile = &self.provider.profile;
        let answer = Answer::compose(profile, endpoint, asked, seed, token, self.provider.clock.unix());
        let mut call = answer.call(profile, self.call);
        call.token_every /= u32::try_from(answer.asked.parts).unwrap_or(1).max(1);
        self.admit(answer, call, caller, chosen).await
    }

    async fn admit(
        mut self,
        answer: Answer,
        call: Call,
        caller: &Caller,
        chosen: Chosen,
    ) -> Result<Response<Telling>, BrokenOff> {
        let now = self.provider.clock.now();
        self.provider.make_changes(now);
        let counting = answer.endpoint.counts();
        let pool = self.provider.profile.pool(&answer.asked.model);
        let pool = if counting { "(token counting)" } else { pool };
        let decision = self.provider.meters(counting).admit(now, caller, pool, &call);
        let limits = self.limit_headers(&decision, &chosen.disguises);
        if let Some(refused) = decision.refused {
            let name = refused.dimension.map_or("in_flight", |dimension| dimension.name());
            self.track.note(|record| record.refused = Some(name.to_owned()));
            let azure = self.dialect == Dialect::OpenAi && self.provider.profile.manners == Manners::Azure;
            let problem = match azure {
                true => problem::azure_throttled(&refused),
                false => {
                    problem::throttled(self.dialect, &refused, &answer.asked.model, &caller.organization)
                }
            };
            return Ok(self.refuse(&problem, Outcome::Refused, limits));
        }
        self.track.admitted(now, call, counting, decision.meters);
        let mut headers = limits;
        headers.extend(self.identity(caller));
        Ok(self.deliver(answer, call, now, headers, chosen).await)
    }

    /// Waits as a model would, then hands over the answer with its trouble.
    async fn deliver(
        mut self,
        answer: Answer,
        call: Call,
        start: Time,
        mut headers: Vec<Header>,
        chosen: Chosen,
    ) -> Response<Telling> {
        let Chosen { trouble, disguises } = chosen;
        let clock = self.provider.clock;
        let first = start + call.first_token_after;
        let last_tokens = u32::try_from(call.output_tokens.saturating_sub(1)).unwrap_or(u32::MAX);
        let last = first + call.token_every.saturating_mul(last_tokens);
        if answer.asked.stream && !spoils(&trouble) {
            self.wait_until(first).await;
            self.success_headers(&mut headers, clock.now().since(start));
            let end = outcome(&trouble);
            let pieces = pieces::stream(Arc::new(answer), call, start, clock, (trouble, disguises));
            let content = "text/event-stream; charset=utf-8";
            return self.reply(200, content, headers).send(pieces, None, end);
        }
        self.wait_until(last).await;
        self.success_headers(&mut headers, clock.now().since(start));
        let end = outcome(&trouble);
        let body = spoiled(&trouble).unwrap_or_else(|| answer.whole().to_string());
        let (pieces, size) = pieces::whole(Bytes::from(body), clock.now(), &trouble, &disguises);
        self.reply(200, "application/json", headers).send(pieces, Some(size), end)
    }

    async fn wait_until(&self, at: Time) {
        if self.provider.clock.now() < at {
            self.provider.clock.sleep_until(at).await;
        }
    }

    fn limit_headers(&mut self, decision: &Decision, disguises: &Disguises) -> Vec<Header> {
        if disguises.has(Fault::NoLimitHeaders) {
            return Vec::new();
        }
        let odd = self.provider.odd_headers && self.rng.u32(..5) == 0;
        let (manners, unix) = (self.provider.profile.manners, self.provider.clock.unix());
        super::reply::limit_headers(self.dialect, manners, decision, unix, odd)
    }

    /// Whom the call was counted for.
    fn identity(&self, caller: &Caller) -> Vec<Header> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let project = caller.project.as_ref().map(|(name, _)| name.as_str());
        match self.dialect {
            Dialect::Anthropic => {
                let uuid = problem::organization_uuid(&caller.organization);
                let mut headers = vec![header("anthropic-organization-id", &uuid)];
                headers.extend(project.map(|name| header("anthropic-workspace-id", name)));
                headers
            }
            Dialect::OpenAi => vec![
                header("openai-organization", &caller.organization),
                header("openai-project", project.unwrap_or("proj_mock")),
                header("openai-version", "2020-10-01"),
            ],
        }
    }

    fn success_headers(&mut self, headers: &mut Vec<Header>, took: Duration) {
        let millis = took.as_millis().to_string();
        match self.dialect {
            Dialect::Anthropic => {
                if self.provider.odd_headers {
                    headers.push(("retry-after".to_owned(), self.rng.u32(12..=61).to_string()));
                }
                headers.push(("x-envoy-upstream-service-time".to_owned(), millis));
            }
            Dialect::OpenAi => headers.push(("openai-processing-ms".to_owned(), millis)),
        }
    }

    fn say(self, body: Value) -> Response<Telling> {
        let (pieces, size) =
            pieces::whole(Bytes::from(body.to_string()), Time::ZERO, &None, &Disguises::default());
        self.reply(200, "application/json", Vec::new()).send(pieces, Some(size), Outcome::Completed)
    }

    fn refuse(self, problem: &Problem, outcome: Outcome, mut headers: Vec<Header>) -> Response<Telling> {
        headers.extend(problem.retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
        headers.extend(problem.should_retry.map(|should| ("x-should-retry".to_owned(), should.to_string())));
        headers.extend(problem.retry_after_ms.map(|ms| ("retry-after-ms".to_owned(), ms.to_string())));
        let (content, body) = problem.render(self.dialect, &self.request_id);
        let (pieces, size) = pieces::whole(Bytes::from(body), Time::ZERO, &None, &Disguises::default());
        self.reply(problem.status, content, headers).send(pieces, Some(size), outcome)
    }

    fn reply(mut self, status: u16, content: &'static str, headers: Vec<Header>) -> Reply {
        self.track.note(|record| record.status = status);
        let head_only = self.head.method == http::Method::HEAD;
        Reply {
            status,
            content,
            headers,
            request_id: self.request_id,
            dialect: self.dialect,
            clock: self.provider.clock,
            rudeness: self.rudeness,
            track: self.track,
            head_only,
            azure: self.provider.profile.manners == Manners::Azure,
        }
    }
}

/// The trouble replaces the whole answer, streamed or not.
fn spoils(trouble: &Trouble) -> bool {
    matches!(trouble, Some((Fault::ErrorIn200 | Fault::Garbage | Fault::Empty, _)))
}

fn spoiled(trouble: &Trouble) -> Option<String> {
    let (fault, details) = trouble.as_ref()?;
    let message = details.message.as_deref().unwrap_or("Provider returned error");
    match fault {
        Fault::ErrorIn200 => Some(json!({"error": {"code": 502, "message": message}}).to_string()),
        Fault::Garbage => Some("<!doctype html>\u{0}\u{1b}[2J{\"choices\": [".to_owned()),
        Fault::Empty => Some(String::new()),
        _ => None,
    }
}

/// How a call with this trouble ends when all is said. One that only came late is complete.
fn outcome(trouble: &Trouble) -> Outcome {
    match trouble {
        None | Some((Fault::Hang | Fault::Stall, _)) => Outcome::Completed,
        Some(_) => Outcome::Fault,
    }
}

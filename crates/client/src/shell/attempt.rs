//! One attempt: builds the request, runs the exchange, reads what came of it, and reports.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use paceline_core::engine::AttemptId;
use paceline_core::feedback::LimitSeen;
use paceline_wire::response::{self, Reading};
use paceline_wire::{FullUsage, class, limits, request};
use tokio::sync::mpsc;

use super::Message;
use super::clock::wall_clock;
use super::requests::Loss;
use super::stream;
use crate::answer::Opened;
use crate::directory::Place;
use crate::net::{Answer, ConnectionPool, Fault, Link, Patience, exchange};
use crate::upstream::Timeouts;
use crate::work::Work;

/// The most that a whole answer may weigh. Streams have no bound.
pub(super) const ANSWER_CAP: usize = 64 << 20;
/// The most that is read of an answer that says no.
const REFUSAL_CAP: usize = 1 << 20;

/// What an attempt tells the loop.
pub(crate) enum Report {
    /// The head says success so far.
    Head { limits: Vec<LimitSeen>, organisation: Option<String> },
    /// So many tokens came in all.
    Produced(u64),
    /// The stream begins well: hand it over.
    Opened(Opened),
    /// It ended well. A stream has no answer left to show.
    Succeeded { usage: Option<FullUsage>, answer: Option<WholeAnswer> },
    /// It failed.
    Failed(Box<Loss>),
    /// The caller of a stream has left.
    Left,
    /// The caller said no: nothing was sent.
    Vetoed,
}

/// A whole answer.
pub(crate) struct WholeAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// One attempt.
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) work: Arc<Work>,
    pub(super) place: Arc<Place>,
    /// The model's name there, when it differs.
    pub(super) send_as: Option<Arc<str>>,
    pub(super) fresh: bool,
    /// It is open which organisation the credential belongs to.
    pub(super) asks_whose: bool,
    /// The caller wants the answer as it comes.
    pub(super) streaming: bool,
    pub(super) timeouts: Timeouts,
    pub(super) pool: ConnectionPool,
    pub(super) mailbox: mpsc::UnboundedSender<Message>,
}

/// How an attempt ended, with the connection when it can be used again.
pub(super) struct Ended {
    pub(super) report: Report,
    pub(super) link: Option<Link>,
}

impl Ended {
    pub(super) fn failed(loss: Loss) -> Self {
        Self { report: Report::Failed(Box::new(loss)), link: None }
    }
}

impl Attempt {
    /// Runs it to its end. Reports exactly one end, even if it panics.
    pub(super) async fn run(self) {
        let mut end = LastWord { attempt: self.id, mailbox: self.mailbox.clone(), said: false };
        let ended = self.attempt().await.unwrap_or_else(|fault| Ended::failed(Loss::broken(fault)));
        if let (Report::Succeeded { .. }, Some(on_answer)) = (&ended.report, &self.work.on_answer) {
            on_answer.tell();
        }
        // The connection goes first, so that whoever the report sets going finds it at rest.
        let unrested = ended.link.and_then(|link| self.pool.give_back(link).err());
        end.say(ended.report);
        if let Some(link) = unrested {
            self.pool.give_back_soon(link).await;
        }
    }

    async fn attempt(&self) -> Result<Ended, Fault> {
        let place = &self.place;
        let request = self.request().ok_or(Fault::Unsendable)?;
        if let Some(ask) = &self.work.before_send
            && !ask.allows().await
        {
            return Ok(Ended { report: Report::Vetoed, link: None });
        }
        let patience = Patience::new(self.timeouts);
        let answer = exchange(&self.pool, &place.origin, request, self.fresh, patience).await?;
        let limits = limits::read(&place.provider, &answer.headers, wall_clock());
        if !answer.status.is_success() {
            return Ok(self.refusal(answer, limits).await);
        }
        self.report(Report::Head { limits, organisation: self.organisation(&answer.headers) });
        match stream::is_stream(&answer.headers) {
            // Boxed: whole answers do without the room it takes.
            true => Ok(Box::pin(stream::read(self, answer)).await),
            false => Ok(self.whole(answer).await),
        }
    }

    /// The organisation that the credential belongs to, when that is news.
    fn organisation(&self, headers: &HeaderMap) -> Option<String> {
        let named = self.asks_whose.then(|| response::organisation(&self.place.provider, headers));
        named.flatten().map(str::to_owned)
    }

    /// What an answer says, without fragments of the credential.
    pub(super) fn mask(&self, body: Bytes) -> Bytes {
        self.place.mask(self.work.presented.as_ref(), body)
    }

    pub(super) fn report(&self, report: Report) {
        // The loop is gone only when everything is; this task is about to follow.
        let _ = self.mailbox.send(Message::Report(self.id, report));
    }

    /// The request on the wire, built anew: what the caller passed on, our own headers, the upstream's.
    fn request(&self) -> Option<Request<Full<Bytes>>> {
        let place = &self.place;
        let body = match &self.send_as {
            Some(model) if **model != *self.work.model => request::set_model(&self.work.body, model).ok()?,
            _ => self.work.body.clone(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.work.method.clone();
        *request.uri_mut() = place.path(&self.work.path)?;
        *request.headers_mut() = place.headers(&self.work.headers);
        if let Some(presented) = &self.work.presented {
            presented.replace_in(request.headers_mut(), place.provider.auth);
        }
        Some(request)
    }

    async fn whole(&self, mut answer: Answer) -> Ended {
        match answer.body.whole(&answer.headers, ANSWER_CAP).await {
            Ok(body) => self.judge(answer, body),
            Err(fault) => Ended::failed(Loss { status: Some(answer.status), ..Loss::broken(fault) }),
        }
    }

    fn judge(&self, answer: Answer, body: Bytes) -> Ended {
        let Answer { status, headers, body: rest } = answer;
        let provider = &self.place.provider;
        let reading =
            response::read(provider, self.work.endpoint, status.as_u16(), &headers, &body, wall_clock());
        let report = match reading {
            Reading::Success { usage } if self.streaming => {
                // The upstream ignored that a stream was asked for. The answer is whole, so it is a stream of one piece.
                self.report(Report::Opened(stream::of_one(status, headers, body, usage)));
                Report::Succeeded { usage, answer: None }
            }
            Reading::Success { usage } => {
                Report::Succeeded { usage, answer: Some(WholeAnswer { status, headers, body }) }
            }
            Reading::Failure { failure, message, usage } => {
                let body = self.mask(body);
                let loss =
                    Loss { status: Some(status), headers, body, ..Loss::refused(failure, message, usage) };
                Report::Failed(Box::new(loss))
            }
        };
        Ended { report, link: Some(rest.into_link()) }
    }

    /// An answer whose status says no. What its body says is worth having, but not worth failing over.
    async fn refusal(&self, mut answer: Answer, limits: Vec<LimitSeen>) -> Ended {
        let read = answer.body.whole(&answer.headers, REFUSAL_CAP).await;
        let whole = read.is_ok();
        let body = read.unwrap_or_default();
        let Answer { status, headers, body: rest } = answer;
        let provider = &self.place.provider;
        let failure = class::read(provider, status.as_u16(), &headers, &body, wall_clock());
        let message = response::explain(status.as_u16(), failure.class, &body);
        let body = self.mask(body);
        let organisation = self.organisation(&headers);
        let status = Some(status);
        let loss =
            Loss { limits, organisation, status, headers, body, ..Loss::refused(failure, message, None) };
        Ended { report: Report::Failed(Box::new(loss)), link: whole.then(|| rest.into_link()) }
    }
}

/// Sees to it that an attempt's end is reported, whatever ends it.
struct LastWord {
    attempt: AttemptId,
    mailbox: mpsc::UnboundedSender<Message>,
    said: bool,
}

impl LastWord {
    fn say(&mut self, report: Report) {
        self.said = true;
        // Nobody listens to a loop that has ended.
        let _ = self.mailbox.send(Message::Report(self.attempt, report));
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if !self.said {
            self.say(Report::Failed(Box::new(Loss::broken(Fault::Stopped))));
        }
    }
}

//! One call that was let in: from its body to its answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use paceline::{Credential, Priority, Request, Streaming};
use paceline_usage::{Begun, Ended, Finish, Leave, Ledger, Record};
use paceline_wire::price::MicroUsd;
use paceline_wire::request::{self, Peek};
use paceline_wire::{Dialect, Endpoint};
use tokio::time::{Instant, timeout};

use super::access::Admitted;
use super::bill::{self, Bill};
use super::credential::{Form, Presented};
use super::outcome::Outcome;
use super::route::Route;
use super::streaming::{Manner, Opening};
use super::{Shared, fanout, forward, headers, waiting, wishes};
use crate::admin::Sent;
use crate::answer::Kind;
use crate::body::Body;
use crate::settings::Settings;

/// A whole answer's head cannot be seen before the answer. After this long it has begun, for those who wait for that.
const BEGUN_BY_NOW: Duration = Duration::from_secs(10);

/// One call.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    /// What the caller will know it by.
    pub(super) id: &'a str,
    pub(super) head: &'a Parts,
    pub(super) route: &'a Route<'a>,
    pub(super) presented: Option<Presented>,
    pub(super) admitted: Admitted,
    pub(super) settings: Arc<Settings>,
}

impl Call<'_> {
    /// Has it served.
    pub(super) async fn answer(self, body: Bytes) -> Result<Response<Body>, Outcome> {
        let peek = self.read(&body)?;
        let peek = peek.as_ref();
        let (priority, deadline) = self.wishes()?;
        let streams = peek.is_some_and(|peek| peek.stream && self.route.endpoint.generates());
        let (body_sent, drops_usage) = self.with_usage(&body, peek.filter(|_| streams));
        let mut ask = self.request(body_sent).priority(priority).deadline(deadline);
        if let Some(peek) = peek {
            ask = ask.peek(peek.clone().into_owned());
            if let Some(number) = request::conversation(peek, &body, self.hasher()) {
                ask = ask.affinity(number);
            }
        }
        let (bill, ask) = self.open_bill(peek, priority, ask)?;
        let turn = self.turn(peek, &body, priority, deadline);
        let Route { dialect, endpoint, .. } = *self.route;
        let manner = Manner { dialect, endpoint, pass_through: self.admitted.pass_through, drops_usage };
        if streams {
            let opening = self.opening(ask, turn);
            // Boxed: it takes a lot of room, and whole answers do without.
            Ok(Box::pin(waiting::open(opening, self.settings.waiting, manner, bill)).await)
        } else if peek.is_some() {
            self.whole(ask, turn, bill).await
        } else {
            // What we don't know may be a stream or not, and nobody has said that it may be opened early.
            let opened = self.opening(ask, None).await;
            Ok(Box::pin(waiting::handle_opened(opened, manner, bill)).await)
        }
    }

    /// What the body asks for, where we know how to read it.
    fn read<'b>(&self, body: &'b [u8]) -> Result<Option<Peek<'b>>, Outcome> {
        let Route { dialect, endpoint, .. } = *self.route;
        if matches!(endpoint, Endpoint::Models | Endpoint::Other) {
            return Ok(None);
        }
        let peek = request::peek(dialect, endpoint, body);
        peek.map(Some).map_err(|error| Outcome::new(Kind::BadRequest, error.to_string()))
    }

    /// Its class, and by when it must start.
    fn wishes(&self) -> Result<(Priority, Instant), Outcome> {
        let bad = |message: String| Outcome::new(Kind::BadRequest, message);
        let headers = &self.head.headers;
        let priority = wishes::priority(headers).map_err(bad)?.unwrap_or(self.admitted.priority);
        let longest = self.settings.waiting.longest;
        let deadline = wishes::deadline(headers, Instant::now(), SystemTime::now(), longest);
        Ok((priority, deadline.map_err(bad)?))
    }

    async fn whole(
        &self,
        ask: Request,
        turn: Option<Turn>,
        mut bill: Bill,
    ) -> Result<Response<Body>, Outcome> {
        let pass_through = self.admitted.pass_through;
        let mut sending = std::pin::pin!(self.shared.client.send(ask));
        let answer = match turn {
            None => sending.await,
            Some(turn) => {
                let lead = turn.wait().await;
                let soon = timeout(BEGUN_BY_NOW, &mut sending).await;
                if !matches!(soon, Ok(Err(_))) {
                    lead.handle_begun();
                }
                match soon {
                    Ok(answer) => answer,
                    Err(_) => sending.await,
                }
            }
        };
        match answer {
            Ok(response) => {
                bill.settle(&response.trip, response.usage.as_ref());
                Ok(forward::whole(response, pass_through))
            }
            Err(error) => {
                bill.settle_failed(&error);
                Err(Outcome::of(error, pass_through))
            }
        }
    }

    fn opening(&self, ask: Request, turn: Option<Turn>) -> Opening {
        let client = self.shared.client.clone();
        Box::pin(async move {
            let lead = match turn {
                Some(turn) => Some(turn.wait().await),
                None => None,
            };
            let streaming: Streaming = client.stream(ask).await?;
            if let Some(lead) = lead {
                lead.handle_begun();
            }
            Ok(streaming)
        })
    }

    /// The request as it goes to the client, but for what depends on its body.
    fn request(&self, body: Bytes) -> Request {
        let method = match self.head.method {
            // Whoever asks for a head gets that of the whole answer.
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        let mut ask = Request::new(self.route.path.as_ref(), body).method(method);
        if !self.admitted.tenant.is_empty() {
            ask = ask.tenant(self.admitted.tenant.as_ref());
        }
        if let Some(to) = self.to() {
            ask = ask.to(to);
        }
        let pass_through = self.admitted.pass_through;
        for (name, value) in &self.head.headers {
            if headers::passes(name, pass_through) {
                ask = ask.header(name.clone(), value.clone());
            }
        }
        match self.presented.as_ref().filter(|_| pass_through) {
            Some(presented) => ask.credential(match presented.form() {
                Form::Bearer => Credential::bearer(presented.secret()),
                Form::ApiKey => Credential::api_key(presented.secret()),
            }),
            None => ask,
        }
    }

    /// Whom the request is for, where that is not told by its model: the provider that the path names, or, where callers
    /// bring their own credentials, the one that the dialect is named after.
    fn to(&self) -> Option<&str> {
        let own = self.admitted.pass_through.then(|| self.route.dialect.name());
        self.route.provider.or(own)
    }

    /// The body, asking for the usage where a stream would not tell it otherwise; and whether it was made to.
    fn with_usage(&self, body: &Bytes, stream: Option<&Peek<'_>>) -> (Bytes, bool) {
        let Some(peek) = stream.filter(|peek| !peek.include_usage) else { return (body.clone(), false) };
        if self.route.endpoint != Endpoint::ChatCompletions || self.route.dialect != Dialect::OpenAi {
            return (body.clone(), false);
        }
        // Some tell it unasked, and of those some take the question for a mistake.
        let candidates = self.candidates(peek);
        let unasked = candidates.iter().any(|candidate| candidate.provider().quirks.always_streams_usage);
        match request::with_usage(body, peek) {
            Ok(asking) if !unasked && !candidates.is_empty() => (asking, true),
            _ => (body.clone(), false),
        }
    }

    fn candidates(&self, peek: &Peek<'_>) -> Vec<paceline::Candidate> {
        let model = peek.model.as_deref().unwrap_or_default();
        self.shared.client.candidates(self.to(), &self.route.path, model)
    }

    /// Reserves what the request may use, where there is a purse to pay from, begins its record, where there is a ledger,
    /// and has it noted when something is sent.
    fn open_bill(
        &self,
        peek: Option<&Peek<'_>>,
        priority: Priority,
        ask: Request,
    ) -> Result<(Bill, Request), Outcome> {
        let sent = self.head.extensions.get::<Sent>().cloned().unwrap_or_default();
        let (purse, ledger) = (&self.admitted.purse, &self.shared.ledger);
        let model = peek.and_then(|peek| peek.model.as_deref()).unwrap_or_default();
        let passing =
            self.shared.recent.as_ref().map(|recent| {
                recent.begin(self.id, self.route.dialect, model, &self.admitted.tenant, priority)
            });
        if purse.is_none() && ledger.is_none() {
            let bill = Bill::new(None, None, sent.clone(), Vec::new()).noted(passing);
            return Ok((bill, ask.before_send(move || goes_out(sent.clone(), None))));
        }
        let candidates = peek.map(|peek| self.candidates(peek)).unwrap_or_default();
        let looks_up = matches!(self.head.method, Method::GET | Method::HEAD | Method::DELETE);
        let most = bill::ask(peek, looks_up, &candidates);
        let record =
            ledger.as_ref().map(|ledger| self.record(ledger, peek, priority, most.cost)).transpose()?;
        let guard = match purse.as_ref().map(|purse| purse.reserve(&most)).transpose() {
            Ok(guard) => guard,
            Err(refusal) => {
                let ended = Ended { class: Some(refusal.name()), ..Ended::of(Finish::Refused) };
                if let Some(record) = record {
                    record.end(ended.clone());
                }
                if let Some(passing) = passing {
                    passing.end(ended);
                }
                return Err(Outcome::refused(&refusal));
            }
        };
        let (bill_sent, leave) = (sent.clone(), record.as_ref().map(Record::leave));
        let ask = ask.before_send(move || goes_out(sent.clone(), leave.clone()));
        Ok((Bill::new(guard, record, bill_sent, candidates).noted(passing), ask))
    }

    fn record(
        &self,
        ledger: &Ledger,
        peek: Option<&Peek<'_>>,
        priority: Priority,
        reserved: Option<MicroUsd>,
    ) -> Result<Record, Outcome> {
        if !ledger.takes() {
            return Err(Outcome::unrecordable());
        }
        let model = peek.and_then(|peek| peek.model.as_deref()).unwrap_or_default().to_owned();
        let (name, caller) = (self.id.to_owned(), self.admitted.tenant.clone());
        Ok(ledger.begin(Begun { name, model, caller, priority, reserved }))
    }

    /// The turn to wait for where others begin with the same, and Anthropic is to remember it.
    fn turn(
        &self,
        peek: Option<&Peek<'_>>,
        body: &[u8],
        priority: Priority,
        deadline: Instant,
    ) -> Option<Turn> {
        use std::hash::Hasher;
        let peek = peek.filter(|_| self.route.endpoint == Endpoint::Messages)?;
        let mut hasher = self.hasher();
        // What one account has cached is nothing to another.
        if let Some(presented) = self.presented.as_ref().filter(|_| self.admitted.pass_through) {
            hasher.write(presented.hash());
        }
        let marks = request::marks(peek, body, hasher);
        let fanout = self.shared.fanout.clone();
        (!marks.is_empty()).then_some(Turn { fanout, marks, priority, deadline })
    }

    fn hasher(&self) -> impl std::hash::Hasher + use<> {
        std::hash::BuildHasher::build_hasher(&self.shared.hashing)
    }
}

/// Right before an attempt: notes that something goes out, and takes it down. False when it must not.
async fn goes_out(sent: Sent, leave: Option<Leave>) -> bool {
    sent.mark();
    match leave {
        Some(leave) => leave.goes_out().await,
        None => true,
    }
}

/// A place in the row of those who begin alike.
struct Turn {
    fanout: Arc<fanout::Fanout>,
    marks: Vec<u64>,
    priority: Priority,
    deadline: Instant,
}

impl Turn {
    async fn wait(self) -> fanout::Lead {
        self.fanout.enter(self.marks, self.priority, self.deadline).await
    }
}

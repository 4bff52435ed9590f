//! The handle that callers hold.

use std::hash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use paceline_core::engine::RequestId;
use paceline_core::quota::Quota;
use paceline_wire::Endpoint;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::answer::{Response, Streaming};
use crate::builder::{Builder, Trust};
use crate::candidate::Candidate;
use crate::directory::Directory;
use crate::error::{BuildError, SendError};
use crate::request::Request;
use crate::shell::{Answered, Command, Message, Opening, ReplyTo, Submit};
use crate::upstream::CommonCeiling;
use crate::watch::{ClientEvent, LearnedLimits, Retune, Snapshot};
use crate::work::{Estimates, Work};

/// Sends requests at the full speed that the limits allow. Cheap to clone; everything ends with the last clone, once no
/// [`Streaming`] is left either.
///
/// See [`Client::builder`] for how to get one.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// What clones, streams and waiting callers share. Its end is the loop's.
pub(crate) struct Shared {
    pub(crate) mailbox: mpsc::UnboundedSender<Message>,
    pub(crate) current: RwLock<Current>,
    pub(crate) estimates: Estimates,
    /// Decides the hashes by which callers are told apart.
    pub(crate) caller_key: RandomState,
    pub(crate) events: broadcast::Sender<ClientEvent>,
    pub(crate) last_request: AtomicU64,
}

/// What a reload replaces.
pub(crate) struct Current {
    pub(crate) directory: Arc<Directory>,
    pub(crate) trust: Trust,
}

impl Shared {
    fn tell(&self, command: Command) -> Result<(), SendError> {
        self.mailbox.send(Message::Command(command)).map_err(|_| SendError::Closed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The loop may have ended already, which is what this asks for.
        let _ = self.tell(Command::Close { done: None });
    }
}

impl Client {
    /// Describes a client: where it can send to, within what, and how.
    ///
    /// ```no_run
    /// use paceline::wire::provider::Catalog;
    /// use paceline::{Client, Request, Upstream};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let anthropic = Catalog::embedded().provider("anthropic").ok_or("unknown provider")?;
    /// let client = Client::builder()
    ///     .upstream(Upstream::new("claude", anthropic.clone()).api_key("sk-ant-..."))
    ///     .build()?;
    ///
    /// let body = r#"{"model":"claude-haiku-4-5","max_tokens":100,"messages":[{"role":"user","content":"Hello"}]}"#;
    /// let response = client.send(Request::new("/v1/messages", body)).await?;
    /// println!("{}", String::from_utf8_lossy(&response.body));
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Sends a request when the limits allow it and waits for its whole answer. Dropping the future cancels the
    /// request, wherever it is.
    pub async fn send(&self, request: Request) -> Result<Response, SendError> {
        let (response, mut guard) = self.submit(request, ReplyTo::Whole).await?;
        guard.disarm();
        Ok(response)
    }

    /// Sends a request whose body asks for a stream, and returns when the stream has begun well: an error before or in its
    /// first event is dealt with unseen. Dropping the future or the stream cancels the request.
    pub async fn stream(&self, request: Request) -> Result<Streaming, SendError> {
        let (opening, guard) = self.submit(request, ReplyTo::Stream).await?;
        let Opening { opened, trip } = opening;
        Ok(Streaming::new(opened, trip, guard))
    }

    /// Where requests can go right now.
    fn directory(&self) -> Arc<Directory> {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).directory.clone()
    }

    async fn submit<T>(
        &self,
        request: Request,
        reply_to: impl FnOnce(Answered<T>) -> ReplyTo,
    ) -> Result<(T, CancelGuard), SendError> {
        // Reading the body happens here, in the caller's task, so that a big one does not hold up the loop.
        let work = Work::read(request, self.directory(), &self.shared.estimates, &self.shared.caller_key)?;
        let work = Arc::new(work);
        let id = RequestId(self.shared.last_request.fetch_add(1, Ordering::Relaxed) + 1);
        let (reply, answer) = oneshot::channel();
        let mut guard = CancelGuard { request: id, shared: Some(self.shared.clone()) };
        self.shared.tell(Command::Submit(Submit { id, work, reply: reply_to(reply) }))?;
        let answer = answer.await.unwrap_or(Err(SendError::Closed));
        if answer.is_err() {
            guard.disarm();
        }
        Ok((answer?, guard))
    }

    /// Who could serve a request to `path` that asks for `model`, as [`Request::to`] may name; empty where that is open.
    pub fn candidates(&self, to: Option<&str>, path: &str, model: &str) -> Vec<Candidate> {
        let directory = &self.directory();
        let target = directory.target(to, Endpoint::from_path(path), model);
        target.map(|target| Candidate::all(directory, target, model)).unwrap_or_default()
    }

    /// The names of all pools, with an upstream that serves each.
    pub fn pools(&self) -> Vec<(String, Candidate)> {
        let directory = &self.directory();
        let pools = directory.pools().filter_map(|(name, target)| {
            Some((name.to_owned(), Candidate::all(directory, target, name).into_iter().next()?))
        });
        pools.collect()
    }

    /// All upstreams.
    pub fn upstreams(&self) -> Vec<Candidate> {
        let directory = &self.directory();
        let targets = directory.places.iter().filter_map(|place| directory.named(&place.name));
        targets.flat_map(|target| Candidate::all(directory, target, "")).collect()
    }

    /// The standing of everything right now; empty once the client is closed.
    pub async fn snapshot(&self) -> Snapshot {
        self.ask(Command::Snapshot).await
    }

    /// What was learned about limits so far, to start from next time. See [`Builder::learned`].
    pub async fn learned(&self) -> Vec<LearnedLimits> {
        self.ask(Command::Learned).await
    }

    async fn ask<T: Default>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> T {
        let (reply, answer) = oneshot::channel();
        match self.shared.tell(command(reply)) {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => T::default(),
        }
    }

    /// What happens from now on. A receiver that falls more than [`EVENTS_KEPT`](crate::EVENTS_KEPT) events behind misses some.
    pub fn events(&self) -> broadcast::Receiver<ClientEvent> {
        self.shared.events.subscribe()
    }

    /// Starts no further attempt until [`Client::resume`]; those in flight go on. Refusals wait as well.
    pub fn pause(&self) {
        // A closed client sends nothing anyway.
        let _ = self.shared.tell(Command::Pause(true));
    }

    /// Goes on sending.
    pub fn resume(&self) {
        let _ = self.shared.tell(Command::Pause(false));
    }

    /// Takes an upstream out of service until [`Client::put_back`]; false when none is called so. It gets no further attempt,
    /// those in flight go on. Others of its pool serve what they can; what nobody else can serve waits, within its deadline.
    /// A [`Client::reconfigure`] that keeps the name leaves it out.
    pub async fn take_out(&self, upstream: impl Into<String>) -> bool {
        let upstream = upstream.into();
        self.ask(|reply| Command::Service { upstream, out: true, reply }).await
    }

    /// Puts an upstream back into service; false when none is called so.
    pub async fn put_back(&self, upstream: impl Into<String>) -> bool {
        let upstream = upstream.into();
        self.ask(|reply| Command::Service { upstream, out: false, reply }).await
    }

    /// Sets the ceiling of one dimension and window at the meters that [`LimiterStanding`](crate::LimiterStanding) names so;
    /// false when there are none. Like any ceiling it only bounds: a lower limit of the provider's holds all the same. The next
    /// [`Client::reconfigure`] forgets it.
    pub async fn retune(
        &self,
        account: impl Into<String>,
        models: impl Into<String>,
        ceiling: Quota,
    ) -> bool {
        let retune = Retune { account: account.into(), models: models.into(), ceiling };
        self.ask(|reply| Command::Retune { retune, reply }).await
    }

    /// Replaces the whole configuration while everything goes on, or nothing if the new one has a mistake.
    ///
    /// Requests in flight and waiting live on. An upstream that is gone gets no further attempt: whoever waits for it is served
    /// by the others of its pool, or ends with [`SendError::NoUpstream`]; who waits for a name that is gone ends with
    /// [`SendError::Invalid`]. What was learned and charged stays for accounts that stay. Of the new description,
    /// [`Builder::learned`], [`Builder::seed`] and [`Builder::on_event`] have no effect.
    pub fn reconfigure(&self, builder: Builder) -> Result<(), BuildError> {
        // Held to the end, so that of two reloads the loop hears in the order in which callers see them.
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        let (plan, next) = builder.plan(Some(&current.trust))?;
        current.directory = plan.directory.clone();
        if let Some(trust) = next {
            current.trust = trust;
        }
        // A closed client has nothing to reconfigure.
        let _ = self.shared.tell(Command::Reconfigure(Box::new(plan)));
        Ok(())
    }

    /// Replaces one of the ceilings for every account and model, or adds it, or lifts it. Ceilings for some accounts or models
    /// hold beside it, and the tighter one counts. What was charged so far counts. It holds at once and until
    /// [`Client::reconfigure`] replaces all ceilings. Like that it forgets what [`Client::retune`] has set.
    pub fn set_common_ceiling(&self, ceiling: CommonCeiling) {
        let mut current = self.shared.current.write().unwrap_or_else(PoisonError::into_inner);
        current.directory = Arc::new(current.directory.with_common(ceiling));
        // A closed client has nothing to hold to it.
        let _ = self.shared.tell(Command::Redirect(current.directory.clone()));
    }

    /// Ends everything: whatever waits or is in flight fails with [`SendError::Closed`]. Returns when it is over.
    pub async fn close(self) {
        let (done, ended) = oneshot::channel();
        if self.shared.tell(Command::Close { done: Some(done) }).is_ok() {
            // An error means that the loop has ended, too.
            let _ = ended.await;
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Cancels its request when dropped, unless the request is over.
pub(crate) struct CancelGuard {
    request: RequestId,
    shared: Option<Arc<Shared>>,
}

impl CancelGuard {
    /// The request is over.
    pub(crate) fn disarm(&mut self) {
        self.shared = None;
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            // A closed client has canceled it already.
            let _ = shared.tell(Command::Cancel(self.request));
        }
    }
}

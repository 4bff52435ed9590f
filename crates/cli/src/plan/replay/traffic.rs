//! Reads the requests of a usage ledger as jobs that come when they came.

mod mean;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use paceline::Routes;
use paceline_core::engine::TenantId;
use paceline_core::quota::Usage;
use paceline_sim::plan::{NO_MOST, Recorded, Sketch};
use paceline_usage::{Finish, Past, past};
use paceline_wire::dialect::Endpoint;

use self::mean::Mean;
use crate::exit::Failure;
use crate::plan::limits::Sources;
use crate::plan::survey::{MOST_MODELS, ModelJobs, Survey};

/// Requests that are played at most: each is kept, because to leave some out would relieve the limits.
const MOST_REPLAYED: usize = 1_000_000;
/// Where a request may have gone: the ledger knows by whom it was served, and not at which endpoint.
const ENDPOINTS: [Endpoint; 6] = [
    Endpoint::Messages,
    Endpoint::ChatCompletions,
    Endpoint::Responses,
    Endpoint::Completions,
    Endpoint::Embeddings,
    Endpoint::Moderations,
];

/// Which requests are asked for.
pub(super) struct Asked<'a> {
    pub(super) ledger: &'a Path,
    /// Unix time: from then on, and before then.
    pub(super) since: Duration,
    pub(super) until: Duration,
    /// Models are known by the names that callers use, not by those that upstreams get.
    pub(super) by_own_name: bool,
}

/// The requests of a span of time.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) survey: Survey,
    pub(super) recorded: Vec<Recorded>,
    /// How long each waited at the time, where that is known.
    pub(super) waited: Vec<Option<Duration>>,
    /// When the first came, unix time, and how long after it the last one ended.
    pub(super) first: Duration,
    pub(super) lasted: Duration,
    pub(super) callers: usize,
    /// Those that are not played, by the reason.
    pub(super) left_out: BTreeMap<String, u64>,
    /// Those of which nobody knows what they used: they are taken for usual ones.
    pub(super) assumed: u64,
}

impl Traffic {
    /// Reads what is asked for.
    pub(super) fn read(asked: &Asked<'_>, routes: &Routes, sources: &Sources) -> Result<Self, Failure> {
        let mut reader = Reader::new(asked, routes, sources);
        let mut is_full = false;
        past(asked.ledger, asked.since, asked.until, |request| {
            is_full = reader.traffic.recorded.len() == MOST_REPLAYED;
            if !is_full {
                reader.take(&request);
            }
            !is_full
        })
        .map_err(Failure::usage)?;
        if is_full {
            return Err(Failure::usage(anyhow!("there are more than {MOST_REPLAYED} requests to replay"))
                .hint("narrow the time with `--from` and `--to`"));
        }
        let traffic = reader.finish();
        if traffic.recorded.is_empty() {
            let left_out: u64 = traffic.left_out.values().sum();
            let (file, failure) = (asked.ledger.display(), "has no requests to replay in that time");
            return Err(Failure::usage(anyhow!("`{file}` {failure}; {left_out} were left out")));
        }
        Ok(traffic)
    }
}

/// What the ledger tells of what a request takes.
enum Told {
    /// All.
    All,
    /// It took nothing.
    Nothing,
    /// Not enough: it is taken for a usual one.
    TooLittle,
    /// It would not have been sent under any limits.
    Unsent,
}

fn told(request: &Past) -> Told {
    // Those that waited in vain might not have, and those that never went out would have taken something.
    let in_vain = matches!(request.class.as_deref(), Some("too_late" | "queue_full"));
    match (request.finish, request.usage) {
        (Finish::Refused, _) if !in_vain => Told::Unsent,
        (Finish::Done | Finish::Failed, Some(_)) => Told::All,
        // Providers charge for answers.
        (Finish::Failed, None) if !request.in_doubt => Told::Nothing,
        (Finish::Canceled, Some(_)) => Told::All,
        _ => Told::TooLittle,
    }
}

struct Reader<'a> {
    asked: &'a Asked<'a>,
    routes: &'a Routes,
    sources: &'a Sources,
    traffic: Traffic,
    /// By the model's name and who served it.
    kinds: HashMap<(String, String), Option<usize>>,
    tenants: HashMap<String, TenantId>,
    /// What requests of each kind take, and which ones are still to be given that.
    means: Vec<Mean>,
    usual: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(asked: &'a Asked<'a>, routes: &'a Routes, sources: &'a Sources) -> Self {
        Self {
            asked,
            routes,
            sources,
            traffic: Traffic::default(),
            kinds: HashMap::new(),
            tenants: HashMap::new(),
            means: Vec::new(),
            usual: Vec::new(),
        }
    }

    fn take(&mut self, request: &Past) {
        let told = told(request);
        if matches!(told, Told::Unsent) {
            let class = request.class.as_deref().unwrap_or("unknown");
            return self.leave_out(format!("refused as `{class}`, whatever the limits"));
        }
        let own = if self.asked.by_own_name { None } else { request.sent_as.as_deref() };
        let model = own.unwrap_or(&request.model);
        if model.is_empty() {
            return self.leave_out("they name no model".to_owned());
        }
        let Some(kind) = self.kind(model, request.upstream.as_deref().unwrap_or_default()) else {
            return self.leave_out(format!("it is open which upstream is to serve `{model}`"));
        };
        let used = request.usage.filter(|_| matches!(told, Told::All));
        let provider = self.traffic.survey.models[kind].provider();
        let used = used.map(|used| used.charged(provider, model)).unwrap_or_default();
        match told {
            Told::TooLittle => self.usual.push(self.traffic.recorded.len()),
            Told::All => self.means[kind].add(used, took(request)),
            Told::Nothing | Told::Unsent => {}
        }
        self.add(request, kind, used);
    }

    /// Adds a request that is played.
    fn add(&mut self, request: &Past, kind: usize, used: Usage) {
        let tenant = self.tenant(&request.caller);
        let traffic = &mut self.traffic;
        if traffic.recorded.is_empty() {
            traffic.first = request.begun;
        }
        let at = request.begun.saturating_sub(traffic.first);
        let lasted = at.saturating_add(request.total.unwrap_or_default());
        traffic.lasted = traffic.lasted.max(lasted);
        let (first_token_after, token_every) = pace(took(request), request.first_byte, used.output_tokens);
        traffic.recorded.push(Recorded {
            at,
            priority: request.priority,
            tenant,
            output_tokens: used.output_tokens,
            first_token_after,
            token_every,
        });
        traffic.survey.sketches.push(sketch(kind, &traffic.survey.models[kind], used));
        traffic.waited.push(request.waited);
    }

    fn leave_out(&mut self, reason: String) {
        *self.traffic.left_out.entry(reason).or_default() += 1;
    }

    /// Whom a caller's requests count for.
    fn tenant(&mut self, caller: &str) -> TenantId {
        if let Some(tenant) = self.tenants.get(caller) {
            return *tenant;
        }
        let tenant = TenantId(u32::try_from(self.tenants.len()).unwrap_or(u32::MAX));
        self.tenants.insert(caller.to_owned(), tenant);
        tenant
    }

    /// The number of the kind of requests for a model that `upstream` served; `None` when nobody would.
    fn kind(&mut self, model: &str, upstream: &str) -> Option<usize> {
        let key = (model.to_owned(), upstream.to_owned());
        if let Some(known) = self.kinds.get(&key) {
            return *known;
        }
        let ways = ENDPOINTS.map(|endpoint| (endpoint, self.routes.lanes(endpoint, model)));
        let mut ways: Vec<_> = ways.into_iter().filter(|(_, lanes)| !lanes.is_empty()).collect();
        let own = ways.iter().position(|(_, lanes)| lanes.iter().any(|lane| lane.upstream == upstream));
        let way = (!ways.is_empty()).then(|| ways.swap_remove(own.unwrap_or(0)));
        let models = &mut self.traffic.survey.models;
        let kind = way.and_then(|(endpoint, lanes)| {
            let known = models.iter().position(|of| of.endpoint == endpoint && of.model == model);
            known.or_else(|| {
                (models.len() < MOST_MODELS).then(|| {
                    models.push(ModelJobs::new(endpoint, model, lanes, self.sources));
                    self.means.push(Mean::default());
                    models.len() - 1
                })
            })
        });
        self.kinds.insert(key, kind);
        kind
    }

    /// Takes those of which too little is known for usual ones, and adds everything up.
    fn finish(self) -> Traffic {
        let Self { mut traffic, tenants, means, usual, .. } = self;
        traffic.assumed = usual.len() as u64;
        for number in usual {
            let kind = usize::from(traffic.survey.sketches[number].kind);
            let (used, took) = means[kind].usual();
            traffic.survey.sketches[number] = sketch(kind, &traffic.survey.models[kind], used);
            let recorded = &mut traffic.recorded[number];
            recorded.output_tokens = used.output_tokens;
            (recorded.first_token_after, recorded.token_every) = pace(took, None, used.output_tokens);
        }
        for (sketch, recorded) in traffic.survey.sketches.iter().zip(&traffic.recorded) {
            let totals = &mut traffic.survey.models[usize::from(sketch.kind)].totals;
            totals.jobs += 1;
            totals.input_tokens += u64::from(sketch.fixed_tokens);
            totals.output_tokens += recorded.output_tokens as f64;
            totals.most_output_tokens += recorded.output_tokens;
            totals.answer_seconds += recorded.first_token_after.as_secs_f64()
                + recorded.token_every.as_secs_f64() * recorded.output_tokens as f64;
        }
        traffic.survey.jobs = traffic.recorded.len() as u64;
        traffic.callers = tenants.len();
        traffic
    }
}

/// How long the attempt took that ended it.
fn took(request: &Past) -> Duration {
    request.total.unwrap_or_default().saturating_sub(request.waited.unwrap_or_default())
}

/// How an answer came: until its first token, and from token to token. Of one that came as a whole nobody knows when it began.
fn pace(took: Duration, first_byte: Option<Duration>, output_tokens: u64) -> (Duration, Duration) {
    let Some(tokens) = u32::try_from(output_tokens).ok().filter(|tokens| *tokens > 0) else {
        return (took, Duration::ZERO);
    };
    let first = first_byte.filter(|first| first.saturating_mul(2) <= took).unwrap_or_default();
    (first, (took - first) / tokens)
}

/// What a request asks of limits. Its prompt is known; the most that it allowed is not, and is taken for what it got.
fn sketch(kind: usize, jobs: &ModelJobs, used: Usage) -> Sketch {
    let bounded = |number: u64| u32::try_from(number).unwrap_or(NO_MOST - 1).min(NO_MOST - 1);
    Sketch {
        kind: u16::try_from(kind).unwrap_or(u16::MAX),
        text_bytes: 0,
        fixed_tokens: bounded(used.input_tokens),
        most_output: if jobs.charges_most() { bounded(used.output_tokens) } else { NO_MOST },
        body_bytes: 0,
    }
}

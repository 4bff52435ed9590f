//! The list of models: all pools and what every upstream offers, in the caller's dialect.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use paceline::{Candidate, Client, Priority, Request, SendError};
use paceline_wire::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::outcome::Outcome;
use crate::answer::Kind;
use crate::body::Body;

/// For so long the upstreams are not asked again.
const LIFETIME: Duration = Duration::from_secs(60);
/// An upstream that has not answered by then is left out.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most models that are listed.
const MOST: usize = 10_000;

/// What was listed last.
#[derive(Default)]
pub(super) struct Models(Mutex<Option<(Instant, Arc<Vec<Model>>)>>);

/// One model.
struct Model {
    id: String,
    owner: String,
    dialect: Dialect,
    /// As its provider describes it.
    said: Option<Value>,
}

impl Models {
    /// All models.
    pub(super) async fn list(&self, client: &Client, dialect: Dialect) -> Result<Response<Body>, Outcome> {
        let models = self.all(client).await?;
        let data: Vec<Value> = models.iter().map(|model| model.spelled(dialect)).collect();
        let ends = [models.first(), models.last()].map(|model| model.map(|model| model.id.as_str()));
        Ok(answer(match dialect {
            Dialect::OpenAi => json!({"object": "list", "data": data}),
            Dialect::Anthropic => {
                json!({"data": data, "has_more": false, "first_id": ends[0], "last_id": ends[1]})
            }
        }))
    }

    /// The one called `id`.
    pub(super) async fn one(
        &self,
        client: &Client,
        dialect: Dialect,
        id: &str,
    ) -> Result<Response<Body>, Outcome> {
        let id = id.split('?').next().unwrap_or_default();
        let models = self.all(client).await?;
        let model = models.iter().find(|model| model.id == id);
        let model = model.ok_or_else(|| Outcome::new(Kind::NotFound, "there is no such model"))?;
        Ok(answer(model.spelled(dialect)))
    }

    /// Asks again when that is due. Whoever comes meanwhile waits for the same answer.
    async fn all(&self, client: &Client) -> Result<Arc<Vec<Model>>, Outcome> {
        let mut listed = self.0.lock().await;
        if let Some((at, models)) = &*listed
            && at.elapsed() < LIFETIME
        {
            return Ok(models.clone());
        }
        let models = Arc::new(collect(client).await?);
        *listed = Some((Instant::now(), models.clone()));
        Ok(models)
    }
}

impl Model {
    fn spelled(&self, dialect: Dialect) -> Value {
        match (&self.said, dialect) {
            (Some(said), _) if self.dialect == dialect => said.clone(),
            (said, Dialect::OpenAi) => {
                let created = said
                    .as_ref()
                    .and_then(|said| said["created_at"].as_str()?.parse::<jiff::Timestamp>().ok());
                let created = created.map_or(0, jiff::Timestamp::as_second);
                json!({"id": self.id, "object": "model", "created": created, "owned_by": self.owner})
            }
            (said, Dialect::Anthropic) => {
                let created = said
                    .as_ref()
                    .and_then(|said| jiff::Timestamp::from_second(said["created"].as_i64()?).ok());
                let created = created.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
                json!({"type": "model", "id": self.id, "display_name": self.id, "created_at": created})
            }
        }
    }
}

/// Pools first, then each upstream's own in the order of the upstreams; each name once.
async fn collect(client: &Client) -> Result<Vec<Model>, Outcome> {
    let mut pools = client.pools();
    pools.sort_by(|(a, _), (b, _)| a.cmp(b));
    let pool = |(id, member): (String, Candidate)| Model {
        id,
        owner: "paceline".to_owned(),
        dialect: member.provider().dialect,
        said: None,
    };
    let mut models: Vec<Model> = pools.into_iter().map(pool).collect();
    let mut asked = JoinSet::new();
    for (index, upstream) in client.upstreams().into_iter().enumerate() {
        let client = client.clone();
        asked.spawn(async move { (index, offered(&client, &upstream).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    let mut failure = None;
    for (_, answer) in answers {
        match answer {
            Ok(offered) => models.extend(offered),
            Err(error) => failure = Some(error),
        }
    }
    if let Some(error) = failure.filter(|_| models.is_empty()) {
        return Err(Outcome::of(error, false));
    }
    let mut seen = HashSet::new();
    models.retain(|model| seen.insert(model.id.clone()));
    models.truncate(MOST);
    Ok(models)
}

/// What one upstream offers.
async fn offered(client: &Client, upstream: &Candidate) -> Result<Vec<Model>, SendError> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let dialect = upstream.provider().dialect;
    let path = match dialect {
        Dialect::OpenAi => "/v1/models",
        Dialect::Anthropic => "/v1/models?limit=1000",
    };
    let request = Request::get(path)
        .to(upstream.upstream())
        .priority(Priority::Interactive)
        .deadline(Instant::now() + PATIENCE);
    let sending = tokio::time::timeout(PATIENCE, client.send(request)).await;
    let response = sending.unwrap_or(Err(SendError::TooLate { wait: None }))?;
    // Some wrap the list, some don't.
    let items: Vec<&RawValue> = serde_json::from_slice::<List<'_>>(&response.body)
        .map(|list| list.data)
        .or_else(|_| serde_json::from_slice(&response.body))
        .unwrap_or_default();
    let owner = upstream.provider().name.clone();
    let model = |item: &RawValue| {
        let said: Value = serde_json::from_str(item.get()).ok()?;
        let id = said["id"].as_str()?.to_owned();
        Some(Model { id, owner: owner.clone(), dialect, said: Some(said) })
    };
    Ok(items.into_iter().filter_map(model).collect())
}

fn answer(body: Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

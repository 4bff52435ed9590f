//! Where requests would go, and whose limits they would draw on: for plans, without anything that sends.

use paceline_core::engine::LimiterSpec;
use paceline_wire::provider::Provider;
use paceline_wire::{Dialect, Endpoint};

use crate::directory::{Directory, Way};

/// What a client of this description would do with requests. See [`crate::Builder::routes`].
pub struct Routes {
    directory: Directory,
}

/// One upstream that would serve a request, and the meter it would pass there.
#[derive(Clone, Debug)]
pub struct LaneOutline {
    /// The upstream's name.
    pub upstream: String,
    /// Its provider.
    pub provider: Provider,
    /// Whom the provider counts for.
    pub account: String,
    /// The model's name there.
    pub model: String,
    /// The name of the models that share the meter.
    pub models: String,
    /// What the limiter starts from. Nothing is learned yet.
    pub spec: LimiterSpec,
    /// Order: a lane is used only when none of a lower tier can take the request in time.
    pub tier: u8,
    /// Share within its tier.
    pub weight: u32,
}

impl Routes {
    pub(crate) fn new(directory: Directory) -> Self {
        Self { directory }
    }

    /// The dialect in which a request for `endpoint` is read.
    pub fn dialect(&self, endpoint: Endpoint) -> Dialect {
        self.directory.dialect_of(endpoint)
    }

    /// The lanes of a request for `model` at `endpoint`; none when it is open whom it is for.
    pub fn lanes(&self, endpoint: Endpoint, model: &str) -> Vec<LaneOutline> {
        let Some(target) = self.directory.target(None, endpoint, model) else { return Vec::new() };
        // Counting tokens has limits of its own.
        let metered_as = if endpoint == Endpoint::CountTokens { "count_tokens" } else { model };
        self.directory.ways_of(target).iter().map(|way| self.lane(way, metered_as)).collect()
    }

    fn lane(&self, way: &Way, model: &str) -> LaneOutline {
        let place = &self.directory.places[way.place];
        let model = way.send_as.as_deref().unwrap_or(model);
        let (models, spec) = self.directory.limits(place, model);
        LaneOutline {
            upstream: place.name.to_string(),
            provider: place.provider.clone(),
            account: place.account.clone(),
            model: model.to_owned(),
            models,
            spec,
            tier: way.tier,
            weight: way.weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_core::quota::{Dimension, Quota};
    use paceline_wire::provider::Catalog;

    use crate::{Ceilings, Client, Pool, Upstream};

    use super::*;

    fn upstream(name: &str, provider: &str) -> Upstream {
        Upstream::new(name, Catalog::embedded().provider(provider).unwrap().clone())
    }

    #[test]
    fn a_request_leads_to_its_pool_or_to_whoever_speaks_its_dialect() {
        let minute = Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit: 50 };
        let routes = Client::builder()
            .upstream(upstream("a", "anthropic").account("org"))
            .upstream(upstream("b", "anthropic").account("other"))
            .upstream(upstream("o", "openai"))
            .pool(Pool::new("smart").upstream("b"))
            .ceilings(Ceilings::new().account("org").quota(minute))
            .routes()
            .unwrap();
        let names = |endpoint, model| -> Vec<String> {
            routes.lanes(endpoint, model).into_iter().map(|lane| lane.upstream).collect()
        };
        assert_eq!(names(Endpoint::Messages, "claude-sonnet-4-5"), ["a", "b"]);
        assert_eq!(names(Endpoint::Messages, "smart"), ["b"]);
        assert_eq!(names(Endpoint::ChatCompletions, "gpt-4o"), ["o"]);
        let lane = routes.lanes(Endpoint::Messages, "claude-sonnet-4-5").remove(0);
        assert_eq!((lane.account.as_str(), lane.models.as_str()), ("org", "claude-sonnet-4.5+"));
        assert_eq!(lane.spec.ceilings, [minute]);
        assert_eq!(routes.lanes(Endpoint::CountTokens, "claude-sonnet-4-5")[0].models, "count_tokens");
    }

    #[test]
    fn nobody_is_named_where_nobody_speaks_the_dialect() {
        let routes = Client::builder().upstream(upstream("a", "anthropic")).routes().unwrap();
        assert!(routes.lanes(Endpoint::ChatCompletions, "gpt-4o").is_empty());
    }
}

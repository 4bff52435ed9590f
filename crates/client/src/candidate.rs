//! Who could serve a request, for those who must know before it is sent.

use std::sync::Arc;

use paceline_wire::provider::Provider;

use crate::directory::{Directory, Place, Target};

/// An upstream that could serve a request.
#[derive(Clone)]
pub struct Candidate {
    place: Arc<Place>,
    model: Arc<str>,
}

impl Candidate {
    /// The upstreams of `target`, with the name each knows `model` by.
    pub(crate) fn all(directory: &Directory, target: Target, model: &str) -> Vec<Self> {
        let ways = directory.ways_of(target).iter();
        ways.map(|way| Self {
            place: directory.places[way.place].clone(),
            model: way.send_as.clone().unwrap_or_else(|| model.into()),
        })
        .collect()
    }

    /// The upstream's name.
    pub fn upstream(&self) -> &str {
        &self.place.name
    }

    /// Whose it is.
    pub fn provider(&self) -> &Provider {
        &self.place.provider
    }

    /// Whose limits it draws on, as configured.
    pub fn account(&self) -> &str {
        &self.place.account
    }

    /// The model's name there.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("upstream", &self.upstream()).field("model", &self.model).finish()
    }
}

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

    /// An upstream that was chosen.
    pub(crate) fn chosen(place: Arc<Place>, model: Arc<str>) -> Self {
        Self { place, model }
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

    /// Where it is: host and port.
    pub fn address(&self) -> (&str, u16) {
        (&self.place.origin.host, self.place.origin.port)
    }

    /// The model's name there.
    pub fn model(&self) -> &str {
        &self.model
    }
}

/// One and the same: an upstream of an earlier configuration is another.
impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.place, &other.place) && self.model == other.model
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("upstream", &self.upstream()).field("model", &self.model).finish()
    }
}

//! A build that exports nothing.

use std::time::Duration;

use paceline::ClientEvent;
use tracing::warn;

use super::ENDPOINTS;
use crate::exit::Failure;
use crate::upstream::Environment;

/// Nothing; there never is one.
pub(crate) enum Telemetry {}

impl Telemetry {
    /// None. Says so where somebody counts on more.
    pub(crate) fn begin(env: &dyn Environment) -> Result<Option<Self>, Failure> {
        if let Some(name) = ENDPOINTS.into_iter().find(|name| env.get(name).is_some()) {
            warn!("`{name}` has no effect: this program was built without the feature `otel`");
        }
        Ok(None)
    }

    /// Takes what a client tells.
    pub(crate) fn listener(&self) -> fn(&ClientEvent) {
        match *self {}
    }

    /// Exports what is left.
    pub(crate) async fn end(self, _longest: Duration) {
        match self {}
    }
}

//! A build that exports nothing.

use paceline::ClientEvent;

use super::{ENDPOINTS, Voice};
use crate::exit::Failure;
use crate::upstream::Environment;

/// Nothing; there never is one.
pub(crate) enum Telemetry {}

impl Telemetry {
    /// None. Says so where somebody counts on more.
    pub(crate) fn begin(env: &dyn Environment, voice: Voice) -> Result<Option<Self>, Failure> {
        if let Some(name) = ENDPOINTS.into_iter().find(|name| env.get(name).is_some()) {
            voice(&format!("`{name}` has no effect: this program was built without the feature `otel`"));
        }
        Ok(None)
    }

    /// Takes what a client tells.
    pub(crate) fn listener(&self) -> fn(&ClientEvent) {
        match *self {}
    }

    /// Exports what is left.
    pub(crate) async fn end(self) {
        match self {}
    }
}

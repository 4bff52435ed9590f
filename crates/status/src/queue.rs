//! Who waits, and for how long.

use paceline::TenantStanding;
use serde::{Deserialize, Serialize};

/// Something for each priority class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Classes<T> {
    /// Somebody looks at the screen.
    pub interactive: T,
    /// The rest.
    pub normal: T,
    /// Whenever there is room.
    pub batch: T,
}

impl<T> From<[T; 3]> for Classes<T> {
    fn from([interactive, normal, batch]: [T; 3]) -> Self {
        Self { interactive, normal, batch }
    }
}

/// A tenant with waiting requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tenant {
    /// Its name; empty for those who gave none.
    pub name: String,
    /// Its requests that wait, by priority.
    pub waiting: Classes<u64>,
}

impl Tenant {
    pub(crate) fn of(standing: &TenantStanding) -> Self {
        Self { name: standing.name.to_string(), waiting: standing.waiting.map(|count| count as u64).into() }
    }
}

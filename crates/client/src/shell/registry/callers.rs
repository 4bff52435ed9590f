//! Callers with credentials of their own: told apart by a keyed hash, and forgotten when others need their place.

use std::collections::HashMap;
use std::sync::Arc;

use crate::credential::{CallerId, CallerKey, Presented};

/// Callers told apart. Above it the least recently used idle one is forgotten, with its meters.
pub(super) const MOST_CALLERS: usize = 256;

/// Keeps a caller from being forgotten.
pub(in crate::shell) type Held = Arc<()>;

/// As many callers as can be told apart have requests that are not over.
#[derive(Debug)]
pub(in crate::shell) struct AllBusy;

/// The callers that are told apart.
#[derive(Default)]
pub(super) struct Callers {
    known: HashMap<CallerId, Caller>,
    uses: u64,
    numbers: u64,
    key: Option<CallerKey>, // Makes names that outlast the client.
}

struct Caller {
    held: Held,
    used: u64, // The running number of its last use.
    name: String,
}

impl Callers {
    /// Nobody so far. Without a key, callers have running numbers for names.
    pub(super) fn new(key: Option<CallerKey>) -> Self {
        Self { key, ..Self::default() }
    }

    /// Takes note of who has `presented` a credential. The second value is who had to be forgotten for it.
    pub(super) fn hold(&mut self, presented: &Presented) -> Result<(Held, Option<Forgotten>), AllBusy> {
        let id = presented.id;
        self.uses += 1;
        let uses = self.uses;
        if let Some(caller) = self.known.get_mut(&id) {
            caller.used = uses;
            return Ok((caller.held.clone(), None));
        }
        let forgotten = if self.known.len() < MOST_CALLERS { None } else { Some(self.forget_one()?) };
        self.numbers += 1;
        let name = match &self.key {
            Some(key) => presented.name(key),
            None => format!("caller #{}", self.numbers),
        };
        let caller = Caller { held: Held::default(), used: uses, name };
        let held = caller.held.clone();
        self.known.insert(id, caller);
        Ok((held, forgotten))
    }

    fn forget_one(&mut self) -> Result<Forgotten, AllBusy> {
        let idle = self.known.iter().filter(|(_, caller)| Arc::strong_count(&caller.held) == 1);
        let id = *idle.min_by_key(|(_, caller)| caller.used).ok_or(AllBusy)?.0;
        let Caller { name, .. } = self.known.remove(&id).ok_or(AllBusy)?;
        Ok(Forgotten { id, name })
    }

    /// The name that a caller has here. It has no meaning to others, unless they have the key.
    pub(super) fn name(&self, id: CallerId) -> Option<&str> {
        Some(&self.known.get(&id)?.name)
    }

    /// Whether a caller is called so by this client alone.
    pub(super) fn are_numbered(&self, name: &str) -> bool {
        self.key.is_none() && self.known.values().any(|caller| caller.name == name)
    }
}

/// A caller that was forgotten.
pub(super) struct Forgotten {
    pub(super) id: CallerId,
    pub(super) name: String,
}

//! Callers with credentials of their own: told apart by a keyed hash, and forgotten when others need their place.

use std::collections::HashMap;
use std::sync::Arc;

use crate::credential::CallerId;

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
}

struct Caller {
    held: Held,
    used: u64, // The running number of its last use.
    name: String,
}

impl Callers {
    /// Takes note that `id` is used. The second value is who had to be forgotten for it.
    pub(super) fn hold(&mut self, id: CallerId) -> Result<(Held, Option<Forgotten>), AllBusy> {
        self.uses += 1;
        let uses = self.uses;
        if let Some(caller) = self.known.get_mut(&id) {
            caller.used = uses;
            return Ok((caller.held.clone(), None));
        }
        let forgotten = if self.known.len() < MOST_CALLERS { None } else { Some(self.forget_one()?) };
        self.numbers += 1;
        let name = format!("caller #{}", self.numbers);
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

    /// The name that a caller has here. It has no meaning to others.
    pub(super) fn name(&self, id: CallerId) -> Option<&str> {
        Some(&self.known.get(&id)?.name)
    }

    /// Whether a caller is called so.
    pub(super) fn are_called(&self, name: &str) -> bool {
        self.known.values().any(|caller| caller.name == name)
    }
}

/// A caller that was forgotten.
pub(super) struct Forgotten {
    pub(super) id: CallerId,
    pub(super) name: String,
}

//! What an operator does to upstreams and meters by their names.

use paceline_core::engine::Engine;

use super::Registry;
use crate::watch::Retune;

impl Registry {
    /// Takes all upstreams of a place out of service or puts them back: its own credential's and those of callers.
    pub(in crate::shell) fn set_service(&mut self, engine: &mut Engine, place: usize, out: bool) {
        if out {
            self.taken_out.insert(place);
        } else {
            self.taken_out.remove(&place);
        }
        for (_, upstream) in self.upstreams.iter().filter(|(outlet, _)| outlet.place == place) {
            if out { engine.take_out(*upstream) } else { engine.put_back(*upstream) }
        }
    }

    /// Sets a ceiling at every meter called so. False when there is none.
    pub(in crate::shell) fn retune(&self, engine: &mut Engine, retune: &Retune) -> bool {
        let named = self
            .meters
            .iter()
            .filter(|(meter, _)| meter.account == retune.account && meter.models == retune.models);
        let mut found = false;
        for (_, limiter) in named {
            engine.set_ceiling(*limiter, retune.ceiling);
            found = true;
        }
        found
    }
}

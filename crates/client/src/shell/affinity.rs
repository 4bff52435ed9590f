//! Who served what last, so that it can go there again.

use std::collections::HashMap;
use std::mem;

use paceline_core::engine::UpstreamId;

/// Values remembered at most: two generations of half as many. What was not used in a whole generation is forgotten.
const MOST_VALUES: usize = 65_536;

/// The upstreams that served values last.
#[derive(Default)]
pub(super) struct Affinities {
    young: HashMap<u64, UpstreamId>,
    old: HashMap<u64, UpstreamId>,
}

impl Affinities {
    pub(super) fn get(&self, value: u64) -> Option<UpstreamId> {
        self.young.get(&value).or_else(|| self.old.get(&value)).copied()
    }

    pub(super) fn set(&mut self, value: u64, upstream: UpstreamId) {
        if MOST_VALUES / 2 <= self.young.len() && !self.young.contains_key(&value) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(value, upstream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_what_is_in_use_and_never_too_much() {
        let mut affinities = Affinities::default();
        for value in 0..1_000_000 {
            affinities.set(value, UpstreamId(value as u32));
            affinities.set(7, UpstreamId(3));
            assert!(affinities.young.len() + affinities.old.len() <= MOST_VALUES);
        }
        assert_eq!(affinities.get(7), Some(UpstreamId(3)));
        assert_eq!(affinities.get(999_999), Some(UpstreamId(999_999)));
        assert_eq!(affinities.get(999_999 - MOST_VALUES as u64 / 2), Some(UpstreamId(967_231)));
        assert_eq!(affinities.get(8), None);
    }
}

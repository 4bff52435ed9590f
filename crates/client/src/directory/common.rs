//! Ceilings for every account and model, one at a time.

use paceline_core::quota::Quota;

use super::Directory;
use crate::upstream::{Ceilings, CommonCeiling};

impl Directory {
    /// The same, but for one ceiling for every account and model. Those that name an account or models stay as they are.
    pub(crate) fn with_common(&self, ceiling: CommonCeiling) -> Self {
        let mut changed = self.clone();
        let is_common = |of: &Ceilings| of.account.is_none() && of.models.is_empty();
        for (ceilings, _) in changed.ceilings.iter_mut().filter(|(of, _)| is_common(of)) {
            match ceiling {
                CommonCeiling::Quota { dimension, window, .. } => {
                    ceilings.quotas.retain(|known| (known.dimension, known.window) != (dimension, window));
                }
                CommonCeiling::InFlight(_) => ceilings.in_flight = None,
            }
        }
        let alone = match ceiling {
            CommonCeiling::Quota { dimension, window, limit: Some(limit) } => {
                Some(Ceilings::new().quota(Quota { dimension, window, limit }))
            }
            CommonCeiling::InFlight(Some(most)) => Some(Ceilings::new().in_flight(most)),
            CommonCeiling::Quota { limit: None, .. } | CommonCeiling::InFlight(None) => None,
        };
        changed.ceilings.retain(|(of, _)| !is_common(of) || !of.quotas.is_empty() || of.in_flight.is_some());
        changed.ceilings.extend(alone.map(|ceilings| (ceilings, Vec::new())));
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use paceline_core::quota::Dimension;
    use paceline_wire::provider::Catalog;

    use super::*;
    use crate::upstream::Upstream;

    const MINUTE: Duration = Duration::from_secs(60);

    fn requests(limit: u64) -> Quota {
        Quota { dimension: Dimension::Requests, window: MINUTE, limit }
    }

    fn change(limit: Option<u64>) -> CommonCeiling {
        CommonCeiling::Quota { dimension: Dimension::Requests, window: MINUTE, limit }
    }

    #[test]
    fn one_ceiling_changes_and_the_others_stay() {
        let provider = Catalog::embedded().provider("anthropic").unwrap().clone();
        let hourly = Quota { window: 60 * MINUTE, ..requests(500) };
        let typed = vec![
            Ceilings::new().quota(requests(10)).quota(hourly).in_flight(9),
            Ceilings::new().account("a").quota(requests(30)),
        ];
        let upstream = Upstream::new("a", provider);
        let mut directory = Directory::new(vec![upstream], Vec::new(), typed).unwrap();
        let holds = |directory: &Directory| {
            let (_, spec) = directory.limits(&directory.places[0], "m");
            let minute = spec.ceilings.iter().find(|quota| quota.window == MINUTE).map(|quota| quota.limit);
            (minute, spec.in_flight)
        };
        let cases = [
            (change(Some(20)), (Some(20), Some(9))),
            (change(Some(50)), (Some(30), Some(9))), // The account's own holds beside it.
            (change(Some(5)), (Some(5), Some(9))),
            (CommonCeiling::InFlight(None), (Some(5), None)),
            (change(None), (Some(30), None)),
            (CommonCeiling::InFlight(Some(2)), (Some(30), Some(2))),
        ];
        assert_eq!(holds(&directory), (Some(10), Some(9)));
        for (change, held) in cases {
            directory = directory.with_common(change);
            assert_eq!(holds(&directory), held, "{change:?}");
            let (_, spec) = directory.limits(&directory.places[0], "m");
            assert!(spec.ceilings.contains(&hourly));
        }
    }
}

//! Ceilings as they are typed in flags.

use std::time::Duration;

use paceline::Ceilings;
use paceline_core::quota::{Dimension, Quota};

use crate::args;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// The ceilings of the flags, for every account and model; `None` when none was typed.
pub(crate) fn typed(flags: &args::Ceilings) -> Option<Ceilings> {
    let quotas = [
        (Dimension::Requests, MINUTE, flags.rpm),
        (Dimension::Requests, DAY, flags.rpd),
        (Dimension::InputTokens, MINUTE, flags.itpm),
        (Dimension::OutputTokens, MINUTE, flags.otpm),
        (Dimension::TotalTokens, MINUTE, flags.tpm),
    ];
    let mut ceilings = Ceilings::new();
    let mut any = flags.in_flight.is_some();
    for (dimension, window, limit) in quotas {
        let Some(limit) = limit else { continue };
        ceilings = ceilings.quota(Quota { dimension, window, limit });
        any = true;
    }
    if let Some(slots) = flags.in_flight {
        ceilings = ceilings.in_flight(slots);
    }
    any.then_some(ceilings)
}

//! The engine's verdict in the caller's words.

use paceline_core::engine::Verdict;
use paceline_core::feedback::Class;

use super::requests::{Loss, Pending, is_throttled};
use crate::error::{End, Failed, SendError};

/// Why `pending` is over, with the provider's own last word where it has had one.
pub(super) fn error(verdict: Verdict, pending: &mut Pending, request_id: Option<String>) -> SendError {
    let last = pending.last.take();
    let trip = pending.trip(request_id);
    let maybe_billed = pending.maybe_billed;
    let failed = |class: Class, end: End, last: Box<Loss>| {
        let Loss { status, headers, body, message, usage, fault, .. } = *last;
        let failed = Failed { class, end, status, headers, body, message, usage, trip, maybe_billed, fault };
        SendError::Failed(Box::new(failed))
    };
    match (verdict, last) {
        (Verdict::Final(class), Some(last)) => failed(class, End::Final, last),
        (Verdict::AttemptsExhausted(class), Some(last)) => failed(class, End::Attempts, last),
        (Verdict::BudgetExhausted(class), Some(last)) => failed(class, End::Budget, last),
        (Verdict::NoUpstream(class), Some(last)) => failed(class, End::NoUpstream, last),
        // A plea for patience is no failure to show; that the patience did not suffice is ours to say.
        (Verdict::TooLate { wait }, Some(last)) if !is_throttled(last.failure.class) => {
            failed(last.failure.class, End::Deadline(wait), last)
        }
        (Verdict::TooLate { wait }, _) => SendError::TooLate { wait },
        (Verdict::TooLarge { dimension, want, limit }, _) => SendError::TooLarge { dimension, want, limit },
        (Verdict::QueueFull, _) => SendError::QueueFull,
        (
            Verdict::Final(class)
            | Verdict::AttemptsExhausted(class)
            | Verdict::BudgetExhausted(class)
            | Verdict::NoUpstream(class),
            None,
        ) => SendError::NoUpstream { class },
    }
}

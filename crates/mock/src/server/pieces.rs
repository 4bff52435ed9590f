//! Cuts an answer into what is said when, with the trouble that was chosen for it.

use std::iter::{once, once_with};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use paceline_core::time::Time;

use super::sse;
use super::telling::{Piece, Pieces, Then};
use crate::answer::{Answer, Frame};
use crate::clock::Clock;
use crate::model::Call;
use crate::profile::Dialect;
use crate::script::{Details, Disguises, Fault};

/// Events of a stream are at least this far apart; faster tokens share one.
const EVENT_SPACING: Duration = Duration::from_millis(10);
/// Tokens in an event when they take no time at all.
const INSTANT_GROUP: usize = 16;
/// Events before the trouble, unless told otherwise.
const EVENTS_BEFORE: u64 = 5;
/// Into how many pieces a dripping body is cut.
const DRIPS: usize = 20;
/// Between the last bytes and a reset, so that they arrive.
const BEFORE_RESET: Duration = Duration::from_millis(5);

/// What goes wrong with an answer.
pub(super) type Trouble = Option<(Fault, Details)>;

/// At once, whatever the time is.
const NOW: Time = Time::ZERO;

/// A body in one piece, at `at`; and the length that is announced for it.
pub(super) fn whole(bytes: Bytes, at: Time, trouble: &Trouble, disguises: &Disguises) -> (Pieces, u64) {
    let length = bytes.len();
    let told = trouble.as_ref().and_then(|(_, details)| details.after);
    let after = told.map_or(length / 2, |after| usize::try_from(after).unwrap_or(length).min(length));
    let (part, rest) = (bytes.slice(..after), bytes.slice(after..));
    let pieces: Vec<Piece> = match trouble {
        Some((Fault::Truncate, _)) => return (say_all(vec![say(at, part)]), after as u64),
        Some((Fault::Cut, _)) => vec![say(at, part), broken(at, false)],
        Some((Fault::Reset, _)) => vec![say(at, part), broken(at + BEFORE_RESET, true)],
        Some((Fault::Stall, Details { wait: Some(wait), .. })) => {
            vec![say(at, part), say(at + *wait, rest)]
        }
        Some((Fault::Stall, _)) => vec![say(at, part), Piece { at, then: Then::Hang }],
        _ => match disguises.drip {
            Some(wait) => drips(&bytes, at, wait),
            None => vec![say(at, bytes)],
        },
    };
    (say_all(pieces), length as u64)
}

/// The events of a stream that began at `start`.
pub(super) fn stream(
    answer: Arc<Answer>,
    call: Call,
    start: Time,
    clock: Clock,
    (trouble, disguises): (Trouble, Disguises),
) -> Pieces {
    let endpoint = answer.endpoint;
    let (wait, drip) = (trouble.as_ref().and_then(|(_, details)| details.wait), disguises.drip);
    let told = trouble.as_ref().and_then(|(_, details)| details.after).unwrap_or(EVENTS_BEFORE);
    let after = usize::try_from(told).unwrap_or(usize::MAX);
    let dialect =
        if endpoint == crate::asked::Endpoint::Messages { Dialect::Anthropic } else { Dialect::OpenAi };

    let written = move |(nth, (at, frame)): (usize, (Time, Frame))| {
        let nth = nth as u64;
        let at = at + drip.unwrap_or_default().saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX));
        let bytes = Bytes::from(sse::write(&frame, nth, endpoint, &disguises));
        let parts = if disguises.has(Fault::Split) { sse::split(bytes) } else { vec![bytes] };
        parts.into_iter().map(move |part| say(at, part))
    };
    let fail = |nth: u64| {
        let details = trouble.as_ref().map(|(_, details)| details.clone()).unwrap_or_default();
        (NOW, sse::error(&Fault::stream_problem(dialect, &details), endpoint, nth))
    };
    let first_error = fail(0);
    let late_error = fail(told);
    let frames = frames(answer, call, start, clock);
    match trouble.map(|(fault, _)| fault) {
        Some(Fault::StreamErrorFirst) => Box::new(once(first_error).enumerate().flat_map(written)),
        Some(Fault::StreamErrorMid) => {
            Box::new(frames.take(after).chain(once(late_error)).enumerate().flat_map(written))
        }
        Some(Fault::Truncate) => Box::new(frames.take(after).enumerate().flat_map(written)),
        Some(fault @ (Fault::Cut | Fault::Reset)) => {
            let end = once_with(move || broken(clock.now() + BEFORE_RESET, fault == Fault::Reset));
            Box::new(frames.take(after).enumerate().flat_map(written).chain(end))
        }
        Some(Fault::Stall) => match wait {
            Some(wait) => {
                let late = move |(nth, (at, frame))| {
                    (nth, if nth < after { (at, frame) } else { (at + wait, frame) })
                };
                Box::new(frames.enumerate().map(late).flat_map(written))
            }
            None => {
                let end = once(Piece { at: NOW, then: Then::Hang });
                Box::new(frames.take(after).enumerate().flat_map(written).chain(end))
            }
        },
        _ => Box::new(frames.enumerate().flat_map(written)),
    }
}

/// Every event of an answer with its time.
fn frames(
    answer: Arc<Answer>,
    call: Call,
    start: Time,
    clock: Clock,
) -> impl Iterator<Item = (Time, Frame)> + Send + 'static {
    let first = start + call.first_token_after;
    let tokens = answer.text.tokens();
    let every = call.token_every * u32::try_from(answer.asked.parts).unwrap_or(1);
    let group = group_size(clock.real(every));
    let deltas = tokens.div_ceil(group);
    let at = move |tokens: usize| first + every.saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX));
    let (opening, closing) = (answer.opening(), Arc::clone(&answer));
    let opening = opening.into_iter().map(move |frame| (first, frame));
    let said = (0..deltas).map(move |nth| {
        let (from, to) = (nth * group, ((nth + 1) * group).min(tokens));
        (at(to.saturating_sub(1)), answer.delta(nth as u64, from, to))
    });
    let end = at(tokens.saturating_sub(1));
    let last = once_with(move || closing.closing(deltas as u64)).flatten().map(move |frame| (end, frame));
    opening.chain(said).chain(last)
}

fn group_size(every: Duration) -> usize {
    if every.is_zero() {
        return INSTANT_GROUP;
    }
    usize::try_from(EVENT_SPACING.as_nanos().div_ceil(every.as_nanos())).unwrap_or(usize::MAX)
}

fn drips(bytes: &Bytes, at: Time, wait: Duration) -> Vec<Piece> {
    let size = bytes.len().div_ceil(DRIPS).max(1);
    let starts = (0..bytes.len()).step_by(size).zip(0u32..);
    let piece = |(start, nth): (usize, u32)| {
        say(at + wait.saturating_mul(nth), bytes.slice(start..(start + size).min(bytes.len())))
    };
    starts.map(piece).collect()
}

fn say_all(pieces: Vec<Piece>) -> Pieces {
    let empty = |piece: &Piece| matches!(&piece.then, Then::Say(bytes) if bytes.is_empty());
    Box::new(pieces.into_iter().filter(move |piece| !empty(piece)))
}

fn say(at: Time, bytes: Bytes) -> Piece {
    Piece { at, then: Then::Say(bytes) }
}

fn broken(at: Time, reset: bool) -> Piece {
    Piece { at, then: Then::Break { reset } }
}

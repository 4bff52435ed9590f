//! Reads requests strictly, byte by byte as they come, to say how far they may be passed on.
//!
//! Takes much less than the standard does: only what clients of today send and what every parser reads alike. Two parties
//! who disagree about where a request ends, or whom it is for, are how one caller gets at another's answers. Pure: never
//! waits, allocates nothing.

mod chunks;
mod head;
mod target;

use http::StatusCode;

use self::chunks::Chunks;
use self::head::{Framing, Head};
use super::Refusal;
use crate::settings::Caps;

/// Where in a request the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its head, or nothing of it has come.
    Head,
    /// Its body.
    Body,
    /// It is whole; its answer is due, and no byte before that.
    Answer,
}

/// Follows the requests of one connection.
#[derive(Clone, Debug)]
pub struct Scanner {
    caps: Caps,
    at: At,
}

#[derive(Clone, Debug)]
enum At {
    Head(Head),
    Length(u64),
    Chunks(Chunks),
    Answer,
}

impl Scanner {
    /// At the start of a connection.
    pub fn new(caps: Caps) -> Self {
        Self { caps, at: At::Head(Head::default()) }
    }

    /// Where the next byte belongs.
    pub fn stage(&self) -> Stage {
        match self.at {
            At::Head(_) => Stage::Head,
            At::Length(_) | At::Chunks(_) => Stage::Body,
            At::Answer => Stage::Answer,
        }
    }

    /// Scans `input` and says how much of it may be passed on.
    ///
    /// An unfinished head is not passed on: the next call has it again, longer, and goes on where this one ended. What
    /// is left over at [`Stage::Answer`] came too early. After a refusal there is nothing more to scan.
    pub fn scan(&mut self, input: &[u8]) -> Result<usize, Refusal> {
        let mut passed = 0;
        loop {
            let rest = &input[passed..];
            passed += match &mut self.at {
                At::Head(head) => {
                    let Some((length, framing)) = head.scan(rest, &self.caps)? else { return Ok(passed) };
                    self.at = self.body(framing)?;
                    length
                }
                At::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    if *left > 0 {
                        return Ok(passed + taken);
                    }
                    self.at = At::Answer;
                    taken
                }
                At::Chunks(chunks) => {
                    let taken = chunks.scan(rest, self.caps.body_bytes as u64)?;
                    if !chunks.ended() {
                        return Ok(passed + taken);
                    }
                    self.at = At::Answer;
                    taken
                }
                At::Answer => return Ok(passed),
            };
        }
    }

    /// The answer is out: the next request may come.
    pub fn handle_answered(&mut self) {
        self.at = At::Head(Head::default());
    }

    /// Something is answered in place of the head that was refused.
    pub(super) fn handle_refused(&mut self) {
        self.at = At::Answer;
    }

    fn body(&self, framing: Framing) -> Result<At, Refusal> {
        match framing {
            Framing::None | Framing::Length(0) => Ok(At::Answer),
            Framing::Length(length) if length > self.caps.body_bytes as u64 => Err(TOO_LARGE),
            Framing::Length(length) => Ok(At::Length(length)),
            Framing::Chunked => Ok(At::Chunks(Chunks::default())),
        }
    }
}

pub(super) const TOO_LARGE: Refusal =
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is larger than this gateway takes");

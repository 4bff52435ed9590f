//! Cuts a stream of server-sent events at the ends of its events, for those who forward it.
//!
//! What comes out is what went in, byte for byte, but an event goes out only once all of it is there: when a stream breaks
//! off, the error that tells so must not be glued to half an event. Most chunks end where an event ends, and pass
//! uncopied.

use std::mem;
use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::sse::{Event, Parser};

/// The most that is held back of an unfinished event. A longer one passes in pieces.
pub const MOST_HELD: usize = 64 << 10;

/// Cuts one stream.
#[derive(Debug)]
pub struct Cutter {
    held: BytesMut,    // What has come of an unfinished event ...
    passing: bool,     // ... unless that became too long, and goes out as it comes.
    line_empty: bool,  // Nothing of the current line has come.
    fresh: bool,       // Nothing has come since the last event ended.
    after_cr: bool,    // A line feed right now belongs to the carriage return before it.
    drops_usage: bool, // The event that carries nothing but the usage is still to be left out.
    swallows: bool,    // The line feed that belongs to it as well.
    told: bool,        // The last events that went out told of a failure.
}

impl Cutter {
    /// A cutter at the start of a stream. With `drops_usage`, the chunk of a chat completion that has no choices but the
    /// usage is left out: for callers who did not ask for it.
    pub fn new(drops_usage: bool) -> Self {
        Self {
            held: BytesMut::new(),
            passing: false,
            line_empty: true,
            fresh: true,
            after_cr: false,
            drops_usage,
            swallows: false,
            told: false,
        }
    }

    /// Takes the next bytes, and hands what is ready to `out`.
    pub fn push(&mut self, mut chunk: Bytes, mut out: impl FnMut(Bytes)) {
        let mut end = 0;
        if !self.is_between() {
            let Some(first) = self.next_end(&chunk, 0) else { return self.keep(chunk, out) };
            let rest = chunk.split_off(first);
            self.end_held(mem::replace(&mut chunk, rest), &mut out);
        }
        let mut start = 0; // Of what is to go out.
        while let Some(next) = self.next_end(&chunk, end) {
            if self.leaves_out(&chunk[end..next]) {
                self.pass(chunk.slice(start..end), &mut out);
                start = next;
            }
            end = next;
        }
        let rest = chunk.split_off(end);
        self.pass(chunk.split_off(start), &mut out);
        self.keep(rest, out);
    }

    /// Hands out what is left of a stream that ended well: for many readers, an event needs no empty line at its end.
    pub fn finish(&mut self, mut out: impl FnMut(Bytes)) {
        if !self.held.is_empty() {
            self.end_held(Bytes::new(), &mut out);
        }
    }

    /// Hands out what is left of a stream that ended badly, if that is the word on why; otherwise it is given up.
    pub fn finish_failed(&mut self, mut out: impl FnMut(Bytes)) {
        let held = mem::take(&mut self.held);
        if tells_failure(&held) {
            self.told = true;
            out(held.freeze());
            out(Bytes::from_static(b"\n\n"));
        }
    }

    /// Gives up what is held of an event that will never be whole. Tells whether its beginning has gone out, so that an
    /// empty line must come before whatever is said next.
    pub fn break_off(&mut self) -> bool {
        self.held = BytesMut::new();
        mem::take(&mut self.passing)
    }

    /// Whether no event is under way, so that something may be put between.
    pub fn is_between(&self) -> bool {
        self.held.is_empty() && !self.passing
    }

    /// Whether the events that went out last told of a failure in the dialect's own way, as its SDKs know it.
    pub fn told_failure(&self) -> bool {
        self.told
    }

    /// The unfinished event ends with `tail`.
    fn end_held(&mut self, tail: Bytes, out: &mut impl FnMut(Bytes)) {
        if mem::take(&mut self.passing) {
            return out(tail);
        }
        let mut event = mem::take(&mut self.held);
        event.extend_from_slice(&tail);
        if !self.leaves_out(&event) {
            self.pass(event.freeze(), out);
        }
    }

    /// Whole events on their way out.
    fn pass(&mut self, events: Bytes, out: &mut impl FnMut(Bytes)) {
        if !events.is_empty() {
            self.told = may_tell_failure(&events) && tells_failure(&events);
            out(events);
        }
    }

    /// The beginning of an event.
    fn keep(&mut self, part: Bytes, mut out: impl FnMut(Bytes)) {
        if self.passing {
            out(part);
        } else if self.held.len() + part.len() <= MOST_HELD {
            self.held.extend_from_slice(&part);
        } else {
            self.passing = true;
            let held = mem::take(&mut self.held);
            if !held.is_empty() {
                out(held.freeze());
            }
            out(part);
        }
    }

    fn leaves_out(&mut self, event: &[u8]) -> bool {
        if mem::take(&mut self.swallows) && event == b"\n" {
            return true;
        }
        if !self.drops_usage || !has_no_choices(event) || !is_usage(event) {
            return false;
        }
        self.drops_usage = false;
        self.swallows = self.after_cr;
        true
    }

    /// Where the event that `chunk[from..]` begins with, or goes on with, ends; `None` when there is no more of it.
    fn next_end(&mut self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        if at == chunk.len() {
            return None;
        }
        if mem::take(&mut self.after_cr) && chunk[at] == b'\n' {
            at += 1;
            if self.fresh {
                return Some(at);
            }
        }
        while let Some(found) = memchr2(b'\r', b'\n', &chunk[at..]) {
            let empty = found == 0 && self.line_empty;
            at += found + 1;
            if chunk[at - 1] == b'\r' {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            self.line_empty = true;
            self.fresh = empty;
            if empty {
                return Some(at);
            }
        }
        if at < chunk.len() {
            self.line_empty = false;
            self.fresh = false;
        }
        None
    }
}

/// Whether there is an empty list of choices in it: cheap, and true of every event that is only usage.
fn has_no_choices(event: &[u8]) -> bool {
    // To make ready for a search takes longer than the search.
    static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"choices\""));
    KEY.find_iter(event).any(|at| {
        let mut rest = event[at + KEY.needle().len()..].iter().filter(|byte| !byte.is_ascii_whitespace());
        [b':', b'[', b']'].iter().all(|wanted| rest.next() == Some(wanted))
    })
}

fn is_usage(event: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        choices: &'a RawValue,
        usage: &'a RawValue,
    }
    any_event(event, |_, data| {
        serde_json::from_slice::<Chunk<'_>>(data).is_ok_and(|chunk| {
            let mut choices = chunk.choices.get().bytes().filter(|byte| !byte.is_ascii_whitespace());
            choices.next() == Some(b'[') && choices.next() == Some(b']') && chunk.usage.get().starts_with('{')
        })
    })
}

/// Cheap, and right whenever it says no.
fn may_tell_failure(events: &[u8]) -> bool {
    static WORDS: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| ["error", "response.failed", "response.cancelled"].map(Finder::new));
    WORDS.iter().any(|word| word.find(events).is_some())
}

fn tells_failure(events: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Told<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
        error: Option<&'a RawValue>,
    }
    any_event(events, |name, data| {
        let told = serde_json::from_slice::<Told<'_>>(data);
        told.is_ok_and(|Told { kind, error }| {
            let kind = kind.map(RawValue::get);
            let failed = [r#""response.failed""#, r#""response.cancelled""#];
            name == b"error" || error.is_some() || kind.is_some_and(|kind| failed.contains(&kind))
        })
    })
}

/// Whether `is` holds for the name and data of any of `events`.
fn any_event(events: &[u8], is: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    let mut parser = Parser::new();
    let mut any = false;
    let mut see = |event: Event<'_>| {
        if let Event::Message { name, data } = event {
            any |= is(name, data);
        }
    };
    parser.push(events, &mut see);
    if let Some(event) = parser.finish() {
        see(event);
    }
    any
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USAGE: &str = "data: {\"id\":\"x\",\"choices\": [ ],\"usage\":{\"total_tokens\":3}}\r\n\r\n";

    /// What comes out of `stream` in chunks of `size`, piece by piece, and the end.
    fn cut(drops_usage: bool, stream: &[u8], size: usize) -> Vec<String> {
        let mut cutter = Cutter::new(drops_usage);
        let mut pieces = Vec::new();
        let mut out = |piece: Bytes| {
            assert!(!piece.is_empty());
            pieces.push(String::from_utf8_lossy(&piece).into_owned());
        };
        for chunk in stream.chunks(size) {
            cutter.push(Bytes::copy_from_slice(chunk), &mut out);
        }
        cutter.finish(&mut out);
        pieces
    }

    #[test]
    fn events_go_out_when_they_are_whole() {
        let stream = b"data: a\n\ndata: b\r\n\r\n: c\n\nevent: d\r\rdata: e";
        assert_eq!(
            cut(false, stream, stream.len()),
            ["data: a\n\ndata: b\r\n\r\n: c\n\nevent: d\r\r", "data: e"]
        );
        let by_one = ["data: a\n\n", "data: b\r\n\r", "\n", ": c\n\n", "event: d\r\r", "data: e"];
        assert_eq!(cut(false, stream, 1), by_one);
    }

    #[test]
    fn half_an_event_is_given_up() {
        let mut cutter = Cutter::new(false);
        let mut seen = Vec::new();
        cutter.push("data: a\n\ndata: {\"b".into(), |piece| seen.push(piece));
        assert_eq!(seen, ["data: a\n\n"]);
        assert!(!cutter.is_between());
        assert!(!cutter.break_off(), "nothing of it has gone out");
        assert!(cutter.is_between());
    }

    #[test]
    fn the_word_on_a_failure_is_not_given_up() {
        for (held, want) in [("data: {\"error\":{}}", "data: {\"error\":{}}\n\n"), ("data: {\"err", "")] {
            let mut cutter = Cutter::new(false);
            cutter.push(held.into(), |_| panic!("held"));
            let mut seen = Vec::new();
            cutter.finish_failed(|piece| seen.extend_from_slice(&piece));
            assert_eq!(seen, want.as_bytes());
            assert_eq!(cutter.told_failure(), !want.is_empty());
            assert!(cutter.is_between());
        }
    }

    #[test]
    fn an_endless_event_passes_in_pieces() {
        let mut cutter = Cutter::new(true);
        let mut seen = 0;
        cutter.push("data: ".into(), |_| panic!("held"));
        let chunk = Bytes::from(vec![b'x'; 50_000]);
        for _ in 0..4 {
            cutter.push(chunk.clone(), |piece| seen += piece.len());
            assert!(cutter.held.capacity() <= 2 * MOST_HELD);
        }
        assert_eq!(seen, 200_006);
        cutter.push("\n\ndata: b".into(), |piece| seen += piece.len());
        assert_eq!(seen, 200_008);
        cutter.push(chunk, |_| {});
        cutter.push("zzzzz".repeat(9_000).into(), |piece| seen += piece.len());
        assert!(cutter.break_off(), "part of it has gone out");
    }

    #[test]
    fn the_usage_that_nobody_asked_for_is_left_out() {
        let around = [
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"choices\\\":[]\"}}],\"usage\":null}\r\n\r\n",
            "data: [DONE]\r\n\r\n",
        ];
        let stream = [around[0], USAGE, around[1]].concat();
        for size in 1..=stream.len() {
            assert_eq!(cut(true, stream.as_bytes(), size).concat(), around.concat(), "by {size}");
            assert_eq!(cut(false, stream.as_bytes(), size).concat(), stream, "by {size}");
        }
        let kept = [
            "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n",
            "data: {\"choices\":[],\"usage\":null}\n\n",
            "data: {\"x\":{\"choices\":[]},\"choices\":[{}],\"usage\":{}}\n\n",
            "data: {\"choices\":[],\"usage\":{}\n\n",
        ];
        for event in kept {
            assert_eq!(cut(true, event.as_bytes(), event.len()).concat(), event);
        }
        let twice = [USAGE, USAGE].concat();
        assert_eq!(cut(true, twice.as_bytes(), 7).concat(), USAGE, "only one was asked for");
        assert_eq!(cut(true, USAGE.trim_end().as_bytes(), 9).concat(), "", "its end may lack");
    }

    #[test]
    fn failures_are_known_in_every_spelling() {
        let cases = [
            ("event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n", true),
            ("data: {\"error\":{\"message\":\"x\"}}\n\n", true),
            ("event: error\ndata: {\"type\":\"error\",\"code\":null}\n\n", true),
            ("event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{}}\n\n", true),
            ("data: {\"error\":null,\"choices\":[]}\n\n", false),
            ("data: {\"x_groq\":{\"error\":\"x\"}}\n\n", false),
            ("data: an error\n\n", false),
            (
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n",
                false,
            ),
            ("data: {\"error\":{\"message\":\"x\"}}\n\ndata: a\n\n", true),
        ];
        for (stream, want) in cases {
            let mut cutter = Cutter::new(false);
            cutter.push(stream.into(), |_| {});
            assert_eq!(cutter.told_failure(), want, "{stream}");
        }
        let mut cutter = Cutter::new(false);
        cutter.push(cases[1].0.into(), |_| {});
        cutter.push("data: a\n\n".into(), |_| {});
        assert!(!cutter.told_failure(), "only the last ones count");
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_changed(stream in "(data: a|[\r\n]|: c|x){0,30}", sizes in prop::collection::vec(1usize..9, 1..20)) {
            let mut cutter = Cutter::new(false);
            let mut seen = Vec::new();
            let mut rest = stream.as_bytes();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, more) = rest.split_at((*size).min(rest.len()));
                cutter.push(Bytes::copy_from_slice(chunk), |piece| seen.extend_from_slice(&piece));
                // What a parser has seen whole has gone out.
                let mut parser = Parser::new();
                let mut whole = 0;
                parser.push(&stream.as_bytes()[..stream.len() - more.len()], |_| whole += 1);
                let mut gone = 0;
                Parser::new().push(&seen, |_| gone += 1);
                prop_assert_eq!(whole, gone);
                rest = more;
            }
            cutter.finish(|piece| seen.extend_from_slice(&piece));
            prop_assert_eq!(seen, stream.as_bytes());
        }
    }
}

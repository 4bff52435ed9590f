//! Reads server-sent events out of whatever chunks the network hands over.
//!
//! Sans-IO: bytes go in by reference, events come out by reference, and nothing is waited for. The caller may forward
//! the bytes at once and look at the events beside them. Follows the WHATWG grammar, with two differences: values stay
//! bytes (a provider's broken UTF-8 is not ours to judge), and an event has a size cap.
//!
//! ```
//! use paceline_wire::sse::{Event, Parser};
//!
//! let mut parser = Parser::new();
//! let mut chunk: &[u8] = b"event: ping\r\ndata: {}\r\n\r\n: waiting\n";
//! let event = parser.next_event(&mut chunk);
//! assert_eq!(event, Some(Event::Message { name: b"ping", data: b"{}" }));
//! assert_eq!(parser.next_event(&mut chunk), None);
//! ```

use memchr::{memchr, memchr2};

/// The most one event may weigh, counted over its lines; comments are free.
pub const EVENT_CAP: usize = 8 << 20;

/// Buffer space kept between events, so that thousands of idle streams stay small after one big event each.
const KEPT_CAPACITY: usize = 16 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event of a stream; it borrows from the parser until the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An event that carries data.
    Message {
        /// The value of its `event` field; empty when there was none.
        name: &'a [u8],
        /// The values of its `data` fields, joined with line feeds.
        data: &'a [u8],
    },
    /// An event above the cap went by; its content was not kept.
    Oversized,
}

/// A push parser: give it chunks, take events.
#[derive(Debug)]
pub struct Parser {
    cap: usize,
    line: Vec<u8>, // The line that the last chunk left unfinished; one byte of it where the rest doesn't matter.
    name: Vec<u8>, // What the unfinished event has so far.
    data: Vec<u8>, // Likewise.
    has_data: bool, // A `data` field came, though its value may be empty.
    weight: usize, // Bytes of the finished lines of the unfinished event.
    oversized: bool, // The unfinished event went over the cap; skip to its end.
    dispatched: bool, // The caller has seen what the buffers hold; clear them first.
    after_cr: bool, // A line feed right now belongs to the carriage return before it.
    at_start: bool, // No line has ended yet, so a byte order mark may lead.
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser at the start of a stream, with [`EVENT_CAP`].
    pub fn new() -> Self {
        Self::with_cap(EVENT_CAP)
    }

    /// A parser whose events may weigh `cap` bytes.
    pub fn with_cap(cap: usize) -> Self {
        Self {
            cap: cap.max(BYTE_ORDER_MARK.len()), // So that the mark alone, which is nothing, never goes over it.
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            weight: 0,
            oversized: false,
            dispatched: false,
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes the next event out of `input`, which moves on past what was read.
    ///
    /// `None` means that `input` is used up: its unfinished rest is kept, so call again with the next chunk.
    pub fn next_event(&mut self, input: &mut &[u8]) -> Option<Event<'_>> {
        self.forget_dispatched();
        loop {
            if self.after_cr && !input.is_empty() {
                self.after_cr = false;
                *input = input.strip_prefix(b"\n").unwrap_or(input);
            }
            let Some(end) = memchr2(b'\r', b'\n', input) else {
                self.hold(input);
                *input = &[];
                return None;
            };
            let (line, rest) = (&input[..end], &input[end + 1..]);
            self.after_cr = input[end] == b'\r';
            *input = rest;
            if self.end_line(line) {
                return Some(self.dispatch());
            }
        }
    }

    /// Calls `each` with every event that `chunk` completes.
    pub fn push(&mut self, mut chunk: &[u8], mut each: impl FnMut(Event<'_>)) {
        while let Some(event) = self.next_event(&mut chunk) {
            each(event);
        }
    }

    /// Takes what the end of the stream left without its closing blank line.
    ///
    /// Browsers discard it. Some servers close right after their last line, though, and whoever asks whether the
    /// terminal event came should not call those streams cut: half an event doesn't parse as one anyway.
    pub fn finish(&mut self) -> Option<Event<'_>> {
        self.forget_dispatched();
        if !self.line.is_empty() {
            self.end_line(b"");
        }
        (self.oversized || self.has_data).then(|| self.dispatch())
    }

    /// Keeps the unfinished line that a chunk ends with.
    fn hold(&mut self, part: &[u8]) {
        let Some(first) = self.line.first().or(part.first()).copied() else { return };
        if !self.oversized && first != b':' && !self.fits(self.line.len() + part.len()) {
            self.overflow();
        }
        if !self.oversized && first != b':' {
            self.line.extend_from_slice(part);
        } else if self.line.is_empty() {
            self.line.push(first);
        }
    }

    /// Ends a line whose last part is `tail`; tells whether it completes an event.
    fn end_line(&mut self, tail: &[u8]) -> bool {
        if self.line.is_empty() {
            return self.read_line(tail);
        }
        self.hold(tail);
        let mut line = std::mem::take(&mut self.line);
        let complete = self.read_line(&line);
        line.clear();
        line.shrink_to(KEPT_CAPACITY);
        self.line = line;
        complete
    }

    /// Reads one whole line; tells whether it completes an event.
    fn read_line(&mut self, line: &[u8]) -> bool {
        let comment = line.first() == Some(&b':');
        if !comment && !self.oversized {
            if self.fits(line.len()) {
                self.weight += line.len();
            } else {
                self.overflow();
            }
        }
        let line = match std::mem::take(&mut self.at_start) {
            true => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            let complete = self.oversized || self.has_data;
            self.dispatched = !complete; // An event without data is none: forget its name.
            self.forget_dispatched();
            return complete;
        }
        if !comment && !self.oversized {
            self.read_field(line);
        }
        false
    }

    fn read_field(&mut self, line: &[u8]) {
        let colon = memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {} // `id` and `retry` are for reconnecting, which no provider supports; the rest is unknown.
        }
    }

    fn dispatch(&mut self) -> Event<'_> {
        self.dispatched = true;
        if self.oversized { Event::Oversized } else { Event::Message { name: &self.name, data: &self.data } }
    }

    fn forget_dispatched(&mut self) {
        if !std::mem::take(&mut self.dispatched) {
            return;
        }
        for buffer in [&mut self.name, &mut self.data] {
            buffer.clear();
            buffer.shrink_to(KEPT_CAPACITY);
        }
        self.has_data = false;
        self.oversized = false;
        self.weight = 0;
    }

    /// Whether the unfinished event may take `more` bytes.
    fn fits(&self, more: usize) -> bool {
        more <= self.cap.saturating_sub(self.weight)
    }

    /// Gives up on the unfinished event, and its memory back; the line in hand keeps one byte, so that it isn't blank.
    fn overflow(&mut self) {
        self.oversized = true;
        self.line.truncate(1);
        for buffer in [&mut self.line, &mut self.name, &mut self.data] {
            buffer.shrink_to(1);
        }
        self.name = Vec::new();
        self.data = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every event as `name|data`, with `!` for an oversized one, for a stream that arrives in chunks of `size`.
    fn events(cap: usize, stream: &[u8], size: usize) -> Vec<String> {
        let mut parser = Parser::with_cap(cap);
        let mut seen = Vec::new();
        for chunk in stream.chunks(size) {
            parser.push(chunk, |event| seen.push(spell(event)));
        }
        seen
    }

    fn spell(event: Event<'_>) -> String {
        match event {
            Event::Message { name, data } => {
                format!("{}|{}", String::from_utf8_lossy(name), String::from_utf8_lossy(data))
            }
            Event::Oversized => "!".to_owned(),
        }
    }

    #[test]
    fn reads_the_grammar_whatever_the_chunks() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("data: a\n\n", &["|a"]),
            ("data:a\r\rdata:b\r\r", &["|a", "|b"]),
            ("data:a\r\n\r\ndata:b\r\n\r\n", &["|a", "|b"]),
            ("data:a\n\r\ndata:b\r\n\n", &["|a", "|b"]),
            ("data:  two blanks\n\n", &["| two blanks"]),
            ("data: a\ndata\ndata:\ndata: b\n\n", &["|a\n\n\nb"]),
            ("data\n\n", &["|"]),
            ("event: x\ndata: a\n\ndata: b\n\n", &["x|a", "|b"]),
            ("data: a\nevent: late\n\n", &["late|a"]),
            ("event: x\nevent: y\ndata: a\n\n", &["y|a"]),
            ("event: no data\n\ndata: a\n\n", &["|a"]),
            ("id: 1\nretry: 5\nfoo: bar\nfoo\ndata: a\n\n", &["|a"]),
            (": OPENROUTER PROCESSING\n\n:\n\n\ndata: a\n: in between\n\n", &["|a"]),
            ("\u{feff}data: a\n\n", &["|a"]),
            ("\u{feff}\u{feff}data: a\n\n", &[]),
            ("\n\u{feff}data: a\n\n", &[]),
            ("data: \u{feff}\u{1f6b4}\u{e9}\n\n", &["|\u{feff}\u{1f6b4}\u{e9}"]),
            ("data : a\n data: b\nDATA: c\n\n", &[]),
            ("data: nul\0byte\n\n", &["|nul\0byte"]),
            ("data: never ended\n", &[]),
        ];
        for (stream, expected) in cases {
            for size in 1..=stream.len().max(1) {
                assert_eq!(events(EVENT_CAP, stream.as_bytes(), size), *expected, "{stream:?} by {size}");
            }
        }
    }

    #[test]
    fn keeps_invalid_utf8_as_it_is() {
        let mut chunk: &[u8] = b"event: \xff\ndata: \xc3\x28\n\n";
        let event = Parser::new()
            .next_event(&mut chunk)
            .map(|event| event == Event::Message { name: b"\xff", data: b"\xc3\x28" });
        assert_eq!(event, Some(true));
    }

    #[test]
    fn a_line_ended_by_a_carriage_return_does_not_wait_for_more() {
        let mut parser = Parser::new();
        let mut chunk: &[u8] = b"data: a\r\r";
        assert_eq!(parser.next_event(&mut chunk), Some(Event::Message { name: b"", data: b"a" }));
        let mut chunk: &[u8] = b"\ndata: b\n\n";
        assert_eq!(parser.next_event(&mut chunk), Some(Event::Message { name: b"", data: b"b" }));
    }

    #[test]
    fn skips_an_event_over_the_cap_and_reads_on() {
        let cases: &[(&str, &[&str])] = &[
            ("data: 3456789\n\n", &["|3456789"]),
            ("data: 34567890\n\ndata: b\n\n", &["!", "|b"]),
            ("data: 3\ndata:9\n\n", &["|3\n9"]),
            ("data: 3\ndata: 90\n\ndata: b\n\n", &["!", "|b"]),
            ("unknown: much longer\ndata: a\n\ndata: b\n\n", &["!", "|b"]),
            (": a comment may be long, it is not kept\ndata: a\n\n", &["|a"]),
            ("data: 3456789\n: comment\n\n", &["|3456789"]),
        ];
        for (stream, expected) in cases {
            for size in 1..=stream.len() {
                assert_eq!(events(13, stream.as_bytes(), size), *expected, "{stream:?} by {size}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_alone_is_never_oversized() {
        for size in 1..=8 {
            assert_eq!(events(0, b"\xEF\xBB\xBF\ndata\n\n", size), ["!"], "by {size}");
        }
    }

    #[test]
    fn holds_no_more_than_the_cap_and_gives_it_back() {
        let mut parser = Parser::with_cap(1 << 20);
        let held = |parser: &Parser| parser.line.capacity() + parser.data.capacity() + parser.name.capacity();
        let chunk = [b'x'; 4096];
        parser.push(b"data: ", |_| {});
        for _ in 0..1024 {
            parser.push(&chunk, |_| {});
            assert!(held(&parser) <= 2 << 20);
        }
        assert!(held(&parser) <= KEPT_CAPACITY, "an unterminated line keeps {} bytes", held(&parser));
        parser.push(b"\n\n", |event| assert_eq!(event, Event::Oversized));
        parser.push(b": ", |_| {});
        for _ in 0..1024 {
            parser.push(&chunk, |_| {});
        }
        assert!(held(&parser) <= KEPT_CAPACITY, "an unterminated comment keeps {} bytes", held(&parser));
    }

    #[test]
    fn finish_hands_over_what_lacks_its_blank_line() {
        let cases = [
            ("data: [DONE]", Some("|[DONE]")),
            ("data: [DONE]\n", Some("|[DONE]")),
            ("data: a\n\nevent: x\ndata: b\r", Some("x|b")),
            ("data: a\n\n", None),
            ("event: x\n", None),
            ("", None),
        ];
        for (stream, expected) in cases {
            let mut parser = Parser::new();
            parser.push(stream.as_bytes(), |_| {});
            assert_eq!(parser.finish().map(spell).as_deref(), expected, "{stream:?}");
            assert_eq!(parser.finish(), None, "{stream:?}: twice");
        }
    }
}

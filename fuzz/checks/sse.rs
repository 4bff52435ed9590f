//! A stream reads the same however it is cut, as a naive reading of the standard has it, and within its cap.

use paceline_wire::sse::{EVENT_CAP, Event, Parser};
use paceline_wire::stream::Observer;
use paceline_wire::{Dialect, Endpoint};

/// Small enough for the inputs to reach.
const CAPS: [usize; 4] = [EVENT_CAP, 8, 40, 200];

const STREAMS: [(Dialect, Endpoint); 5] = [
    (Dialect::Anthropic, Endpoint::Messages),
    (Dialect::OpenAi, Endpoint::ChatCompletions),
    (Dialect::OpenAi, Endpoint::Responses),
    (Dialect::OpenAi, Endpoint::Completions),
    (Dialect::OpenAi, Endpoint::Other),
];

/// An event as name and data; `None` for one above the cap.
type Seen = Option<(Vec<u8>, Vec<u8>)>;

/// The first byte chooses the cap, the second where the rest is cut.
pub(crate) fn check(input: &[u8]) {
    let [cap, cuts, stream @ ..] = input else { return };
    let cap = CAPS[usize::from(*cap) % CAPS.len()];
    let whole = parsed(cap, std::iter::once(stream));
    assert_eq!(parsed(cap, stream.chunks(1)), whole, "byte by byte");
    assert_eq!(parsed(cap, uneven(stream, *cuts).into_iter()), whole, "cut unevenly");
    if cap == EVENT_CAP {
        assert_eq!(whole, naive(stream), "naively");
    }
    for (dialect, endpoint) in STREAMS {
        observe(dialect, endpoint, &whole);
    }
}

fn parsed<'a>(cap: usize, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut parser = Parser::with_cap(cap);
    let mut seen = Vec::new();
    for chunk in chunks {
        parser.push(chunk, |event| seen.push(kept(cap, event)));
    }
    seen.extend(parser.finish().map(|event| kept(cap, event)));
    assert_eq!(parser.finish(), None, "the end comes once");
    seen
}

fn kept(cap: usize, event: Event<'_>) -> Seen {
    let Event::Message { name, data } = event else { return None };
    assert!(name.len() + data.len() <= cap, "{} bytes of event, {cap} allowed", name.len() + data.len());
    Some((name.to_vec(), data.to_vec()))
}

/// Chunks of sizes that change from one to the next, empty ones among them.
fn uneven(mut stream: &[u8], cuts: u8) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut state = u32::from(cuts);
    while !stream.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (chunk, rest) = stream.split_at(((state >> 28) as usize).min(stream.len()));
        chunks.push(chunk);
        stream = rest;
    }
    chunks
}

/// All events of a stream that is there in one piece, unfinished ones included.
fn naive(stream: &[u8]) -> Vec<Seen> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut unified = Vec::new();
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            b'\r' => unified.push(b'\n'),
            b'\n' if at > 0 && stream[at - 1] == b'\r' => {}
            other => unified.push(*other),
        }
    }
    let mut events = Vec::new();
    let (mut name, mut data): (Vec<u8>, Option<Vec<u8>>) = Default::default();
    for line in unified.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            events.extend(data.take().map(|data| Some((name, data))));
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match (field, &mut data) {
            (b"event", _) => name = value.to_vec(),
            (b"data", None) => data = Some(value.to_vec()),
            (b"data", Some(data)) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            _ => {}
        }
    }
    events
}

fn observe(dialect: Dialect, endpoint: Endpoint, events: &[Seen]) {
    let mut observer = Observer::new(dialect, endpoint);
    let mut produced = 0;
    for event in events {
        observer.handle_event(match event {
            Some((name, data)) => Event::Message { name, data },
            None => Event::Oversized,
        });
        assert!(produced <= observer.produced_bytes(), "what was produced stays produced");
        produced = observer.produced_bytes();
        let _ = (observer.ended(), observer.output_tokens(), observer.has_content());
    }
    observer.finish();
}

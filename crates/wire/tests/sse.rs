//! The SSE parser against an independent one, and against itself with other chunks.

use std::convert::Infallible;

use futures_util::{FutureExt, StreamExt, stream};
use paceline_wire::sse::{EVENT_CAP, Event, Parser};
use proptest::prelude::*;

type Seen = Option<(Vec<u8>, Vec<u8>)>;

fn ours<'a>(cap: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut parser = Parser::with_cap(cap);
    let mut seen = Vec::new();
    for chunk in chunks {
        parser.push(chunk, |event| {
            seen.push(match event {
                Event::Message { name, data } => Some((name.to_vec(), data.to_vec())),
                Event::Oversized => None,
            });
        });
    }
    seen
}

fn theirs(chunks: &[&[u8]]) -> Vec<Seen> {
    let chunks: Vec<Result<Vec<u8>, Infallible>> = chunks.iter().map(|chunk| Ok(chunk.to_vec())).collect();
    let body = stream::iter(chunks.into_iter().map(|chunk| chunk.map(std::io::Cursor::new)));
    let events = sse_stream::SseByteStream::new(body).collect::<Vec<_>>().now_or_never();
    let events = events.expect("a stream in memory never waits");
    let events = events.into_iter().map(|event| event.expect("valid UTF-8 in, no error out"));
    // The other parser hands over blocks without data, which the standard says are no events.
    let events = events.filter_map(|event| Some((event.event.unwrap_or_default(), event.data?)));
    events.map(|(name, data)| Some((name.into_bytes(), data.into_bytes()))).collect()
}

/// Cuts `stream` at the given places, taken modulo its length.
fn cut<'a>(stream: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop_oneof!["\n", "\r", "\r\n", "\n\n"].prop_map(String::from),
        4 => prop_oneof!["data", "event", "id", "retry", "da", ":", ": ", " ", "data: ", "data:", "event: "].prop_map(String::from),
        1 => Just("\u{feff}".to_owned()),
        2 => "[a-z{}\": é🚴\u{0}]{0,12}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_another_parser(stream in pieces(), places in places()) {
        let chunks = cut(stream.as_bytes(), &places);
        prop_assert_eq!(ours(EVENT_CAP, chunks.iter().copied()), theirs(&chunks));
    }

    #[test]
    fn chunks_make_no_difference(
        stream in prop_oneof![pieces().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..200)],
        places in places(),
        cap in 0_usize..40,
    ) {
        let whole = ours(cap, [stream.as_slice()]);
        prop_assert_eq!(&ours(cap, cut(&stream, &places)), &whole);
        prop_assert_eq!(&ours(cap, stream.chunks(1)), &whole);
    }
}

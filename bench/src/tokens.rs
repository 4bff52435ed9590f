//! The words of an answer: each carries its place and the moment it was said, so that a lost, doubled or late one is noticed
//! however a gateway wraps it anew.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem;

/// Stands before each word.
const MARK: &[u8] = b"tok-";
/// No word is longer: what is left of a piece that ends within one.
const LONGEST: usize = 48;

/// The moment, as words carry it.
pub fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The word with this number.
pub fn word(place: usize, said_at: u64) -> String {
    format!("tok-{place}@{said_at} ")
}

/// Finds words in a text that comes in pieces.
#[derive(Debug, Default)]
pub struct Words {
    held: Vec<u8>,
    count: usize,
    disordered: bool,
}

impl Words {
    /// Looks through the next piece; `said_at` is told of each word found.
    pub fn feed(&mut self, piece: &[u8], mut said_at: impl FnMut(u64)) {
        self.held.extend_from_slice(piece);
        let mut done = 0;
        while let Some(at) = memmem::find(&self.held[done..], MARK) {
            let start = done + at + MARK.len();
            let Some(length) = self.held[start..].iter().position(|b| *b == b' ') else {
                break;
            };
            let found = parse(&self.held[start..start + length]);
            self.disordered |= found.is_none_or(|(place, _)| place != self.count);
            self.count += 1;
            said_at(found.map_or(0, |(_, at)| at));
            done = start + length;
        }
        let unread = self.held.len().saturating_sub(LONGEST).max(done);
        self.held.drain(..unread);
    }

    /// Whether exactly so many came, in their order.
    pub fn are(&self, count: usize) -> bool {
        self.count == count && !self.disordered
    }

    /// How many came.
    pub fn count(&self) -> usize {
        self.count
    }
}

fn parse(word: &[u8]) -> Option<(usize, u64)> {
    let (place, said_at) = std::str::from_utf8(word).ok()?.split_once('@')?;
    Some((place.parse().ok()?, said_at.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(places: &[usize]) -> String {
        let words = places.iter().map(|place| format!("data: {{\"content\":\"{}\"}}\n\n", word(*place, 7)));
        words.collect()
    }

    #[test]
    fn finds_each_word_however_the_text_is_cut() {
        let whole = text(&[0, 1, 2]);
        for size in 1..=whole.len() {
            let (mut words, mut times) = (Words::default(), Vec::new());
            for piece in whole.as_bytes().chunks(size) {
                words.feed(piece, |at| times.push(at));
            }
            assert!(words.are(3), "pieces of {size}");
            assert_eq!(times, [7, 7, 7], "pieces of {size}");
        }
    }

    #[test]
    fn notices_what_is_lost_doubled_or_out_of_order() {
        for places in [&[0, 2][..], &[0, 0, 1], &[1, 0, 2], &[0, 1], &[0, 1, 2, 3]] {
            let mut words = Words::default();
            words.feed(text(places).as_bytes(), |_| ());
            assert!(!words.are(3), "{places:?}");
        }
    }
}

//! What the mock answers: a short blog post, the same for the same request; or the arguments of a tool.

use fastrand::Rng;

/// One token each; some are longer than one byte a letter, so that streams are cut in awkward places.
#[rustfmt::skip]
const WORDS: [&str; 64] = [
    "the", "a", "road", "rider", "wind", "pace", "line", "hill", "morning", "coffee", "café", "naïve",
    "plan", "turns", "wheel", "front", "steady", "quiet", "long", "short", "field", "river", "after",
    "before", "with", "without", "every", "slow", "fast", "rests", "leads", "follows", "keeps", "holds",
    "shares", "waits", "begins", "ends", "learns", "forgets", "climbs", "falls", "opens", "closes",
    "writes", "reads", "garden", "bread", "jalapeño", "Zürich", "Łódź", "東京", "🚲", "and", "but", "or",
    "then", "again", "never", "always", "here", "there", "somewhere", "naturally",
];

/// Letters of a token where a text is given.
const LETTERS_PER_TOKEN: usize = 4;

/// A text and where each of its tokens ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    all: String,
    ends: Vec<usize>,
}

impl Text {
    /// A text of exactly `tokens` tokens.
    pub(crate) fn write(rng: &mut Rng, tokens: usize) -> Text {
        let mut text = Text { all: String::new(), ends: Vec::with_capacity(tokens) };
        let (mut words_left, mut sentences_left) = (0, rng.u32(3..6));
        let mut opening = true;
        for _ in 0..tokens {
            if words_left == 0 {
                words_left = rng.u32(6..15);
                opening = true;
            }
            let word = WORDS[rng.usize(..WORDS.len())];
            text.push_word(word, opening);
            opening = false;
            words_left -= 1;
            if words_left == 0 {
                text.all.push('.');
                sentences_left -= 1;
                if sentences_left == 0 {
                    sentences_left = rng.u32(3..6);
                    text.all.push_str("\n\n");
                }
            }
            text.ends.push(text.all.len());
        }
        text
    }

    /// The first `most` tokens of a given text, and how many it has in all.
    pub(crate) fn quote(given: &str, most: usize) -> (Text, usize) {
        let starts = given.char_indices().map(|(at, _)| at).step_by(LETTERS_PER_TOKEN).skip(1);
        let mut ends: Vec<usize> = starts.chain((!given.is_empty()).then_some(given.len())).collect();
        let tokens = ends.len();
        ends.truncate(most);
        (Text { all: given[..ends.last().copied().unwrap_or(0)].to_owned(), ends }, tokens)
    }

    /// The whole text.
    pub(crate) fn as_str(&self) -> &str {
        &self.all
    }

    /// How many tokens it has.
    pub(crate) fn tokens(&self) -> usize {
        self.ends.len()
    }

    /// Tokens `from` to before `to`; what lies beyond the end is left out.
    pub(crate) fn piece(&self, from: usize, to: usize) -> &str {
        let offset = |at: usize| at.checked_sub(1).and_then(|at| self.ends.get(at).copied());
        let start = if from == 0 { 0 } else { offset(from).unwrap_or(self.all.len()) };
        let end = if to == 0 { 0 } else { offset(to).unwrap_or(self.all.len()) };
        self.all.get(start..end).unwrap_or_default()
    }

    fn push_word(&mut self, word: &str, opening: bool) {
        if !self.all.is_empty() && !self.all.ends_with('\n') {
            self.all.push(' ');
        }
        let mut letters = word.chars();
        match letters.next().filter(|_| opening) {
            Some(first) => {
                self.all.extend(first.to_uppercase());
                self.all.push_str(letters.as_str());
            }
            None => self.all.push_str(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_text_and_its_pieces_are_the_whole() {
        for tokens in [0, 1, 7, 500] {
            let text = Text::write(&mut Rng::with_seed(3), tokens);
            assert_eq!(text, Text::write(&mut Rng::with_seed(3), tokens));
            assert_eq!(text.tokens(), tokens);
            let pieces: String = (0..tokens).step_by(7).map(|at| text.piece(at, at + 7)).collect();
            assert_eq!(pieces, text.as_str());
        }
    }

    #[test]
    fn a_quote_is_cut_at_a_letter() {
        let (text, tokens) = Text::quote("{\"a\":\"東京東京\"}", 2);
        assert_eq!((text.as_str(), text.tokens(), tokens), ("{\"a\":\"東京", 2, 3));
        assert_eq!(text.piece(1, 9), ":\"東京");
        assert_eq!(Text::quote("", 5).1, 0);
    }
}

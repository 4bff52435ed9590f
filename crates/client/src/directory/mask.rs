//! Keeps fragments of a credential out of what is shown: providers like to quote the key they refuse.

use std::collections::HashSet;

use bytes::Bytes;

use crate::secret::Secret;

/// As many characters in a row as give a key away.
const FRAGMENT: usize = 6;
const MASK: &[u8] = b"****";

/// Recognises fragments of one credential.
pub(crate) struct Mask {
    fragments: HashSet<[u8; FRAGMENT]>,
}

impl Mask {
    pub(crate) fn new(key: Option<&Secret>) -> Self {
        let key = key.map(Secret::expose).unwrap_or_default();
        let fragments = key.as_bytes().windows(FRAGMENT).filter_map(|window| window.try_into().ok());
        Self { fragments: fragments.collect() }
    }

    /// `text` with every word masked that holds a fragment; the text itself when none does.
    pub(crate) fn apply(&self, text: Bytes) -> Bytes {
        if !text.windows(FRAGMENT).any(|window| self.gives_away(window)) {
            return text;
        }
        let mut masked = Vec::with_capacity(text.len());
        for word in text.chunk_by(|a, b| in_word(*a) == in_word(*b)) {
            let telling = word.windows(FRAGMENT).any(|window| self.gives_away(window));
            masked.extend_from_slice(if telling { MASK } else { word });
        }
        masked.into()
    }

    fn gives_away(&self, window: &[u8]) -> bool {
        window.try_into().is_ok_and(|window: [u8; FRAGMENT]| self.fragments.contains(&window))
    }
}

/// Characters that keys consist of, and those by which messages shorten them.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fragment_of_the_key_is_left() {
        let mask = Mask::new(Some(&Secret::new("sk-proj-qVL45abcdefD1Vi")));
        let cases = [
            ("Incorrect API key provided: sk-proj-****D1Vi.", "Incorrect API key provided: ****"),
            (r#"{"message":"key sk-proj-qVL45abcdefD1Vi is bad"}"#, r#"{"message":"key **** is bad"}"#),
            ("nothing of it", "nothing of it"),
            ("", ""),
        ];
        for (text, want) in cases {
            assert_eq!(mask.apply(Bytes::from(text)), want, "{text}");
        }
        assert_eq!(Mask::new(None).apply(Bytes::from("sk-proj-q")), "sk-proj-q");
    }
}

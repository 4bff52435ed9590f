//! Tells by a hash whether a job still asks for what it asked for.

use paceline_wire::line::Defaults;

use crate::journal::ContentHash;

/// Hashes jobs of one batch.
#[derive(Clone, Copy, Debug)]
pub struct ContentHasher {
    fingerprint: [u8; 32], // Of the defaults: with others, a line asks for something else.
}

impl ContentHasher {
    /// For a batch with these defaults.
    pub fn new(defaults: &Defaults) -> Self {
        Self { fingerprint: *blake3::hash(defaults.encoded().as_bytes()).as_bytes() }
    }

    /// What a line asks for. `text`: the line is a prompt, not JSON.
    pub fn hash(&self, line: &[u8], text: bool) -> ContentHash {
        ContentHash::of(&[&self.fingerprint, &[u8::from(text)], line.trim_ascii()])
    }
}

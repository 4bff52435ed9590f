//! A fingerprint of everything that happened, so that two runs can be compared at a glance.

use paceline_core::time::Time;

/// A running hash (FNV-1a over 64-bit words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    /// Adds one happening.
    pub(crate) fn note(&mut self, at: Time, kind: u64, about: u64) {
        for word in [at.as_nanos(), kind, about] {
            self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
        }
    }

    /// The fingerprint.
    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

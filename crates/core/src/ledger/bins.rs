//! The bins of a ledger. They take no room until something is put into one: most limits are known of, and never met.

use std::ops::{Index, IndexMut};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bin {
    pub(super) amount: i64,
    pub(super) total_before: u64,
    pub(super) gone_before: i64,
}

const EMPTY: Bin = Bin { amount: 0, total_before: 0, gone_before: 0 };

#[derive(Clone, Debug)]
pub(super) struct Bins {
    all: Vec<Bin>, // None of them until one is needed.
    len: usize,
}

impl Bins {
    pub(super) fn new(len: usize) -> Self {
        Self { all: Vec::new(), len }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether anything was ever put into one.
    pub(super) fn are_used(&self) -> bool {
        !self.all.is_empty()
    }
}

impl Index<usize> for Bins {
    type Output = Bin;

    fn index(&self, slot: usize) -> &Bin {
        if self.are_used() { &self.all[slot] } else { &EMPTY }
    }
}

impl IndexMut<usize> for Bins {
    fn index_mut(&mut self, slot: usize) -> &mut Bin {
        if self.all.is_empty() {
            self.all = vec![EMPTY; self.len];
        }
        &mut self.all[slot]
    }
}

//! Finds a job by its id among millions, in 16 bytes each.
//!
//! Twelve bytes are an entry of a table sorted by the id's hash: 64 bits of it, and the job's number. Four are what is
//! remembered of the job's content, to notice an edit. Sorting needs no room of its own, and a small directory by the
//! hash's first bits makes a search cost about two cache misses.

use crate::journal::ContentHash;

/// Entries a directory's slot covers, on average.
const PER_SLOT: usize = 16;
/// The directory's size, at most: 16 MiB.
const MOST_BITS: u32 = 22;

/// Collects the jobs of an input, in order.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    entries: Vec<[u32; 3]>, // The hash's halves and the job's number: their order is the table's.
    contents: Vec<u32>,
}

impl IndexBuilder {
    /// Adds the next job; false when there are more than numbers.
    pub(crate) fn push(&mut self, key: u64, content: ContentHash) -> bool {
        let Ok(number) = u32::try_from(self.entries.len()) else { return false };
        self.entries.push([(key >> 32) as u32, key as u32, number]);
        self.contents.push(content.short());
        number < u32::MAX
    }

    /// Sorts the table.
    pub(crate) fn build(mut self) -> Index {
        self.entries.sort_unstable();
        self.entries.shrink_to_fit();
        self.contents.shrink_to_fit();
        let slots = (self.entries.len() / PER_SLOT).max(1);
        let bits = slots.ilog2().clamp(1, MOST_BITS);
        let mut directory = vec![0_u32; (1 << bits) + 1];
        for entry in &self.entries {
            directory[(entry[0] >> (32 - bits)) as usize + 1] += 1;
        }
        for slot in 1..directory.len() {
            directory[slot] += directory[slot - 1];
        }
        Index { entries: self.entries, contents: self.contents, directory, bits }
    }
}

/// The jobs of an input, by id and by number.
#[derive(Debug)]
pub(crate) struct Index {
    entries: Vec<[u32; 3]>,
    contents: Vec<u32>,
    directory: Vec<u32>,
    bits: u32,
}

impl Index {
    /// How many jobs there are.
    pub(crate) fn len(&self) -> u32 {
        self.contents.len() as u32
    }

    /// The number of the job whose id has this key.
    pub(crate) fn find(&self, key: u64) -> Option<u32> {
        let wanted = [(key >> 32) as u32, key as u32];
        let slot = (wanted[0] >> (32 - self.bits)) as usize;
        let range = self.directory[slot] as usize..self.directory[slot + 1] as usize;
        let entries = &self.entries[range];
        let at = entries.partition_point(|entry| entry[..2] < wanted[..]);
        entries.get(at).filter(|entry| entry[..2] == wanted[..]).map(|entry| entry[2])
    }

    /// The job's content is what was seen when the index was built, as far as is remembered.
    pub(crate) fn is_content(&self, number: u32, content: ContentHash) -> bool {
        self.contents[number as usize] == content.short()
    }

    /// Pairs of jobs whose ids have the same key: the first one that has it, and each later one.
    pub(crate) fn same_keys(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut first = 0;
        (1..self.entries.len()).filter_map(move |at| {
            if self.entries[at][..2] != self.entries[first][..2] {
                first = at;
                return None;
            }
            Some((self.entries[first][2], self.entries[at][2]))
        })
    }

    /// The jobs in the order of their ids' hashes: a shuffle that depends on the ids alone.
    pub(crate) fn shuffled(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().map(|entry| entry[2])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(keys: &[u64]) -> Index {
        let mut builder = IndexBuilder::default();
        for key in keys {
            assert!(builder.push(*key, ContentHash(key.wrapping_mul(3) << 32)));
        }
        builder.build()
    }

    #[test]
    fn same_keys_name_the_first_and_each_later_job() {
        let index = index(&[5, 9, 5, 7, 5, 7]);
        let mut pairs: Vec<_> = index.same_keys().collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 2), (0, 4), (3, 5)]);
    }

    proptest! {
        #[test]
        fn finds_what_is_there_and_nothing_else(
            keys in proptest::collection::hash_set(any::<u64>(), 0..2000),
            spread in 0..48u32,
        ) {
            let keys: Vec<u64> = keys.into_iter().map(|key| key >> spread).collect::<std::collections::HashSet<_>>()
                .into_iter().collect();
            let index = index(&keys);
            for (number, key) in keys.iter().enumerate() {
                prop_assert_eq!(index.find(*key), Some(number as u32));
                prop_assert!(index.is_content(number as u32, ContentHash(key.wrapping_mul(3) << 32)));
            }
            prop_assert_eq!(index.find(u64::MAX), keys.iter().position(|key| *key == u64::MAX).map(|at| at as u32));
            prop_assert_eq!(index.same_keys().count(), 0);
        }
    }
}

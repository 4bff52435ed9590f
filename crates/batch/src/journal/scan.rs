//! Reads a journal that may have been damaged by anything.
//!
//! Every record is checked by itself. Where one doesn't check, the search goes on byte by byte for the next that does: a
//! flipped byte costs one record, a torn end costs what was torn, and nothing is ever made up.

use std::io::{self, Read};

use super::record::{RECORD_SIZE, Record};

const BLOCK: usize = 1 << 18; // Bytes read at once.

/// What a journal's bytes were worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Records that checked.
    pub records: u64,
    /// Places where bytes did not check, other than the end.
    pub damaged: u64,
    /// Where the last record that checked ends.
    pub end: u64,
    /// Bytes after it: torn off by a crash, or damaged.
    pub torn: u64,
}

/// Hands every record that checks to `visit`, with its offset.
pub fn scan(mut source: impl Read, mut visit: impl FnMut(u64, Record)) -> io::Result<Scan> {
    let mut buffer = vec![0; BLOCK];
    let (mut filled, mut base) = (0, 0_u64); // Bytes in the buffer, and the offset of its first.
    let mut result = Scan::default();
    loop {
        let read = read_some(&mut source, &mut buffer[filled..])?;
        filled += read;
        let mut at = 0;
        while let Some(bytes) = buffer[at..filled].first_chunk::<RECORD_SIZE>() {
            let Some(record) = Record::decode(bytes) else {
                at += 1;
                continue;
            };
            let offset = base + at as u64;
            if offset > result.end {
                result.damaged += 1;
            }
            visit(offset, record);
            result.records += 1;
            at += RECORD_SIZE;
            result.end = base + at as u64;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        base += at as u64;
        if read == 0 {
            result.torn = base + filled as u64 - result.end;
            return Ok(result);
        }
    }
}

fn read_some(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::tests::any_record;
    use super::super::record::{ContentHash, IdHash, LineSum};
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Record>, Scan) {
        let mut records = Vec::new();
        let scan = scan(bytes, |_, record| records.push(record)).unwrap();
        (records, scan)
    }

    fn sample(records: usize) -> Vec<Record> {
        (0..records)
            .map(|i| Record::Done {
                id: IdHash::of(&format!("job-{i}")),
                content: ContentHash(i as u64),
                line: LineSum { crc: 7, length: 9 },
                ok: i % 3 != 0,
            })
            .collect()
    }

    fn bytes_of(records: &[Record]) -> Vec<u8> {
        records.iter().flat_map(Record::encode).collect()
    }

    #[test]
    fn every_flipped_byte_of_4_kib_is_noticed_and_costs_one_record() {
        let records = sample(4096 / RECORD_SIZE + 1);
        let good = bytes_of(&records);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let (found, scan) = all(&bytes);
            let hit = at / RECORD_SIZE;
            let mut expected = records.clone();
            expected.remove(hit);
            assert_eq!(found, expected, "byte {at}");
            assert!(scan.damaged + u64::from(scan.torn > 0) == 1, "byte {at}: {scan:?}");
        }
    }

    #[test]
    fn every_cut_keeps_the_records_before_it() {
        let records = sample(30);
        let good = bytes_of(&records);
        for cut in 0..=good.len() {
            let (found, scan) = all(&good[..cut]);
            assert_eq!(found, records[..cut / RECORD_SIZE], "cut at {cut}");
            assert_eq!(scan.torn, (cut % RECORD_SIZE) as u64);
            assert_eq!(scan.damaged, 0);
        }
    }

    #[test]
    fn records_after_a_torn_one_are_found() {
        let records = sample(3);
        let mut bytes = bytes_of(&records[..1]);
        bytes.extend(&records[1].encode()[..17]);
        bytes.extend(records[2].encode());
        let (found, scan) = all(&bytes);
        assert_eq!(found, [records[0], records[2]]);
        assert_eq!((scan.damaged, scan.torn), (1, 0));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_make_a_record(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let (found, scan) = all(&bytes);
            prop_assert_eq!(found, []);
            prop_assert_eq!(scan.torn, bytes.len() as u64);
        }

        #[test]
        fn only_what_was_written_is_found(
            records in proptest::collection::vec(any_record(), 0..40),
            noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..10),
        ) {
            let mut bytes = bytes_of(&records);
            for (at, value) in noise {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
            }
            let (found, _) = all(&bytes);
            let mut rest = records.iter();
            for record in found {
                prop_assert!(rest.any(|written| *written == record), "not written, or out of order");
            }
        }
    }
}

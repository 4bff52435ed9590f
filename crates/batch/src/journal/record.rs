//! One record of the journal, and its bytes.
//!
//! Forty bytes: a mark, the kind, two zeros, 32 bytes of content, and a CRC-32 over all of them. Whatever was not
//! written by [`Record::encode`] is refused by [`Record::decode`], unused bytes included.

/// The size of every record.
pub const RECORD_SIZE: usize = 40;

/// The version of the format, of what is hashed in it too. The header's own layout is the same in all of them.
pub(crate) const VERSION: u32 = 2;

const MARK: u8 = 0x9c; // No letter and no UTF-8 start: text never looks like a record.
const BODY: usize = 4;
const SUM: usize = RECORD_SIZE - 4;
const NAME: [u8; 8] = *b"paceline";

/// A job's id as the journal knows it: 128 bits of its BLAKE3 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdHash(pub [u8; 16]);

impl IdHash {
    /// The hash of an id.
    pub fn of(id: &str) -> Self {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
        Self(short)
    }

    /// Its first 64 bits, by which jobs are looked up.
    pub(crate) fn key(self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }
}

/// Jobs by the keys of their ids, which are hashes already and need no second one.
pub(crate) type Keys = std::collections::HashSet<u64, std::hash::BuildHasherDefault<AsIs>>;

/// Takes a key for its own hash.
#[derive(Default)]
pub(crate) struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys arrive by `write_u64`; whatever else might, is mixed in somehow.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// What a job asks for, as 64 bits of a BLAKE3 hash over everything that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(pub u64);

impl ContentHash {
    /// The hash of several parts; where one ends and the next begins counts too.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// The half that is kept in memory for each job: enough to notice an edit, too little to be a proof.
    pub(crate) fn short(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The checksum and length of a result's line, without its line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineSum {
    /// CRC-32.
    pub crc: u32,
    /// Bytes.
    pub length: u32,
}

impl LineSum {
    /// The checksum of a line, without its line end.
    pub fn of(line: &[u8]) -> Self {
        Self { crc: crc32fast::hash(line), length: u32::try_from(line.len()).unwrap_or(u32::MAX) }
    }

    /// Both in one number, to be kept in memory for each job.
    pub(crate) fn short(self) -> u32 {
        self.crc ^ self.length.wrapping_mul(0x9e37_79b1)
    }
}

/// One entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// The first record: whose file this is.
    Header {
        /// The version of the format.
        version: u32,
        /// Drawn when the batch began.
        run: [u8; 16],
        /// The output's name ends in `.jsonl`, so that `a` and `a.jsonl`, which share a journal's name, are told apart.
        jsonl: bool,
    },
    /// The second record, written in place: the process that holds the journal, or held it last.
    Holder {
        /// The process.
        pid: u32,
    },
    /// A process begins to work on the batch.
    Session {
        /// The process.
        pid: u32,
        /// Seconds since 1970.
        at: u64,
    },
    /// A job is about to be sent.
    Sent {
        /// Which job.
        id: IdHash,
        /// What it asks for.
        content: ContentHash,
    },
    /// A job has its final line.
    Done {
        /// Which job.
        id: IdHash,
        /// What it asked for.
        content: ContentHash,
        /// The line: in the output, or in the errors file when the job failed.
        line: LineSum,
        /// It succeeded.
        ok: bool,
    },
    /// A job that was sent is left undone, and was not billed: every attempt was answered without success, or never
    /// reached the provider.
    Returned {
        /// Which job.
        id: IdHash,
        /// What it asks for.
        content: ContentHash,
    },
    /// Every record before this offset of the journal is on disk, and so is every line they speak of.
    Settled {
        /// The offset.
        until: u64,
    },
}

impl Record {
    /// Its bytes.
    pub fn encode(&self) -> [u8; RECORD_SIZE] {
        let mut bytes = self.unsummed();
        let sum = crc32fast::hash(&bytes[..SUM]);
        bytes[SUM..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Its bytes, but for the checksum.
    fn unsummed(&self) -> [u8; RECORD_SIZE] {
        let mut bytes = [0; RECORD_SIZE];
        bytes[0] = MARK;
        bytes[1] = self.kind();
        let body = &mut bytes[BODY..SUM];
        match self {
            Record::Header { version, run, jsonl } => {
                body[..8].copy_from_slice(&NAME);
                body[8..12].copy_from_slice(&version.to_le_bytes());
                body[12..28].copy_from_slice(run);
                body[28] = u8::from(*jsonl);
            }
            Record::Holder { pid } => body[..4].copy_from_slice(&pid.to_le_bytes()),
            Record::Session { pid, at } => {
                body[..4].copy_from_slice(&pid.to_le_bytes());
                body[8..16].copy_from_slice(&at.to_le_bytes());
            }
            Record::Sent { id, content } | Record::Returned { id, content } => put_job(body, *id, *content),
            Record::Done { id, content, line, .. } => {
                put_job(body, *id, *content);
                body[24..28].copy_from_slice(&line.crc.to_le_bytes());
                body[28..32].copy_from_slice(&line.length.to_le_bytes());
            }
            Record::Settled { until } => body[..8].copy_from_slice(&until.to_le_bytes()),
        }
        bytes
    }

    /// The record these bytes are; `None` unless they are exactly what [`Record::encode`] writes.
    pub fn decode(bytes: &[u8; RECORD_SIZE]) -> Option<Self> {
        // The mark is looked at first, so that a search through damaged bytes costs little.
        if bytes[0] != MARK || bytes[SUM..] != crc32fast::hash(&bytes[..SUM]).to_le_bytes() {
            return None;
        }
        let body = &bytes[BODY..SUM];
        let record = match bytes[1] {
            1 => Record::Header { version: u32_at(body, 8), run: array_at(body, 12), jsonl: body[28] == 1 },
            2 => Record::Holder { pid: u32_at(body, 0) },
            3 => Record::Session { pid: u32_at(body, 0), at: u64::from_le_bytes(array_at(body, 8)) },
            4 => Record::Sent { id: IdHash(array_at(body, 0)), content: content_at(body) },
            kind @ (5 | 6) => Record::Done {
                id: IdHash(array_at(body, 0)),
                content: content_at(body),
                line: LineSum { crc: u32_at(body, 24), length: u32_at(body, 28) },
                ok: kind == 5,
            },
            7 => Record::Settled { until: u64::from_le_bytes(array_at(body, 0)) },
            8 => Record::Returned { id: IdHash(array_at(body, 0)), content: content_at(body) },
            _ => return None,
        };
        (record.unsummed()[..SUM] == bytes[..SUM]).then_some(record)
    }

    fn kind(&self) -> u8 {
        match self {
            Record::Header { .. } => 1,
            Record::Holder { .. } => 2,
            Record::Session { .. } => 3,
            Record::Sent { .. } => 4,
            Record::Done { ok: true, .. } => 5,
            Record::Done { ok: false, .. } => 6,
            Record::Settled { .. } => 7,
            Record::Returned { .. } => 8,
        }
    }
}

fn put_job(body: &mut [u8], id: IdHash, content: ContentHash) {
    body[..16].copy_from_slice(&id.0);
    body[16..24].copy_from_slice(&content.0.to_le_bytes());
}

fn content_at(body: &[u8]) -> ContentHash {
    ContentHash(u64::from_le_bytes(array_at(body, 16)))
}

fn u32_at(body: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(body, at))
}

/// `N` bytes from `at`. The offsets are constants of this file, all of them inside the body.
fn array_at<const N: usize>(body: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&body[at..at + N]);
    array
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_record() -> impl Strategy<Value = Record> {
        let job =
            || (any::<[u8; 16]>(), any::<u64>()).prop_map(|(id, content)| (IdHash(id), ContentHash(content)));
        prop_oneof![
            (any::<u32>(), any::<[u8; 16]>(), any::<bool>())
                .prop_map(|(version, run, jsonl)| Record::Header { version, run, jsonl }),
            any::<u32>().prop_map(|pid| Record::Holder { pid }),
            (any::<u32>(), any::<u64>()).prop_map(|(pid, at)| Record::Session { pid, at }),
            job().prop_map(|(id, content)| Record::Sent { id, content }),
            job().prop_map(|(id, content)| Record::Returned { id, content }),
            (job(), any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
                |((id, content), crc, length, ok)| {
                    Record::Done { id, content, line: LineSum { crc, length }, ok }
                }
            ),
            any::<u64>().prop_map(|until| Record::Settled { until }),
        ]
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn any_changed_byte_is_noticed(record in any_record(), at in 0..RECORD_SIZE, flip in 1..=255u8) {
            let mut bytes = record.encode();
            bytes[at] ^= flip;
            prop_assert_eq!(Record::decode(&bytes), None);
        }

        #[test]
        fn noise_is_no_record(bytes in any::<[u8; RECORD_SIZE]>()) {
            prop_assert_eq!(Record::decode(&bytes), None);
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(ContentHash::of(&[b"ab", b"c"]), ContentHash::of(&[b"a", b"bc"]));
    }
}

//! A journal gives back exactly the records that are still whole, wherever they lie, and makes none up.

use std::io::{self, Read};

use paceline_batch::{ContentHash, IdHash, LineSum, RECORD_SIZE, Record, Scan, scan};

/// Fills more than the reader takes at once, but for a few bytes.
const LONG_GAP: usize = (256 << 10) - 128;
/// An input that begins with this byte has such a gap before everything else: it takes long to read.
const LONG: u8 = 0xff;

/// A file under construction, with every record that was written whole, by offset.
#[derive(Default)]
struct Built {
    bytes: Vec<u8>,
    written: Vec<(u64, Record)>,
}

/// The input is read twice: as a journal, and as a recipe for one that is damaged.
pub(crate) fn check(input: &[u8]) {
    never_invents(input);
    let mut built = Built::default();
    let mut rest = input;
    if let [LONG, more, tail @ ..] = rest {
        built.bytes.resize(LONG_GAP + usize::from(*more), LONG);
        rest = tail;
    }
    while let [step, tail @ ..] = rest {
        rest = built.take(*step, tail);
    }
    gives_back(&built, input.len());
}

/// Whatever is found is there, byte for byte.
fn never_invents(bytes: &[u8]) {
    let mut end = 0;
    let result = scan(bytes, |at, record| {
        assert!(end <= at, "records don't overlap");
        end = at + RECORD_SIZE as u64;
        assert_eq!(bytes[at as usize..end as usize], record.encode());
    });
    let result = result.expect("memory can be read");
    assert_eq!((result.end, result.end + result.torn), (end, bytes.len() as u64));
}

/// Noise can hold a record: a checksum is no secret. What is found is then what a plain search finds, and nothing that
/// was written is missing but where such a record lies across it.
fn gives_back(built: &Built, cut: usize) {
    let bytes = &built.bytes[..];
    let wanted = searched(bytes);
    let (found, result) = found(bytes);
    assert_eq!(found, wanted);
    let end = wanted.last().map_or(0, |(at, _)| at + RECORD_SIZE as u64);
    let (records, torn) = (wanted.len() as u64, bytes.len() as u64 - end);
    assert_eq!(result, Scan { records, damaged: gaps(&wanted), end, torn });
    assert_eq!(self::found(Dribble { bytes, next: cut as u32 }), (found, result), "bit by bit");
    let intact = |(at, record): &&(u64, Record)| bytes[*at as usize..][..RECORD_SIZE] == record.encode();
    for written in built.written.iter().filter(intact) {
        let across = |(other, _): &&(u64, Record)| written.0.abs_diff(*other) < RECORD_SIZE as u64;
        let there = wanted.iter().find(across).expect("no record is lost");
        assert!(there == written || there.0 != written.0);
    }
    let seamless = built.written.iter().zip((0..).step_by(RECORD_SIZE)).take_while(|(one, at)| one.0 == *at);
    let start: Vec<_> = seamless.map(|(one, _)| one).take_while(intact).copied().collect();
    assert!(wanted.starts_with(&start), "what follows whole records leaves them alone");
    // Cut off anywhere, it keeps what lies before.
    let cut = cut.wrapping_mul(31) % (bytes.len() + 1);
    let before = wanted.iter().take_while(|(at, _)| at + RECORD_SIZE as u64 <= cut as u64);
    assert_eq!(self::found(&bytes[..cut]).0, before.copied().collect::<Vec<_>>(), "cut at {cut}");
}

/// The records in `bytes`, by trying every place that no record covers.
fn searched(bytes: &[u8]) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    let mut free_from = 0;
    for (at, window) in bytes.windows(RECORD_SIZE).enumerate() {
        let record = window.try_into().ok().and_then(Record::decode);
        if let Some(record) = record.filter(|_| free_from <= at) {
            records.push((at as u64, record));
            free_from = at + RECORD_SIZE;
        }
    }
    records
}

/// How often something lies before a record that is none.
fn gaps(records: &[(u64, Record)]) -> u64 {
    let mut end = 0;
    let gap = |(at, _): &&(u64, Record)| std::mem::replace(&mut end, at + RECORD_SIZE as u64) < *at;
    records.iter().filter(gap).count() as u64
}

fn found(source: impl Read) -> (Vec<(u64, Record)>, Scan) {
    let mut records = Vec::new();
    let result = scan(source, |at, record| records.push((at, record)));
    (records, result.expect("memory can be read"))
}

impl Built {
    /// One step of the recipe; what it leaves of the input.
    fn take<'a>(&mut self, step: u8, input: &'a [u8]) -> &'a [u8] {
        match step % 8 {
            0..=2 => {
                let (seed, rest) = input.split_at(input.len().min(3));
                let record = record(step, seed);
                self.written.push((self.bytes.len() as u64, record));
                self.bytes.extend(record.encode());
                rest
            }
            3 => {
                // A record torn off.
                let (seed, rest) = input.split_at(input.len().min(2));
                let length = usize::from(seed.first().copied().unwrap_or(9)) % RECORD_SIZE;
                self.bytes.extend(&record(step, seed).encode()[..length]);
                rest
            }
            4 => {
                let length = input.first().map_or(0, |length| usize::from(*length));
                let (noise, rest) = input.split_at(input.len().min(length));
                self.bytes.extend(noise);
                rest
            }
            5 | 6 => {
                // A byte damaged, anywhere within reach.
                let (place, rest) = input.split_at(input.len().min(3));
                if let [high, low, flip] = place
                    && !self.bytes.is_empty()
                {
                    let back = usize::from(u16::from_le_bytes([*low, *high])) % self.bytes.len();
                    let at = self.bytes.len() - 1 - back;
                    self.bytes[at] ^= flip;
                }
                rest
            }
            _ => {
                self.bytes.push(step);
                input
            }
        }
    }
}

fn record(step: u8, seed: &[u8]) -> Record {
    let byte = |at: usize| seed.get(at).copied().unwrap_or(step);
    let id = IdHash([byte(0); 16]);
    let content = ContentHash(u64::from_le_bytes([byte(1); 8]));
    let number = u32::from_be_bytes([byte(2), 0, byte(0), byte(1)]);
    match step / 8 % 7 {
        0 => Record::Header { version: number, run: [byte(1); 16], jsonl: byte(2) % 2 == 0 },
        1 => Record::Holder { pid: number },
        2 => Record::Session { pid: number, at: content.0 },
        3 => Record::Sent { id, content },
        4 => Record::Settled { until: content.0 },
        kind => Record::Done { id, content, line: LineSum { crc: number, length: !number }, ok: kind == 5 },
    }
}

/// A source that hands over a few bytes at once, and is interrupted at times.
struct Dribble<'a> {
    bytes: &'a [u8],
    next: u32,
}

impl Read for Dribble<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.next = self.next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let most = match self.next >> 29 {
            0 if !self.bytes.is_empty() => return Err(io::ErrorKind::Interrupted.into()),
            1 => 1 << 17,
            small => small as usize * 13 + 1,
        };
        let length = most.min(into.len()).min(self.bytes.len());
        let (head, rest) = self.bytes.split_at(length);
        into[..length].copy_from_slice(head);
        self.bytes = rest;
        Ok(length)
    }
}

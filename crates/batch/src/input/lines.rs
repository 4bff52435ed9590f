//! Splits a stream into lines without ever holding more than one, and that one only up to a bound.

use std::io::{self, BufRead, BufReader, Read};

const BLOCK: usize = 1 << 18; // Bytes read at once.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its bytes without the line's end, and without a byte order mark before the first one.
    pub(crate) bytes: &'a [u8],
    /// It is longer than the bound: `bytes` is only its beginning.
    pub(crate) cut: bool,
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Where it starts, and where the next one does.
    pub(crate) span: (u64, u64),
    /// It has an end of its own: it isn't just where the stream stopped.
    pub(crate) ended: bool,
}

/// The lines of a stream.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    longest: usize,
    number: u64,
    start: u64,
    at: u64,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Lines of at most `longest` bytes.
    pub(crate) fn new(source: R, longest: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(BLOCK, source),
            line: Vec::new(),
            longest,
            number: 0,
            start: 0,
            at: 0,
            ended: false,
        }
    }

    /// The next line, blank ones included.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.start = self.at;
        let most = self.longest as u64 + 2; // Room for the line's end.
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.at += read as u64;
        self.ended = self.line.last() == Some(&b'\n');
        if !self.ended && read as u64 == most {
            self.at += self.reader.skip_until(b'\n')? as u64;
            self.ended = true; // Or not: nobody asks about the end of a line that is too long.
        }
        Ok(self.current())
    }

    /// The line that was read last.
    pub(crate) fn current(&self) -> Option<Line<'_>> {
        if self.line.is_empty() {
            return None;
        }
        let mark = if self.number == 1 { self.line.strip_prefix(BYTE_ORDER_MARK) } else { None };
        let text = mark.unwrap_or(&self.line);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let cut = text.len() > self.longest;
        let bytes = &text[..text.len().min(self.longest)];
        Some(Line { bytes, cut, number: self.number, span: (self.start, self.at), ended: self.ended })
    }

    /// The number of the line that was read last.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8], longest: usize) -> Vec<(String, bool, (u64, u64))> {
        let mut lines = Lines::new(bytes, longest);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((String::from_utf8_lossy(line.bytes).into_owned(), !line.cut, line.span));
        }
        all
    }

    type Expected<'a> = &'a [(&'a str, bool, (u64, u64))];

    #[test]
    fn ends_marks_and_bounds() {
        let cases: [(&[u8], Expected<'_>); 8] = [
            (b"", &[]),
            (b"a\nb\n", &[("a", true, (0, 2)), ("b", true, (2, 4))]),
            (b"a\r\n\r\nb", &[("a", true, (0, 3)), ("", true, (3, 5)), ("b", true, (5, 6))]),
            (b"\xef\xbb\xbfa\n\xef\xbb\xbf", &[("a", true, (0, 5)), ("\u{feff}", true, (5, 8))]),
            (
                b"12345\n12345\r\n1\n",
                &[("12345", true, (0, 6)), ("12345", true, (6, 13)), ("1", true, (13, 15))],
            ),
            (b"123456\n1\n", &[("12345", false, (0, 7)), ("1", true, (7, 9))]),
            (b"1234567890\n1\n", &[("12345", false, (0, 11)), ("1", true, (11, 13))]),
            (b"1234567890", &[("12345", false, (0, 10))]),
        ];
        for (bytes, expected) in cases {
            let found = split(bytes, 5);
            let found: Vec<_> =
                found.iter().map(|(text, whole, span)| (text.as_str(), *whole, *span)).collect();
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}

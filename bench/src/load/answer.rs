//! Reads one answer as its bytes come in: where it ends, and whether it is what the upstream said.

use anyhow::{Context, Result, bail};
use httparse::{EMPTY_HEADER, Response, Status, parse_chunk_size};
use memchr::memmem;

use super::request::Wanted;
use crate::tokens::Words;

/// More header lines than any gateway sends.
const MOST_HEADERS: usize = 100;
/// Longer than any head, or any chunk's size line, may be.
const LONGEST_HEAD: usize = 64 << 10;

/// An answer that is being read.
#[derive(Debug)]
pub struct Answer {
    wanted: Wanted,
    words: Words,
    unread: Vec<u8>,
    next: Next,
    stays: bool,   // Whether the connection may carry the next request.
    last: Vec<u8>, // The end of a stream: it must say that it is done.
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Head,
    /// A body, or a chunk of it, of which so many bytes are still to come.
    Plain(u64),
    ChunkSize,
    Chunk(u64),
    /// The line ends after a chunk, or after the last one.
    ChunkEnd,
    Trailer,
    Nothing,
}

impl Answer {
    /// Nothing has come so far.
    pub fn new(wanted: Wanted) -> Self {
        let next = Next::Head;
        Self { wanted, words: Words::default(), unread: Vec::new(), next, stays: true, last: Vec::new() }
    }

    /// Whether anything has come.
    pub fn has_begun(&self) -> bool {
        self.next != Next::Head || !self.unread.is_empty()
    }

    /// Whether the connection can be used again.
    pub fn stays(&self) -> bool {
        self.stays
    }

    /// How many words came so far.
    pub fn words(&self) -> usize {
        self.words.count()
    }

    /// Reads on. True when the answer is complete and right; `said_at` is told when each word was said.
    pub fn feed(&mut self, bytes: &[u8], mut said_at: impl FnMut(u64)) -> Result<bool> {
        self.unread.extend_from_slice(bytes);
        let mut done = 0;
        while self.next != Next::Nothing {
            match self.step(done, &mut said_at)? {
                Some(used) => done += used,
                None => break,
            }
        }
        self.unread.drain(..done);
        if self.next != Next::Nothing {
            return Ok(false);
        }
        self.judge().map(|()| true)
    }

    /// Takes the next part from what is unread, from `from` on. None when more must come first.
    fn step(&mut self, from: usize, said_at: &mut impl FnMut(u64)) -> Result<Option<usize>> {
        let rest = &self.unread[from..];
        match self.next {
            Next::Head => self.head(from),
            Next::Plain(0) => Ok(self.then(Next::Nothing, 0)),
            Next::Chunk(0) => Ok(self.then(Next::ChunkEnd, 0)),
            Next::Plain(left) | Next::Chunk(left) => {
                let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                if taken == 0 {
                    return Ok(None);
                }
                self.text(from, from + taken, said_at);
                let left = left - taken as u64;
                let plain = matches!(self.next, Next::Plain(_));
                Ok(self.then(if plain { Next::Plain(left) } else { Next::Chunk(left) }, taken))
            }
            Next::ChunkSize => match parse_chunk_size(rest) {
                Ok(Status::Complete((used, 0))) => Ok(self.then(Next::Trailer, used)),
                Ok(Status::Complete((used, size))) => Ok(self.then(Next::Chunk(size), used)),
                Ok(Status::Partial) if rest.len() < LONGEST_HEAD => Ok(None),
                _ => bail!("a chunk has no size"),
            },
            Next::ChunkEnd | Next::Trailer if rest.len() < 2 => Ok(None),
            Next::ChunkEnd | Next::Trailer if !rest.starts_with(b"\r\n") => bail!("a chunk does not end"),
            Next::ChunkEnd => Ok(self.then(Next::ChunkSize, 2)),
            Next::Trailer => Ok(self.then(Next::Nothing, 2)),
            Next::Nothing => Ok(None),
        }
    }

    fn then(&mut self, next: Next, used: usize) -> Option<usize> {
        self.next = next;
        Some(used)
    }

    fn head(&mut self, from: usize) -> Result<Option<usize>> {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut response = Response::new(&mut headers);
        let parsed = response.parse(&self.unread[from..]).context("the answer is not HTTP")?;
        let Status::Complete(used) = parsed else {
            if self.unread.len() - from > LONGEST_HEAD {
                bail!("the head does not end");
            }
            return Ok(None);
        };
        if response.code != Some(200) {
            let body = String::from_utf8_lossy(&self.unread[from + used..]).into_owned();
            bail!("status {}: {body}", response.code.unwrap_or_default());
        }
        let value = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
        };
        self.stays = value("connection").is_none_or(|value| value != "close");
        self.next = match (value("transfer-encoding"), value("content-length")) {
            (Some(coding), _) if coding == "chunked" => Next::ChunkSize,
            (None, Some(length)) => Next::Plain(length.parse().context("the length is not a number")?),
            _ => bail!("nothing says where the answer ends"),
        };
        Ok(Some(used))
    }

    fn text(&mut self, from: usize, to: usize, said_at: &mut impl FnMut(u64)) {
        let piece = &self.unread[from..to];
        self.words.feed(piece, said_at);
        if self.wanted != Wanted::Chat {
            self.last.extend_from_slice(&piece[piece.len().saturating_sub(32)..]);
            let surplus = self.last.len().saturating_sub(32);
            self.last.drain(..surplus);
        }
    }

    fn judge(&self) -> Result<()> {
        if !self.words.are(self.wanted.words()) {
            bail!("{} words where {} in order were due", self.words.count(), self.wanted.words());
        }
        if self.wanted != Wanted::Chat && memmem::find(&self.last, b"[DONE]").is_none() {
            bail!("the stream does not say that it is done");
        }
        if !self.unread.is_empty() && self.next == Next::Nothing {
            bail!("more came than one answer");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Wanted = Wanted::Stream { count: 2, millis: 0 };

    fn read(wanted: Wanted, whole: &str, size: usize) -> Result<bool> {
        let mut answer = Answer::new(wanted);
        let mut complete = false;
        for piece in whole.as_bytes().chunks(size) {
            assert!(!complete, "complete before the end");
            complete = answer.feed(piece, |_| ())?;
        }
        Ok(complete)
    }

    #[test]
    fn reads_right_answers_however_they_are_cut() {
        let chat = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ntok-0@7 ";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ntok-0@7 \r\n0\r\n\r\n";
        let stream = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\ntok-0@7 \r\n\
                      8\r\ntok-1@9 \r\n6\r\n[DONE]\r\n0\r\n\r\n";
        for (wanted, whole) in [(Wanted::Chat, chat), (Wanted::Chat, chunked), (STREAM, stream)] {
            for size in 1..=whole.len() {
                assert!(read(wanted, whole, size).unwrap(), "pieces of {size}: {whole}");
            }
        }
    }

    #[test]
    fn believes_no_wrong_answer() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let cases = [
            ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 8\r\n\r\ntok-0@7 ".to_owned(), "status 502"),
            ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "where the answer ends"),
            (format!("{head}8\r\ntok-0@7 \r\n6\r\n[DONE]\r\n0\r\n\r\n"), "1 words where 2"),
            (format!("{head}10\r\ntok-0@7 tok-1@7 \r\n0\r\n\r\n"), "does not say that it is done"),
            (format!("{head}8\r\ntok-0@7 tok"), "a chunk does not end"),
        ];
        for (whole, said) in cases {
            let error = read(STREAM, &whole, whole.len()).expect_err(&whole).to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_answer_that_breaks_off_is_not_complete() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntok-0@7 ";
        assert!(!read(Wanted::Chat, whole, whole.len()).unwrap());
    }
}

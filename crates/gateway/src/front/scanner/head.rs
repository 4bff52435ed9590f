//! A request's head: line by line, each looked at once and as soon as it is whole.

use http::StatusCode;

use super::target;
use crate::front::Refusal;
use crate::settings::Caps;

/// What surrounds the target in a request line, the longest method with it.
const AROUND_TARGET: usize = "OPTIONS  HTTP/1.1\r\n".len();

const LINE: Refusal = Refusal::bad("the request line is malformed");
const LINE_END: Refusal = Refusal::bad("lines of the request's head must end in CR LF");
const CONTROL: Refusal = Refusal::bad("control characters in the request's head");
const NAME: Refusal = Refusal::bad("a header of the request has a malformed name");
const FOLDED: Refusal = Refusal::bad("a header of the request goes on over a second line");
const HOST: Refusal = Refusal::bad("the request must have exactly one well-formed `host` header");
const LENGTH: Refusal = Refusal::bad("the request must have at most one plain `content-length`");
const ENCODING: Refusal = Refusal::bad("the only transfer encoding taken is `chunked`, once, in HTTP/1.1");
const BOTH: Refusal = Refusal::bad("the request has both a length and a transfer encoding");
const NO_BODY: Refusal = Refusal::bad("a request with this method must not have a body");
/// Clients that would rather have a websocket fall back to plain requests at once when told so by this status.
const UPGRADE: Refusal =
    Refusal::new(StatusCode::UPGRADE_REQUIRED, "this gateway speaks HTTP/1.1 only; send plain requests");
const VERSION: Refusal =
    Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this gateway speaks HTTP/1.1 only");
const METHOD: Refusal =
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "methods are GET, HEAD, POST, DELETE and OPTIONS");
const EXPECTATION: Refusal =
    Refusal::new(StatusCode::EXPECTATION_FAILED, "the only expectation met is `100-continue`");
const HEAD_SIZE: Refusal = Refusal::new(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "the request's headers are larger or more than this gateway takes",
);

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Follows one head.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    line: usize,     // Where the line begins that has not ended yet.
    searched: usize, // So far there is no further end of line.
    lines: usize,
    takes_body: bool,
    is_http_10: bool,
    has_host: bool,
    has_expectation: bool,
    is_chunked: bool,
    length: Option<u64>,
}

impl Head {
    /// Reads on in `input`, which begins where the head begins. Once it is whole: its length, and what follows.
    pub(super) fn scan(&mut self, input: &[u8], caps: &Caps) -> Result<Option<(usize, Framing)>, Refusal> {
        if input.first().is_some_and(|first| !first.is_ascii_uppercase()) {
            return Err(LINE); // Not HTTP: say so at once, instead of waiting for a line to end.
        }
        while let Some(more) = memchr::memchr(b'\n', &input[self.searched..]) {
            let end = self.searched + more;
            let line = &input[self.line..end];
            (self.line, self.searched) = (end + 1, end + 1);
            if self.line > caps.head_bytes {
                return Err(HEAD_SIZE);
            }
            let line = line.strip_suffix(b"\r").ok_or(LINE_END)?;
            if self.lines > 0 && line.is_empty() {
                return Ok(Some((end + 1, self.framing()?)));
            }
            self.handle_line(line, caps)?;
        }
        self.searched = input.len();
        if self.lines == 0 && input.len() > caps.target_bytes + AROUND_TARGET {
            return Err(target::TOO_LONG);
        }
        if input.len() > caps.head_bytes { Err(HEAD_SIZE) } else { Ok(None) }
    }

    fn handle_line(&mut self, line: &[u8], caps: &Caps) -> Result<(), Refusal> {
        self.lines += 1;
        if self.lines == 1 {
            return self.request_line(line, caps);
        }
        if self.lines > caps.headers + 1 {
            return Err(HEAD_SIZE);
        }
        if has_control(line) {
            return Err(CONTROL);
        }
        self.header(line)
    }

    fn request_line(&mut self, line: &[u8], caps: &Caps) -> Result<(), Refusal> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(if line.len() > caps.target_bytes + AROUND_TARGET { target::TOO_LONG } else { LINE });
        };
        if !method.iter().all(u8::is_ascii_uppercase) || target.is_empty() {
            return Err(LINE);
        }
        self.is_http_10 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(VERSION);
            }
            _ => return Err(LINE),
        };
        self.takes_body = match method {
            b"POST" | b"DELETE" => true,
            b"GET" | b"HEAD" | b"OPTIONS" => false,
            _ => return Err(METHOD),
        };
        if target.len() > caps.target_bytes {
            return Err(target::TOO_LONG);
        }
        target::check(target)
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(FOLDED);
        }
        let colon = memchr::memchr(b':', line).ok_or(NAME)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !name.iter().all(|byte| IN_NAME[usize::from(*byte)]) {
            return Err(NAME);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(trimmed(value)),
            6 if name.eq_ignore_ascii_case(b"expect") => self.expectation(trimmed(value)),
            7 if name.eq_ignore_ascii_case(b"upgrade") => upgrade(trimmed(value)),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(trimmed(value)),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(trimmed(value)),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.has_host, true) || !is_authority(value) { Err(HOST) } else { Ok(()) }
    }

    fn expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let twice = std::mem::replace(&mut self.has_expectation, true);
        if twice || !value.eq_ignore_ascii_case(b"100-continue") { Err(EXPECTATION) } else { Ok(()) }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let plain =
            value.iter().all(u8::is_ascii_digit) && (value.len() == 1 || value.first() != Some(&b'0'));
        let length = std::str::from_utf8(value).ok().filter(|_| plain).and_then(|text| text.parse().ok());
        let twice = std::mem::replace(&mut self.length, length).is_some();
        if twice || length.is_none() { Err(LENGTH) } else { Ok(()) }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let twice = std::mem::replace(&mut self.is_chunked, true);
        let taken = value.eq_ignore_ascii_case(b"chunked") && !self.is_http_10 && !twice;
        if taken { Ok(()) } else { Err(ENCODING) }
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        match (self.is_chunked, self.length) {
            _ if !self.has_host => Err(HOST),
            (true, Some(_)) => Err(BOTH),
            (true, None) | (false, Some(1..)) if !self.takes_body => Err(NO_BODY),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::None),
        }
    }
}

/// Written without an early exit, so that it compiles to a few instructions for many bytes at once.
fn has_control(line: &[u8]) -> bool {
    line.iter().fold(false, |found, &byte| found | ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f))
}

/// An offer to go on in HTTP/2 may be ignored, and some clients make it on every new connection.
fn upgrade(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"h2c") { Ok(()) } else { Err(UPGRADE) }
}

fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// A name or an address, perhaps with a port. Nothing that could be read as a path, a query or a user.
fn is_authority(value: &[u8]) -> bool {
    let (host_fits, port) = match value.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let (address, port) = (&rest[..end], &rest[end + 1..]);
            (
                address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) && end > 1,
                port,
            )
        }
        None => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            let (name, port) = value.split_at(end);
            let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (name.iter().all(fits) && end > 0, port)
        }
    };
    host_fits && is_port(port)
}

/// Nothing, or a colon and a number.
fn is_port(port: &[u8]) -> bool {
    match port.split_first() {
        None => true,
        Some((b':', digits)) => {
            digits.iter().all(u8::is_ascii_digit)
                && std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
        }
        Some(_) => false,
    }
}

/// What a header's name is made of. An underscore is legal, but many take it for a hyphen.
const IN_NAME: [bool; 256] = {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte as usize] = matches!(byte,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*'
            | b'+' | b'.' | b'^' | b'`' | b'|' | b'~');
        byte += 1;
    }
    class
};

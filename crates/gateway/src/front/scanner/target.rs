//! What may stand in a request line as its target: a path that can be read in one way only, and a query.

use http::StatusCode;

use crate::front::Refusal;

const FORM: Refusal = Refusal::bad("the request target must be a path, such as `/v1/messages`");
const PATH: Refusal =
    Refusal::bad("the path is not in its plain form: no `//`, `.`, `..`, `%`, `;` or `\\` in it");
const QUERY: Refusal = Refusal::bad("the query holds characters that must be percent-encoded");

/// The target itself is too long.
pub(super) const TOO_LONG: Refusal =
    Refusal::new(StatusCode::URI_TOO_LONG, "the request target is longer than this gateway takes");

/// Checks a request target: a canonical path, without any percent-encoding, and perhaps a query.
pub(super) fn check(target: &[u8]) -> Result<(), Refusal> {
    let Some((b'/', rest)) = target.split_first() else { return Err(FORM) };
    let end = memchr::memchr(b'?', rest).unwrap_or(rest.len());
    let (path, query) = rest.split_at(end);
    check_path(path)?;
    query.split_first().map_or(Ok(()), |(_, query)| check_query(query))
}

/// `path` comes without its first slash.
fn check_path(path: &[u8]) -> Result<(), Refusal> {
    let mut before = b'/';
    for &byte in path {
        // An empty segment; a segment that ends in a dot is `.`, `..`, or what some file systems take for another.
        if CLASS[usize::from(byte)] & IN_PATH == 0 || (byte == b'/' && (before == b'/' || before == b'.')) {
            return Err(PATH);
        }
        before = byte;
    }
    if before == b'.' { Err(PATH) } else { Ok(()) }
}

fn check_query(query: &[u8]) -> Result<(), Refusal> {
    let mut rest = query;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (byte, after) if CLASS[usize::from(byte)] & IN_QUERY != 0 => after,
            _ => return Err(QUERY),
        };
    }
    Ok(())
}

const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

/// Of every byte, where it may stand.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => IN_PATH | IN_QUERY,
            b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' => {
                IN_PATH | IN_QUERY
            }
            b'?' | b';' | b'[' | b']' => IN_QUERY,
            _ => 0,
        };
        byte += 1;
    }
    class
};

//! Requests are taken or refused as a naive reading of the rules has it, and the same however they are cut.

use paceline_gateway::Caps;
use paceline_gateway::front::scanner::{Scanner, Stage};

/// Small enough for the inputs to reach.
fn caps() -> Caps {
    Caps { head_bytes: 400, headers: 6, target_bytes: 60, body_bytes: 100, ..Caps::default() }
}

/// The first byte chooses where the rest is cut.
#[allow(dead_code, reason = "the gateway's tests use `naive` alone, too")]
pub(crate) fn check(input: &[u8]) {
    let [cuts, stream @ ..] = input else { return };
    let (asked, ending) = naive(stream, &caps());
    let expected = (asked.iter().map(|asked| asked.length).collect(), ending == Ending::Refused);
    assert_eq!(scanned(std::iter::once(stream)), expected, "in one piece");
    assert_eq!(scanned(stream.chunks(1)), expected, "byte by byte");
    assert_eq!(scanned(stream.chunks(usize::from(*cuts).max(2))), expected, "in pieces of {cuts}");
}

/// The lengths of all requests that are whole, and whether what follows is refused.
fn scanned<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<usize>, bool) {
    let (mut scanner, mut held, mut passed, mut lengths) = (Scanner::new(caps()), Vec::new(), 0, Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        while !held.is_empty() {
            let Ok(more) = scanner.scan(&held) else { return (lengths, true) };
            assert!(more > 0 || scanner.stage() == Stage::Head, "only heads are held back");
            passed += more;
            held.drain(..more);
            if scanner.stage() != Stage::Answer {
                break;
            }
            lengths.push(std::mem::take(&mut passed));
            scanner.handle_answered();
        }
    }
    (lengths, false)
}

/// One request, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) length: usize,
}

/// What comes after the requests that are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Refused,
    Unfinished,
}

/// Why there is no request.
type No = Ending;

/// All requests of a stream, and how it ends.
pub(crate) fn naive(mut stream: &[u8], caps: &Caps) -> (Vec<Asked>, Ending) {
    let mut all = Vec::new();
    loop {
        match request(stream, caps) {
            Ok(asked) => {
                stream = &stream[asked.length..];
                all.push(asked);
            }
            Err(ending) => return (all, ending),
        }
    }
}

fn request(stream: &[u8], caps: &Caps) -> Result<Asked, No> {
    refuse_if(stream.first().is_some_and(|first| !first.is_ascii_uppercase()))?;
    let mut lines: Vec<&str> = Vec::new();
    let mut length = 0;
    loop {
        let rest = &stream[length..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            let endless = lines.is_empty() && stream.len() > caps.target_bytes + 19;
            return Err(if endless || stream.len() > caps.head_bytes { No::Refused } else { No::Unfinished });
        };
        length += end + 1;
        refuse_if(length > caps.head_bytes || end == 0 || rest[end - 1] != b'\r')?;
        let line = &rest[..end - 1];
        if line.is_empty() && !lines.is_empty() {
            break;
        }
        // Bytes above 127 may stand in a header's value only, where none of them means anything.
        let line: &str = if lines.is_empty() || line.is_ascii() {
            std::str::from_utf8(line).map_err(|_| No::Refused)?
        } else {
            let colon = line.iter().position(|byte| *byte == b':').ok_or(No::Refused)?;
            let name = std::str::from_utf8(&line[..=colon]).map_err(|_| No::Refused)?;
            refuse_if(is_meant(name) || line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t'))?;
            name
        };
        lines.push(line);
        if lines.len() == 1 {
            request_line(line, caps)?;
        } else {
            refuse_if(lines.len() > caps.headers + 1)?;
            header(line)?;
            unique(&lines)?;
        }
    }
    let (method, target) = request_line(lines[0], caps)?;
    let (body, framed) = body(&lines, method, &stream[length..], caps)?;
    Ok(Asked { method: method.into(), target: target.into(), body, length: length + framed })
}

fn refuse_if(wrong: bool) -> Result<(), No> {
    if wrong { Err(No::Refused) } else { Ok(()) }
}

fn request_line<'a>(line: &'a str, caps: &Caps) -> Result<(&'a str, &'a str), No> {
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { return Err(No::Refused) };
    refuse_if(!["GET", "HEAD", "POST", "DELETE", "OPTIONS"].contains(&method))?;
    refuse_if(!["HTTP/1.1", "HTTP/1.0"].contains(&version))?;
    refuse_if(target.len() > caps.target_bytes)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:@!$&'()*+,=".contains(c);
    let segments: Vec<&str> = path.strip_prefix('/').ok_or(No::Refused)?.split('/').collect();
    let (last, inner) = segments.split_last().ok_or(No::Refused)?;
    refuse_if(inner.iter().any(|segment| segment.is_empty()))?;
    refuse_if(last.ends_with('.') || inner.iter().any(|segment| segment.ends_with('.')))?;
    refuse_if(!segments.iter().all(|segment| segment.chars().all(plain)))?;
    let mut parts = query.split('%');
    let plain = |text: &str| text.chars().all(|c| plain(c) || "/?;[]".contains(c));
    refuse_if(!parts.next().is_none_or(plain))?;
    for part in parts {
        let (code, rest) = part.split_at_checked(2).ok_or(No::Refused)?;
        refuse_if(!code.chars().all(|c| c.is_ascii_hexdigit()) || !plain(rest))?;
    }
    Ok((method, target))
}

fn parts(line: &str) -> Result<(String, &str), No> {
    let (name, value) = line.split_once(':').ok_or(No::Refused)?;
    Ok((name.to_lowercase(), value.trim_matches([' ', '\t'])))
}

/// Whether this header decides where a request goes or ends.
fn is_meant(line: &str) -> bool {
    let named = parts(line).unwrap_or_default().0;
    ["host", "content-length", "transfer-encoding", "expect", "upgrade"].contains(&named.as_str())
}

fn header(line: &str) -> Result<(), No> {
    refuse_if(line.chars().any(|c| c.is_control() && c != '\t'))?;
    let (name, value) = parts(line)?;
    refuse_if(
        name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-!#$%&'*+.^`|~".contains(c)),
    )?;
    match name.as_str() {
        "host" => refuse_if(!is_authority(value)),
        "upgrade" => Err(No::Refused),
        "expect" => refuse_if(value.to_lowercase() != "100-continue"),
        "transfer-encoding" => refuse_if(value.to_lowercase() != "chunked"),
        "content-length" => {
            let number: u64 = value.parse().map_err(|_| No::Refused)?;
            refuse_if(number.to_string() != value)
        }
        _ => Ok(()),
    }
}

fn is_authority(value: &str) -> bool {
    let (name, port) = match value.rfind(':').filter(|colon| !value[*colon..].contains(']')) {
        Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
        None => (value, None),
    };
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let named = match bracketed {
        Some(name) => name.len() > 1 && name.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)),
        None => !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    let digits = |port: &str| port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok();
    named && port.is_none_or(digits)
}

fn values<'a>(lines: &[&'a str], wanted: &str) -> Vec<&'a str> {
    let named = lines[1..].iter().filter_map(|line| parts(line).ok());
    named.filter(|(name, _)| name == wanted).map(|(_, value)| value).collect()
}

fn unique(lines: &[&str]) -> Result<(), No> {
    for name in ["host", "content-length", "transfer-encoding", "expect"] {
        refuse_if(values(lines, name).len() > 1)?;
    }
    refuse_if(lines[0].ends_with("1.0") && !values(lines, "transfer-encoding").is_empty())
}

/// The body, and how many bytes it takes.
fn body(lines: &[&str], method: &str, rest: &[u8], caps: &Caps) -> Result<(Vec<u8>, usize), No> {
    refuse_if(values(lines, "host").is_empty())?;
    let length =
        values(lines, "content-length").first().map(|value| value.parse::<u64>().unwrap_or(u64::MAX));
    let chunked = !values(lines, "transfer-encoding").is_empty();
    refuse_if(chunked && length.is_some())?;
    refuse_if(!["POST", "DELETE"].contains(&method) && (chunked || length.unwrap_or(0) > 0))?;
    if chunked {
        return chunks(rest, caps);
    }
    let length = length.unwrap_or(0);
    refuse_if(length > caps.body_bytes as u64)?;
    let length = usize::try_from(length).map_err(|_| No::Refused)?;
    let body = rest.get(..length).ok_or(No::Unfinished)?;
    Ok((body.to_vec(), length))
}

fn chunks(stream: &[u8], caps: &Caps) -> Result<(Vec<u8>, usize), No> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let digits = stream[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        refuse_if(digits > 8 || (digits == 0 && at < stream.len()))?;
        let text = std::str::from_utf8(&stream[at..at + digits]).map_err(|_| No::Refused)?;
        at += digits;
        expect(stream, &mut at, b"\r\n")?;
        let size = usize::from_str_radix(text, 16).map_err(|_| No::Refused)?;
        refuse_if(body.len() + size > caps.body_bytes)?;
        body.extend_from_slice(stream.get(at..at + size).ok_or(No::Unfinished)?);
        at += size;
        expect(stream, &mut at, b"\r\n")?;
        if size == 0 {
            return Ok((body, at));
        }
    }
}

fn expect(stream: &[u8], at: &mut usize, wanted: &[u8]) -> Result<(), No> {
    for byte in wanted {
        let came = stream.get(*at).ok_or(No::Unfinished)?;
        refuse_if(came != byte)?;
        *at += 1;
    }
    Ok(())
}

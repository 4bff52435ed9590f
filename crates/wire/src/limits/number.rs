//! Counts in headers: read without loss, bounded, garbage discarded.

use http::HeaderMap;

/// No limit is larger; a larger number was never meant.
const MOST: u64 = 1_000_000_000_000_000;

/// The text of the header `name`.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    joined(headers, &[name])
}

/// The text of the header whose name is these parts joined.
///
/// Answers have a dozen headers: looking at each is faster than putting a name together and hashing it.
pub(super) fn joined<'a>(headers: &'a HeaderMap, parts: &[&str]) -> Option<&'a str> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let is_it = |name: &str| {
        // Most differ in length already.
        name.len() == length
            && parts.iter().try_fold(name, |rest, part| rest.strip_prefix(part)).is_some_and(str::is_empty)
    };
    let (_, value) = headers.iter().find(|(name, _)| is_it(name.as_str()))?;
    Some(std::str::from_utf8(value.as_bytes()).ok()?.trim())
}

/// A count in a header's text: digits, with `,` or `_` between them, and a fraction that is cut off.
///
/// Negative numbers, exponents and whatever else are no counts.
pub(crate) fn count(text: &str) -> Option<u64> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    let mut total = 0u64;
    let mut last_was_digit = false;
    for byte in whole.bytes() {
        match byte {
            b'0'..=b'9' => total = total.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
            b',' | b'_' if last_was_digit => {}
            _ => return None,
        }
        last_was_digit = byte.is_ascii_digit();
    }
    (last_was_digit && total <= MOST).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_parts() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-limit-requests", http::HeaderValue::from_static(" 50 "));
        headers.append("x-ratelimit-limit-requests", http::HeaderValue::from_static("60"));
        let cases: [(&[&str], Option<&str>); 5] = [
            (&["x-ratelimit-limit-requests"], Some("50")),
            (&["x-ratelimit-", "limit", "-", "requests"], Some("50")),
            (&["x-ratelimit-", "limit"], None),
            (&["x-ratelimit-", "limit", "-", "requests", "-day"], None),
            (&["limit-requests"], None),
        ];
        for (parts, want) in cases {
            assert_eq!(joined(&headers, parts), want, "{parts:?}");
        }
    }

    #[test]
    fn only_plain_counts_are_believed() {
        let cases = [
            ("0", Some(0)),
            ("30000", Some(30_000)),
            ("30,000", Some(30_000)),
            ("150000000", Some(150_000_000)),
            ("10000000000", Some(10_000_000_000)),
            ("12.75", Some(12)),
            ("007", Some(7)),
            ("-1", None),
            ("+1", None),
            ("", None),
            (",", None),
            ("1,", None),
            (".5", None),
            ("1e9", None),
            ("nan", None),
            ("1.x", None),
            ("12 34", None),
            ("99999999999999999999999999", None),
            ("1000000000000001", None),
            ("\u{661}", None),
        ];
        for (text, want) in cases {
            assert_eq!(count(text), want, "`{text}`");
        }
    }
}

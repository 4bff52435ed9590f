//! Counts in headers: read without loss, bounded, garbage discarded.

/// No limit is larger; a larger number was never meant.
const MOST: u64 = 1_000_000_000_000_000;

/// A count in a header's text: digits, with `,` or `_` between them, and a fraction that is cut off.
///
/// Negative numbers, exponents and whatever else are no counts.
pub(crate) fn count(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut last_was_digit = false;
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => total = total.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
            b',' | b'_' if last_was_digit => {}
            b'.' if bytes.as_slice().iter().all(u8::is_ascii_digit) => break,
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

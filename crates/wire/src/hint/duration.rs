//! Durations as providers write them: Go's (`1m26.4s`), protobuf's (`34.074824224s`), and words (`33 seconds`).
//!
//! Read exactly, without floating point, and leniently: any case, blanks between number and unit, days, no unit at all.

use std::time::Duration;

/// No duration is written in more bytes than this.
const LONGEST_TEXT: usize = 64;

/// Reads a whole text as a duration. Sums saturate; a bare number is seconds; signs are refused.
///
/// ```
/// # use std::time::Duration;
/// assert_eq!(paceline_wire::hint::go_duration("1m26.4s"), Some(Duration::from_millis(86_400)));
/// ```
pub fn go_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (duration, used) = prefix(text)?;
    (used == text.len()).then_some(duration)
}

/// Reads the duration that `text` begins with, and says how many bytes it took.
pub(super) fn prefix(text: &str) -> Option<(Duration, usize)> {
    let text = head(text);
    let mut total = Duration::ZERO;
    let mut used = 0;
    loop {
        let start = used + blanks(&text[used..]);
        let Some((number, digits)) = decimal(&text[start..]) else { break };
        let after = start + digits;
        let gap = blanks(&text[after..]);
        let word = letters(&text[after + gap..]);
        let unit = &text[after + gap..after + gap + word];
        match (unit_nanos(unit), unit.is_empty(), used == 0) {
            (Some(nanos), ..) => {
                total = total.saturating_add(number.times(nanos));
                used = after + gap + word;
            }
            (None, true, true) => return Some((number.times(SECOND), after)),
            (None, _, true) => return None,
            (None, _, false) => break,
        }
    }
    (used > 0).then_some((total, used))
}

const SECOND: u128 = 1_000_000_000;

fn unit_nanos(unit: &str) -> Option<u128> {
    // Nearly all write them small.
    lowercase_nanos(unit).or_else(|| lowercase_nanos(&unit.to_lowercase()))
}

fn lowercase_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" | "nanosecond" | "nanoseconds" => 1,
        // Both characters that look like a micro sign.
        "us" | "\u{b5}s" | "\u{3bc}s" | "microsecond" | "microseconds" => 1_000,
        "ms" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        _ => return None,
    })
}

/// A decimal number without sign: whole part (saturating) and billionths.
struct Decimal {
    whole: u64,
    billionths: u32,
}

impl Decimal {
    fn times(&self, nanos: u128) -> Duration {
        // Both products fit: 2^64 * 86,400 * 10^9 is below 2^111.
        let mut total = u128::from(self.whole) * nanos;
        if self.billionths > 0 {
            total += u128::from(self.billionths) * nanos / SECOND;
        }
        // Divisions of 128 bits are slow, and hardly any duration needs one.
        if let Ok(total) = u64::try_from(total) {
            return Duration::from_nanos(total);
        }
        let seconds = u64::try_from(total / SECOND).unwrap_or(u64::MAX);
        Duration::new(seconds, (total % SECOND) as u32)
    }
}

/// The number that `text` begins with (`12`, `12.5`, `.5`, not `12.` with its full stop) and its length.
fn decimal(text: &str) -> Option<(Decimal, usize)> {
    let bytes = text.as_bytes();
    let whole_len = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = whole_len;
    let mut billionths = 0;
    if bytes.get(whole_len) == Some(&b'.') {
        let digits = bytes[whole_len + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            end = whole_len + 1 + digits;
            let padded = bytes[whole_len + 1..end].iter().copied().chain(std::iter::repeat(b'0'));
            billionths = padded.take(9).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        }
    }
    if end == 0 {
        return None;
    }
    let whole = bytes[..whole_len]
        .iter()
        .fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some((Decimal { whole, billionths }, end))
}

fn head(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn blanks(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b' ').count()
}

fn letters(text: &str) -> usize {
    text.chars().take_while(|letter| letter.is_alphabetic()).map(char::len_utf8).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        let cases: [(&str, Option<u128>); 40] = [
            ("6m0s", Some(360_000_000_000)),
            ("1s", Some(1_000_000_000)),
            ("20ms", Some(20_000_000)),
            ("0s", Some(0)),
            ("8.64s", Some(8_640_000_000)),
            ("23m16.298s", Some(1_396_298_000_000)),
            ("17.399999999s", Some(17_399_999_999)),
            ("2m59.56s", Some(179_560_000_000)),
            ("114h18m0s", Some(411_480_000_000_000)),
            ("1m26.4s", Some(86_400_000_000)),
            ("9m38.016s", Some(578_016_000_000)),
            ("10h17m5.7s", Some(37_025_700_000_000)),
            ("34.074824224s", Some(34_074_824_224)),
            ("900ms", Some(900_000_000)),
            ("1.5\u{b5}s", Some(1_500)),
            ("2\u{3bc}s", Some(2_000)),
            ("2us", Some(2_000)),
            ("7ns", Some(7)),
            ("1d2h", Some(93_600_000_000_000)),
            ("1H 2M 3S", Some(3_723_000_000_000)),
            (" 33 seconds ", Some(33_000_000_000)),
            ("1 minute 5 seconds", Some(65_000_000_000)),
            ("12", Some(12_000_000_000)),
            ("0.5", Some(500_000_000)),
            (".5s", Some(500_000_000)),
            ("33011.382867", Some(33_011_382_867_000)),
            ("0.12345678901234567890s", Some(123_456_789)),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("+5s", None),
            ("nan", None),
            ("inf", None),
            ("1e5", None),
            ("5 apples", None),
            ("5s!", None),
            ("5.", None),
            ("1m5", None),
            ("1,000s", None),
            ("\u{665}s", None),
        ];
        for (text, want) in cases {
            assert_eq!(go_duration(text).map(|duration| duration.as_nanos()), want, "`{text}`");
        }
    }

    #[test]
    fn absurd_numbers_saturate() {
        let nines = "9".repeat(40);
        assert_eq!(go_duration(&format!("{nines}h")).unwrap().as_secs(), u64::MAX);
        assert!(go_duration(&format!("{nines}d{nines}h")).is_none(), "longer than any real one");
        assert_eq!(go_duration("99999999999999999999d 99999999999999999999d").unwrap(), Duration::MAX);
    }

    #[test]
    fn a_prefix_ends_where_the_sentence_goes_on() {
        let cases = [
            ("1m26.4s. Visit https://x.test", Some((86_400, 7))),
            ("3.89s.", Some((3_890, 5))),
            ("33 seconds. Please go here", Some((33_000, 10))),
            ("33. Please", Some((33_000, 2))),
            ("2 seconds 5 times over", Some((2_000, 9))),
            ("2s or 5", Some((2_000, 2))),
            ("a while", None),
            ("5 attempts", None),
        ];
        for (text, want) in cases {
            let got = prefix(text).map(|(duration, used)| (duration.as_millis(), used));
            assert_eq!(got, want, "`{text}`");
        }
    }
}

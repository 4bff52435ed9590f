//! Numbers as people like to read them.

use std::time::Duration;

use paceline_core::quota::Dimension;

/// `9,999` in full; above that short and rounded down: `12.3k`, `2M`.
pub(crate) fn short(number: u64) -> String {
    let (scale, unit) = match number {
        0..10_000 => return grouped(number),
        10_000..1_000_000 => (1_000, 'k'),
        1_000_000..1_000_000_000 => (1_000_000, 'M'),
        _ => (1_000_000_000, 'G'),
    };
    let tenths = number / (scale / 10);
    match tenths % 10 {
        0 => format!("{}{unit}", grouped(tenths / 10)),
        tenth => format!("{}.{tenth}{unit}", grouped(tenths / 10)),
    }
}

/// `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 job`, `2 jobs`.
pub(crate) fn count(number: u64, what: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {what}{end}", grouped(number))
}

/// `4.2s` below ten seconds, then `42s`, `3m 05s`, `2h 07m`, `3d 04h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, span.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A limit's name: `requests/min`, `input tokens/day`, `requests/10s`.
pub(crate) fn limit_name(dimension: Dimension, window: Duration) -> String {
    let what = dimension.name().replace('_', " ");
    match window.as_secs() {
        1 => format!("{what}/s"),
        60 => format!("{what}/min"),
        3_600 => format!("{what}/hour"),
        86_400 => format!("{what}/day"),
        seconds => format!("{what}/{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (9_999, "9,999"),
            (10_000, "10k"),
            (12_345, "12.3k"),
            (2_000_000, "2M"),
            (1_999_999, "1.9M"),
            (u64::MAX, "18,446,744,073.7G"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!((count(1, "job"), count(0, "job")), ("1 job".to_owned(), "0 jobs".to_owned()));
    }

    #[test]
    fn spans_are_short() {
        let cases = [
            (450, "0.4s"),
            (9_900, "9.9s"),
            (59_999, "59s"),
            (185_000, "3m 05s"),
            (7_620_000, "2h 07m"),
            (273_600_000, "3d 04h"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}

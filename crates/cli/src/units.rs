//! Reads the amounts people type: durations, counts, money. Quotas (`50/min`) are [`rate::Rate`]s.

use std::time::Duration;

use paceline_wire::hint;
use paceline_wire::price::MicroUsd;
use paceline_wire::provider::rate;

/// The longest span that makes sense anywhere.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A span such as `90s`, `2h`, `1h30m`, `250ms`. A unit is required, so that nobody has to guess it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let has_unit = text.trim_end().ends_with(|last: char| last.is_ascii_alphabetic());
    match hint::go_duration(text).filter(|_| has_unit) {
        Some(span) if span > LONGEST => Err(format!("`{text}` is longer than a year")),
        Some(span) if span > Duration::ZERO => Ok(span),
        _ => Err(format!("`{text}` is not a duration; write it as `90s`, `10m` or `1h30m`")),
    }
}

/// A count such as `50`, `30k`, `1.5M`, `1_000`. At least one.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    rate::amount_of(text.trim())
        .ok_or_else(|| format!("`{text}` is not a count; write it as `500`, `30k` or `2M`"))
}

/// Money such as `5`, `5 USD`, `$0.50`.
pub(crate) fn money(text: &str) -> Result<MicroUsd, String> {
    let amount = MicroUsd::parse(text).filter(|amount| *amount > MicroUsd::ZERO);
    amount.ok_or_else(|| format!("`{text}` is not an amount of money; write US dollars, as `5` or `2.50`"))
}

/// Money per window such as `20 USD/day`.
pub(crate) fn spending(text: &str) -> Result<(MicroUsd, Duration), String> {
    let remedy = || format!("`{text}` is not a budget; write it as `20 USD/day`");
    let (amount, window) = text.split_once('/').ok_or_else(remedy)?;
    let rate = rate::Rate::parse(&format!("1/{window}")).map_err(|_| remedy())?;
    Ok((money(amount)?, rate.window))
}

/// The most bytes that make sense for one body.
const MOST_BYTES: u64 = 1 << 30;

/// A number of bytes such as `32 MiB`, `512 KiB`, `1000000`.
pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let remedy = || format!("`{text}` is not a number of bytes up to 1 GiB; write it as `32 MiB`");
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| Some((text.trim().strip_suffix(unit)?, shift)))
        .unwrap_or((text.trim(), 0));
    let number: u64 = digits.trim().parse().map_err(|_| remedy())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| (1..=MOST_BYTES).contains(bytes));
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("90s", Some(90_000)),
            ("250ms", Some(250)),
            ("2h", Some(7_200_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1_500)),
            ("10 m", Some(600_000)),
            ("90", None),
            ("", None),
            ("0s", None),
            ("-5s", None),
            ("1e9s", None),
            ("99999999999999999999s", None),
            ("400d", None),
            ("5 fortnights", None),
            ("5é", None),
        ];
        for (text, millis) in cases {
            assert_eq!(duration(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn counts() {
        for (text, amount) in
            [("50", Some(50)), ("30k", Some(30_000)), ("0", None), ("many", None), ("-1", None)]
        {
            assert_eq!(count(text).ok(), amount, "{text}");
        }
    }

    #[test]
    fn sizes() {
        let cases = [
            ("32 MiB", Some(32 << 20)),
            ("512KiB", Some(512 << 10)),
            ("1 GiB", Some(1 << 30)),
            ("1000", Some(1_000)),
            ("2 GiB", None),
            ("0", None),
            ("32 MB", None),
            ("-1", None),
            ("99999999999 GiB", None),
        ];
        for (text, size) in cases {
            assert_eq!(bytes(text).ok(), size, "{text}");
        }
    }

    #[test]
    fn money_is_exact() {
        let cases = [
            ("5", Some(5_000_000)),
            ("2.50", Some(2_500_000)),
            ("$0.000001", Some(1)),
            ("3 USD", Some(3_000_000)),
            ("0.0000001", None),
            ("0", None),
            ("free", None),
        ];
        for (text, micros) in cases {
            assert_eq!(money(text).ok(), micros.map(MicroUsd::new), "{text}");
        }
        assert_eq!(
            spending("20 USD/day").ok(),
            Some((MicroUsd::new(20_000_000), Duration::from_secs(86_400)))
        );
        assert!(spending("20 USD").is_err());
    }
}

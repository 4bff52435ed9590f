//! Rates as people write them: `50/min`, `30k/min`, or several at once, `30/min, 14.4k/day`.

use std::time::Duration;

/// An allowance without its dimension: so much in any such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much.
    pub limit: u64,
    /// Over how long.
    pub window: Duration,
}

/// Why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// There is no `/`.
    #[error("`{0}` names no window; write it as `50/min` or `30k/min` (s, 10s, min, hour, day)")]
    NoWindow(String),
    /// What stands before the `/` is no amount.
    #[error("`{0}` is no amount; write a whole number above 0, with k or M if you like, such as `30k`")]
    Amount(String),
    /// What stands behind the `/` is no window.
    #[error("`{0}` is no window; write s, 10s, min, hour or day")]
    Window(String),
}

impl Rate {
    /// Reads one rate.
    pub fn parse(text: &str) -> Result<Rate, RateError> {
        let text = text.trim();
        let (amount, window) = text.split_once('/').ok_or_else(|| RateError::NoWindow(text.to_owned()))?;
        let limit = amount_of(amount.trim()).ok_or_else(|| RateError::Amount(amount.trim().to_owned()))?;
        let window = window_of(window.trim()).ok_or_else(|| RateError::Window(window.trim().to_owned()))?;
        Ok(Rate { limit, window })
    }

    /// Reads rates separated by commas.
    pub fn parse_list(text: &str) -> Result<Vec<Rate>, RateError> {
        text.split(',').map(Rate::parse).collect()
    }
}

/// Reads an amount such as `50`, `14.4k`, `2M`; zero is none.
pub fn amount_of(text: &str) -> Option<u64> {
    let (digits, scale) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 3),
        b'm' | b'M' => (&text[..text.len() - 1], 6),
        b'b' | b'B' | b'g' | b'G' => (&text[..text.len() - 1], 9),
        _ => (text, 0),
    };
    decimal(&digits.replace('_', ""), scale).filter(|amount| *amount > 0)
}

/// Reads a plain decimal number times ten to the `scale`; `None` unless the result is whole and fits.
pub(crate) fn decimal(text: &str, scale: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || text.ends_with('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = scale.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let digits: u64 = format!("{whole}{fraction}").parse().ok()?;
    digits.checked_mul(10u64.checked_pow(missing)?)
}

fn window_of(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: u64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        "month" => 30 * 86_400,
        _ => return None,
    };
    let seconds = count.checked_mul(seconds).filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_people_write_them() {
        let cases = [
            ("50/min", 50, 60),
            (" 30k / min ", 30_000, 60),
            ("14.4k/day", 14_400, 86_400),
            ("2M/min", 2_000_000, 60),
            ("1.5M/min", 1_500_000, 60),
            ("60/10s", 60, 10),
            ("1_000/hour", 1_000, 3_600),
            ("5/s", 5, 1),
        ];
        for (text, limit, seconds) in cases {
            let want = Rate { limit, window: Duration::from_secs(seconds) };
            assert_eq!(Rate::parse(text), Ok(want), "{text}");
        }
        assert_eq!(Rate::parse_list("30/min, 1k/day").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_rate_says_why() {
        let cases = [
            ("50", RateError::NoWindow("50".into())),
            ("x/min", RateError::Amount("x".into())),
            ("0/min", RateError::Amount("0".into())),
            ("1.5/min", RateError::Amount("1.5".into())),
            ("-5/min", RateError::Amount("-5".into())),
            ("99999999999999999999/min", RateError::Amount("99999999999999999999".into())),
            ("5/week", RateError::Window("week".into())),
            ("5/0s", RateError::Window("0s".into())),
            ("5/99999999999999999999s", RateError::Window("99999999999999999999s".into())),
            ("/min", RateError::Amount(String::new())),
        ];
        for (text, want) in cases {
            assert_eq!(Rate::parse(text), Err(want), "{text}");
        }
    }
}

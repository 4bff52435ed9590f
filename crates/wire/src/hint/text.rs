//! Finds the wait that an error's own sentence asks for: "Please try again in 1m26.4s.".

use std::time::Duration;

use super::duration;

/// No message is searched beyond this many bytes.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// What precedes a duration, in lower case.
const LEADS: [&str; 5] = ["try again in ", "retry after ", "retry in ", "try again after ", "wait "];

/// The first wait that `message` names.
pub(super) fn wait(message: &str) -> Option<Duration> {
    let end = (0..=LONGEST_MESSAGE.min(message.len())).rev().find(|at| message.is_char_boundary(*at))?;
    // Only ASCII changes case, so every offset holds in both.
    let lower = message[..end].to_ascii_lowercase();
    let found = LEADS.iter().filter_map(|lead| {
        let mut from = 0;
        while let Some(at) = lower[from..].find(lead) {
            from += at + lead.len();
            if let Some((wait, _)) = duration::prefix(lower[from..].trim_start()) {
                return Some((from, wait));
            }
        }
        None
    });
    found.min_by_key(|(at, _)| *at).map(|(_, wait)| wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_every_provider() {
        let cases = [
            (
                "Limit 30000, Used 28039, Requested 3906. Please try again in 3.89s. Visit https://x",
                Some(3_890),
            ),
            ("Limit 1000, Used 1000, Requested 1. Please try again in 1m26.4s. Visit", Some(86_400)),
            ("Please try again in 644ms. Visit", Some(644)),
            ("Please try again in 9m38.016s. Need more tokens?", Some(578_016)),
            ("Please retry after 33 seconds. Please go here", Some(33_000)),
            ("Rate limit is exceeded. Try again in 2 seconds.", Some(2_000)),
            ("You exceeded your current quota. Please retry in 26.1s.", Some(26_100)),
            ("Please retry in 10h17m5.7s.", Some(37_025_700)),
            ("Please try again in 114h18m0s.", Some(411_480_000)),
            ("please try again in a moment, or retry in 5s", Some(5_000)),
            ("TRY AGAIN IN 20", Some(20_000)),
            ("Please wait 7 seconds before the next call", Some(7_000)),
            ("Too many tokens, please wait before trying again.", None),
            ("Please try again later.", None),
            ("please reduce your message size and try again.", None),
            ("\u{212a} try again in \u{212a}", None),
            ("", None),
        ];
        for (message, want) in cases {
            assert_eq!(wait(message).map(|wait| wait.as_millis()), want, "{message}");
        }
    }

    #[test]
    fn a_flood_of_leads_costs_linear_time() {
        assert_eq!(wait(&"retry after ".repeat(100_000)), None);
    }
}

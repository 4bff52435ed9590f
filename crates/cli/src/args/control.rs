//! `paceline ctl` and `paceline top`: their flags.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use paceline_control::{Counted, LimitChange};

use crate::units;

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;

/// The words for limits: those of the flags of `paceline run`.
const LIMITS: [(&str, Counted, Option<u64>); 6] = [
    ("rpm", Counted::Requests, Some(MINUTE)),
    ("tpm", Counted::Tokens, Some(MINUTE)),
    ("itpm", Counted::InputTokens, Some(MINUTE)),
    ("otpm", Counted::OutputTokens, Some(MINUTE)),
    ("rpd", Counted::Requests, Some(DAY)),
    ("in-flight", Counted::InFlight, None),
];

#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    #[command(flatten)]
    pub(crate) whom: Whom,

    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

/// Which process is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Whom {
    /// Which process: its number, the output of its run, or its socket [default: the only one of yours on this machine]
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,

    /// A gateway by its admin address, such as `http://127.0.0.1:4001`
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) admin: Option<String>,

    /// The environment variable with its admin token
    #[arg(long, value_name = "NAME", global = true, conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,

    /// The file with its admin token
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Says how it stands
    Status {
        /// As JSON, in the form of `/v1/status`
        #[arg(long)]
        json: bool,
    },
    /// Sends nothing more until it is resumed; what is in flight ends as usual
    Pause,
    /// Goes on sending
    Resume,
    /// Changes ceilings from now on, such as `rpm=50 in-flight=10`, or lifts them: `itpm=none`
    ///
    /// The words are those of the flags of `paceline run`: rpm, tpm, itpm, otpm, rpd, in-flight. They hold for each account and
    /// model, in place of those that were typed at the start; ceilings of a configuration hold beside them.
    Limit {
        /// What is to hold
        #[arg(required = true, value_name = "LIMIT=AMOUNT")]
        changes: Vec<TypedLimit>,
    },
}

/// A limit as it is typed: `rpm=50`, `otpm=none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypedLimit {
    /// The word for it.
    pub(crate) word: &'static str,
    /// What it asks for.
    pub(crate) change: LimitChange,
}

impl FromStr for TypedLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, amount) =
            text.split_once('=').ok_or_else(|| format!("`{text}` says no amount; write it as `rpm=50`"))?;
        let asked = word.replace('_', "-");
        let known = LIMITS.iter().find(|known| known.0 == asked);
        let Some((word, dimension, window_seconds)) = known.copied() else {
            let words = LIMITS.map(|known| known.0).join(", ");
            return Err(format!("`{word}` is no limit; there are {words}"));
        };
        let amount = match amount {
            "none" => None,
            amount => Some(units::count(amount)?),
        };
        let change = LimitChange { dimension, window_seconds, amount };
        change.check()?;
        Ok(Self { word, change })
    }
}

#[cfg(feature = "top")]
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) whom: Whom,

    /// Print one picture as plain text, and end
    #[arg(long)]
    pub(crate) once: bool,

    /// The size of that picture [default: 80 columns, and as many lines as it takes]
    #[arg(long, value_name = "COLUMNSxLINES", requires = "once")]
    pub(crate) size: Option<Size>,
}

/// A size such as `80x24`.
#[cfg(feature = "top")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Columns.
    pub(crate) columns: u16,
    /// Lines.
    pub(crate) lines: u16,
}

#[cfg(feature = "top")]
impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|number| (10..=500).contains(number));
        let size = text
            .split_once('x')
            .and_then(|(columns, lines)| Some(Self { columns: number(columns)?, lines: number(lines)? }));
        size.ok_or_else(|| format!("`{text}` is no size; write it as `80x24`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_like_the_flags_of_a_run() {
        let read = |text: &str| text.parse::<TypedLimit>().map(|limit| (limit.word, limit.change.amount));
        assert_eq!(read("rpm=50"), Ok(("rpm", Some(50))));
        assert_eq!(read("itpm=30k"), Ok(("itpm", Some(30_000))));
        assert_eq!(read("otpm=none"), Ok(("otpm", None)));
        assert_eq!(read("in_flight=4"), read("in-flight=4"));
        for bad in ["rpm", "rpm=", "rpm=0", "rpm=-1", "mood=4", "in-flight=5G", "=5"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("mood=4").unwrap_err().contains("there are rpm, tpm, itpm"));
    }

    #[cfg(feature = "top")]
    #[test]
    fn sizes_are_columns_by_lines() {
        assert_eq!("80x24".parse(), Ok(Size { columns: 80, lines: 24 }));
        for bad in ["80", "80x", "0x5", "80x24x3", "80x100000"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}

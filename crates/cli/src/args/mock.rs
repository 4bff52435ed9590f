//! `paceline mock`: its flags.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::units;

#[derive(Debug, Args)]
pub(crate) struct MockArgs {
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    pub(crate) listen: SocketAddr,

    /// The account to play; `--profile list` names them all
    #[arg(long, value_name = "NAME", default_value = "anthropic-start")]
    pub(crate) profile: String,

    /// Requests per minute, instead of the profile's
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) rpm: Option<u64>,

    /// Input tokens per minute
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) itpm: Option<u64>,

    /// Output tokens per minute
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) otpm: Option<u64>,

    /// Tokens per minute, input and output together
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) tpm: Option<u64>,

    /// Requests per day
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) rpd: Option<u64>,

    /// How limits are enforced, such as `minute-bucket`, `second-bucket`, `fixed-minute`, `sliding-log`
    #[arg(long, value_name = "KIND")]
    pub(crate) window: Option<paceline_mock::profile::Enforcement>,

    /// Faults to play, by time, share or request
    #[arg(long, value_name = "FAULTS.toml")]
    pub(crate) script: Option<PathBuf>,

    /// Where to write what really happened, a line a call
    #[arg(long, value_name = "CALLS.jsonl")]
    pub(crate) log: Option<PathBuf>,

    /// Decides latencies and lengths: the same seed draws the same ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// How much faster than real time its clock runs
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    pub(crate) speed: f64,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(factor) if (0.01..=10_000.0).contains(&factor) => Ok(factor),
        _ => Err(format!("`{text}` is not a factor between 0.01 and 10000")),
    }
}

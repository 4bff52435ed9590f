//! `paceline serve` and `paceline keys`: their flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::NONE;

#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen for callers; port 0 picks a free one [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where to listen for you: health, metrics, drain, reload; or `none` [default: 127.0.0.1:4001]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<OrNone<SocketAddr>>,

    /// The configuration file; read again on SIGHUP and when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Send with the API keys of this environment; callers present one of them. Without it and without a file, each caller's
    /// own key is passed on
    #[arg(long, conflicts_with = "config")]
    pub(crate) from_env: bool,

    /// Send a provider's requests here instead of to its own address
    #[arg(long, value_name = "PROVIDER=URL", conflicts_with = "config")]
    pub(crate) base_url: Vec<ProviderUrl>,

    /// The folder that keeps what was learned and spent, or `none` [default: paceline below the user's state folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<OrNone<PathBuf>>,

    /// The socket by which `paceline ctl` and `paceline top` reach this gateway; or `none` [default: one in your runtime folder]
    #[arg(long, value_name = "SOCKET")]
    pub(crate) control: Option<OrNone<PathBuf>>,

    /// The form of the log, on stderr
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub(crate) log: LogForm,

    /// What to log: `debug` has a line for each request
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    pub(crate) log_level: LogLevel,

    /// Let `--listen` and `--admin` name addresses that other machines can reach, without TLS
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

/// A value, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrNone<T> {
    /// This.
    Some(T),
    /// The word `none`.
    None,
}

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == NONE { Ok(OrNone::None) } else { text.parse().map(OrNone::Some) }
    }
}

/// A provider and where its requests go.
#[derive(Clone, Debug)]
pub(crate) struct ProviderUrl {
    /// Its name.
    pub(crate) provider: String,
    /// The base URL.
    pub(crate) url: String,
}

impl FromStr for ProviderUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (provider, url) = text.split_once('=').ok_or_else(|| {
            format!("`{text}` names no provider; write it as `openai=http://127.0.0.1:8787/v1`")
        })?;
        Ok(Self { provider: provider.to_owned(), url: url.to_owned() })
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// For people
    #[default]
    Pretty,
    /// A JSON object a line
    Json,
}

/// What is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What needs a person
    Warn,
    /// Also what is out of the ordinary
    #[default]
    Info,
    /// Everything
    Debug,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Draws a key for a caller, shows it once, and says what to add to the configuration
    New {
        /// The caller's name
        #[arg(long, value_name = "NAME")]
        name: String,
    },
}

//! The configuration: one TOML file, parsed, then checked as a whole into types that cannot be wrong.
//!
//! One file serves every command, so all of it is checked whoever asks.

mod check;
mod file;
mod place;
mod secret;
mod server;
mod usage;

use std::path::{Path, PathBuf};

pub(crate) use check::{Config, Pool, Quota, Upstream};
pub(crate) use place::closest;
pub(crate) use secret::{SecretSource, check as check_secret};
pub(crate) use server::{NONE, Server};
pub(crate) use usage::{OwnPrice, Usage, priced};

use crate::exit::Failure;
use place::Problem;

/// The most a configuration may hold; a bigger file is something else.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Reads and checks the file at `path`.
pub(crate) fn load(path: &Path) -> Result<Config, Failure> {
    let name = path.display().to_string();
    let fault = |error: String| Failure::usage(anyhow::anyhow!("config file `{name}` {error}"));
    let metadata = std::fs::metadata(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    if metadata.len() > MAX_CONFIG_BYTES {
        return Err(fault(format!("is over {} MiB", MAX_CONFIG_BYTES >> 20)));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    parse(&text, folder).map_err(|problem| {
        let failure = Failure::usage(anyhow::anyhow!("{}", problem.describe(&name, &text)));
        match problem.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

fn parse(text: &str, folder: PathBuf) -> Result<Config, Problem> {
    let file: file::File = toml::from_str(text).map_err(|error| Problem::from_parser(&error))?;
    check::check(file, folder)
}

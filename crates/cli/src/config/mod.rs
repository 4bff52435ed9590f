//! The configuration: one TOML file, parsed, then checked as a whole into types that cannot be wrong.
//!
//! One file serves every command, so all of it is checked whoever asks.

mod check;
mod file;
mod origin;
mod place;
mod pools;
mod secret;
mod server;
mod usage;

use std::path::Path;

pub(crate) use check::{Config, Quota, Upstream};
pub(crate) use origin::Origin;
pub(crate) use place::closest;
pub(crate) use pools::Pool;
pub(crate) use secret::{SecretSource, check as check_secret};
pub(crate) use server::{NONE, Server};
pub(crate) use usage::{OwnPrice, Usage, priced};

use crate::exit::Failure;
use place::Problem;

/// Reads and checks the file at `path`.
pub(crate) fn load(path: &Path) -> Result<Config, Failure> {
    let origin = Origin::read(path)?;
    parse(origin.text())
        .and_then(|file| check::check(file, &origin))
        .map_err(|problem| origin.failure(problem))
}

fn parse(text: &str) -> Result<file::File, Problem> {
    toml::from_str(text).map_err(|error| Problem::from_parser(&error))
}

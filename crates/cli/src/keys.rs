//! `paceline keys`: keys for callers of the gateway.

use std::io::{self, Write};

use anyhow::{Context, anyhow};
use paceline_gateway::callers::NewKey;
use paceline_wire::terminal;

use crate::args::{KeysArgs, KeysCommand};
use crate::exit::{Exit, Failure};
use crate::messages;

/// Draws a key. The key alone goes to stdout, so that a script can take it; the file's part to stderr.
pub(crate) fn keys(args: &KeysArgs) -> Result<Exit, Failure> {
    let KeysCommand::New { name } = &args.command;
    if name.trim().is_empty() || name.chars().any(terminal::is_unsafe) {
        return Err(Failure::usage(anyhow!("a caller needs a name that can be read")));
    }
    let key = NewKey::draw().context("the system gives no random numbers").map_err(Failure::stopped)?;
    // A key that nobody got to see must not be added to a file.
    writeln!(io::stdout(), "{}", key.reveal()).context("cannot show the key").map_err(Failure::stopped)?;
    let name = toml::Value::String(name.clone());
    messages::say(&format!(
        "This is the only time the key is shown. Add to the configuration:\n\n[[caller]]\nname = {name}\nkey_hash = \"{}\"",
        key.hash()
    ));
    Ok(Exit::Done)
}

//! `paceline ctl`: asks a running process how it stands, and steers it.

mod target;
mod text;

use std::io::{self, Write};

use anyhow::{Context, anyhow};
use paceline_control::{AskError, Place};
use paceline_status::Status;
use paceline_wire::terminal;
use serde_json::Value;

pub(crate) use target::{Chosen, choose, folder};
#[cfg(feature = "top")]
pub(crate) use text::{eta, money, source};

use crate::args::{CtlArgs, CtlCommand, TypedLimit};
use crate::exit::{Exit, Failure};
use crate::messages;

/// Does what was asked for.
pub(crate) fn ctl(args: &CtlArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start").map_err(Failure::stopped)?.block_on(ask(args))
}

async fn ask(args: &CtlArgs) -> Result<Exit, Failure> {
    let chosen = choose(&args.whom).await?;
    let place = &chosen.place;
    match &args.command {
        CtlCommand::Status { json } => status(place, *json).await?,
        CtlCommand::Pause => {
            place.post("/pause", None).await.map_err(failure)?;
            messages::say(&format!(
                "{} is paused: what is in flight ends, nothing more is sent; `paceline ctl{} resume` goes on",
                chosen.name, chosen.words
            ));
        }
        CtlCommand::Resume => {
            place.post("/resume", None).await.map_err(failure)?;
            messages::say(&format!("{} goes on", chosen.name));
        }
        CtlCommand::Limit { changes } => limit(&chosen, changes).await?,
    }
    Ok(Exit::Done)
}

async fn status(place: &Place, json: bool) -> Result<(), Failure> {
    let text = match json {
        // Passed on as it came: a newer process may tell more than we know.
        true => {
            let told: Value = place.get("/v1/status").await.map_err(failure)?;
            format!("{}\n", terminal::json(&told))
        }
        false => {
            let told: Status = place.get("/v1/status").await.map_err(failure)?;
            terminal::lines(&text::text(&told)).into_owned()
        }
    };
    // A reader who has closed the pipe has seen enough.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

async fn limit(chosen: &Chosen, changes: &[TypedLimit]) -> Result<(), Failure> {
    if let Place::Admin { .. } = chosen.place {
        return Err(Failure::usage(anyhow!(
            "an admin address changes no ceilings for all accounts and models"
        ))
        .hint("on the gateway's own machine its socket does: leave out `--admin`"));
    }
    for TypedLimit { word, change } in changes {
        let body =
            serde_json::to_value(change).context("cannot write the limit").map_err(Failure::stopped)?;
        chosen.place.post("/limit", Some(&body)).await.map_err(failure)?;
        messages::say(&match change.amount {
            Some(amount) => {
                format!("{}: {word} is {} from now on", chosen.name, crate::progress::grouped(amount))
            }
            None => format!("{}: {word} is lifted", chosen.name),
        });
    }
    Ok(())
}

/// What cannot be asked, and what helps.
pub(crate) fn failure(error: AskError) -> Failure {
    let hint = match &error {
        AskError::Unreachable { .. } => Some("is it still running?"),
        AskError::Silent { .. } => Some("it is very busy or stopped; try again"),
        AskError::Token { .. } => Some("say where the token is: `--token-env NAME` or `--token-file FILE`"),
        AskError::Refused { .. } | AskError::Unreadable { .. } => None,
    };
    let failure = Failure::usage(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

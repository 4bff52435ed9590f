//! Which process is meant: by its number, by what it writes, by its socket or address, or as the only one there is.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use paceline_control::{Folder, Found, Place, find, name};

use crate::args::Whom;
use crate::config::SecretSource;
use crate::exit::Failure;
use crate::summary::quoted;

/// The process that is meant.
pub(crate) struct Chosen {
    /// Where it answers.
    pub(crate) place: Place,
    /// It, in words.
    pub(crate) name: String,
    /// What tells it from others of its kind.
    pub(crate) what: String,
    /// What says again that it is meant, after the name of a command: with a space before it, or empty.
    pub(crate) words: String,
}

/// The folder of this user's sockets.
pub(crate) fn folder() -> Folder {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    Folder::of_user(runtime.as_deref(), &std::env::temp_dir())
}

/// Finds the process that is meant.
pub(crate) async fn choose(whom: &Whom) -> Result<Chosen, Failure> {
    match (&whom.admin, &whom.target) {
        (Some(_), Some(target)) => {
            return Err(Failure::usage(anyhow!("either `{target}` is meant or an admin address"))
                .hint("leave out one of them"));
        }
        (Some(url), None) => return admin(whom, url),
        (None, _) => {}
    }
    if whom.token_env.is_some() || whom.token_file.is_some() {
        return Err(Failure::usage(anyhow!("a token is for an admin address"))
            .hint("say which one: `--admin http://127.0.0.1:4001`; a socket needs no token"));
    }
    if let Some(path) = whom.target.as_deref().filter(|target| is_socket(Path::new(target))) {
        let place = Place::Socket(path.into());
        return Ok(Chosen {
            place,
            name: format!("`{path}`"),
            what: path.to_owned(),
            words: format!(" {}", quoted(path)),
        });
    }
    let found = find(&folder()).await.map_err(Failure::usage)?;
    match &whom.target {
        Some(target) => named(target, found),
        None => only(found),
    }
}

fn admin(whom: &Whom, url: &str) -> Result<Chosen, Failure> {
    let source = match (&whom.token_env, &whom.token_file) {
        (Some(name), _) => Some(SecretSource::Env(name.clone())),
        (None, Some(path)) => Some(SecretSource::File { path: path.clone(), shared: false }),
        (None, None) => None,
    };
    let token = source.map(|source| source.read(Path::new(""))).transpose();
    let token = token.map_err(|fault| Failure::usage(anyhow!("no admin token: {fault}")))?;
    let place = Place::admin(url, token.as_deref()).map_err(|fault| Failure::usage(anyhow!(fault)))?;
    Ok(Chosen {
        place,
        name: format!("`{url}`"),
        what: url.to_owned(),
        words: format!(" --admin {}", quoted(url)),
    })
}

/// The one that is called `target`: by its number, or by its output.
fn named(target: &str, found: Vec<Found>) -> Result<Chosen, Failure> {
    let output = std::path::absolute(target).ok();
    let is_meant = |found: &&Found| {
        target.parse() == Ok(found.who.pid)
            || output
                .as_deref()
                .is_some_and(|output| found.who.output.as_deref().map(Path::new) == Some(output))
    };
    let mut meant = found.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(chosen(one, format!(" {}", quoted(target)))),
        // A number that is also a file's name, or two in different containers.
        (Some(_), Some(_)) => Err(several(&found)),
        (None, _) if found.is_empty() => Err(none(anyhow!("`{target}` is not running"))),
        (None, _) => Err(Failure::usage(anyhow!("`{target}` is not running"))
            .hint(format!("there are {}", listed(&found)))),
    }
}

fn only(found: Vec<Found>) -> Result<Chosen, Failure> {
    match &found[..] {
        [] => Err(none(anyhow!("nothing of yours is running"))),
        [one] => Ok(chosen(one, String::new())),
        _ => Err(several(&found)),
    }
}

fn chosen(found: &Found, words: String) -> Chosen {
    Chosen { place: found.place.clone(), name: shown(found), what: found.who.what.clone(), words }
}

fn none(error: anyhow::Error) -> Failure {
    Failure::usage(error).hint(
        "it finds what the same user runs on this machine; name a gateway elsewhere with `--admin URL`, and a socket \
         elsewhere by its path",
    )
}

fn several(found: &[Found]) -> Failure {
    let first = found.first().map_or(0, |found| found.who.pid);
    Failure::usage(anyhow!("several are running: {}", listed(found)))
        .hint(format!("say which by its number, such as `paceline ctl {first} status`, or by its output"))
}

fn listed(found: &[Found]) -> String {
    found.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// `run 4711 (out.jsonl)`.
fn shown(found: &Found) -> String {
    let who = &found.who;
    format!("{} {} ({})", name(who.kind), who.pid, who.what)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.metadata().is_ok_and(|it| it.file_type().is_socket())
}

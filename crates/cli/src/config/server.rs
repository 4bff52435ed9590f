//! `[server]`: from what the file says to what holds.

use std::net::SocketAddr;
use std::time::Duration;

use paceline_gateway::Settings;
use toml::Spanned;

use super::file;
use super::place::Problem;
use super::secret::SecretSource;

/// Where the gateway listens unless told otherwise: this machine only.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);
/// The same for its admin side.
const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 4001);
/// The admin side may be left out.
pub(crate) const NONE: &str = "none";
/// Requests under way may take so long to finish before the process ends.
const DRAIN: Duration = Duration::from_secs(120);
/// Most requests that wait at once.
const WAITING: usize = 10_000;

/// How the gateway serves.
#[derive(Debug)]
pub(crate) struct Server {
    /// For callers.
    pub(crate) listen: SocketAddr,
    /// For the operator; `None` serves nobody.
    pub(crate) admin: Option<SocketAddr>,
    /// What the operator presents.
    pub(crate) admin_token: Option<Spanned<SecretSource>>,
    /// Hosts, origins, bounds, waiting.
    pub(crate) settings: Settings,
    /// How long requests under way may take to finish before the process ends.
    pub(crate) drain: Duration,
    /// Most requests that wait at once.
    pub(crate) waiting: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: LISTEN.into(),
            admin: Some(ADMIN.into()),
            admin_token: None,
            settings: Settings::default(),
            drain: DRAIN,
            waiting: WAITING,
        }
    }
}

/// Checks the section.
pub(super) fn server(server: &file::Server) -> Result<Server, Problem> {
    let remote = server.allow_remote;
    let listen = server.listen.as_ref().map_or(Ok(LISTEN.into()), |text| address(text, LISTEN, remote))?;
    let admin = match &server.admin {
        None => Some(ADMIN.into()),
        Some(text) if text.get_ref() == NONE => None,
        Some(text) => Some(address(text, ADMIN, remote)?),
    };
    if let Some(either) = server.admin.as_ref().or(server.listen.as_ref()).filter(|_| admin == Some(listen)) {
        return Err(Problem::at(either.span(), "callers and admin cannot share one address")
            .hint("give each its own port"));
    }
    if let Some(text) = &server.admin
        && admin.is_some_and(|address| !address.ip().is_loopback())
        && server.admin_token.is_none()
    {
        return Err(Problem::at(text.span(), "admin can be reached from other machines without a token")
            .hint("add `admin_token = { file = \"PATH\" }`"));
    }
    let admin_token = server.admin_token.clone();
    let drain = server.drain.map_or(DRAIN, |span| span.0);
    let waiting = at_least_one("waiting", server.waiting.as_ref())?.unwrap_or(WAITING);
    Ok(Server { listen, admin, admin_token, settings: settings(server)?, drain, waiting })
}

fn settings(server: &file::Server) -> Result<Settings, Problem> {
    let hosts = server.hosts.iter().map(host).collect::<Result<_, _>>()?;
    let origins = server.origins.iter().map(origin).collect::<Result<_, _>>()?;
    let mut settings = Settings { hosts, origins, ..Settings::default() };
    if let Some(span) = server.longest_wait {
        settings.waiting.longest = span.0;
    }
    let caps = &mut settings.caps;
    caps.body_bytes = server.body.map_or(caps.body_bytes, |size| size.0);
    caps.connections = at_least_one("connections", server.connections.as_ref())?.unwrap_or(caps.connections);
    caps.connections_per_address =
        at_least_one("connections_per_address", server.connections_per_address.as_ref())?
            .unwrap_or(caps.connections_per_address);
    Ok(settings)
}

/// Reads an address of the file.
fn address(text: &Spanned<String>, usual: ([u8; 4], u16), remote: bool) -> Result<SocketAddr, Problem> {
    let address: SocketAddr = text.get_ref().parse().map_err(|_| {
        let usual = SocketAddr::from(usual);
        Problem::at(text.span(), format!("`{}` is not an address with a port", text.get_ref()))
            .hint(format!("write it as `{usual}`"))
    })?;
    if address.ip().is_loopback() || remote {
        return Ok(address);
    }
    Err(Problem::at(text.span(), format!("`{address}` can be reached from other machines"))
        .hint("listen on 127.0.0.1, or say `allow_remote = true` if that is meant"))
}

fn at_least_one(what: &str, number: Option<&Spanned<u32>>) -> Result<Option<usize>, Problem> {
    let Some(number) = number else { return Ok(None) };
    match *number.get_ref() {
        0 => Err(Problem::at(number.span(), format!("`{what} = 0` would let nothing through"))),
        some => Ok(usize::try_from(some).ok()),
    }
}

/// A name without scheme or port, as the `host` header has it.
fn host(name: &Spanned<String>) -> Result<String, Problem> {
    let text = name.get_ref();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.clone()),
        false => Err(Problem::at(name.span(), format!("`{text}` is not the name of a host"))
            .hint("write it without scheme and port, as `llm.example.com`")),
    }
}

/// What a browser sends as `origin`: scheme, host and port.
fn origin(name: &Spanned<String>) -> Result<String, Problem> {
    let text = name.get_ref();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    match rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(fits)) {
        true => Ok(text.clone()),
        false => Err(Problem::at(name.span(), format!("`{text}` is not an origin of web pages"))
            .hint("write it as browsers send it, as `https://chat.example.com`")),
    }
}

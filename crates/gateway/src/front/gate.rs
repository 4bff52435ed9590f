//! Who may ask at all: no web page whose origin is unknown, no name that is not ours, no body that a page could send unasked.
//!
//! A page in the user's browser can reach this machine's addresses, under names of its own choice even. The `host` header
//! tells under which name we were addressed, `origin` and `sec-fetch-site` which page asks; browsers let no page forge these.

use std::net::{IpAddr, SocketAddr};

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, AsHeaderName, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response, StatusCode};
use paceline_wire::Dialect;

use super::Refusal;
use crate::body::Body;
use crate::settings::Settings;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const METHODS: &str = "GET, HEAD, POST, DELETE";
/// How long a browser need not ask again.
const PREFLIGHT_SECONDS: &str = "600";
/// What pages may send: these, and whatever begins like one of `PREFIXES`.
const SENT: [&str; 9] = [
    "accept",
    "api-key",
    "authorization",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "x-api-key",
];
const PREFIXES: [&str; 3] = ["anthropic-", "x-paceline-", "x-stainless-"];
/// What pages may read.
const READ: &str = "retry-after, retry-after-ms, x-should-retry, x-paceline-upstream, x-paceline-model, \
                    x-paceline-attempts, x-paceline-wait-ms, x-paceline-request-id, request-id, x-request-id";

const MISDIRECTED: Refusal = Refusal::new(
    StatusCode::MISDIRECTED_REQUEST,
    "this gateway is not known under the name in the `host` header; add the name to `hosts` in its configuration",
);
const ORIGIN_UNKNOWN: Refusal = Refusal::new(
    StatusCode::FORBIDDEN,
    "web pages of this origin may not call this gateway; add the origin to `origins` in its configuration",
);
const CONTENT: Refusal =
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be sent as `application/json`");
const ENCODED: Refusal =
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be sent without a content encoding");
const OPTIONS: Refusal =
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "methods are GET, HEAD, POST and DELETE");

/// A request that may pass, or that is answered here.
#[derive(Debug)]
pub(super) enum Pass {
    /// On to the handler. `origin` is the page's that may read the answer.
    On { origin: Option<HeaderValue> },
    /// A browser asking whether a page that we know may ask.
    Preflight(Response<Body>),
}

/// Whether `request`, which came in at `local`, may pass.
pub(super) fn check<B: http_body::Body>(
    request: &Request<B>,
    settings: &Settings,
    local: SocketAddr,
) -> Result<Pass, Refusal> {
    let headers = request.headers();
    let host = one(headers, HOST)?.ok_or(MISDIRECTED)?;
    if !is_ours(host.as_bytes(), settings, local) {
        return Err(MISDIRECTED);
    }
    let origin = one(headers, ORIGIN)?;
    let known =
        origin.filter(|origin| settings.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()));
    if known.is_none() {
        check_own(headers, origin, host)?;
    }
    if request.method() == Method::OPTIONS {
        return known.map(|origin| preflight(headers, origin)).ok_or(OPTIONS)?.map(Pass::Preflight);
    }
    if !request.body().is_end_stream() {
        check_content(request.uri().path(), headers, origin.is_some())?;
    }
    Ok(Pass::On { origin: known.cloned() })
}

/// Lets the page of `origin`, which is configured, read `response`.
pub(super) fn share(response: &mut Response<Body>, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// The dialect that errors at `path` are told in.
pub(crate) fn dialect(path: &str) -> Dialect {
    if path.contains("/v1/messages") || path.starts_with("/anthropic/") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

/// The same for a head that nobody could parse.
pub(super) fn dialect_of_head(head: &[u8]) -> Dialect {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let path = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    dialect(std::str::from_utf8(path).unwrap_or_default())
}

/// The value of a header that must not come twice.
fn one(headers: &HeaderMap, name: impl AsHeaderName) -> Result<Option<&HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::bad("a header came twice that may come only once"));
    }
    Ok(first)
}

/// A loopback name or the address that was connected to, with our port or none; or a configured name with any port, because
/// whoever forwards to us may listen on another.
fn is_ours(host: &[u8], settings: &Settings, local: SocketAddr) -> bool {
    let (name, port) = split_port(host);
    if settings.hosts.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        return true;
    }
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let port_fits = port.is_none_or(|port| port == local.port().to_string().as_bytes());
    let loopback = ["localhost", "127.0.0.1", "[::1]"].iter().any(|known| known.eq_ignore_ascii_case(name));
    port_fits && (loopback || is_address(name, local.ip()))
}

/// Whether `name` spells `address`, in the one form that browsers send.
fn is_address(name: &str, address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => name == address.to_string(),
        IpAddr::V6(address) => name.eq_ignore_ascii_case(&format!("[{address}]")),
    }
}

fn split_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let name_end = memchr::memrchr(b']', host).unwrap_or(0);
    match memchr::memchr(b':', &host[name_end..]) {
        Some(colon) => (&host[..name_end + colon], Some(&host[name_end + colon + 1..])),
        None => (host, None),
    }
}

/// Without a known origin: not asked by any page but our own.
fn check_own(headers: &HeaderMap, origin: Option<&HeaderValue>, host: &HeaderValue) -> Result<(), Refusal> {
    let own = |origin: &HeaderValue| {
        let name = origin.as_bytes().strip_prefix(b"http://");
        name.is_some_and(|name| name.eq_ignore_ascii_case(host.as_bytes()))
    };
    let asked_by_ours = origin.is_none_or(own);
    let site = one(headers, &SEC_FETCH_SITE)?.map(HeaderValue::as_bytes);
    if asked_by_ours && matches!(site, None | Some(b"same-origin" | b"none")) {
        Ok(())
    } else {
        Err(ORIGIN_UNKNOWN)
    }
}

/// A page may send forms and plain text anywhere, unasked; JSON it may not.
fn check_content(path: &str, headers: &HeaderMap, of_page: bool) -> Result<(), Refusal> {
    if let Some(encoding) = one(headers, CONTENT_ENCODING)?
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(ENCODED);
    }
    let content = one(headers, CONTENT_TYPE)?.and_then(|value| value.to_str().ok()).ok_or(CONTENT)?;
    let (kind, parameters) = content.split_once(';').unwrap_or((content, ""));
    let kind = kind.trim();
    if kind.eq_ignore_ascii_case("application/json") && is_charset(parameters.trim()) {
        return Ok(());
    }
    let is_upload = kind.eq_ignore_ascii_case("multipart/form-data");
    if is_upload && takes_uploads(path) && !of_page { Ok(()) } else { Err(CONTENT) }
}

/// Nothing, or UTF-8, which JSON always is.
fn is_charset(parameters: &str) -> bool {
    let value = match parameters.split_once('=') {
        None => return parameters.is_empty(),
        Some((name, value)) if name.trim_end().eq_ignore_ascii_case("charset") => value.trim_start(),
        Some(_) => return false,
    };
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
}

/// Files, sound and pictures are uploaded as forms.
fn takes_uploads(path: &str) -> bool {
    let Some((_, below)) = path.split_once("/v1/") else { return false };
    ["files", "audio", "images", "uploads", "videos", "containers", "skills"]
        .contains(&below.split('/').next().unwrap_or_default())
}

fn preflight(headers: &HeaderMap, origin: &HeaderValue) -> Result<Response<Body>, Refusal> {
    one(headers, ACCESS_CONTROL_REQUEST_METHOD)?.ok_or(OPTIONS)?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    share(&mut response, origin.clone());
    let asked = one(headers, ACCESS_CONTROL_REQUEST_HEADERS)?.and_then(|asked| asked.to_str().ok());
    let answer = response.headers_mut();
    if let Ok(sent) = HeaderValue::try_from(allowed(asked.unwrap_or_default())) {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, sent);
    }
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    answer.insert(ALLOW, HeaderValue::from_static(METHODS));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
    Ok(response)
}

/// Of the headers that a page asks for, those that it may send.
fn allowed(asked: &str) -> String {
    let may = |name: &&str| SENT.contains(name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let asked = asked.to_ascii_lowercase();
    asked.split(',').map(str::trim).filter(may).collect::<Vec<_>>().join(", ")
}

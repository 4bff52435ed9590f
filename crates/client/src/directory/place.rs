//! One upstream, checked and ready to send to.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use paceline_wire::Dialect;
use paceline_wire::provider::Provider;
use rustls::pki_types::ServerName;

use super::mask::Mask;
use crate::credential::Presented;
use crate::error::BuildError;
use crate::net::Origin;
use crate::request::PASSED_HEADERS;
use crate::upstream::Upstream;

/// The version that paths begin with, and base URLs may name.
const VERSION: &str = "/v1";

/// An upstream whose URL and credential are known to be usable.
pub(crate) struct Place {
    pub(crate) name: Arc<str>,
    pub(crate) provider: Provider,
    pub(crate) account: String,
    /// The user has named the account: what answers say of organisations changes nothing.
    pub(crate) settled: bool,
    pub(crate) in_flight: Option<u32>,
    pub(crate) origin: Origin,
    /// Headers that requests carry unless they have their own.
    defaults: HeaderMap,
    /// Headers that requests carry whatever they have: the upstream's and the credential.
    headers: HeaderMap,
    /// Both together, for requests that have none of their own. Made with room for those, which its clones have as well.
    usual: HeaderMap,
    mask: Mask,
    base_url: String,
    /// What stands before paths on the wire: for those below `/v1`, which it may name already, and for others.
    prefixes: [String; 2],
}

impl Place {
    pub(crate) fn new(upstream: Upstream) -> Result<Self, BuildError> {
        let bad = |reason: String| BuildError::BaseUrl { upstream: upstream.name.clone(), reason };
        let base_url = upstream.base_url.clone().or_else(|| upstream.provider.base_url.clone());
        let base_url =
            base_url.ok_or_else(|| bad("it needs a base URL; the provider has none of its own".into()))?;
        let uri: Uri = base_url.parse().map_err(|_| bad(format!("`{base_url}` is no URL")))?;
        let origin = origin(&uri, upstream.plain_http).map_err(bad)?;
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let authority =
            HeaderValue::from_str(authority).map_err(|_| bad(format!("`{base_url}` is no URL")))?;
        let defaults = defaults(&upstream.provider);
        let mut headers = headers(&upstream)?;
        headers.insert(HOST, authority);
        // What is compressed could not be read in passing.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut usual = HeaderMap::with_capacity(defaults.len() + headers.len() + PASSED_HEADERS.len());
        usual.extend(defaults.clone());
        for (name, value) in &headers {
            usual.insert(name, value.clone());
        }
        Ok(Self {
            usual,
            prefixes: prefixes(upstream.provider.dialect, &base_url),
            defaults,
            headers,
            mask: Mask::new(upstream.api_key.as_ref()),
            settled: upstream.account.is_some(),
            account: upstream.account.unwrap_or_else(|| upstream.name.clone()),
            name: upstream.name.into(),
            provider: upstream.provider,
            in_flight: upstream.in_flight,
            origin,
            base_url,
        })
    }

    /// Whether what is known of the other's health holds here, too.
    pub(crate) fn is_same(&self, other: &Place) -> bool {
        self.name == other.name && self.base_url == other.base_url && self.headers == other.headers
    }

    /// The path on the wire for an endpoint's own path.
    pub(crate) fn path(&self, path: &str) -> Option<Uri> {
        let [below, other] = &self.prefixes;
        let whole = match path.strip_prefix(VERSION).filter(|rest| rest.starts_with('/')) {
            Some(rest) => format!("{below}{rest}"),
            None => format!("{other}{path}"),
        };
        PathAndQuery::try_from(whole).ok().map(Uri::from)
    }

    /// The headers on the wire for a request's own: what it passes on goes before our defaults, but not before what the
    /// upstream is configured to get.
    pub(crate) fn headers(&self, own: &[(HeaderName, HeaderValue)]) -> HeaderMap {
        let mut headers = self.usual.clone();
        for (name, _) in own.iter().filter(|(name, _)| self.defaults.contains_key(name)) {
            if !self.headers.contains_key(name) {
                headers.remove(name);
            }
        }
        for (name, value) in own.iter().filter(|(name, _)| !self.headers.contains_key(name)) {
            headers.append(name, value.clone());
        }
        headers
    }

    /// `text` without fragments of the credential it answers to.
    pub(crate) fn mask(&self, presented: Option<&Presented>, text: Bytes) -> Bytes {
        match presented {
            Some(presented) => Mask::new(Some(&presented.secret)).apply(text),
            None => self.mask.apply(text),
        }
    }
}

/// The paths of the base URL, below which endpoints lie.
fn prefixes(dialect: Dialect, base_url: &str) -> [String; 2] {
    const NAME: &str = "/x";
    [format!("{VERSION}{NAME}"), NAME.to_owned()].map(|path| {
        let uri: Option<Uri> = dialect.url(base_url, &path).parse().ok();
        let path = uri.as_ref().map(Uri::path).unwrap_or_default();
        path.strip_suffix(NAME).unwrap_or_default().to_owned()
    })
}

fn defaults(provider: &Provider) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        // Provider files are checked when they are read; what slips through goes without.
        HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value.as_str()).ok())
    };
    let mut headers: HeaderMap = provider.headers.iter().filter_map(pair).collect();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("paceline/", env!("CARGO_PKG_VERSION"))));
    headers
}

fn headers(upstream: &Upstream) -> Result<HeaderMap, BuildError> {
    let mut headers: HeaderMap = upstream.headers.iter().cloned().collect();
    let Some(key) = upstream.api_key.as_ref().filter(|key| !key.is_empty()) else { return Ok(headers) };
    let (name, value) = upstream.provider.auth.header(key.expose());
    let mut value =
        HeaderValue::try_from(value).map_err(|_| BuildError::ApiKey { upstream: upstream.name.clone() })?;
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    Ok(headers)
}

fn origin(uri: &Uri, plain_allowed: bool) -> Result<Origin, String> {
    let authority =
        uri.authority().ok_or_else(|| format!("`{uri}` has no host; write it as `https://host/path`"))?;
    if authority.as_str().contains('@') {
        return Err(
            "the base URL holds a user name or password; give the credential apart from it".to_owned()
        );
    }
    if uri.query().is_some() {
        return Err("the base URL has a query; it can't have one".to_owned());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let (tls_name, default_port) = match uri.scheme_str() {
        Some("https") => {
            let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` is no host name"))?;
            (Some(name), 443)
        }
        Some("http") if plain_allowed || is_this_machine(&host) => (None, 80),
        Some("http") => {
            return Err(format!("plain http would show the credential to the network; use `https://{host}`"));
        }
        _ => return Err(format!("`{uri}` must begin with `https://`")),
    };
    Ok(Origin { tls_name, host, port: authority.port_u16().unwrap_or(default_port) })
}

/// By spelling, not by lookup: what a name resolves to can change.
fn is_this_machine(host: &str) -> bool {
    let literal: Option<std::net::IpAddr> = host.parse().ok();
    literal.map_or(host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use paceline_wire::provider::Catalog;

    use super::*;

    #[test]
    fn paths_join_as_urls_do() {
        let bases =
            ["https://h", "https://h/", "https://h/v1", "https://h/v1/", "https://h/a/b", "https://h/a/v1"];
        let paths = ["/v1/messages", "/v1/messages?beta=true", "/v1", "/v1x/y", "/chat/completions", "/"];
        for (name, base) in
            ["anthropic", "openai"].into_iter().flat_map(|name| bases.map(|base| (name, base)))
        {
            let provider = Catalog::embedded().provider(name).unwrap();
            let place = Place::new(Upstream::new("a", provider.clone()).base_url(base)).unwrap();
            for path in paths {
                let url: Uri = provider.dialect.url(base, path).parse().unwrap();
                let want = url.path_and_query().unwrap().as_str();
                assert_eq!(place.path(path).unwrap().to_string(), want, "{name} {base} {path}");
            }
        }
    }

    #[test]
    fn a_requests_own_headers_go_before_defaults_and_never_before_what_is_configured() {
        let provider = Catalog::embedded().provider("anthropic").unwrap();
        let beta = HeaderName::from_static("anthropic-beta");
        let configured = Upstream::new("a", provider.clone())
            .api_key("sk-a")
            .header(beta.clone(), HeaderValue::from_static("ours"))
            .header(HeaderName::from_static("content-type"), HeaderValue::from_static("text/plain"));
        let place = Place::new(configured).unwrap();
        let own = [
            (beta, "theirs"),
            (HeaderName::from_static("anthropic-version"), "2099-01-01"),
            (HeaderName::from_static("x-title"), "one"),
            (HeaderName::from_static("x-title"), "two"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value)));
        let headers = place.headers(&own);
        let of = |name: &str| {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of("anthropic-beta"), ["ours"]);
        assert_eq!(of("content-type"), ["text/plain"]);
        assert_eq!(of("anthropic-version"), ["2099-01-01"]);
        assert_eq!(of("x-title"), ["one", "two"]);
        assert_eq!(of("x-api-key"), ["sk-a"]);
        assert_eq!(of("host"), ["api.anthropic.com"]);
        assert_eq!(of("accept-encoding"), ["identity"]);
        assert_eq!(place.headers(&[]).get("anthropic-version").unwrap(), "2023-06-01");
    }

    #[test]
    fn plain_http_reaches_this_machine_only() {
        let cases = [
            ("https://api.example.com/v1", false, true),
            ("https://[::1]:8443", false, true),
            ("http://127.0.0.1:4010", false, true),
            ("http://127.9.9.9", false, true),
            ("http://[::1]:1", false, true),
            ("http://localhost/v1", false, true),
            ("http://LOCALHOST", false, true),
            ("http://localhost.example.com", false, false),
            ("http://127.0.0.1.example.com", false, false),
            ("http://10.0.0.1", false, false),
            ("http://10.0.0.1", true, true),
            ("ftp://127.0.0.1", true, false),
            ("https://user:secret@example.com", false, false),
            ("https://example.com/?key=x", false, false),
            ("/v1", true, false),
        ];
        for (url, opted_in, good) in cases {
            let uri: Uri = url.parse().unwrap();
            assert_eq!(origin(&uri, opted_in).is_ok(), good, "{url}");
        }
    }
}

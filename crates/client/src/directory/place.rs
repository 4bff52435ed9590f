//! One upstream, checked and ready to send to.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use paceline_wire::provider::Provider;
use rustls::pki_types::ServerName;

use super::mask::Mask;
use crate::credential::Presented;
use crate::error::BuildError;
use crate::net::Origin;
use crate::upstream::Upstream;

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
    pub(crate) defaults: HeaderMap,
    /// Headers that requests carry whatever they have: the upstream's and the credential.
    pub(crate) headers: HeaderMap,
    mask: Mask,
    base_url: String,
    authority: HeaderValue,
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
        Ok(Self {
            defaults: defaults(&upstream.provider),
            headers: headers(&upstream)?,
            mask: Mask::new(upstream.api_key.as_ref()),
            settled: upstream.account.is_some(),
            account: upstream.account.unwrap_or_else(|| upstream.name.clone()),
            name: upstream.name.into(),
            provider: upstream.provider,
            in_flight: upstream.in_flight,
            origin,
            base_url,
            authority,
        })
    }

    /// Whether what is known of the other's health holds here, too.
    pub(crate) fn is_same(&self, other: &Place) -> bool {
        self.name == other.name && self.base_url == other.base_url && self.headers == other.headers
    }

    /// The path on the wire for an endpoint's own path.
    pub(crate) fn path(&self, path: &str) -> Option<Uri> {
        let uri: Uri = self.provider.dialect.url(&self.base_url, path).parse().ok()?;
        Uri::builder().path_and_query(uri.path_and_query()?.clone()).build().ok()
    }

    /// `text` without fragments of the credential it answers to.
    pub(crate) fn mask(&self, presented: Option<&Presented>, text: Bytes) -> Bytes {
        match presented {
            Some(presented) => Mask::new(Some(&presented.secret)).apply(text),
            None => self.mask.apply(text),
        }
    }

    /// The `host` header.
    pub(crate) fn host(&self) -> HeaderValue {
        self.authority.clone()
    }
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
    use super::*;

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

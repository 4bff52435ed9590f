//! Where a request goes, told by its path.

use std::borrow::Cow;

use http::{Method, Uri};
use paceline_wire::provider::{Catalog, Provider};
use paceline_wire::{Dialect, Endpoint};

/// Query parameters that would carry a credential: URLs end up in logs, so none may.
const SECRET_PARAMETERS: [&str; 5] = ["key", "api_key", "api-key", "apikey", "access_token"];

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    /// How the caller speaks, and is answered.
    pub(super) dialect: Dialect,
    /// What it asks for.
    pub(super) endpoint: Endpoint,
    /// The provider that the path names.
    pub(super) provider: Option<&'a str>,
    /// The path that the provider knows, from `/v1/` on, with its query.
    pub(super) path: Cow<'a, str>,
}

/// Finds the route of `uri`; `None` when nothing is there.
///
/// `speaks_anthropic` settles what both dialects have, such as `/v1/models`: Anthropic's SDKs name their version.
pub(super) fn find<'a>(
    method: &Method,
    uri: &'a Uri,
    speaks_anthropic: bool,
    catalog: &'a Catalog,
) -> Option<Route<'a>> {
    let whole = uri.path_and_query().map_or("", |path| path.as_str());
    let route = |provider: Option<&'a Provider>, path: Cow<'a, str>| {
        let endpoint = Endpoint::of(method, &path);
        Route {
            dialect: dialect(endpoint, &path, speaks_anthropic, provider),
            endpoint,
            provider: provider.map(|provider| provider.name.as_str()),
            path,
        }
    };
    if is_below_v1(whole) {
        return Some(route(None, Cow::Borrowed(whole)));
    }
    let (name, _) = whole.strip_prefix('/')?.split_once('/')?;
    let provider = catalog.provider(name)?;
    let path = below(provider, &whole[1 + name.len()..])?;
    Some(route(Some(provider), path))
}

/// Whether the query carries something that must not be in a URL.
pub(super) fn carries_secret(uri: &Uri) -> bool {
    let parameters = uri.query().unwrap_or_default().split(['&', ';']);
    let mut names = parameters.map(|pair| decoded(pair.split('=').next().unwrap_or_default()));
    names.any(|name| SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_bytes())))
}

/// The path below a provider's own: `/v1/...`, or spelled with the path of its base URL, as its own SDK does.
fn below<'a>(provider: &Provider, path: &'a str) -> Option<Cow<'a, str>> {
    if is_below_v1(path) {
        return Some(Cow::Borrowed(path));
    }
    let base = provider.base_url.as_deref()?.split_once("://")?.1;
    let base = base.find('/').map(|at| base[at..].trim_end_matches('/'))?;
    let rest = path.strip_prefix(base)?;
    (rest.len() > 1 && rest.starts_with('/')).then(|| Cow::Owned(format!("/v1{rest}")))
}

fn is_below_v1(path: &str) -> bool {
    path.strip_prefix("/v1/").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('?'))
}

fn dialect(endpoint: Endpoint, path: &str, speaks_anthropic: bool, provider: Option<&Provider>) -> Dialect {
    let messages =
        path.strip_prefix("/v1/messages").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    match endpoint {
        Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
        _ if messages => Dialect::Anthropic,
        Endpoint::Models | Endpoint::Other => match provider {
            Some(provider) => provider.dialect,
            None if speaks_anthropic => Dialect::Anthropic,
            None => Dialect::OpenAi,
        },
        _ => Dialect::OpenAi,
    }
}

/// A parameter's name without its percent signs: however it is spelled, it is the same name to whoever reads it.
fn decoded(name: &str) -> Vec<u8> {
    let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                bytes = ahead;
            }
            _ => plain.push(byte),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_dialect_endpoint_and_provider() {
        use Dialect::{Anthropic, OpenAi};
        let cases = [
            ("/v1/messages", false, Some((Anthropic, Endpoint::Messages, None, "/v1/messages"))),
            (
                "/v1/messages?beta=true",
                false,
                Some((Anthropic, Endpoint::Messages, None, "/v1/messages?beta=true")),
            ),
            ("/v1/messages/batches", false, Some((Anthropic, Endpoint::Other, None, "/v1/messages/batches"))),
            (
                "/v1/messages/count_tokens",
                false,
                Some((Anthropic, Endpoint::CountTokens, None, "/v1/messages/count_tokens")),
            ),
            ("/v1/messagesx", false, Some((OpenAi, Endpoint::Other, None, "/v1/messagesx"))),
            (
                "/v1/chat/completions",
                true,
                Some((OpenAi, Endpoint::ChatCompletions, None, "/v1/chat/completions")),
            ),
            ("/v1/responses", false, Some((OpenAi, Endpoint::Responses, None, "/v1/responses"))),
            ("/v1/models", false, Some((OpenAi, Endpoint::Models, None, "/v1/models"))),
            ("/v1/models", true, Some((Anthropic, Endpoint::Models, None, "/v1/models"))),
            ("/v1/files", true, Some((Anthropic, Endpoint::Other, None, "/v1/files"))),
            (
                "/groq/v1/chat/completions",
                false,
                Some((OpenAi, Endpoint::ChatCompletions, Some("groq"), "/v1/chat/completions")),
            ),
            (
                "/groq/openai/v1/chat/completions",
                false,
                Some((OpenAi, Endpoint::ChatCompletions, Some("groq"), "/v1/chat/completions")),
            ),
            (
                "/anthropic/v1/messages",
                false,
                Some((Anthropic, Endpoint::Messages, Some("anthropic"), "/v1/messages")),
            ),
            (
                "/anthropic/v1/models",
                false,
                Some((Anthropic, Endpoint::Models, Some("anthropic"), "/v1/models")),
            ),
            ("/groq/v1/models", true, Some((OpenAi, Endpoint::Models, Some("groq"), "/v1/models"))),
            ("/", false, None),
            ("/v1", false, None),
            ("/v1/", false, None),
            ("/v1/?x", false, None),
            ("/v2/messages", false, None),
            ("/nobody/v1/messages", false, None),
            ("/groq", false, None),
            ("/groq/v1/", false, None),
            ("/groq/v2/models", false, None),
            ("/groq/groq/v1/models", false, None),
            ("/metrics", false, None),
        ];
        for (path, speaks_anthropic, want) in cases {
            let uri: Uri = path.parse().unwrap();
            let route = find(&Method::POST, &uri, speaks_anthropic, Catalog::embedded());
            let seen =
                route.as_ref().map(|route| (route.dialect, route.endpoint, route.provider, &*route.path));
            assert_eq!(seen, want, "{path}");
        }
    }

    #[test]
    fn what_is_looked_up_keeps_the_dialect_of_its_path() {
        let cases = [
            ("/v1/messages", Dialect::Anthropic),
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/v1/chat/completions/x/messages", Dialect::OpenAi),
        ];
        for (path, want) in cases {
            let uri: Uri = path.parse().unwrap();
            let route = find(&Method::GET, &uri, false, Catalog::embedded()).unwrap();
            assert_eq!((route.dialect, route.endpoint), (want, Endpoint::Other), "{path}");
        }
    }

    #[test]
    fn no_query_carries_a_key() {
        let cases = [
            ("/v1/models?key=abc", true),
            ("/v1/models?a=1&API_KEY=abc", true),
            ("/v1/models?%6bey=abc", true),
            ("/v1/models?access%5Ftoken=abc", true),
            ("/v1/models?a=1;key=2", true),
            ("/v1/models?monkey=1&keys=2&a=key", false),
            ("/v1/models?%6", false),
            ("/v1/models", false),
        ];
        for (path, secret) in cases {
            assert_eq!(carries_secret(&path.parse().unwrap()), secret, "{path}");
        }
    }
}

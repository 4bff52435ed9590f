//! Which headers pass, and which stay here: lists of what may, in both directions.

use http::header::{
    CONNECTION, CONTENT_TYPE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RETRY_AFTER, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline::PASSED_HEADERS;

/// Headers that mean one connection only.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What names an account is for its owner: it passes only where the caller's own credential does.
const OF_THE_ACCOUNT: [&str; 5] = [
    "anthropic-organization-id",
    "anthropic-workspace-id",
    "chatgpt-account-id",
    "openai-organization",
    "openai-project",
];
/// What an answer may say, whoever's the credential is.
const ANSWERED: [&str; 9] = [
    "apim-request-id",
    "content-disposition",
    "content-type",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "request-id",
    "warning",
    "x-request-id",
];
/// What an error may say beside that.
const ANSWERED_IN_ERRORS: [&str; 3] = ["retry-after", "retry-after-ms", "x-should-retry"];
/// How headers begin that tell limits. Of a pool of credentials, what they say of one is not true.
const LIMITS: [&str; 5] =
    ["anthropic-fast-", "anthropic-priority-", "anthropic-ratelimit-", "ratelimit-", "x-ratelimit-"];

/// Takes out what means this connection only, and first of all what the caller says does: otherwise a header could be
/// seen by us and hidden from the next, or the other way round.
pub(super) fn strip_connection(headers: &mut HeaderMap) {
    if let Some(named) = headers.get(CONNECTION)
        && named != "keep-alive"
    {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whether a caller's header goes upstream.
pub(super) fn passes(name: &HeaderName, pass_through: bool) -> bool {
    let name = name.as_str();
    if OF_THE_ACCOUNT.contains(&name) { pass_through } else { PASSED_HEADERS.contains(&name) }
}

/// What the caller gets to see of an answer's headers.
pub(super) fn answered(headers: HeaderMap, pass_through: bool, success: bool) -> HeaderMap {
    let mut shown = HeaderMap::with_capacity(8);
    let mut last: Option<HeaderName> = None;
    let mut shows = false;
    for (name, value) in headers {
        // The name comes only with the first of several values.
        if let Some(name) = name {
            shows = is_answered(name.as_str(), pass_through, success);
            last = Some(name);
        }
        if let Some(name) = last.as_ref().filter(|_| shows) {
            shown.append(name.clone(), value);
        }
    }
    shown
}

fn is_answered(name: &str, pass_through: bool, success: bool) -> bool {
    let own = || OF_THE_ACCOUNT.contains(&name) || LIMITS.iter().any(|start| name.starts_with(start));
    // Anthropic sends `retry-after` with ordinary successes, where it means nothing.
    ANSWERED.contains(&name) || (!success && ANSWERED_IN_ERRORS.contains(&name)) || (pass_through && own())
}

/// Whether an answer is a stream of events.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Whether an answer says when to come back.
pub(super) fn says_when(headers: &HeaderMap) -> bool {
    headers.contains_key(RETRY_AFTER) || headers.contains_key("retry-after-ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_connection_names_is_not_there() {
        let mut headers = map(&[
            ("connection", "keep-alive, X-Api-Key"),
            ("connection", "accept"),
            ("x-api-key", "a"),
            ("x-api-key", "b"),
            ("accept", "x"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("anthropic-version", "2023-06-01"),
        ]);
        strip_connection(&mut headers);
        assert_eq!(names(&headers), ["anthropic-version"]);
    }

    #[test]
    fn an_account_is_its_owners() {
        let answer = map(&[
            ("anthropic-organization-id", "o"),
            ("anthropic-ratelimit-requests-remaining", "1"),
            ("cf-ray", "x"),
            ("content-type", "application/json"),
            ("openai-organization", "o"),
            ("request-id", "r"),
            ("retry-after", "49"),
            ("server", "x"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("via", "x"),
            ("x-ratelimit-limit-requests", "1"),
        ]);
        assert_eq!(names(&answered(answer.clone(), false, true)), ["content-type", "request-id"]);
        assert_eq!(
            names(&answered(answer.clone(), false, false)),
            ["content-type", "request-id", "retry-after"]
        );
        let own = [
            "anthropic-organization-id",
            "anthropic-ratelimit-requests-remaining",
            "content-type",
            "openai-organization",
            "request-id",
            "x-ratelimit-limit-requests",
        ];
        assert_eq!(names(&answered(answer, true, true)), own);
    }

    #[test]
    fn several_values_of_one_header_stay_together() {
        let answer = map(&[("warning", "a"), ("set-cookie", "x"), ("warning", "b")]);
        let shown = answered(answer, false, true);
        assert_eq!(shown.get_all("warning").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(shown.len(), 2);
    }
}

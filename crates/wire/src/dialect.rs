//! The two wire formats, and the endpoints whose bodies we understand.

use http::Method;
use serde::Deserialize;

/// A wire format: how requests, answers, errors and streams are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI's, which most providers speak.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
}

impl Dialect {
    /// The name in config and messages.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Anthropic => "anthropic",
        }
    }

    /// Where a request with no endpoint of its own goes.
    pub fn default_path(self) -> &'static str {
        match self {
            Dialect::OpenAi => "/v1/chat/completions",
            Dialect::Anthropic => "/v1/messages",
        }
    }

    /// The full URL of `path` (such as `/v1/messages`) below `base`, as the official SDKs understand a base URL.
    ///
    /// An OpenAI base URL usually names its version itself (`https://api.groq.com/openai/v1`), so the path's own `/v1`
    /// goes when the base has a path; an Anthropic one usually doesn't.
    pub fn url(self, base: &str, path: &str) -> String {
        let base = base.trim_end_matches('/');
        let below = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/'));
        let names_version = match self {
            Dialect::OpenAi => has_path(base),
            Dialect::Anthropic => base.ends_with("/v1"),
        };
        let path = below.filter(|_| names_version).unwrap_or(path);
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{base}{slash}{path}")
    }
}

fn has_path(base: &str) -> bool {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    authority.contains('/')
}

/// What a request asks for, told by the end of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Anthropic `/v1/messages`.
    Messages,
    /// Anthropic `/v1/messages/count_tokens`.
    CountTokens,
    /// OpenAI `/v1/chat/completions`.
    ChatCompletions,
    /// OpenAI `/v1/responses`.
    Responses,
    /// OpenAI `/v1/completions`.
    Completions,
    /// OpenAI `/v1/embeddings`.
    Embeddings,
    /// OpenAI `/v1/moderations`.
    Moderations,
    /// `/v1/models`, of both.
    Models,
    /// Anything else: paced by request count, its body unread.
    Other,
}

impl Endpoint {
    /// What `method` at `path` asks for. Bodies that we understand are posted; to list, look up or delete what was
    /// answered before is something else, though its path may be the same.
    pub fn of(method: &Method, path: &str) -> Endpoint {
        match Endpoint::from_path(path) {
            Endpoint::Models => Endpoint::Models,
            endpoint if *method == Method::POST => endpoint,
            _ => Endpoint::Other,
        }
    }

    /// The endpoint at `path`; a query and whatever precedes the endpoint's own segments play no part.
    pub fn from_path(path: &str) -> Endpoint {
        let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
        let mut segments = path.rsplit('/');
        let last = segments.next().unwrap_or_default();
        let before = segments.next().unwrap_or_default();
        match (before, last) {
            ("messages", "count_tokens") => Endpoint::CountTokens,
            ("chat", "completions") => Endpoint::ChatCompletions,
            // Those of one thread or one completion: OpenAI's word for something else.
            (_, "messages") if matches!(segments.next(), Some("threads" | "completions")) => Endpoint::Other,
            (_, "messages") => Endpoint::Messages,
            (_, "responses") => Endpoint::Responses,
            ("fim", "completions") => Endpoint::Other,
            (_, "completions") => Endpoint::Completions,
            (_, "embeddings") => Endpoint::Embeddings,
            (_, "moderations") => Endpoint::Moderations,
            (_, "models") => Endpoint::Models,
            _ => Endpoint::Other,
        }
    }

    /// Whether an answer carries produced tokens, so that a stream or an output meter makes sense.
    pub fn generates(self) -> bool {
        matches!(
            self,
            Endpoint::Messages | Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Completions
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_join_as_the_sdks_do() {
        let cases = [
            (
                Dialect::OpenAi,
                "https://api.openai.com/v1",
                "/v1/responses",
                "https://api.openai.com/v1/responses",
            ),
            (Dialect::OpenAi, "http://127.0.0.1:4010", "/v1/models", "http://127.0.0.1:4010/v1/models"),
            (Dialect::OpenAi, "http://127.0.0.1:4010/", "/v1/models", "http://127.0.0.1:4010/v1/models"),
            (
                Dialect::OpenAi,
                "https://h/v1beta/openai/",
                "/v1/embeddings",
                "https://h/v1beta/openai/embeddings",
            ),
            (Dialect::OpenAi, "https://h/v1", "/chat/completions", "https://h/v1/chat/completions"),
            (Dialect::OpenAi, "https://h/v1", "models", "https://h/v1/models"),
            (Dialect::OpenAi, "https://h/v1", "/v1x/models", "https://h/v1/v1x/models"),
            (
                Dialect::Anthropic,
                "https://api.anthropic.com",
                "/v1/messages",
                "https://api.anthropic.com/v1/messages",
            ),
            (Dialect::Anthropic, "https://h/anthropic", "/v1/messages", "https://h/anthropic/v1/messages"),
            (Dialect::Anthropic, "https://h/v1", "/v1/messages", "https://h/v1/messages"),
        ];
        for (dialect, base, path, want) in cases {
            assert_eq!(dialect.url(base, path), want, "{base} + {path}");
        }
    }

    #[test]
    fn endpoints_are_told_by_the_end_of_the_path() {
        let cases = [
            ("/v1/messages", Endpoint::Messages),
            ("/v1/messages/", Endpoint::Messages),
            ("/anthropic/v1/messages/count_tokens", Endpoint::CountTokens),
            ("/openai/deployments/x/chat/completions?api-version=1", Endpoint::ChatCompletions),
            ("/v1/chat/completions", Endpoint::ChatCompletions),
            ("/v1/completions", Endpoint::Completions),
            ("/v1/fim/completions", Endpoint::Other),
            ("/v1/responses", Endpoint::Responses),
            ("/v1/embeddings", Endpoint::Embeddings),
            ("/v1/moderations", Endpoint::Moderations),
            ("/v1/models", Endpoint::Models),
            ("/v1/messages/batches", Endpoint::Other),
            ("/v1/chat/completions/x", Endpoint::Other),
            ("/v1/chat/completions/x/messages", Endpoint::Other),
            ("/v1/threads/x/messages", Endpoint::Other),
            ("", Endpoint::Other),
            ("/", Endpoint::Other),
        ];
        for (path, want) in cases {
            assert_eq!(Endpoint::from_path(path), want, "{path}");
        }
    }

    #[test]
    fn bodies_that_we_understand_are_posted() {
        let cases = [
            (Method::POST, "/v1/chat/completions", Endpoint::ChatCompletions),
            (Method::GET, "/v1/chat/completions", Endpoint::Other),
            (Method::DELETE, "/v1/responses", Endpoint::Other),
            (Method::GET, "/v1/messages", Endpoint::Other),
            (Method::GET, "/v1/models", Endpoint::Models),
            (Method::HEAD, "/v1/models", Endpoint::Models),
        ];
        for (method, path, want) in cases {
            assert_eq!(Endpoint::of(&method, path), want, "{method} {path}");
        }
    }
}

//! Why a line is no job, in words that lead to a line that is.

use crate::request::PeekError;

/// The most of a user's own text that a message repeats, in characters.
const QUOTED_CHARS: usize = 80;

/// Why a line is no job. The messages don't name the line: whoever reads the file knows its number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not text.
    #[error("not UTF-8 at column {column}; save the file as UTF-8")]
    NotUtf8 {
        /// The first wrong byte, counted from 1.
        column: usize,
    },
    /// A NUL byte, which no JSON and hardly a text holds.
    #[error("a NUL byte at column {column}; if the file is UTF-16, save it as UTF-8")]
    Nul {
        /// Where, counted from 1.
        column: usize,
    },
    /// Not JSON.
    #[error("not JSON at column {column}: {message}; a line must be one whole JSON object")]
    NotJson {
        /// Where, counted from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// A line of a JSON array.
    #[error("a JSON array where an object should be; `jq -c '.[]' FILE` writes its items a line each")]
    Array,
    /// JSON, but no object.
    #[error("no JSON object; a line is such as {{\"prompt\": \"...\"}}, or {{\"messages\": [...]}}")]
    NoObject,
    /// An object of no family.
    #[error("has none of `body`, `params`, `messages` and `prompt`, so it is no request that can be sent")]
    UnknownFamily,
    /// A member of the wrong type.
    #[error("`{key}` must be {expected}")]
    Type {
        /// Which.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// An id over the cap.
    #[error("the id has {length} bytes; the longest may have {cap}", cap = super::ID_CAP)]
    IdTooLong {
        /// Its length.
        length: usize,
    },
    /// A family that the upstream doesn't speak.
    #[error("{line} cannot go to an upstream of the {dialect} dialect; {remedy}")]
    WrongDialect {
        /// What the line is.
        line: String,
        /// What the upstream speaks.
        dialect: &'static str,
        /// What helps.
        remedy: &'static str,
    },
    /// A method other than POST.
    #[error("method `{method}`: a batch can only POST")]
    Method {
        /// As given.
        method: String,
    },
    /// A URL that is no plain path.
    #[error("url `{url}` is no path such as `/v1/chat/completions`; the host is the upstream's to name")]
    Url {
        /// As given.
        url: String,
    },
    /// A body whose endpoint can't be told.
    #[error("the endpoint is not clear; add `\"url\": \"/v1/embeddings\"`, or whichever it is")]
    NoUrl,
    /// No model, and no default.
    #[error("no `model`; add one, or give a default with --model")]
    NoModel,
    /// No `max_tokens`, or a null, which no default replaces; which the Messages API insists on.
    #[error("no `max_tokens`, which anthropic requires; add it, or give a default with --max-tokens")]
    NoMaxTokens,
    /// A request for a stream.
    #[error("`stream` is on, but a batch takes whole answers; take it out")]
    Stream,
    /// Something in `paceline` that we don't know.
    #[error("`paceline`: {message}")]
    Options {
        /// What the parser says.
        message: String,
    },
    /// A time that is none.
    #[error(
        "`{key}` is `{text}`: neither a duration such as `2h` nor an instant such as `2026-11-22T18:00:00Z`"
    )]
    Time {
        /// Which.
        key: &'static str,
        /// As given.
        text: String,
    },
    /// The body is no request.
    #[error(transparent)]
    Body(#[from] PeekError),
}

impl LineError {
    /// Where in the line, counted in bytes from 1, when it is one place.
    pub fn column(&self) -> Option<usize> {
        match self {
            LineError::NotUtf8 { column } | LineError::Nul { column } | LineError::NotJson { column, .. } => {
                Some(*column)
            }
            _ => None,
        }
    }

    pub(super) fn json(error: &serde_json::Error, offset: usize) -> Self {
        LineError::NotJson { column: error.column().max(1) + offset, message: message(error) }
    }
}

/// What the JSON parser says, without the place, which would name a line of its own counting.
pub(super) fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned()
}

/// The user's own text, short enough for a message.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

//! Lines of a batch: jobs in, in every family people have them in, and results out in the same family.
//!
//! A body stays the bytes it was; only members that are ours to take off, or that a default adds, change. The second
//! pass over a file reads its lines whole ([`read`]); the first, which looks for duplicates, needs no more than the id
//! ([`id`]): it stops at the id, so with the id in front it costs well under a microsecond whatever the line's length.

mod defaults;
mod error;
mod id;
mod options;
mod read;
mod result;
mod usage;

pub use defaults::{Defaults, SetError};
pub use error::LineError;
pub use id::{ID_CAP, default_id, id};
pub use options::{Options, When};
pub use read::{from_text, read};
pub use result::{Answer, Outcome, ResultId, result_id, result_line};
pub use usage::result_usage;

use std::borrow::Cow;

use bytes::Bytes;

/// How a line is spelled; its result is spelled alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `{"custom_id","method","url","body"}`: batch files of OpenAI, Azure, Groq, vLLM, Mistral, Together.
    OpenAiBatch,
    /// `{"custom_id","params"}`: Anthropic's message batches.
    AnthropicBatch,
    /// `{"messages":[...],...}`: a request body as it is sent.
    Body,
    /// `{"prompt":"...",...}`, or a line of a text file.
    Prompt,
}

impl Family {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Family::OpenAiBatch => "OpenAI batch",
            Family::AnthropicBatch => "Anthropic batch",
            Family::Body => "request body",
            Family::Prompt => "prompt",
        }
    }
}

/// A job, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The caller's id, or [`default_id`].
    pub id: String,
    /// How the line was spelled.
    pub family: Family,
    /// Where the body goes, such as `/v1/messages`: never a host.
    pub path: Cow<'static, str>,
    /// The request body.
    pub body: Bytes,
    /// What the line asks of us rather than of the provider.
    pub options: Options,
}

/// A line without its line end, blanks around it, and a byte order mark before it.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let Some(start) = line.iter().position(|byte| !blank(byte)) else { return &[] };
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests;

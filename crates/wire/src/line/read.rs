//! Reads one line of any family into a job.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::error::quoted;
use super::id::{default_id, read_id};
use super::{Defaults, Family, Line, LineError, options, trim};
use crate::dialect::{Dialect, Endpoint};
use crate::request;

/// Endpoints as batch files for Azure name them: without the version that all others give.
const UNVERSIONED: [&str; 5] =
    ["/chat/completions", "/responses", "/completions", "/embeddings", "/moderations"];

/// The members of a bare line that are ours, and no part of a request.
const OURS: [&str; 3] = ["custom_id", "id", "paceline"];

/// The members that tell the family, or are ours.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    url: Option<&'a RawValue>,
    body: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    messages: Option<&'a RawValue>,
    prompt: Option<&'a RawValue>,
    system: Option<&'a RawValue>,
    max_tokens: Option<&'a RawValue>,
    paceline: Option<&'a RawValue>,
}

/// Reads line `number` (counted from 1) of a JSONL file; `None` for a blank one.
pub fn read(line: &[u8], number: u64, defaults: &Defaults) -> Result<Option<Line>, LineError> {
    let Some(text) = text(line)? else { return Ok(None) };
    let offset = text.as_ptr() as usize - line.as_ptr() as usize;
    match text.as_bytes().first() {
        Some(b'{') => {}
        Some(b'[') => return Err(LineError::Array),
        _ => {
            let any = serde_json::from_str::<serde::de::IgnoredAny>(text);
            return Err(any.map_or_else(|error| LineError::json(&error, offset), |_| LineError::NoObject));
        }
    }
    let members: Members<'_> = serde_json::from_str(text).map_err(|error| LineError::json(&error, offset))?;
    let (family, path, body) = if let Some(params) = members.params {
        (Family::AnthropicBatch, anthropic_path(defaults)?, copy(params))
    } else if let Some(body) = members.body {
        (Family::OpenAiBatch, openai_path(&members, body, defaults)?, copy(body))
    } else if members.messages.is_some() {
        (Family::Body, defaults.dialect.default_path().into(), cut(text, &OURS)?)
    } else if let Some(prompt) = members.prompt {
        let prompt = string("prompt", prompt)?;
        (
            Family::Prompt,
            defaults.dialect.default_path().into(),
            prompt_body(text, &prompt, &members, defaults)?,
        )
    } else {
        return Err(LineError::UnknownFamily);
    };
    let id = match (members.custom_id, members.id) {
        (Some(id), _) => read_id("custom_id", id)?.into_owned(),
        (None, Some(id)) => read_id("id", id)?.into_owned(),
        (None, None) => default_id(number),
    };
    let options = options::read(members.paceline)?;
    let body = complete(body, &path, defaults)?;
    Ok(Some(Line { id, family, path, body, options }))
}

/// Makes line `number` (counted from 1) of a plain text file a prompt; `None` for a blank one.
pub fn from_text(line: &[u8], number: u64, defaults: &Defaults) -> Result<Option<Line>, LineError> {
    let Some(prompt) = text(line)? else { return Ok(None) };
    let path = Cow::Borrowed(defaults.dialect.default_path());
    let body = json!({"messages": [{"role": "user", "content": prompt}]}).to_string().into();
    let body = complete(body, &path, defaults)?;
    Ok(Some(Line {
        id: default_id(number),
        family: Family::Prompt,
        path,
        body,
        options: options::read(None)?,
    }))
}

/// The text of a line that isn't blank.
fn text(line: &[u8]) -> Result<Option<&str>, LineError> {
    let trimmed = trim(line);
    if trimmed.is_empty() {
        return Ok(None);
    }
    let offset = trimmed.as_ptr() as usize - line.as_ptr() as usize;
    if let Some(at) = memchr::memchr(0, trimmed) {
        return Err(LineError::Nul { column: offset + at + 1 });
    }
    match std::str::from_utf8(trimmed) {
        Ok(text) => Ok(Some(text)),
        Err(error) => Err(LineError::NotUtf8 { column: offset + error.valid_up_to() + 1 }),
    }
}

fn anthropic_path(defaults: &Defaults) -> Result<Cow<'static, str>, LineError> {
    if defaults.dialect == Dialect::Anthropic {
        return Ok(Dialect::Anthropic.default_path().into());
    }
    Err(LineError::WrongDialect {
        line: "a line of an Anthropic batch (`params`)".to_owned(),
        dialect: defaults.dialect.name(),
        remedy: "choose an anthropic upstream, or write it as {\"custom_id\", \"body\"}",
    })
}

fn openai_path(
    members: &Members<'_>,
    body: &RawValue,
    defaults: &Defaults,
) -> Result<Cow<'static, str>, LineError> {
    if let Some(method) = members.method {
        let method = string("method", method)?;
        if !method.eq_ignore_ascii_case("POST") {
            return Err(LineError::Method { method: quoted(&method) });
        }
    }
    let path = match members.url {
        Some(url) => canonical(&string("url", url)?)?,
        None => path_of(body)?,
    };
    let spoken = match Endpoint::from_path(&path) {
        Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
        _ => Dialect::OpenAi,
    };
    if spoken == defaults.dialect {
        return Ok(path);
    }
    Err(LineError::WrongDialect {
        line: format!("a line of an OpenAI batch for `{}`", quoted(&path)),
        dialect: defaults.dialect.name(),
        remedy: match spoken {
            Dialect::OpenAi => "choose an openai upstream, or write it as {\"custom_id\", \"params\"}",
            Dialect::Anthropic => "choose an anthropic upstream",
        },
    })
}

/// The endpoint's path as everyone spells it. Nothing but a plain path passes: a line must not choose a host.
fn canonical(url: &str) -> Result<Cow<'static, str>, LineError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b':');
    let segments = url.strip_prefix('/').map(|path| path.split('/'));
    let proper = segments.is_some_and(|mut all| all.all(|one| !one.is_empty() && one != "." && one != ".."));
    if !proper || !url.bytes().all(plain) {
        return Err(LineError::Url { url: quoted(url) });
    }
    let version = if UNVERSIONED.contains(&url) { "/v1" } else { "" };
    Ok(format!("{version}{url}").into())
}

/// The endpoint of a body that came without a URL, where its members leave no doubt.
fn path_of(body: &RawValue) -> Result<Cow<'static, str>, LineError> {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        messages: Option<&'a RawValue>,
        prompt: Option<&'a RawValue>,
    }
    let shape: Shape<'_> = serde_json::from_str(body.get())
        .map_err(|_| LineError::Type { key: "body", expected: "an object" })?;
    match (shape.messages, shape.prompt) {
        (Some(_), _) => Ok("/v1/chat/completions".into()),
        (None, Some(_)) => Ok("/v1/completions".into()),
        (None, None) => Err(LineError::NoUrl),
    }
}

/// A prompt as a request: whatever else the line says stays, the prompt becomes its messages.
fn prompt_body(
    text: &str,
    prompt: &str,
    members: &Members<'_>,
    defaults: &Defaults,
) -> Result<Bytes, LineError> {
    let system = members.system.map(|system| string("system", system)).transpose()?;
    let mut messages = vec![json!({"role": "user", "content": prompt})];
    let mut added = Vec::new();
    match (system, defaults.dialect) {
        (Some(system), Dialect::OpenAi) => messages.insert(0, json!({"role": "system", "content": system})),
        (Some(system), Dialect::Anthropic) => added.push(("system", json!(system))),
        (None, _) => {}
    }
    added.push(("messages", json!(messages)));
    let mut translated = OURS.to_vec();
    translated.extend(["prompt", "system"]);
    let key = defaults.max_tokens_key(Endpoint::from_path(defaults.dialect.default_path()));
    if let (Some(max_tokens), Some(key)) = (members.max_tokens, key.filter(|key| *key != "max_tokens")) {
        translated.push("max_tokens");
        added.push((key, serde_json::from_str(max_tokens.get()).unwrap_or_default()));
    }
    Ok(request::with_defaults(&cut(text, &translated)?, &added)?)
}

fn cut(text: &str, keys: &[&str]) -> Result<Bytes, LineError> {
    Ok(request::without_all(&Bytes::copy_from_slice(text.as_bytes()), keys)?)
}

/// Adds what the body lacks, and makes sure that it can be sent as it then is.
fn complete(body: Bytes, path: &str, defaults: &Defaults) -> Result<Bytes, LineError> {
    let endpoint = Endpoint::from_path(path);
    let peek = request::peek(defaults.dialect, endpoint, &body)?;
    if peek.stream {
        return Err(LineError::Stream);
    }
    let members = defaults.members(&peek);
    let has = |key: &str| members.iter().any(|(member, value)| *member == key && !value.is_null());
    let needs_model = endpoint.generates() || endpoint == Endpoint::Embeddings;
    // A null stays what the line says, so a default cannot replace it.
    let model_is_null = peek.spans.model.is_some() && peek.model.is_none();
    if needs_model && (model_is_null || peek.model.is_none() && !has("model")) {
        return Err(LineError::NoModel);
    }
    let no_limit = peek.max_tokens.is_none() && (peek.spans.max_tokens.is_some() || !has("max_tokens"));
    if endpoint == Endpoint::Messages && no_limit {
        return Err(LineError::NoMaxTokens);
    }
    Ok(request::with_defaults(&body, &members)?)
}

fn copy(value: &RawValue) -> Bytes {
    Bytes::copy_from_slice(value.get().as_bytes())
}

fn string(key: &'static str, value: &RawValue) -> Result<String, LineError> {
    serde_json::from_str(value.get()).map_err(|_| LineError::Type { key, expected: "a string" })
}

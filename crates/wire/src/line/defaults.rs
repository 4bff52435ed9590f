//! What lines get that they lack.

use serde_json::Value;

use super::error::quoted;
use crate::dialect::{Dialect, Endpoint};
use crate::provider::Provider;
use crate::request::Peek;

/// Providers whose newer chat models refuse `max_tokens` for its successor; all others know the old name.
const RENAMED_MAX_TOKENS: [&str; 2] = ["openai", "azure"];

/// Members that make a line what it is: no default may touch them.
const NO_DEFAULTS: [&str; 6] = ["messages", "prompt", "input", "stream", "custom_id", "paceline"];

/// What lines get that they lack, and what they are for.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// What the upstream speaks.
    pub dialect: Dialect,
    /// The model of lines without one.
    pub model: Option<String>,
    /// The most tokens an answer may have, for lines that don't say.
    pub max_tokens: Option<u64>,
    chat_max_tokens_key: &'static str,
    set: Vec<(String, Value)>,
}

/// Why a `key=value` is no default.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no `=`, or nothing before it.
    #[error("`{pair}` is no default; write it as `key=value`, such as `temperature=0.2`")]
    NoPair {
        /// As given.
        pair: String,
    },
    /// It is each line's own business.
    #[error("`{key}` cannot have a default; it belongs in the lines")]
    Reserved {
        /// Which.
        key: String,
    },
}

impl Defaults {
    /// No defaults yet, for lines that go to `provider`.
    pub fn new(provider: &Provider) -> Self {
        let renamed = RENAMED_MAX_TOKENS.contains(&provider.name.as_str());
        Self {
            dialect: provider.dialect,
            model: None,
            max_tokens: None,
            chat_max_tokens_key: if renamed { "max_completion_tokens" } else { "max_tokens" },
            set: Vec::new(),
        }
    }

    /// Adds a default from `key=value`. The value is JSON where it can be (`0.2`, `true`, `{"type":"json_object"}`),
    /// else a string; of two for one key the later holds.
    pub fn set(&mut self, pair: &str) -> Result<(), SetError> {
        let (key, value) = match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => (key.trim(), value.trim()),
            _ => return Err(SetError::NoPair { pair: quoted(pair) }),
        };
        if NO_DEFAULTS.contains(&key) {
            return Err(SetError::Reserved { key: key.to_owned() });
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        self.set.retain(|(earlier, _)| earlier != key);
        self.set.push((key.to_owned(), value));
        Ok(())
    }

    /// All of it as JSON, in a form that stays: two versions of this program tell the same defaults alike.
    pub fn encoded(&self) -> String {
        let Self { dialect, model, max_tokens, chat_max_tokens_key, set } = self;
        serde_json::json!([dialect.name(), model, max_tokens, chat_max_tokens_key, set]).to_string()
    }

    /// The name of `max_tokens` in a body for `endpoint`; `None` where there is nothing to limit.
    pub(super) fn max_tokens_key(&self, endpoint: Endpoint) -> Option<&'static str> {
        match endpoint {
            Endpoint::Messages | Endpoint::Completions => Some("max_tokens"),
            Endpoint::ChatCompletions => Some(self.chat_max_tokens_key),
            Endpoint::Responses => Some("max_output_tokens"),
            _ => None,
        }
    }

    /// The members that a body may lack, in the order they are added.
    pub(super) fn members(&self, peek: &Peek<'_>) -> Vec<(&str, Value)> {
        let mut members: Vec<(&str, Value)> = Vec::with_capacity(2 + self.set.len());
        if peek.model.is_none() && !self.sets("model") {
            members.extend(self.model.as_ref().map(|model| ("model", Value::from(model.as_str()))));
        }
        let key =
            self.max_tokens_key(peek.endpoint).filter(|key| peek.max_tokens.is_none() && !self.sets(key));
        members.extend(key.zip(self.max_tokens.map(Value::from)));
        members.extend(self.set.iter().map(|(key, value)| (key.as_str(), value.clone())));
        members
    }

    fn sets(&self, key: &str) -> bool {
        self.set.iter().any(|(set, _)| set == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Catalog;

    #[test]
    fn the_encoding_stays() {
        let defaults = |provider: &str| Defaults::new(Catalog::embedded().provider(provider).unwrap());
        assert_eq!(defaults("anthropic").encoded(), r#"["anthropic",null,null,"max_tokens",[]]"#);
        let mut full = defaults("openai");
        (full.model, full.max_tokens) = (Some("m".to_owned()), Some(9));
        for pair in ["temperature=0.2", r#"format={"b":[1,true],"a":null}"#, "stop=a \"quote\""] {
            full.set(pair).unwrap();
        }
        let expected = concat!(
            r#"["openai","m",9,"max_completion_tokens",[["temperature",0.2],"#,
            r#"["format",{"a":null,"b":[1,true]}],["stop","a \"quote\""]]]"#
        );
        assert_eq!(full.encoded(), expected);
    }
}

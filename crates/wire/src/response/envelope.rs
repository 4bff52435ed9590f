//! The outermost fields of an answer, found without building a tree of the rest.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage;
use crate::class::is_error;
use crate::dialect::Endpoint;
use crate::usage::FullUsage;

/// The fields we ask for. Where one occurs twice the last one counts, as with most readers.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    error: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    object: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    stop_reason: Option<&'a RawValue>,
    prompt_feedback: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
    x_groq: Option<&'a RawValue>,
    content: Option<&'a RawValue>,
    choices: Option<&'a RawValue>,
    output: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    results: Option<&'a RawValue>,
    input_tokens: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads an object to its very end; anything else, or one cut short, is an error.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// Whether the object is, or holds, an error.
    pub(super) fn is_error(&self, endpoint: Endpoint) -> bool {
        // A batch or a job that failed may well be looked up with success: such objects name their own kind.
        if endpoint == Endpoint::Other && is_object_of_a_kind(self.object) {
            return false;
        }
        let failed = endpoint == Endpoint::Responses && is(self.status, "failed");
        failed || self.holds_error() || is(self.kind, "error") || self.choice_failed()
    }

    fn holds_error(&self) -> bool {
        self.error.and_then(value).is_some_and(|value| is_error(&value))
    }

    /// Whether the first choice is an error, as OpenRouter answers when the provider behind it failed.
    fn choice_failed(&self) -> bool {
        let Some(choices) = self.choices else { return false };
        // Most answers don't hold the word, and then nothing more is parsed.
        if memchr::memmem::find(choices.get().as_bytes(), b"\"error\"").is_none() {
            return false;
        }
        matches!(first_of_list(choices.get().as_bytes()), Ok(Some(choice)) if choice.holds_error())
    }

    /// Whether the model, or a guard before it, refused.
    pub(super) fn is_refusal(&self) -> bool {
        let blocked = || value(self.prompt_feedback?)?.get("blockReason").map(is_error);
        is(self.stop_reason, "refusal") || blocked() == Some(true)
    }

    /// The field that an answer of `endpoint` must have and this one lacks.
    pub(super) fn missing(&self, endpoint: Endpoint) -> Option<&'static str> {
        let (list, name) = match endpoint {
            Endpoint::Messages => (self.content, "content"),
            Endpoint::CountTokens => return self.input_tokens.is_none().then_some("input_tokens"),
            Endpoint::ChatCompletions | Endpoint::Completions => (self.choices, "choices"),
            Endpoint::Responses => (self.output, "output"),
            Endpoint::Embeddings => (self.data, "data"),
            Endpoint::Moderations => (self.results, "results"),
            Endpoint::Models | Endpoint::Other => return None,
        };
        (!list.is_some_and(|list| list.get().starts_with('['))).then_some(name)
    }

    /// What the answer says it used.
    pub(super) fn usage(&self, endpoint: Endpoint) -> Option<FullUsage> {
        let own = || usage::read(endpoint, &value(self.usage?)?);
        let groq = || usage::read(endpoint, value(self.x_groq?)?.get("usage")?);
        own().or_else(groq)
    }

    fn slot(&mut self, field: Field) -> Option<&mut Option<&'a RawValue>> {
        Some(match field {
            Field::Error => &mut self.error,
            Field::Type => &mut self.kind,
            Field::Object => &mut self.object,
            Field::Status => &mut self.status,
            Field::StopReason => &mut self.stop_reason,
            Field::PromptFeedback => &mut self.prompt_feedback,
            Field::Usage => &mut self.usage,
            Field::XGroq => &mut self.x_groq,
            Field::Content => &mut self.content,
            Field::Choices => &mut self.choices,
            Field::Output => &mut self.output,
            Field::Data => &mut self.data,
            Field::Results => &mut self.results,
            Field::InputTokens => &mut self.input_tokens,
            Field::Unread => return None,
        })
    }
}

/// The names of the fields, read without a copy.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Error,
    Type,
    Object,
    Status,
    StopReason,
    #[serde(rename = "promptFeedback")]
    PromptFeedback,
    Usage,
    XGroq,
    Content,
    Choices,
    Output,
    Data,
    Results,
    InputTokens,
    #[serde(other)]
    Unread,
}

/// The first item of a list, when it is an object; the list is read to its end.
pub(super) fn first_of_list(body: &[u8]) -> Result<Option<Envelope<'_>>, serde_json::Error> {
    struct First<'a>(Option<&'a RawValue>);
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = First<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<First<'de>, A::Error> {
            let first = items.next_element()?;
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(First(first))
        }
    }
    impl<'de> Deserialize<'de> for First<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_seq(List)
        }
    }
    let First(first) = serde_json::from_slice(body)?;
    Ok(first.and_then(|first| serde_json::from_str(first.get()).ok()))
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(field) = fields.next_key()? {
                    match envelope.slot(field) {
                        Some(slot) => *slot = Some(fields.next_value()?),
                        None => drop(fields.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Whether the field is the string `text`.
fn is(field: Option<&RawValue>, text: &str) -> bool {
    field.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"')) == Some(text)
}

fn is_object_of_a_kind(object: Option<&RawValue>) -> bool {
    object.is_some_and(|object| object.get().starts_with('"')) && !is(object, "error")
}

fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

//! A body's members and the text of what is said in it, in one pass where that is possible: bodies can be megabytes.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::PeekError;
use super::members::{self, Member, members};
use super::text::{self, Text, Walk};

/// The members whose text becomes tokens.
const TALK: [&str; 5] = ["messages", "system", "input", "prompt", "instructions"];

/// What there is in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey<'a> {
    /// All top-level members.
    pub(super) members: Vec<Member<'a>>,
    /// The text in those that become tokens.
    pub(super) text: Text,
    /// Items of the lists among these.
    items: [u64; TALK.len()],
}

impl Survey<'_> {
    /// How many items the list `key` has; none if it is no list.
    pub(super) fn items(&self, key: &str) -> u64 {
        let place = TALK.iter().position(|talk| *talk == key);
        place.map_or(0, |place| self.items[place])
    }
}

/// Reads `body`, or says why it is no JSON object that is fit to be read.
pub(super) fn survey(body: &[u8]) -> Result<Survey<'_>, PeekError> {
    let text = members::checked(body)?;
    // One pass fails at what is JSON all the same, such as a lone surrogate in a text. Two tell what is wrong, if anything.
    one_pass(text).map_or_else(|| two_passes(body), Ok)
}

fn two_passes(body: &[u8]) -> Result<Survey<'_>, PeekError> {
    let mut survey = Survey { members: members(body)?, ..Survey::default() };
    for (key, items) in TALK.iter().zip(&mut survey.items) {
        for member in survey.members.iter().filter(|member| member.key == *key) {
            *items = text::count(member.value, &mut survey.text);
        }
    }
    Ok(survey)
}

fn one_pass(body: &str) -> Option<Survey<'_>> {
    let mut survey = Survey::default();
    let mut reader = serde_json::Deserializer::from_str(body);
    let found = Members { text: &mut survey.text, items: &mut survey.items }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    if found.iter().any(|(key, _)| key.get().contains('\\')) {
        return None; // It may spell one of those in its own way.
    }
    let mut next = None;
    survey.members.reserve(found.len());
    for (key, value) in found.into_iter().rev() {
        let value = match value {
            Some(value) => value.get(),
            None => members::value_between(body, key, next)?,
        };
        survey.members.push(Member::new(body, key, value).ok()?);
        next = Some(key);
    }
    survey.members.reverse();
    Some(survey)
}

/// Names with values; none where the value was counted instead.
type Found<'a> = Vec<(&'a RawValue, Option<&'a RawValue>)>;

struct Members<'s> {
    text: &'s mut Text,
    items: &'s mut [u64; TALK.len()],
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Found<'de>, M::Error> {
        let mut found = Vec::with_capacity(8);
        while let Some(key) = map.next_key::<&RawValue>()? {
            let place = TALK.iter().position(|talk| is(key, talk));
            let value = match place {
                Some(place) => {
                    self.items[place] = 0;
                    let items = &mut self.items[place];
                    map.next_value_seed(Walk { text: self.text, items })?;
                    None
                }
                None => Some(map.next_value()?),
            };
            found.push((key, value));
        }
        Ok(found)
    }
}

/// Whether `key` spells `name` as everybody does.
fn is(key: &RawValue, name: &str) -> bool {
    key.get().strip_prefix('"').and_then(|key| key.strip_suffix('"')) == Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_pass_suffices_for_what_clients_send() {
        let bodies = [
            r#"{"model":"m","messages":[{"role":"user","content":"h\u00e9\n"}],"max_tokens":1}"#,
            r#" { "system" : "s" , "messages" : [ ] , "tools" : [ { } ] } "#,
            r#"{"input":["a","b"],"instructions":null}"#,
            "{\n\t\"prompt\": \"a: }, \\\" {\",\r\n\t\"n\": 2\n}\n",
            "{}",
        ];
        for body in bodies {
            let seen = one_pass(body).unwrap_or_else(|| panic!("{body}"));
            assert_eq!(seen, two_passes(body.as_bytes()).unwrap(), "{body}");
        }
    }

    #[test]
    fn what_one_pass_cannot_tell_two_do() {
        for body in [r#"{"messages":["a\ud800b"],"n":1}"#, r#"{"mess\u0061ges":["abc"]}"#] {
            assert_eq!(one_pass(body), None, "{body}");
            assert_eq!(survey(body.as_bytes()).unwrap().items("messages"), u64::from(!body.contains("d800")));
        }
        assert_eq!(survey(br#"{"mess\u0061ges":["abc"]}"#).unwrap().text.bytes, 3);
        for body in [r#"{"messages":}"#, r#"{"messages":[]"#, r#"{"messages":[]}x"#, r#"{"messages" []}"#] {
            assert_eq!(one_pass(body), None, "{body}");
            assert!(survey(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_see_the_same(body in r#"\{("(n|input|messages|system)":|[{}\[\]:,"\\ \n]|[a-z0-9.eE+-]){0,30}\}?"#) {
            if let (Ok(text), Some(one)) = (members::checked(body.as_bytes()), one_pass(&body)) {
                prop_assert_eq!(text, &body);
                prop_assert_eq!(Ok(one), two_passes(body.as_bytes()));
            }
        }

        #[test]
        fn both_ways_see_the_same_in_json(
            talk in proptest::sample::select(&TALK[..]), said in prop::collection::vec(".{0,12}", 0..4),
            pad in "[ \t\r\n]{0,2}", last in any::<bool>(),
        ) {
            let said = serde_json::to_string(&said).unwrap();
            let rest = if last { String::new() } else { format!(",{pad}\"n\":{pad}1") };
            let body = format!("{pad}{{{pad}\"{talk}\"{pad}:{pad}{said}{pad}{rest}{pad}}}{pad}");
            let one = one_pass(&body);
            prop_assert!(one.is_some(), "{}", body);
            prop_assert_eq!(Ok(one.unwrap()), two_passes(body.as_bytes()));
        }
    }
}

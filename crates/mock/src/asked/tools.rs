//! Which tool an answer calls: one that the caller forces, or one that the prompt spells out. Never on a whim, so that
//! every other request is answered by text, and an agent's loop comes to its end.

use serde_json::{Map, Value, json};

/// Said before a call that is spelled out: `Call weather({"city": "Zürich"})`.
const SPELLED: &str = "Call ";
/// How deep arguments are made up; what lies below is `null`.
const MAX_DEPTH: u32 = 16;

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    /// The tool, as the caller named it.
    pub(crate) name: String,
    /// Its arguments, a JSON object as text.
    pub(crate) arguments: String,
}

impl ToolCall {
    /// The call that the answer to `body` makes, if any.
    pub(super) fn of(body: &Map<String, Value>) -> Option<ToolCall> {
        let tools: Vec<Tool<'_>> = body.get("tools")?.as_array()?.iter().filter_map(Tool::read).collect();
        let choice = body.get("tool_choice");
        let kind = choice.and_then(|choice| choice.as_str().or_else(|| choice.get("type")?.as_str()));
        let forced = match kind {
            Some("none") => return None,
            Some("any" | "required") => tools.first(),
            Some("tool" | "function") => {
                let name = choice.and_then(|choice| function(choice).get("name")?.as_str());
                tools.iter().find(|tool| Some(tool.name) == name)
            }
            _ => None,
        };
        let told = spelled(body, &tools).filter(|call| forced.is_none_or(|tool| tool.name == call.name));
        told.or_else(|| forced.map(Tool::call))
    }
}

/// A tool that is offered.
struct Tool<'a> {
    name: &'a str,
    schema: &'a Value,
}

impl<'a> Tool<'a> {
    /// Tools that the provider runs itself have no schema, and are left out.
    fn read(offered: &'a Value) -> Option<Tool<'a>> {
        let function = function(offered);
        let schema = ["input_schema", "parameters"].iter().find_map(|key| function.get(*key))?;
        Some(Tool { name: function.get("name")?.as_str()?, schema })
    }

    fn call(&self) -> ToolCall {
        let arguments = made_up(self.schema, self.schema, 0);
        let arguments = if arguments.is_object() { arguments } else { json!({}) };
        ToolCall { name: self.name.to_owned(), arguments: arguments.to_string() }
    }
}

/// Chat completions wrap what the other APIs say at once.
fn function(value: &Value) -> &Value {
    value.get("function").unwrap_or(value)
}

/// The call that callers spelled out since the model spoke last or a tool answered.
fn spelled(body: &Map<String, Value>, tools: &[Tool<'_>]) -> Option<ToolCall> {
    let said = match body.get("messages").or_else(|| body.get("input"))? {
        Value::Array(said) => said.as_slice(),
        said => std::slice::from_ref(said),
    };
    let new = said.iter().rev().take_while(|message| !ends_the_turn(message));
    new.flat_map(texts).find_map(|text| read_spelled(text, tools))
}

fn ends_the_turn(message: &Value) -> bool {
    let is = |value: &Value, key: &str, names: &[&str]| {
        value.get(key).and_then(Value::as_str).is_some_and(|name| names.contains(&name))
    };
    let blocks = message.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    is(message, "role", &["assistant", "tool"])
        || is(message, "type", &["function_call", "function_call_output"])
        || blocks.iter().any(|block| is(block, "type", &["tool_result"]))
}

/// The texts of a message: it is one, or has one, or has blocks that have one.
fn texts(message: &Value) -> Vec<&str> {
    let content = message.get("content").unwrap_or(message);
    match content {
        Value::String(text) => vec![text],
        Value::Array(blocks) => blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn read_spelled(text: &str, tools: &[Tool<'_>]) -> Option<ToolCall> {
    text.match_indices(SPELLED).find_map(|(at, _)| {
        let (name, rest) = text[at + SPELLED.len()..].split_once('(')?;
        let tool = tools.iter().find(|tool| tool.name == name)?;
        let arguments = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>().next()?;
        Some(ToolCall { name: tool.name.to_owned(), arguments: Value::Object(arguments.ok()?).to_string() })
    })
}

/// The smallest value that a schema allows, nearly enough: `pattern`, `format` and the like are not looked at.
fn made_up(schema: &Value, root: &Value, depth: u32) -> Value {
    if MAX_DEPTH <= depth {
        return Value::Null;
    }
    let made = |schema: &Value| made_up(schema, root, depth + 1);
    let first = |key: &str| schema.get(key).and_then(Value::as_array)?.first();
    if let Some(value) = schema.get("const").or_else(|| first("enum")) {
        return value.clone();
    }
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        return path.strip_prefix('#').and_then(|path| root.pointer(path)).map_or(Value::Null, made);
    }
    if let Some(choice) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| first(key)) {
        return made(choice);
    }
    match schema.get("type").and_then(Value::as_str).or_else(|| first("type")?.as_str()) {
        Some("string") => Value::from("steady"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(Value::from(1)),
        Some("boolean") => Value::from(true),
        Some("array") => {
            let needed = schema.get("minItems").and_then(Value::as_u64).map_or(0, |count| count.min(64));
            let item = schema.get("items").map_or(Value::Null, made);
            Value::Array(vec![item; usize::try_from(needed).unwrap_or(0)])
        }
        Some("null") => Value::Null,
        _ => {
            let property = |name: &str| schema.get("properties").and_then(|all| all.get(name));
            let needed = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let needed = needed.filter_map(Value::as_str);
            let value = |name: &str| (name.to_owned(), property(name).map_or(Value::Null, made));
            Value::Object(needed.map(value).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: Value) -> Option<(String, String)> {
        ToolCall::of(body.as_object().unwrap()).map(|call| (call.name, call.arguments))
    }

    fn named(name: &str, arguments: &str) -> Option<(String, String)> {
        Some((name.to_owned(), arguments.to_owned()))
    }

    #[test]
    fn a_forced_tool_is_called_in_every_dialect() {
        let schema =
            json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
        let anthropic = json!([{"type": "web_search_20250305", "name": "web_search"},
            {"name": "weather", "input_schema": schema}]);
        let chat = json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]);
        let responses = json!([{"type": "function", "name": "weather", "parameters": schema}]);
        let cases = [
            (&anthropic, json!({"type": "any"})),
            (&anthropic, json!({"type": "tool", "name": "weather"})),
            (&chat, json!("required")),
            (&chat, json!({"type": "function", "function": {"name": "weather"}})),
            (&responses, json!({"type": "function", "name": "weather"})),
        ];
        for (tools, choice) in cases {
            let body = json!({"messages": [], "tools": tools, "tool_choice": choice});
            assert_eq!(call(body), named("weather", r#"{"city":"steady"}"#), "{choice}");
        }
        for choice in
            [json!("none"), json!("auto"), json!({"type": "auto"}), json!({"type": "tool", "name": "x"})]
        {
            assert_eq!(
                call(json!({"messages": [], "tools": anthropic, "tool_choice": choice})),
                None,
                "{choice}"
            );
        }
        assert_eq!(call(json!({"messages": [], "tool_choice": "required"})), None);
    }

    #[test]
    fn a_tool_is_called_as_spelled_until_it_has_answered() {
        let tools = json!([{"name": "sum", "input_schema": {"type": "object"}}]);
        let asked = |messages: Value| call(json!({"messages": messages, "tools": tools}));
        let user =
            json!({"role": "user", "content": [{"type": "text", "text": "Call sum({\"a\": 1}), please"}]});
        let note = json!({"role": "system", "content": "Be kind. Call it a day."});
        assert_eq!(asked(json!([user, note])), named("sum", r#"{"a":1}"#));
        let answered = json!({"role": "user", "content": [{"type": "tool_result", "content": "1"}]});
        assert_eq!(asked(json!([user, {"role": "assistant", "content": []}, answered])), None);
        for text in ["Call sum(", "Call sum([1])", "Call sum({\"a\":", "Call other({})", "sum({})", "Call "] {
            assert_eq!(asked(json!([{"role": "user", "content": text}])), None, "{text}");
        }
        let items = json!([{"role": "user", "content": "Call sum({})"}, {"type": "function_call_output"}]);
        assert_eq!(call(json!({"input": items, "tools": tools})), None);
        assert_eq!(call(json!({"input": "Call sum({})", "tools": tools})), named("sum", "{}"));
    }

    #[test]
    fn arguments_follow_their_schema() {
        let schema = json!({
            "type": "object",
            "required": ["kind", "count", "list", "node", "either"],
            "properties": {
                "kind": {"enum": ["b", "a"]},
                "count": {"type": "integer", "minimum": 3},
                "list": {"type": "array", "minItems": 2, "items": {"type": "boolean"}},
                "node": {"$ref": "#/$defs/node"},
                "either": {"anyOf": [{"type": ["number", "null"]}, {"type": "string"}]},
                "left out": {"type": "string"},
            },
            "$defs": {"node": {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/node"}}}},
        });
        let made = made_up(&schema, &schema, 0);
        assert_eq!(made["kind"], "b");
        assert_eq!((&made["count"], &made["either"]), (&json!(3), &json!(1)));
        assert_eq!(made["list"], json!([true, true]));
        assert!(made["node"]["next"]["next"].is_object() && made.get("left out").is_none());
    }
}

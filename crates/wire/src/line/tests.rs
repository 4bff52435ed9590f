use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::Catalog;

fn defaults(provider: &str) -> Defaults {
    let mut defaults = bare(provider);
    defaults.model = Some("m".to_owned());
    defaults.max_tokens = Some(9);
    defaults
}

fn bare(provider: &str) -> Defaults {
    Defaults::new(Catalog::embedded().provider(provider).unwrap())
}

fn job(line: &str, defaults: &Defaults) -> Line {
    read(line.as_bytes(), 7, defaults).unwrap().unwrap()
}

fn body(line: &Line) -> &str {
    std::str::from_utf8(&line.body).unwrap()
}

#[test]
fn every_family_becomes_a_job() {
    use Family::*;
    let cases = [
        // What holds everything already goes as it is, blanks and all.
        (
            "openai",
            r#"{"custom_id":"r-1","method":"POST","url":"/v1/responses","body":{"model":"g", "input":"a","max_output_tokens":1}}"#,
            ("r-1", OpenAiBatch, "/v1/responses", r#"{"model":"g", "input":"a","max_output_tokens":1}"#),
        ),
        (
            "mistral",
            r#"{"custom_id":"0","body":{"messages":[ ],"model":"x","max_tokens":100}}"#,
            ("0", OpenAiBatch, "/v1/chat/completions", r#"{"messages":[ ],"model":"x","max_tokens":100}"#),
        ),
        (
            "azure",
            r#"{"body":{"model":"x","input":["a"]},"url":"/embeddings","method":"post"}"#,
            ("line-7", OpenAiBatch, "/v1/embeddings", r#"{"model":"x","input":["a"]}"#),
        ),
        (
            "vllm",
            r#"{"custom_id":"p","body":{"prompt":"a"}}"#,
            ("p", OpenAiBatch, "/v1/completions", r#"{"prompt":"a","model":"m","max_tokens":9}"#),
        ),
        (
            "anthropic",
            r#"{"custom_id":"a_1","params":{"model":"c","max_tokens":5,"messages":[]},"paceline":null}"#,
            ("a_1", AnthropicBatch, "/v1/messages", r#"{"model":"c","max_tokens":5,"messages":[]}"#),
        ),
        (
            "anthropic",
            r#"{"custom_id":"a","url":"/v1/messages","body":{"messages":[]}}"#,
            ("a", OpenAiBatch, "/v1/messages", r#"{"messages":[],"model":"m","max_tokens":9}"#),
        ),
        (
            "anthropic",
            r#"{"messages":[],"metadata":{"user_id":"u"},"custom_id":"x"}"#,
            (
                "x",
                Body,
                "/v1/messages",
                r#"{"messages":[],"metadata":{"user_id":"u"},"model":"m","max_tokens":9}"#,
            ),
        ),
        (
            "openai",
            r#"{"paceline":{},"id":12,"custom_id":null,"messages":[1.0e5],"model":"g","max_tokens":3}"#,
            ("12", Body, "/v1/chat/completions", r#"{"messages":[1.0e5],"model":"g","max_tokens":3}"#),
        ),
        (
            "anthropic",
            r#"{"prompt":"say \"hi\"","id":"p","system":"be kind","temperature":0.20}"#,
            (
                "p",
                Prompt,
                "/v1/messages",
                r#"{"temperature":0.20,"system":"be kind","messages":[{"content":"say \"hi\"","role":"user"}],"model":"m","max_tokens":9}"#,
            ),
        ),
        (
            "openai",
            r#"{"prompt":"\u00e9","system":"s","max_tokens":3,"model":"g"}"#,
            (
                "line-7",
                Prompt,
                "/v1/chat/completions",
                r#"{"model":"g","messages":[{"content":"s","role":"system"},{"content":"é","role":"user"}],"max_completion_tokens":3}"#,
            ),
        ),
        (
            "groq",
            r#"{"prompt":"a"}"#,
            (
                "line-7",
                Prompt,
                "/v1/chat/completions",
                r#"{"messages":[{"content":"a","role":"user"}],"model":"m","max_tokens":9}"#,
            ),
        ),
    ];
    for (provider, text, (id, family, path, want)) in cases {
        let line = job(text, &defaults(provider));
        assert_eq!(
            (line.id.as_str(), line.family, &*line.path, body(&line)),
            (id, family, path, want),
            "{text}"
        );
        assert_eq!(line.options, Options::default());
    }
}

#[test]
fn lines_that_are_no_jobs_say_what_helps() {
    let long = format!(r#"{{"custom_id":"{}","messages":[]}}"#, "x".repeat(ID_CAP + 1));
    let deep = format!(r#"{{"messages":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        (
            "openai",
            "{",
            "not JSON at column 1: EOF while parsing an object; a line must be one whole JSON object",
        ),
        (
            "openai",
            r#"  {"prompt": }"#,
            "not JSON at column 14: expected value; a line must be one whole JSON object",
        ),
        (
            "openai",
            r#"{"prompt":"a"} {}"#,
            "not JSON at column 16: trailing characters; a line must be one whole JSON object",
        ),
        (
            "openai",
            r#"{"prompt":"a","prompt":"b"}"#,
            "not JSON at column 22: duplicate field `prompt`; a line must be one whole JSON object",
        ),
        ("openai", "hello", "not JSON at column 1: expected value; a line must be one whole JSON object"),
        (
            "openai",
            "[",
            "a JSON array where an object should be; `jq -c '.[]' FILE` writes its items a line each",
        ),
        ("openai", "17", "no JSON object; a line is such as {\"prompt\": \"...\"}, or {\"messages\": [...]}"),
        (
            "openai",
            "{\"prompt\":\"a\0\"}",
            "a NUL byte at column 13; if the file is UTF-16, save it as UTF-8",
        ),
        (
            "openai",
            r#"{"contents":[]}"#,
            "has none of `body`, `params`, `messages` and `prompt`, so it is no request that can be sent",
        ),
        ("openai", r#"{"prompt":["a"]}"#, "`prompt` must be a string"),
        ("openai", r#"{"prompt":"a","id":""}"#, "`id` must be a string that is not empty, or a whole number"),
        (
            "openai",
            r#"{"prompt":"a","custom_id":1.5}"#,
            "`custom_id` must be a string that is not empty, or a whole number",
        ),
        ("openai", r#"{"prompt":"\ud800"}"#, "`prompt` must be a string"),
        ("openai", &long, "the id has 513 bytes; the longest may have 512"),
        ("openai", &deep, "the body nests deeper than 64 levels"),
        (
            "openai",
            r#"{"messages":[],"stream":true}"#,
            "`stream` is on, but a batch takes whole answers; take it out",
        ),
        ("openai", r#"{"body":{"messages":[]},"method":"GET"}"#, "method `GET`: a batch can only POST"),
        (
            "openai",
            r#"{"body":{"input":"a"}}"#,
            "the endpoint is not clear; add `\"url\": \"/v1/embeddings\"`, or whichever it is",
        ),
        ("openai", r#"{"body":[]}"#, "`body` must be an object"),
        (
            "openai",
            r#"{"body":[],"url":"/v1/responses"}"#,
            "the body is no JSON object; write it as {\"model\": ..., ...}",
        ),
        (
            "openai",
            r#"{"body":{},"url":"https://evil.example/v1/responses"}"#,
            "url `https://evil.example/v1/responses` is no path such as `/v1/chat/completions`; the host is the upstream's to name",
        ),
        (
            "openai",
            r#"{"params":{}}"#,
            "a line of an Anthropic batch (`params`) cannot go to an upstream of the openai dialect; choose an anthropic upstream, or write it as {\"custom_id\", \"body\"}",
        ),
        (
            "anthropic",
            r#"{"body":{"messages":[]}}"#,
            "a line of an OpenAI batch for `/v1/chat/completions` cannot go to an upstream of the anthropic dialect; choose an openai upstream, or write it as {\"custom_id\", \"params\"}",
        ),
        (
            "openai",
            r#"{"body":{"messages":[]},"url":"/v1/messages"}"#,
            "a line of an OpenAI batch for `/v1/messages` cannot go to an upstream of the openai dialect; choose an anthropic upstream",
        ),
        (
            "openai",
            r#"{"prompt":"a","paceline":{"prio":1}}"#,
            "`paceline`: unknown field `prio`, expected one of `priority`, `tenant`, `not_before`, `deadline`",
        ),
        (
            "openai",
            r#"{"prompt":"a","paceline":{"priority":"high"}}"#,
            "`paceline`: unknown variant `high`, expected one of `interactive`, `normal`, `batch`",
        ),
        (
            "openai",
            r#"{"prompt":"a","paceline":{"deadline":"soon"}}"#,
            "`deadline` is `soon`: neither a duration such as `2h` nor an instant such as `2026-11-22T18:00:00Z`",
        ),
    ];
    for (provider, text, want) in cases {
        let error = read(text.as_bytes(), 7, &defaults(provider)).unwrap_err();
        assert_eq!(error.to_string(), want, "{text:.100}");
    }
    let error = read(b"{\"prompt\":\"\xff\"}", 1, &defaults("openai")).unwrap_err();
    assert_eq!(error, LineError::NotUtf8 { column: 12 });
    assert_eq!(error.column(), Some(12));
}

#[test]
fn what_the_provider_requires_is_asked_for() {
    let cases = [
        ("openai", r#"{"prompt":"a"}"#, LineError::NoModel),
        ("openai", r#"{"body":{"input":"a"},"url":"/v1/embeddings"}"#, LineError::NoModel),
        ("anthropic", r#"{"messages":[],"model":"c"}"#, LineError::NoMaxTokens),
        ("openai", r#"{"messages":[],"model":null}"#, LineError::NoModel),
    ];
    for (provider, text, want) in cases {
        assert_eq!(read(text.as_bytes(), 1, &bare(provider)), Err(want), "{text}");
    }
    // A null stays, and what is a null is none.
    let null = [r#"{"prompt":"a","max_tokens":null}"#, r#"{"messages":[],"max_tokens":null,"model":"c"}"#];
    for text in null {
        assert_eq!(read(text.as_bytes(), 1, &defaults("anthropic")), Err(LineError::NoMaxTokens), "{text}");
        assert!(read(text.as_bytes(), 1, &defaults("openai")).is_ok(), "{text}");
    }
    let mut nulls = bare("anthropic");
    nulls.set("max_tokens=null").unwrap();
    let text = br#"{"messages":[],"model":"c"}"#;
    assert_eq!(read(text, 1, &nulls), Err(LineError::NoMaxTokens));
    let moderation = r#"{"body":{"input":"a"},"url":"/v1/moderations"}"#;
    assert_eq!(body(&job(moderation, &bare("openai"))), r#"{"input":"a"}"#);
}

#[test]
fn a_url_is_a_plain_path_or_refused() {
    let cases = [
        ("/v1/chat/completions", true),
        ("/v1/images/generations", true),
        ("/openai/deployments/gpt-4.1:x/chat/completions", true),
        ("//evil.example/v1/chat/completions", false),
        ("/v1/../admin", false),
        ("/v1/./x", false),
        ("/v1/x/", false),
        ("/v1/x?key=1", false),
        ("/v1/%2e%2e/x", false),
        ("/v1\\x", false),
        ("/v1/x y", false),
        ("@evil.example", false),
        ("v1/chat/completions", false),
        ("/", false),
        ("", false),
    ];
    for (url, fine) in cases {
        let line = json!({"url": url, "body": {"model": "m", "messages": []}}).to_string();
        assert_eq!(read(line.as_bytes(), 1, &bare("openai")).is_ok(), fine, "{url}");
    }
}

#[test]
fn options_are_read_and_taken_off() {
    let options =
        r#"{"priority":"interactive","tenant":"t","not_before":"1970-01-01T00:01:00Z","deadline":"2h"}"#;
    let want = Options {
        priority: Some(paceline_core::engine::Priority::Interactive),
        tenant: Some("t".to_owned()),
        not_before: Some(When::At(std::time::Duration::from_secs(60))),
        deadline: Some(When::After(std::time::Duration::from_secs(7200))),
    };
    for rest in [r#""prompt":"a""#, r#""messages":[]"#, r#""body":{"messages":[]}"#] {
        let line = job(&format!("{{\"paceline\":{options},{rest}}}"), &defaults("openai"));
        assert_eq!(line.options, want);
        assert!(!body(&line).contains("paceline"), "{}", body(&line));
    }
}

#[test]
fn blank_lines_are_skipped_and_line_ends_stripped() {
    for blank in ["", "\r", " \t ", "\u{feff}", "\u{feff}\r\n"] {
        assert_eq!(read(blank.as_bytes(), 1, &defaults("openai")), Ok(None), "{blank:?}");
        assert_eq!(from_text(blank.as_bytes(), 1, &defaults("openai")), Ok(None), "{blank:?}");
    }
    let plain = job(r#"{"messages":[]}"#, &defaults("openai"));
    assert_eq!(job("\u{feff}{\"messages\":[]}\r\n", &defaults("openai")), plain);
}

#[test]
fn text_lines_are_prompts() {
    let line = from_text("\u{feff} {\"not\": json}\t\u{7} \r\n".as_bytes(), 3, &defaults("openai"))
        .unwrap()
        .unwrap();
    assert_eq!((line.id.as_str(), line.family), ("line-3", Family::Prompt));
    let want = json!({
        "messages": [{"role": "user", "content": "{\"not\": json}\t\u{7}"}], "model": "m", "max_completion_tokens": 9
    });
    assert_eq!(serde_json::from_slice::<Value>(&line.body).unwrap(), want);
    assert_eq!(from_text(b"a\0", 1, &defaults("openai")), Err(LineError::Nul { column: 2 }));
}

#[test]
fn defaults_fill_gaps_only() {
    let mut defaults = defaults("openai");
    for pair in ["temperature=0.2", "user = me", "stop=[\"a\"]", "temperature=0.3", "model=other"] {
        defaults.set(pair).unwrap();
    }
    let line = job(r#"{"messages":[],"user":null}"#, &defaults);
    assert_eq!(
        body(&line),
        r#"{"messages":[],"user":null,"max_completion_tokens":9,"stop":["a"],"temperature":0.3,"model":"other"}"#
    );
    let refused = [
        ("temperature", "`temperature` is no default; write it as `key=value`, such as `temperature=0.2`"),
        ("=1", "`=1` is no default; write it as `key=value`, such as `temperature=0.2`"),
        ("stream=true", "`stream` cannot have a default; it belongs in the lines"),
    ];
    for (pair, want) in refused {
        assert_eq!(defaults.set(pair).unwrap_err().to_string(), want);
    }
}

#[test]
fn ids_are_found_without_reading_on() {
    let cases = [
        (r#"{"custom_id":"a","body":{"#, Some("a")),
        (r#"{"id":"b","prompt":"a"}"#, Some("b")),
        (r#"{"id":"b","custom_id":"c","prompt":"a"}"#, Some("c")),
        (r#"{"body":{"custom_id":"inner"},"custom_id":5}"#, Some("5")),
        (r#"{"custom_id":null,"id":"b"}"#, Some("b")),
        ("\u{feff} {\"custom_id\":\"\\u0061\\n\"}", Some("a\n")),
        (r#"{"custom_id":""}"#, None),
        (r#"{"custom_id":{}}"#, None),
        (r#"{"prompt":"a"}"#, None),
        ("[]", None),
        ("", None),
        ("{\"custom_id", None),
    ];
    for (line, want) in cases {
        assert_eq!(id(line.as_bytes()).as_deref(), want, "{line}");
    }
}

fn answer(body: &str) -> Answer<'_> {
    Answer { status: 200, request_id: Some("req_1"), body: body.as_bytes() }
}

#[test]
fn results_have_the_providers_own_form() {
    use Family::*;
    let failed = Outcome::Failed { answer: None, code: "transient", message: "no answer\nat all" };
    let refused = |body| Outcome::Failed {
        answer: Some(Answer { status: 400, request_id: None, body }),
        code: "bad_request",
        message: "m",
    };
    let cases = [
        (
            OpenAiBatch,
            Outcome::Succeeded(answer("{\"a\": 1.0,\r\n \"b\":\"\\n\"}\n")),
            r#"{"id":"batch_req_d228cb69...","custom_id":"a","response":{"status_code":200,"request_id":"req_1","body":{"a": 1.0, "b":"\n"}},"error":null}"#,
        ),
        (
            Body,
            failed,
            r#"{"id":"batch_req_d228cb69...","custom_id":"a","response":null,"error":{"code":"transient","message":"no answer\nat all"}}"#,
        ),
        (
            Prompt,
            refused(b"<html>\n\xff"),
            r#"{"id":"batch_req_d228cb69...","custom_id":"a","response":{"status_code":400,"request_id":null,"body":"<html>\n�"},"error":{"code":"bad_request","message":"m"}}"#,
        ),
        (
            OpenAiBatch,
            Outcome::Expired,
            r#"{"id":"batch_req_d228cb69...","custom_id":"a","response":null,"error":{"code":"batch_expired","message":"the job's deadline passed before it could run"}}"#,
        ),
        (
            AnthropicBatch,
            Outcome::Succeeded(answer("\n\n{\"type\":\"message\"}")),
            r#"{"custom_id":"a","result":{"type":"succeeded","message":{"type":"message"}}}"#,
        ),
        (
            AnthropicBatch,
            failed,
            r#"{"custom_id":"a","result":{"type":"errored","error":{"type":"error","error":{"type":"api_error","message":"no answer\nat all"},"request_id":null}}}"#,
        ),
        (
            AnthropicBatch,
            refused(br#"{"type":"error","error":{"type":"invalid_request_error","message":"x"}}"#),
            r#"{"custom_id":"a","result":{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"x"}}}}"#,
        ),
        (AnthropicBatch, Outcome::Expired, r#"{"custom_id":"a","result":{"type":"expired"}}"#),
        (AnthropicBatch, Outcome::Canceled, r#"{"custom_id":"a","result":{"type":"canceled"}}"#),
    ];
    for (family, outcome, want) in cases {
        let line = String::from_utf8(result_line(family, "a", &outcome)).unwrap();
        // FNV-1a of `a`, as published.
        let line = line.replace("d228cb696f1a8caf78912b704e4a8964", "d228cb69...");
        assert_eq!(line.strip_suffix('\n'), Some(want));
    }
}

#[test]
fn result_lines_tell_their_job_when_whole() {
    let cases = [
        (
            r#"{"id":"x","custom_id":"a","response":{"status_code":200,"body":{}},"error":null}"#,
            Some(("a", true)),
        ),
        (r#"{"custom_id":"a","response":{"status_code":400},"error":null}"#, Some(("a", false))),
        (r#"{"custom_id":"a","response":{"status_code":200},"error":{"code":"x"}}"#, Some(("a", false))),
        (r#"{"custom_id":"a","response":null,"error":{"code":"x"}}"#, Some(("a", false))),
        (r#"{"custom_id":"a","result":{"type":"succeeded","message":{}}}"#, Some(("a", true))),
        (r#"{"custom_id":"a","result":{"type":"expired"}}"#, Some(("a", false))),
        (r#"{"custom_id":"a","result":{"type":"succeeded","message":{}}"#, None),
        (r#"{"custom_id":"a"}"#, None),
        (r#"{"result":{"type":"succeeded"}}"#, None),
        ("", None),
    ];
    for (line, want) in cases {
        let seen = result_id(line.as_bytes());
        assert_eq!(seen.as_ref().map(|seen| (&*seen.id, seen.succeeded)), want, "{line}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn families() -> impl Strategy<Value = Family> {
    use Family::*;
    prop_oneof![Just(OpenAiBatch), Just(AnthropicBatch), Just(Body), Just(Prompt)]
}

proptest! {
    #[test]
    fn no_line_panics(line in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..120),
        "[\\[\\]{}:,\"a-z0-9\\\\ ]{0,80}".prop_map(String::into_bytes),
        values().prop_map(|value| value.to_string().into_bytes()),
    ]) {
        for provider in ["openai", "anthropic"] {
            let _any = read(&line, 1, &defaults(provider));
            let _any = from_text(&line, 1, &defaults(provider));
        }
        let _any = id(&line);
        let _any = result_id(&line);
    }

    /// However a wrapped body is written, it goes out as it came in.
    #[test]
    fn a_body_keeps_its_bytes(body in values(), blanks in "[ \t]{0,3}", pretty: bool, name in "\\PC{1,20}") {
        let body = json!({"model": "m", "messages": [body], "max_tokens": 1});
        let body = if pretty { format!("{body:#}").replace('\n', &blanks) } else { body.to_string() };
        let id_text = Value::from(name.as_str());
        for (provider, key) in [("openai", "body"), ("anthropic", "params")] {
            let line = format!("{{\"custom_id\":{id_text},{blanks}\"{key}\":{blanks}{body}{blanks}}}");
            let line = job(&line, &defaults(provider));
            prop_assert_eq!(line.body, body.as_bytes());
            prop_assert_eq!(&line.id, &name);
        }
        let line = job(&body, &defaults("openai"));
        prop_assert_eq!(line.body, body.as_bytes());
    }

    #[test]
    fn the_first_pass_and_the_second_agree_on_ids(name in "\\PC{1,20}", key in "(custom_)?id", ahead: bool) {
        let (id_member, prompt) = (format!("{key:?}:{}", Value::from(name.as_str())), r#""prompt":"a""#);
        let line = if ahead { format!("{{{id_member},{prompt}}}") } else { format!("{{{prompt},{id_member}}}") };
        let found = id(line.as_bytes());
        prop_assert_eq!(found.as_deref(), Some(name.as_str()));
        prop_assert_eq!(job(&line, &defaults("openai")).id, name);
    }

    /// Whatever the body, a result is one JSON object on one line, with the body's meaning, and can be read back.
    #[test]
    fn every_result_is_one_line(
        family in families(),
        name in "\\PC{1,20}",
        body in prop_oneof![
            values().prop_map(|value| format!("\r\n{value:#}\n").into_bytes()),
            prop::collection::vec(any::<u8>(), 0..60),
        ],
        text in any::<String>(),
        kind in 0_usize..5,
    ) {
        let answer = Answer { status: 200, request_id: Some(&text), body: &body };
        let outcome = match kind {
            0 => Outcome::Succeeded(answer),
            1 => Outcome::Failed { answer: Some(answer), code: &text, message: &text },
            2 => Outcome::Failed { answer: None, code: &text, message: &text },
            3 => Outcome::Expired,
            _ => Outcome::Canceled,
        };
        let line = result_line(family, &name, &outcome);
        let breaks = line.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
        prop_assert!(breaks == 1 && line.ends_with(b"\n"));
        let value: Value = serde_json::from_slice(&line).unwrap();
        prop_assert!(value.is_object());
        let read = result_id(&line).unwrap();
        prop_assert_eq!(read.id, name);
        prop_assert_eq!(read.succeeded, kind == 0);
        if kind == 0 && let Ok(body) = serde_json::from_slice::<Value>(&body) {
            let place = if family == Family::AnthropicBatch { "/result/message" } else { "/response/body" };
            prop_assert_eq!(value.pointer(place), Some(&body));
        }
    }
}

//! Any line is a job that can be sent or an error that says why not; any result is one line of JSON that reads back.

use paceline_wire::line::{self, Answer, Defaults, Family, ID_CAP, Line, LineError, Outcome};
use paceline_wire::provider::Catalog;
use paceline_wire::{Endpoint, request};
use serde_json::value::RawValue;

const NUMBER: u64 = 7;

pub(crate) fn check(input: &[u8]) {
    for name in ["openai", "anthropic", "groq"] {
        let provider = Catalog::embedded().provider(name).expect("it is in the embedded data");
        let bare = Defaults::new(provider);
        let mut full = bare.clone();
        full.model = Some("model \"m\"".to_owned());
        full.max_tokens = Some(64);
        full.set("temperature=0.5").expect("it may have a default");
        for defaults in [&bare, &full] {
            read(line::read(input, NUMBER, defaults), line::id(input).as_deref(), defaults);
            read(line::from_text(input, NUMBER, defaults), None, defaults);
        }
    }
    let _ = line::result_id(input).map(|result| assert!((1..=ID_CAP).contains(&result.id.len())));
    results(input);
}

/// What [`line::read`] made of a line, beside the id found by not reading all of it.
fn read(line: Result<Option<Line>, LineError>, id: Option<&str>, defaults: &Defaults) {
    let line = match line {
        Ok(None) => return,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 1_000, "{message}");
            return;
        }
        Ok(Some(line)) => line,
    };
    let default = line::default_id(NUMBER);
    assert_eq!(line.id, id.unwrap_or(&default), "both readings find the same id");
    assert!(line.path.starts_with('/') && !line.path.contains("//"), "{} names a host", line.path);
    assert!((1..=ID_CAP).contains(&line.id.len()));
    let endpoint = Endpoint::from_path(&line.path);
    let peek =
        request::peek(defaults.dialect, endpoint, &line.body).expect("a body that can be sent can be read");
    assert!(!peek.stream);
    assert!(peek.model.is_some() || !endpoint.generates(), "a model, or none is needed");
    assert!(peek.max_tokens.is_some() || endpoint != Endpoint::Messages);
    let answer = Answer { status: 200, request_id: None, body: &line.body };
    result(line.family, &line.id, &Outcome::Succeeded(answer), true);
}

/// Results about the job that the input's first line names, with all of the input for an answer.
fn results(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let id = text.lines().next().unwrap_or_default();
    let status = [200, 204, 299, 300, 429, 503][input.len() % 6];
    let answer = Answer { status, request_id: Some(&text), body: input };
    let bare = Answer { request_id: None, ..answer };
    for family in [Family::OpenAiBatch, Family::AnthropicBatch] {
        let good = family == Family::AnthropicBatch || status < 300;
        result(family, id, &Outcome::Succeeded(answer), good);
        let failed = |answer| Outcome::Failed { answer, code: id, message: &text };
        result(family, id, &failed(Some(bare)), false);
        result(family, id, &failed(None), false);
        result(family, id, &Outcome::Expired, false);
        result(family, id, &Outcome::Canceled, false);
    }
}

fn result(family: Family, id: &str, outcome: &Outcome<'_>, succeeded: bool) {
    let line = line::result_line(family, id, outcome);
    let (end, object) = line.split_last().expect("a line ends in a line feed");
    assert_eq!(*end, b'\n');
    assert!(!object.contains(&b'\n') && !object.contains(&b'\r'), "more than one line");
    assert!(object.starts_with(b"{"));
    serde_json::from_slice::<&RawValue>(object).expect("a line is JSON");
    let read = line::result_id(&line);
    if (1..=ID_CAP).contains(&id.len()) {
        let read = read.expect("a result reads back");
        assert_eq!((&*read.id, read.succeeded), (id, succeeded));
    } else {
        assert_eq!(read, None);
    }
    // Cut anywhere, it is none: some places stand for all.
    for part in [1, 2, 3] {
        assert_eq!(line::result_id(&object[..object.len() * part / 4]), None, "torn");
    }
    assert_eq!(line::result_id(&object[..object.len() - 1]), None, "torn");
    if let Outcome::Succeeded(answer) = outcome
        && let Ok(json) = serde_json::from_slice::<&RawValue>(answer.body)
    {
        let flat = json.get().replace(['\n', '\r'], "");
        let kept = object.windows(flat.len().max(1)).any(|window| window == flat.as_bytes());
        assert!(kept, "an answer is kept as it came");
    }
}

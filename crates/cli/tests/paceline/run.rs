//! Runs from their beginning to their exit code, against the mock inside the process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::{Ended, command, paceline};

/// So many short prompts.
fn prompts(folder: &Path, count: usize) {
    let line = |n| format!("{{\"id\":\"job-{n}\",\"prompt\":\"Say {n}.\",\"max_tokens\":16}}\n");
    fs::write(folder.join("in.jsonl"), (1..=count).map(line).collect::<String>()).unwrap();
}

/// The ids of a file of results, sorted.
fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let id =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned();
    let mut ids: Vec<String> = text.lines().map(id).collect();
    ids.sort();
    ids
}

#[test]
fn a_run_ends_with_0_and_the_same_command_finds_nothing_to_do() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 4);
    let args = ["run", "in.jsonl", "--mock", "-o", "out.jsonl"];
    let first = paceline(folder.path(), &args);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(first.stderr.contains("4 done, 0 failed, 0 throttled in "), "{}", first.stderr);
    assert_eq!(ids(&folder.path().join("out.jsonl")), ["job-1", "job-2", "job-3", "job-4"]);
    let before = fs::read(folder.path().join("out.jsonl")).unwrap();
    let second = paceline(folder.path(), &args);
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stderr.contains("4 done, 0 failed, 0 throttled"), "{}", second.stderr);
    assert_eq!(fs::read(folder.path().join("out.jsonl")).unwrap(), before);
}

#[test]
fn limits_are_kept_beside_the_output_and_nothing_else_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 3);
    let kept = folder.path().join("out.limits.json");
    let args = |first| ["run", "in.jsonl", "--mock", "--first", first, "-o", "out.jsonl"];
    assert_eq!(paceline(folder.path(), &args("1")).code, Some(0));
    let limits: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    let requests = limits["limits"].as_array().unwrap().iter().find(|limit| limit["dimension"] == "requests");
    let requests = requests.unwrap();
    assert_eq!((&requests["account"], &requests["limit"]), (&"mock-anthropic".into(), &200.into()));
    assert_eq!((&requests["models"], &requests["source"]), (&"claude-haiku-4.5".into(), &"reported".into()));

    // Read without a word; what is not a file of limits is left as it is.
    let second = paceline(folder.path(), &args("2"));
    assert!(!second.stderr.contains("warning"), "{}", second.stderr);
    fs::write(&kept, "mine").unwrap();
    let third = paceline(folder.path(), &args("3"));
    assert_eq!(third.code, Some(0), "{}", third.stderr);
    assert!(third.stderr.contains("warning: `out.limits.json` does not hold limits ("), "{}", third.stderr);
    assert_eq!(fs::read_to_string(&kept).unwrap(), "mine");
}

#[test]
fn the_tighter_of_flag_and_configuration_holds() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 1);
    let mut mock = command(
        folder.path(),
        &["mock", "--listen", "127.0.0.1:0", "--profile", "unlimited", "--speed", "100"],
    );
    let mut mock = mock.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(mock.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let config = format!(
        "[[upstream]]\nname = \"a\"\nprovider = \"openai-compatible\"\nbase_url = \"{}/v1\"\napi_key = {{ env = \"KEY\" }}\n\
         [[quota]]\naccount = \"a\"\nrequests = \"50/min\"\n",
        url.trim()
    );
    fs::write(folder.path().join("c.toml"), config).unwrap();
    for (flag, limit) in [("300", 50), ("30", 30)] {
        let args =
            ["run", "in.jsonl", "--config", "c.toml", "--model", "m", "--rpm", flag, "--progress", "json"];
        let ended =
            crate::ended(command(folder.path(), &args).env("KEY", "sk-canary-abcdef").output().unwrap());
        let summary: Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
        assert_eq!((&summary["done"], &summary["limits"][0]["limit"]), (&1.into(), &limit.into()), "{flag}");
    }
    mock.kill().unwrap();
    mock.wait().unwrap();
}

/// A gateway of ours may be at any base URL, and is to put the run behind whoever waits for an answer.
#[test]
fn a_run_through_a_gateway_is_of_batch_priority() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let seen = thread::spawn(move || {
        let (mut caller, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(caller.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
        let body = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
        let answer =
            format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        caller.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).unwrap();
        head
    });
    let ended = paceline(folder.path(), &["run", "in.jsonl", "--base-url", &base_url, "--model", "m"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(seen.join().unwrap().contains("\r\nx-paceline-priority: batch\r\n"));
}

#[test]
fn without_an_output_results_go_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 2);
    let ended = paceline(folder.path(), &["run", "in.jsonl", "--mock", "--progress", "none"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout.lines().count(), 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no other file appears");
}

#[test]
fn a_bad_line_fails_alone_and_the_run_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{\"prompt\":\"Hello.\",\"id\":\"good\",\"max_tokens\":9}\n{\"prompt\"\n";
    fs::write(folder.path().join("in.jsonl"), text).unwrap();
    let ended = paceline(folder.path(), &["run", "in.jsonl", "--mock", "-o", "out.jsonl"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 done, 1 failed"), "{}", ended.stderr);
    assert!(ended.stderr.contains("run in.jsonl --mock -o out.jsonl"), "{}", ended.stderr);
    assert_eq!(ids(&folder.path().join("out.errors.jsonl")), ["line-2"]);
}

#[test]
fn what_concerns_the_whole_run_ends_with_2_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 2);
    let twice = "{\"id\":\"a\\u001b[31m\",\"prompt\":\"x\"}\n{\"id\":\"a\\u001b[31m\",\"prompt\":\"y\"}\n";
    fs::write(folder.path().join("twice.jsonl"), twice).unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["run", "nowhere.jsonl", "--mock"], "cannot read `nowhere.jsonl`"),
        (&["run", "twice.jsonl", "--mock"], "ids must be unique"),
        (&["run", "in.jsonl"], "no API key is set"),
        (&["run", "in.jsonl", "--provider", "anthropic"], "export ANTHROPIC_API_KEY="),
        (&["run", "in.jsonl", "--provider", "antropic"], "did you mean `anthropic`?"),
        (&["run", "in.jsonl", "--base-url", "example.com"], "is not an http or https URL"),
        (&["run", "in.jsonl", "--mock", "-o", "in.jsonl"], "it is an input, too"),
        (&["run", "in.jsonl", "--mock", "-o", "no/such/out.jsonl"], "its directory does not exist"),
        (&["run", "in.jsonl", "--mock", "--set", "prompt=x"], "`prompt` cannot have a default"),
    ];
    for (args, said) in cases {
        let ended = paceline(folder.path(), args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'), "{args:?}: {:?}", ended.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no file appears");
}

#[test]
fn a_run_that_stops_early_ends_with_3_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{\"nonsense\":1}\n".to_owned();
    fs::write(folder.path().join("in.jsonl"), text + &"{\"prompt\":\"more\",\"max_tokens\":9}\n".repeat(60))
        .unwrap();
    let args = ["run", "in.jsonl", "--mock", "--max-failures", "1", "-o", "out.jsonl"];
    let ended = paceline(folder.path(), &args);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("`--max-failures`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: this finishes what is left: "), "{}", ended.stderr);
}

#[test]
fn a_dry_run_sends_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 3);
    let ended = paceline(folder.path(), &["run", "in.jsonl", "--mock", "--dry-run", "-o", "out.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "3 jobs would run; nothing was sent\n"));
    assert!(
        ended.stdout.starts_with("plan of in.jsonl for the mock\n  jobs     3 to run"),
        "{}",
        ended.stdout
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn programs_get_json_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 2);
    let ended =
        paceline(folder.path(), &["run", "in.jsonl", "--mock", "--progress", "json", "-o", "out.jsonl"]);
    let lines: Vec<Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["event"], &last["done"], &last["exit"]), (&"summary".into(), &2.into(), &0.into()));
    assert!(lines[..lines.len() - 1].iter().all(|line| line["event"] == "progress"));
}

#[test]
fn a_reader_who_leaves_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path(), 40);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut run = command(folder.path(), &["run", "in.jsonl", "--mock"]);
    let ended = crate::ended(run.stdout(Stdio::from(writer)).stderr(Stdio::piped()).output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody reads the results any more"), "{}", ended.stderr);
}

/// Starts a run of many jobs, waits until some are in flight, sends the signals, and waits for its end.
fn signaled(folder: &Path, signals: &[&str]) -> Ended {
    prompts(folder, 400);
    let mut run = command(folder, &["run", "in.jsonl", "--mock", "--progress", "json", "-o", "out.jsonl"]);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended too early: {said}");
        said.push_str(&line);
        let view: Value = serde_json::from_str(&line).unwrap();
        if view["in_flight"].as_u64() > Some(0) {
            break;
        }
    }
    for signal in signals {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
    stderr.read_to_string(&mut said).unwrap();
    Ended { code: child.wait().unwrap().code(), stdout: String::new(), stderr: said }
}

#[test]
fn the_first_signal_finishes_what_is_in_flight() {
    for (signals, code) in
        [(&["INT"][..], 130), (&["TERM"], 143), (&["HUP", "INT"], 130), (&["INT", "INT"], 130)]
    {
        let folder = tempfile::tempdir().unwrap();
        let ended = signaled(folder.path(), signals);
        assert_eq!(ended.code, Some(code), "{signals:?}: {}", ended.stderr);
        let summary = ended.stderr.lines().rfind(|line| line.contains("\"summary\"")).unwrap();
        let summary: Value = serde_json::from_str(summary).unwrap();
        let done = ids(&folder.path().join("out.jsonl")).len();
        assert_eq!(summary["done"], done, "{signals:?}");
        assert!(done < 400, "{signals:?}");
    }
}

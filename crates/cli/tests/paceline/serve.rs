//! The gateway as its users meet it: real processes, real sockets, real signals.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::gateway::{Gateway, Process, files, gateway, message, mock, send};
use crate::paceline;

pub(crate) const OWN_KEY: &str = "sk-ant-canary-0123456789abcdef";

/// A file with one upstream at `mock`, and `more`.
pub(crate) fn config(folder: &Path, mock: &Process, more: &str) {
    let url = &mock.url;
    let text = format!(
        "[[upstream]]\nname = \"main\"\nprovider = \"anthropic\"\nbase_url = \"{url}\"\napi_key = {{ env = \"KEY\" }}\n{more}"
    );
    // As careful people do: nobody reads half of it.
    fs::write(folder.join("c.toml.new"), text).unwrap();
    fs::rename(folder.join("c.toml.new"), folder.join("c.toml")).unwrap();
}

pub(crate) fn configured(folder: &Path) -> Gateway {
    gateway(folder, &["--config", "c.toml"], &[("KEY", OWN_KEY)])
}

/// A new key, and the TOML that makes its owner a caller.
pub(crate) fn new_key(folder: &Path, name: &str) -> (String, String) {
    let made = paceline(folder, &["keys", "new", "--name", name]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let key = made.stdout.trim().to_owned();
    assert!(key.starts_with("pl-") && key.len() >= 30, "{key}");
    assert!(!made.stderr.contains(&key));
    let (_, toml) = made.stderr.split_once("\n\n").unwrap();
    (key, toml.to_owned())
}

#[test]
fn with_nothing_set_each_callers_own_key_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &["--log", "calls.jsonl"]);
    let url = format!("anthropic={}", mock.url);
    let served = gateway(folder.path(), &["--base-url", &url], &[]);
    for key in ["sk-ant-canary-of-a-caller", "sk-ant-canary-of-another"] {
        let answer = served.ask(key);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("x-paceline-upstream: anthropic"), "{}", answer.head);
    }
    let said = served.process.said();
    for line in [
        format!("export ANTHROPIC_BASE_URL={}\n", served.process.url),
        format!("export OPENAI_BASE_URL={}/v1\n", served.process.url),
        "each caller's own key is passed on".to_owned(),
    ] {
        assert!(said.contains(&line), "{said}");
    }
}

#[test]
fn with_keys_of_the_environment_only_their_owners_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    let url = format!("anthropic={}", mock.url);
    let env = [("ANTHROPIC_API_KEY", OWN_KEY)];
    let served = gateway(folder.path(), &["--from-env", "--base-url", &url], &env);
    assert_eq!(served.ask(OWN_KEY).status, 200);
    for stranger in ["", "sk-ant-canary-of-a-stranger", "sk-ant-canary-0123456789abcde", "sk-1234"] {
        let refused = served.ask(stranger);
        assert_eq!(refused.status, 401, "{stranger}: {refused:?}");
        assert!(refused.body.contains("authentication_error"), "{}", refused.body);
    }
    let refused = paceline(folder.path(), &["serve", "--from-env"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("no API key is set"), "{}", refused.stderr);
}

#[test]
fn callers_have_keys_bounds_and_a_budget() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &["--profile", "unlimited"]);
    let (counted, one) = new_key(folder.path(), "counted");
    let (paying, two) = new_key(folder.path(), "paying");
    let (poor, three) = new_key(folder.path(), "poor");
    config(
        folder.path(),
        &mock,
        &format!(
            "{one}\nrequests = \"2/day\"\n{two}\nbudget = \"0.0002 USD/day\"\n{three}\nbudget = \"0.000001 USD/day\"\n"
        ),
    );
    let served = configured(folder.path());
    let statuses = |key: &str, count: usize| (0..count).map(|_| served.ask(key).status).collect::<Vec<_>>();
    assert_eq!(statuses(&counted, 4), [200, 200, 429, 429]);
    assert_eq!(statuses(OWN_KEY, 1), [200]);
    // Each request is charged at most 16 tokens of output, $0.00008, and a few of input: two fit, not three.
    let paid = statuses(&paying, 6);
    assert_eq!((paid[0], paid[5]), (200, 429), "{paid:?}");
    let spent = served.ask(&paying);
    assert!(
        spent.head.contains("x-should-retry: false") && spent.head.contains("retry-after: "),
        "{spent:?}"
    );
    let refused = served.ask(&poor);
    assert_eq!(refused.status, 413, "{refused:?}");
    assert!(refused.head.contains("x-should-retry: false"), "{refused:?}");
    let status = served.status();
    let caller = |n: usize| status["callers"][n]["allowances"][0].clone();
    assert_eq!(caller(0)["used"], 2);
    assert!(caller(1)["used"].as_u64() <= caller(1)["limit"].as_u64());
    assert_eq!(caller(2)["used"], 0);
}

#[test]
fn a_reload_swaps_everything_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    let (first, one) = new_key(folder.path(), "first");
    let (second, two) = new_key(folder.path(), "second");
    config(folder.path(), &mock, &one);
    let served = configured(folder.path());
    assert_eq!((served.ask(&first).status, served.ask(&second).status), (200, 401));

    // Noticed by itself.
    config(folder.path(), &mock, &two);
    served.wait_until("reloaded", |served| served.status()["callers"][0]["name"] == "second");
    assert_eq!((served.ask(&first).status, served.ask(&second).status), (401, 200));

    // A bad file leaves everything as it is, and the fault is told with its line.
    config(folder.path(), &mock, "[[caller]]\nname = \"canary\"\nkey_hsah = \"canary-hash\"\n");
    let refused = served.order("/reload", "");
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.contains("c.toml:8: unknown key `key_hsah`"), "{}", refused.body);
    served.process.signal(Signal::HUP);
    served.wait_until("complained", |served| served.process.said().contains("stays as it was"));
    assert_eq!((served.ask(&second).status, served.ask(&first).status), (200, 401));

    // And again by a signal.
    config(folder.path(), &mock, &format!("{one}\n{two}"));
    served.process.signal(Signal::HUP);
    served.wait_until("reloaded", |served| served.status()["callers"][1]["name"] == "second");
    assert_eq!((served.ask(&first).status, served.ask(&second).status), (200, 200));
    let metrics = served.look("/metrics").body;
    assert!(!metrics.contains("paceline_reloads_total{result=\"done\"} 0"), "{metrics}");
    assert!(!metrics.contains("paceline_reloads_total{result=\"refused\"} 0"), "{metrics}");
}

#[test]
fn a_drain_finishes_streams_and_hands_the_rest_back() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &["--profile", "unlimited"]);
    config(folder.path(), &mock, "[[quota]]\naccount = \"main\"\nin_flight = 1\n");
    let mut served = configured(folder.path());
    let mut stream = served.stream(OWN_KEY, 200);
    stream.read_until("content_block_delta");
    let url = served.process.url.clone();
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let waiting = send(
        &url,
        &format!(
            "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: {OWN_KEY}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    served.wait_until("waiting", |served| served.status()["waiting"]["normal"] == 1);
    assert_eq!(served.look("/readyz").status, 200);

    served.process.signal(Signal::TERM);
    let handed_back = waiting.finish();
    assert_eq!(handed_back.status, 503, "{handed_back:?}");
    assert!(handed_back.head.contains("retry-after: "), "{}", handed_back.head);
    assert_eq!((served.look("/readyz").status, served.look("/healthz").status), (503, 200));
    let refuses = |_: &Gateway| std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err();
    served.wait_until("closed to others", refuses); // The listener's task may not have had its turn.
    let whole = stream.finish();
    assert!(whole.body.contains("message_stop"), "{}", whole.body);
    assert_eq!(served.process.end(), Some(0));
}

/// A gateway that finds the socket open, as one of systemd's.
fn on_a_socket(folder: &Path, listener: &TcpListener, listen: &str) -> Command {
    let mut command = Command::new("sh");
    let serve = ["serve", "--config", "c.toml", "--state", "state", "--admin", "none", "--listen", listen];
    command.args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"]);
    command.arg(env!("CARGO_BIN_EXE_paceline")).args(serve);
    command.current_dir(folder).env("KEY", OWN_KEY).stdin(OwnedFd::from(listener.try_clone().unwrap()));
    command
}

#[test]
fn a_socket_that_is_handed_over_refuses_nobody_between_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    config(folder.path(), &mock, "");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = listener.local_addr().unwrap().to_string();
    let ask = || send(&format!("http://{listen}"), &message(OWN_KEY, "", 16, false));

    let mut first = Process::start(on_a_socket(folder.path(), &listener, &listen));
    assert_eq!(first.url, format!("http://{listen}"));
    assert_eq!(ask().finish().status, 200);
    first.signal(Signal::TERM);
    assert_eq!(first.end(), Some(0));
    let between = ask();
    let _second = Process::start(on_a_socket(folder.path(), &listener, &listen));
    assert_eq!(between.finish().status, 200);

    let elsewhere = on_a_socket(folder.path(), &listener, "127.0.0.1:1").output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(2));
    let said = String::from_utf8(elsewhere.stderr).unwrap();
    assert!(said.contains(&format!("is bound to {listen}, not to 127.0.0.1:1")), "{said}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &["--profile", "unlimited", "--speed", "0.05"]);
    config(folder.path(), &mock, "");
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut served = configured(folder.path());
        let mut stream = served.stream(OWN_KEY, 4_000);
        stream.read_until("message_start");
        served.process.signal(signal);
        served.wait_until("draining", |served| served.process.said().contains("draining"));
        served.process.signal(signal);
        assert_eq!(served.process.end(), Some(code));
        // A stream that is cut never looks whole.
        assert!(!stream.finish().body.contains("message_stop"));
    }
}

#[test]
fn the_operator_drains_it_too_and_needs_the_token_if_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    fs::write(folder.path().join("token"), "canary-token-0123456789").unwrap();
    fs::set_permissions(folder.path().join("token"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let token = "[server]\nadmin_token = { file = \"token\" }\n";
    config(folder.path(), &mock, token);
    let mut served = configured(folder.path());
    for path in ["/metrics", "/v1/status", "/nowhere"] {
        assert_eq!(served.look(path).status, 401, "{path}");
    }
    assert_eq!((served.look("/healthz").status, served.look("/readyz").status), (200, 200));
    for wrong in ["", "authorization: Bearer canary\r\n", "authorization: canary-token-0123456789\r\n"] {
        assert_eq!(served.order("/drain", wrong).status, 401, "{wrong}");
    }
    let right = "authorization: Bearer canary-token-0123456789\r\n";
    // Not even with the token from a page of somebody else's.
    assert_eq!(served.order("/drain", &format!("{right}origin: https://evil.example\r\n")).status, 403);
    assert_eq!(served.order("/drain", right).status, 202);
    assert_eq!(served.process.end(), Some(0));
}

#[test]
fn a_kill_forgets_no_spending_and_spends_no_window_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &["--profile", "unlimited", "--log", "calls.jsonl"]);
    let (key, caller) = new_key(folder.path(), "ci");
    let quota = "[[quota]]\naccount = \"main\"\nrequests = \"6/min\"\n";
    config(folder.path(), &mock, &format!("{quota}{caller}\nrequests = \"100/day\"\n"));
    let soon = "x-paceline-deadline: 2\r\n";
    let mut served = 0;
    for round in 0..4 {
        let mut gateway = configured(folder.path());
        let status = gateway.status();
        assert_eq!(status["callers"][0]["allowances"][0]["used"], served, "round {round}");
        for _ in 0..4 {
            served += u64::from(gateway.ask_with(&key, soon).status == 200);
        }
        let saved = |_: &Gateway| {
            let state = fs::read_to_string(folder.path().join("state/gateway.json")).unwrap_or_default();
            let state: serde_json::Value = serde_json::from_str(&state).unwrap_or_default();
            let spent = state["callers"][0]["spent"].as_array().cloned().unwrap_or_default();
            spent.iter().map(|slice| slice[1].as_u64().unwrap()).sum::<u64>() == served
        };
        gateway.wait_until("saved", saved);
        gateway.process.signal(Signal::KILL);
        assert_eq!(gateway.process.end(), None);
    }
    assert!((1..=6).contains(&served), "{served} calls of 6 a minute");
}

#[test]
fn a_broken_state_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    config(folder.path(), &mock, "");
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/gateway.json"), "{\"paceline_state\": 1, ").unwrap();
    let mut served = configured(folder.path());
    assert_eq!(served.ask(OWN_KEY).status, 200);
    assert!(served.process.said().contains("holds no state"), "{}", served.process.said());
    served.process.signal(Signal::TERM);
    assert_eq!(served.process.end(), Some(0));
    assert!(folder.path().join("state/gateway.json.broken").exists());
    let state = fs::metadata(folder.path().join("state/gateway.json")).unwrap();
    assert_eq!(state.mode() & 0o777, 0o600);
}

#[test]
fn what_would_be_open_or_empty_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = "[[upstream]]\nname = \"a\"\nprovider = \"anthropic\"\napi_key = { env = \"KEY\" }\n";
    let cases: [(&str, &[&str], &str, &str); 8] = [
        ("", &["--listen", "0.0.0.0:0"], OWN_KEY, "can be reached from other machines"),
        ("", &["--admin", "0.0.0.0:0"], OWN_KEY, "can be reached from other machines"),
        ("", &["--admin", "0.0.0.0:0", "--allow-remote"], OWN_KEY, "without a token"),
        ("", &["--base-url", "nobody=http://127.0.0.1:1"], OWN_KEY, "unknown provider `nobody`"),
        (upstream, &["--config", "c.toml"], "", "is empty"),
        (upstream, &["--config", "c.toml"], "sk-1234", "sample key"),
        (upstream, &["--config", "c.toml"], "too-short", "no key that callers could present"),
        ("[server]\n", &["--config", "c.toml"], OWN_KEY, "no upstream"),
    ];
    for (text, flags, key, fault) in cases {
        fs::write(folder.path().join("c.toml"), text).unwrap();
        let mut command = crate::command(folder.path(), &[&["serve", "--state", "none"], flags].concat());
        let ended = crate::ended(command.env("KEY", key).output().unwrap());
        assert_eq!(ended.code, Some(2), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(fault), "{flags:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn no_secret_is_in_anything_it_puts_out() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let mock = mock(place, &["--rpm", "30"]);
    let (key, caller) = new_key(place, "ci");
    config(place, &mock, &format!("{caller}\nrequests = \"3/min\"\nbudget = \"1 USD/day\"\n"));
    let mut all = String::new();
    for form in ["pretty", "json"] {
        let flags = ["--config", "c.toml", "--log", form, "--log-level", "debug"];
        let mut served = gateway(place, &flags, &[("KEY", OWN_KEY)]);
        for presented in [&key, OWN_KEY, "pl-canary-of-a-stranger", "sk-1234"] {
            for _ in 0..4 {
                let answer = served.ask_with(presented, "x-paceline-deadline: 1\r\n");
                all.push_str(&format!("{}\n{}\n", answer.head, answer.body));
            }
        }
        served.process.signal(Signal::HUP);
        for path in ["/metrics", "/v1/status", "/readyz", "/nowhere?key=sk-ant-canary-0123456789abcdef"] {
            all.push_str(&served.look(path).body);
        }
        served.process.signal(Signal::TERM);
        assert_eq!(served.process.end(), Some(0));
        all.push_str(&served.process.said());
    }
    for (path, text) in files(&place.join("state")) {
        all.push_str(&format!("{path}\n{text}\n"));
    }
    assert!(all.contains("finished") && all.contains("paceline_state"), "{all}");
    // Any ten characters of a secret are one too many.
    for secret in [key.as_str(), OWN_KEY, "pl-canary-of-a-stranger", "canary-prompt"] {
        for part in secret.as_bytes().windows(10).map(|part| std::str::from_utf8(part).unwrap()) {
            assert!(!all.contains(part), "`{part}` of `{secret}` is in: {all}");
        }
    }
}

#[test]
fn metrics_read_as_prometheus_does() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    config(folder.path(), &mock, "");
    let served = configured(folder.path());
    assert_eq!(served.ask(OWN_KEY).status, 200);
    served.wait_until("counted", |served| {
        served.look("/metrics").body.contains("paceline_attempts_total{upstream=\"main\",class=\"ok\"} 1")
    });
    let answer = served.look("/metrics");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let mut families = std::collections::HashMap::new();
    let mut series = std::collections::HashSet::new();
    for line in answer.body.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(families.insert(name, kind).is_none(), "{name} twice");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert!((kind == "counter") == name.ends_with("_total"), "{name} is a {kind}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name), "{name} twice");
            let family = name.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end));
            assert!(
                families.contains_key(family) || base.is_some_and(|base| families.contains_key(base)),
                "{line}"
            );
        }
    }
    for expected in [
        "paceline_requests_total{dialect=\"anthropic\",outcome=\"served\"}",
        "paceline_waiting{priority=\"interactive\"}",
        "paceline_in_flight",
        "paceline_limit{account=\"main\",models=\"claude-haiku-4.5\",dimension=\"requests\",window=\"min\"}",
        "paceline_used{account=\"main\",models=\"claude-haiku-4.5\",dimension=\"requests\",window=\"min\"}",
        "paceline_wait_seconds_bucket{le=\"+Inf\"}",
        "paceline_upstream_health{upstream=\"main\",credential=\"\",state=\"closed\"}",
    ] {
        assert!(series.contains(expected), "{expected} is missing in {}", answer.body);
    }
}

#[test]
fn one_state_has_one_keeper() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    config(folder.path(), &mock, "");
    let first = configured(folder.path());
    let second = configured(folder.path());
    assert_eq!((first.ask(OWN_KEY).status, second.ask(OWN_KEY).status), (200, 200));
    second.wait_until("told", |second| second.process.said().contains("another gateway keeps its state"));
    assert!(!first.process.said().contains("another gateway"));
}

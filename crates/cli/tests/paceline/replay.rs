//! Yesterday's traffic under other limits: recorded by a real gateway, played again by `paceline plan --replay`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use paceline_usage::past;
use serde_json::Value;

use crate::gateway::{message, mock, send};
use crate::paceline;
use crate::serve::{OWN_KEY, config, configured, new_key};

/// A provider that tells nothing of its limits: only what is typed counts.
const ELSEWHERE: [&str; 2] = ["--provider", "gemini"];

/// Has a gateway record so many requests at once, the first ones of them interactive, and one that is refused.
fn record(folder: &Path, requests: usize, interactive: usize) {
    let mock = mock(folder, &["--profile", "unlimited"]);
    let (key, caller) = new_key(folder, "ci");
    let (poor, other) = new_key(folder, "poor");
    let more = format!("{caller}\n{other}\nbudget = \"0.000001 USD/day\"\n[usage]\nfile = \"usage.db\"\n");
    config(folder, &mock, &more);
    let served = configured(folder);
    thread::scope(|scope| {
        for n in 0..requests {
            let (url, key) = (&served.process.url, if n % 2 == 0 { &key } else { OWN_KEY });
            let priority = if n < interactive { "x-paceline-priority: interactive\r\n" } else { "" };
            scope.spawn(move || {
                assert_eq!(send(url, &message(key, priority, 16, false)).finish().status, 200)
            });
        }
    });
    assert_eq!(served.ask(&poor).status, 413);
    served.wait_until("recorded", |served| {
        served.look("/metrics").body.contains("paceline_usage_ledger_queued 0\n")
    });
}

fn replayed(folder: &Path, args: &[&str]) -> Value {
    let ended = paceline(folder, &[&["plan", "--replay", "usage.db", "--json"], args].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The waits of requests that go one by one, so many a minute, computed from the times at which they came.
fn by_hand(folder: &Path, rpm: u32) -> Vec<f64> {
    let mut waits = Vec::new();
    let mut free = Duration::ZERO;
    past(&folder.join("usage.db"), Duration::ZERO, Duration::MAX, |request| {
        if request.usage.is_some() {
            let goes = request.begun.max(free);
            free = goes + Duration::from_secs(60) / rpm;
            waits.push((goes - request.begun).as_secs_f64());
        }
        true
    })
    .unwrap();
    waits.sort_by(f64::total_cmp);
    waits
}

#[test]
fn recorded_requests_wait_for_a_lower_limit_as_computed_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 20, 0);
    for rpm in [12, 30] {
        let typed = rpm.to_string();
        let found = replayed(folder.path(), &[&ELSEWHERE[..], &["--rpm", &typed]].concat());
        let waits = by_hand(folder.path(), rpm);
        assert_eq!((&found["requests"], waits.len()), (&20.into(), 20), "{found}");
        let seen = &found["priorities"][0]["replayed"];
        // Of twenty, the tenth is the half and the nineteenth 95 of a hundred.
        for (name, by_hand) in
            [("p50_seconds", waits[9]), ("p95_seconds", waits[18]), ("most_seconds", waits[19])]
        {
            let wait = seen[name].as_f64().unwrap();
            assert!((wait - by_hand).abs() < 0.3 + 0.01 * by_hand, "{rpm}: {name} {wait} {waits:?}");
        }
        let waited = waits.iter().filter(|wait| **wait > 0.1).count();
        assert_eq!(seen["waited"], waited, "{rpm}: {found}");
        let limit = &found["limits"][0];
        assert_eq!((&limit["binds"], &limit["limit"]), (&true.into(), &rpm.into()), "{found}");
        let held = limit["held_seconds"].as_f64().unwrap();
        assert!((held - waits[19]).abs() < 3.0, "{rpm}: {held} {waits:?}");
        assert!((0.6..=1.0).contains(&limit["fullest"].as_f64().unwrap()), "{found}");
        let finish = found["finish_seconds"].as_f64().unwrap();
        assert!((waits[19]..waits[19] + 5.0).contains(&finish), "{rpm}: {finish}");
        assert_eq!((&found["throttled"], &found["unanswered"]), (&0.into(), &0.into()), "{found}");
        assert_eq!(found["left_out"][0]["requests"], 1, "{found}");
    }
}

#[test]
fn other_limits_other_waits_and_the_urgent_go_first() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 20, 10);
    let found = replayed(folder.path(), &[&ELSEWHERE[..], &["--rpm", "12"]].concat());
    let [interactive, normal] = &found["priorities"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!((&interactive["priority"], &normal["priority"]), (&"interactive".into(), &"normal".into()));
    let half = |of: &Value| of["replayed"]["p50_seconds"].as_f64().unwrap();
    assert!(half(interactive) < 35.0 && 55.0 < half(normal), "{found}");

    let roomy = replayed(folder.path(), &["--provider", "anthropic", "--rpm", "100k"]);
    let waited = roomy["priorities"].as_array().unwrap().iter();
    let waited: u64 = waited.map(|of| of["replayed"]["waited"].as_u64().unwrap()).sum();
    assert_eq!((waited, &roomy["limits"][0]["binds"]), (0, &false.into()), "{roomy}");
    // Through the configuration, to the upstream that served them.
    let own = replayed(folder.path(), &["--config", "c.toml", "--itpm", "100"]);
    assert_eq!(own["limits"][0]["dimension"], "input_tokens", "{own}");
    assert!(own["finish_seconds"].as_f64().unwrap() > 30.0, "{own}");

    let args = ["plan", "--replay", "usage.db", "--provider", "anthropic", "--rpm", "12"];
    let text = paceline(folder.path(), &args);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert_eq!(text.stdout.lines().find(|line| line.chars().count() > 80), None, "{}", text.stdout);
    for said in ["replay of usage.db for anthropic", "20 of 2 callers", "  as recorded  ", "binds"] {
        assert!(text.stdout.contains(said), "{said}: {}", text.stdout);
    }
}

#[test]
fn what_cannot_be_replayed_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 2, 0);
    fs::write(folder.path().join("other.db"), "no database at all, but some text".repeat(99)).unwrap();
    fs::write(folder.path().join("in.jsonl"), "{\"prompt\":\"x\"}\n").unwrap();
    let limited = ["--provider", "anthropic", "--rpm", "50"];
    let cases: [(&[&str], &str); 10] = [
        (&["--replay", "nowhere.db"], "the usage ledger `nowhere.db` cannot be opened"),
        (&["--replay", "other.db"], "`other.db` is no usage ledger"),
        (&["--replay", "usage.db", "--to", "2020-01-01"], "has no requests to replay in that time"),
        (
            &["--replay", "usage.db", "--from", "2026-02-02", "--to", "2026-02-01"],
            "`--from` is not before `--to`",
        ),
        (&["--replay", "usage.db", "--from", "noon"], "neither a span nor a time"),
        (&["--replay", "usage.db", "in.jsonl"], "cannot be used with"),
        (&["--replay", "usage.db", "--compare"], "cannot be used with"),
        (&["--replay", "usage.db", "--tier", "strat"], "did you mean `start`?"),
        (&["in.jsonl", "--from", "24h"], "cannot be used with"),
        (&[], "<INPUT>"),
    ];
    for (args, said) in cases {
        let ended = paceline(folder.path(), &[&["plan"], args, &limited].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    let ended = paceline(folder.path(), &["plan", "--replay", "usage.db", "--provider", "anthropic"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("no limit is known for `claude-haiku-4.5`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("type `--rpm`, `--itpm`, `--otpm`, or `--tier`"), "{}", ended.stderr);
}

//! What the usage ledger says of requests, however they end.

use std::path::Path;
use std::time::Duration;

use paceline_gateway::callers::Clock;
use paceline_usage::{By, Ledger, OnFailure, Options, Report, Totals};

use crate::support::{
    ASK, ASK_STREAM, CALLER, Keyed, MESSAGE, MESSAGE_EVENTS, MESSAGES, Stand, both, recorded,
};
use crate::upstream::{Server, Step, chunk, json, stream, stream_head};

fn ledger(path: &Path, on_failure: OnFailure) -> Ledger {
    let options = Options { path: path.to_owned(), retention: paceline_usage::RETENTION, on_failure };
    Ledger::open(options, Clock::start()).unwrap()
}

async fn stand(server: &Server, ledger: &Ledger) -> Stand {
    recorded(both(server), Keyed::default(), ledger.clone()).await
}

fn totals(path: &Path) -> Totals {
    Report::read(path, Duration::ZERO, &[]).unwrap().totals
}

/// What one request leaves, but for what depends on the time.
async fn one(ask: &str, script: Vec<Step>) -> Totals {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let ledger = ledger(&path, OnFailure::Serve);
    let server = Server::start(vec![script]).await;
    let stand = stand(&server, &ledger).await;
    stand.post(MESSAGES, ask).await;
    stand.client.close().await;
    ledger.close();
    Totals { waited_ms: 0, ..totals(&path) }
}

#[tokio::test]
async fn each_request_has_its_row() {
    let error = r#"{"type":"error","error":{"type":"x","message":"y"}}"#;
    let cut = vec![stream_head(), chunk(MESSAGE_EVENTS[..3].concat().as_bytes()), Step::Close];
    let base = Totals { requests: 1, attempts: 1, ..Totals::default() };
    let used = Totals { done: 1, input_tokens: 10, output_tokens: 3, unpriced: 1, ..base.clone() };
    let cases = [
        (ASK, json(200, MESSAGE), used.clone()),
        (ASK_STREAM, stream(&MESSAGE_EVENTS), used.clone()),
        (ASK_STREAM, json(200, MESSAGE), used),
        (ASK, json(400, error), Totals { failed: 1, ..base.clone() }),
        (ASK_STREAM, json(400, error), Totals { failed: 1, ..base.clone() }),
        // Nobody knows what a stream took that broke off.
        (ASK_STREAM, cut, Totals { failed: 1, in_doubt: 1, ..base }),
    ];
    for (ask, script, want) in cases {
        assert_eq!(one(ask, script).await, want, "{ask}");
    }
}

#[tokio::test]
async fn a_row_says_who_asked_and_who_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let ledger = ledger(&path, OnFailure::Refuse); // So that each is on record before it goes out.
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = stand(&server, &ledger).await;
    let ask = r#"{"model":"claude-haiku-4-5","max_tokens":1000,"messages":[{"role":"user","content":"Hi"}]}"#;
    let answer = stand.post(MESSAGES, ask).await;
    assert_eq!(answer.status, 200);
    ledger.close();
    let by = [By::Caller, By::Model, By::Upstream, By::Account, By::Priority, By::Finish];
    let report = Report::read(&path, Duration::ZERO, &by).unwrap();
    let keys: Vec<&str> = report.groups[0].keys.iter().map(String::as_str).collect();
    assert_eq!(keys, ["ci", "claude-haiku-4-5", "claude", "claude", "normal", "done"]);
    assert_eq!((report.groups.len(), report.totals.cost_micros), (1, 25));
}

#[tokio::test]
async fn who_leaves_is_in_doubt() {
    let opened = vec![stream_head(), chunk(MESSAGE_EVENTS[..4].concat().as_bytes()), Step::Hang];
    for (ask, script) in [(ASK, vec![Step::Hang]), (ASK_STREAM, vec![Step::Hang]), (ASK_STREAM, opened)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let ledger = ledger(&path, OnFailure::Serve);
        let server = Server::start(vec![script]).await;
        let stand = stand(&server, &ledger).await;
        drop(stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], ask).await);
        while totals(&path).canceled == 0 {
            tokio::task::yield_now().await;
        }
        let seen = totals(&path);
        // It may have been noticed before anything was sent.
        assert_eq!(seen.in_doubt, u64::try_from(server.seen().len()).unwrap(), "{seen:?}");
    }
}

#[tokio::test]
async fn nothing_goes_out_that_is_not_on_record_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let ledger = ledger(&path, OnFailure::Refuse);
    let server = Server::always(json(200, MESSAGE)).await;
    let stand = stand(&server, &ledger).await;
    ledger.close(); // From here on nothing can be written.
    for ask in [ASK, ASK_STREAM] {
        let seen = stand.post(MESSAGES, ask).await;
        assert_eq!((seen.status, seen.header("retry-after")), (503, Some("5")), "{}", seen.text());
        assert!(seen.text().contains("the usage ledger cannot be written"), "{}", seen.text());
    }
    assert_eq!(server.seen().len(), 0);
}

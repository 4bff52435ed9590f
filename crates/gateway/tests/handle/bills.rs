//! What requests use is booked once, however they end.

use std::sync::Arc;
use std::time::Duration;

use paceline_gateway::Settings;
use paceline_gateway::handle::access::{Refusal, Spent, Used};
use paceline_wire::price::MicroUsd;

use crate::support::{
    ASK, ASK_STREAM, Account, CALLER, CHAT, CHAT_EVENTS, Ending, Keyed, MESSAGE, MESSAGE_EVENTS, MESSAGES,
    Stand, both, start,
};
use crate::upstream::{Server, Step, chunk, json, stream, stream_head};

async fn purse(server: &Server) -> (Stand, Arc<Account>) {
    let account = Arc::new(Account::default());
    let gatekeeper = Keyed { purse: Some(account.clone()) };
    (start(both(server), Settings::default(), Arc::new(gatekeeper)).await, account)
}

/// What has become of the only reservation.
async fn ending(account: &Account) -> Ending {
    for _ in 0..100 {
        if let Some((_, ending)) = account.booked.lock().unwrap().pop() {
            return ending;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("nothing was booked");
}

const USED: Ending = Ending::Settled(Used { tokens: 13, cost: None });

#[tokio::test(start_paused = true)]
async fn answers_are_paid_by_what_they_say() {
    let error = r#"{"type":"error","error":{"type":"x","message":"y"}}"#;
    let cut = vec![stream_head(), chunk(MESSAGE_EVENTS[..3].concat().as_bytes()), Step::Close];
    let cases: [(&str, &str, Vec<Step>, Ending); 7] = [
        (MESSAGES, ASK, json(200, MESSAGE), USED),
        (MESSAGES, ASK_STREAM, stream(&MESSAGE_EVENTS), USED),
        (CHAT, ASK_STREAM, stream(&CHAT_EVENTS), USED),
        (MESSAGES, ASK_STREAM, json(200, MESSAGE), USED),
        (MESSAGES, ASK, json(400, error), Ending::GivenBack),
        (MESSAGES, ASK_STREAM, json(400, error), Ending::GivenBack),
        (CHAT, ASK_STREAM, cut, Ending::Stands),
    ];
    for (path, ask, script, want) in cases {
        let server = Server::start(vec![script]).await;
        let (stand, account) = purse(&server).await;
        stand.post(path, ask).await;
        assert_eq!(ending(&account).await, want, "{path} {ask}");
        assert!(account.booked.lock().unwrap().is_empty(), "once");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_pays_for_what_was_sent() {
    let opened = vec![stream_head(), chunk(MESSAGE_EVENTS[..4].concat().as_bytes()), Step::Hang];
    let told = Ending::Settled(Used { tokens: 11, cost: None });
    let cases = [(ASK, vec![Step::Hang]), (ASK_STREAM, vec![Step::Hang]), (ASK_STREAM, opened)];
    for (ask, script) in cases {
        let server = Server::start(vec![script]).await;
        let (stand, account) = purse(&server).await;
        let stream = stand.begin("POST", MESSAGES, &[("x-api-key", CALLER)], ask).await;
        server.has_seen(1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(stream);
        let ending = ending(&account).await;
        assert!(ending == Ending::Stands || ending == told, "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_it_may_cost_is_asked_first() {
    let server = Server::always(json(200, MESSAGE)).await;
    let (stand, account) = purse(&server).await;
    let ask = r#"{"model":"claude-haiku-4-5","max_tokens":1000,"messages":[{"role":"user","content":"Hi"}]}"#;
    stand.post(MESSAGES, ask).await;
    let (asked, ending) = account.booked.lock().unwrap().pop().unwrap();
    assert!((1001..1100).contains(&asked.tokens), "{asked:?}");
    assert!(asked.cost.unwrap() >= MicroUsd::new(5_000), "{asked:?}");
    assert_eq!(ending, Ending::Settled(Used { tokens: 13, cost: Some(MicroUsd::new(25)) }));
    let wait = Duration::from_secs(30);
    let refusals = [
        (Refusal::Spent { what: Spent::Requests, wait }, "rate_limit_error", "true"),
        (Refusal::Spent { what: Spent::Tokens, wait }, "rate_limit_error", "true"),
        (Refusal::Spent { what: Spent::Budget, wait }, "billing_error", "false"),
    ];
    let sent = server.seen().len();
    for (refusal, kind, retry) in refusals {
        *account.refuses.lock().unwrap() = Some(refusal);
        for ask in [ASK, ASK_STREAM] {
            let seen = stand.post(MESSAGES, ask).await;
            assert_eq!((seen.status, seen.json()["error"]["type"].as_str()), (429, Some(kind)));
            assert_eq!(
                (seen.header("retry-after"), seen.header("x-should-retry")),
                (Some("30"), Some(retry))
            );
        }
    }
    assert_eq!(server.seen().len(), sent);
}

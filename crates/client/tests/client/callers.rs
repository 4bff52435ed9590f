//! Callers who bring their own credential.

use std::time::Duration;

use paceline::core::engine::Health;
use paceline::core::feedback::Class;
use paceline::core::quota::{Dimension, Quota};
use paceline::wire::provider::Catalog;
use paceline::{CallerKey, Ceilings, Client, Credential, LearnedLimits, Pool, Request, SendError, Upstream};
use tokio::time::Instant;

use crate::support::{ANSWER, ASK, KEY, Server, Step, answer, ask, json, provider};

const CALLERS: &str = "sk-callers-own-9876543210fedcba";
const REFUSED: &str = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key sk-callers-own-987"}}"#;

fn passing(server: &Server) -> Upstream {
    Upstream::new("mock", provider("anthropic")).base_url(format!("http://{}", server.address)).pass_through()
}

fn client(server: &Server) -> Client {
    Client::builder().upstream(passing(server)).seed(1).build().unwrap()
}

fn as_caller(name: impl ToString) -> Request {
    ask().credential(Credential::api_key(name.to_string()))
}

#[tokio::test(start_paused = true)]
async fn the_callers_credential_goes_upstream_as_it_came_and_never_ours() {
    let cases = [
        (Credential::bearer(CALLERS), vec![format!("Bearer {CALLERS}")], vec![]),
        (Credential::api_key(CALLERS), vec![], vec![CALLERS.to_owned()]),
    ];
    for (credential, bearer, key) in cases {
        let server = Server::start(vec![json(200, ANSWER); 2]).await;
        for upstream in [server.upstream("mock"), passing(&server)] {
            let client = Client::builder().upstream(upstream).build().unwrap();
            client.send(ask().credential(credential.clone())).await.unwrap();
            let seen = server.seen().pop().unwrap();
            assert_eq!(seen.header("authorization"), bearer);
            assert_eq!(seen.header("x-api-key"), key);
            assert!(!seen.head.contains(KEY));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_credential_nothing_is_made_up() {
    let server = Server::start(vec![json(200, ANSWER)]).await;
    client(&server).send(ask()).await.unwrap();
    let seen = server.seen().remove(0);
    assert!(seen.header("authorization").is_empty() && seen.header("x-api-key").is_empty(), "{}", seen.head);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_no_header_can_carry_is_refused_at_once() {
    let server = Server::start(vec![]).await;
    let ended = client(&server).send(as_caller("sk-a\r\nx-evil: 1")).await.unwrap_err();
    assert!(matches!(&ended, SendError::Invalid { reason } if !reason.contains("sk-a")), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_takes_only_itself_out_of_service() {
    let server =
        Server::start(vec![json(401, REFUSED), json(200, ANSWER), json(401, REFUSED), json(200, ANSWER)])
            .await;
    let client = client(&server);
    let SendError::Failed(failed) = client.send(as_caller(CALLERS)).await.unwrap_err() else { panic!() };
    assert_eq!((failed.class, failed.status.map(|status| status.as_u16())), (Class::Auth, Some(401)));
    assert!(!String::from_utf8_lossy(&failed.body).contains("callers-own"), "{:?}", failed.body);
    client.send(as_caller("another")).await.unwrap();
    // Not asked again until a probe is due.
    let ended = client.send(as_caller(CALLERS)).await.unwrap_err();
    assert!(matches!(ended, SendError::NoUpstream { class: Class::Auth }), "{ended}");
    assert_eq!(server.seen().len(), 2);
    let standing = client.snapshot().await.upstreams;
    let shown: Vec<_> = standing.iter().map(|of| (of.caller.as_deref(), of.view.health)).collect();
    let out = Health::OutOfService(Class::Auth);
    assert_eq!(
        shown,
        [(None, Health::Closed), (Some("caller #1"), out), (Some("caller #2"), Health::Closed)]
    );
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert!(client.send(as_caller(CALLERS)).await.is_err());
    assert_eq!(server.seen().len(), 3, "one probe");
}

#[tokio::test(start_paused = true)]
async fn each_credential_is_metered_apart() {
    let server = Server::start(vec![json(200, ANSWER); 12]).await;
    let quota = Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit: 6 };
    let builder = Client::builder().upstream(passing(&server)).ceilings(Ceilings::new().quota(quota)).seed(1);
    let client = builder.build().unwrap();
    let start = Instant::now();
    let asked = (0..12).map(|index| (client.clone(), as_caller(index % 2)));
    let tasks: Vec<_> =
        asked.map(|(client, request)| tokio::spawn(async move { client.send(request).await })).collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(60), "twice six in a minute: {:?}", start.elapsed());
    let accounts: Vec<_> = client.snapshot().await.limiters.into_iter().map(|of| of.account).collect();
    assert_eq!(accounts, ["caller #1", "caller #2"]);
    assert_eq!(client.learned().await, [], "who nobody knows again is not kept");
}

/// With a key of its own a client knows callers again whom an earlier one with that key has met.
#[tokio::test(start_paused = true)]
async fn what_callers_limits_are_outlasts_the_client_where_it_has_a_key() {
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
    ];
    let told = async |key, learned: Vec<LearnedLimits>, scripts| {
        let server = Server::start(scripts).await;
        let builder = Client::builder().upstream(passing(&server)).caller_key(CallerKey::new([key; 32]));
        let client = builder.learned(learned).seed(1).build().unwrap();
        client.send(as_caller(CALLERS)).await.unwrap();
        let own = client.snapshot().await.limiters.remove(0).view;
        (own.buckets.iter().any(|bucket| bucket.quota.limit == 50), client.learned().await)
    };
    let (_, learned) = told(1, Vec::new(), vec![answer(200, &headers, ANSWER)]).await;
    assert_eq!(learned.len(), 1);
    assert!(!learned[0].account.contains("fedcba"), "no part of the credential: {learned:?}");
    for (key, known) in [(1, true), (2, false)] {
        let (seen, kept) = told(key, learned.clone(), vec![json(200, ANSWER)]).await;
        assert_eq!(seen, known, "key {key}");
        assert!(
            kept.iter().any(|of| of.account == learned[0].account),
            "who is away may come back: {kept:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_providers_credential_goes_to_no_other() {
    let (own, other) = (Server::start(vec![json(500, "{}"); 3]).await, Server::start(vec![]).await);
    let catalog = Catalog::parse("[another]\nlike = \"anthropic\"").unwrap();
    let elsewhere = Upstream::new("other", catalog.provider("another").unwrap().clone())
        .base_url(format!("http://{}", other.address))
        .pass_through();
    let pool = Pool::new("test-1").upstream("mock").upstream("other");
    let client =
        Client::builder().upstream(passing(&own)).upstream(elsewhere).pool(pool).seed(1).build().unwrap();
    assert!(client.send(as_caller(CALLERS)).await.is_err());
    assert_eq!((own.seen().len(), other.seen().len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_idle_credential_is_forgotten() {
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
    ];
    let server = Server::start(vec![answer(200, &headers, ANSWER); 700]).await;
    let client = client(&server);
    for index in 0..600 {
        client.send(as_caller(index)).await.unwrap();
        if index % 100 == 0 {
            client.send(as_caller("the steady one")).await.unwrap();
        }
    }
    let snapshot = client.snapshot().await;
    assert_eq!((snapshot.upstreams.len(), snapshot.limiters.len()), (1 + 256, 256));
    let steady =
        snapshot.limiters.iter().find(|of| of.account == "caller #2").expect("it was used all along");
    assert!(steady.view.buckets.iter().any(|bucket| bucket.quota.limit == 50));
    let last = snapshot.limiters.iter().find(|of| of.account == "caller #601").expect("the last one");
    assert!(
        last.view.buckets.iter().all(|bucket| bucket.used <= 1),
        "nothing of whose meter this was: {last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn more_credentials_in_use_than_can_be_told_apart_are_refused() {
    let server = Server::start(vec![vec![Step::Hang]; 256]).await;
    let client = client(&server);
    let tasks: Vec<_> = (0..256)
        .map(|index| {
            let client = client.clone();
            tokio::spawn(async move { client.send(as_caller(index)).await })
        })
        .collect();
    server.has_seen(256).await;
    assert!(matches!(client.send(as_caller("one more")).await, Err(SendError::QueueFull)));
    tasks[7].abort();
    server.was_left(1).await;
    let late = tokio::time::timeout(Duration::from_secs(1), client.send(as_caller("one more")));
    assert!(!matches!(late.await, Ok(Err(SendError::QueueFull))), "a place has become free");
    let body = ASK.replace("test-1", "test-2");
    let known = Request::new("/v1/messages", body).credential(Credential::api_key("3"));
    let known = tokio::time::timeout(Duration::from_secs(1), client.send(known));
    assert!(!matches!(known.await, Ok(Err(SendError::QueueFull))), "who is known is served");
}

/// An answer from an organisation with a limit of fifty a minute.
fn answer_of(organisation: &str) -> Vec<Step> {
    let headers = [
        ("content-type", "application/json"),
        ("anthropic-organization-id", organisation),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "40"),
    ];
    answer(200, &headers, ANSWER)
}

fn accounts(snapshot: &paceline::Snapshot) -> Vec<&str> {
    let mut accounts: Vec<_> = snapshot.limiters.iter().map(|of| of.account.as_str()).collect();
    accounts.sort_unstable();
    accounts
}

#[tokio::test(start_paused = true)]
async fn credentials_of_one_organisation_share_its_meters_once_answers_tell() {
    let named = ["org-1", "org-1", "org-2", "org-1"];
    let server = Server::start(named.into_iter().map(answer_of).collect()).await;
    let client = client(&server);
    for caller in 0..3 {
        client.send(as_caller(caller)).await.unwrap();
    }
    let snapshot = client.snapshot().await;
    assert_eq!(accounts(&snapshot), ["org-1", "org-2"]);
    let used = |snapshot: &paceline::Snapshot, account: &str| {
        let of = snapshot.limiters.iter().find(|of| of.account == account).unwrap();
        of.view.buckets.iter().find(|b| b.quota.dimension == Dimension::Requests).unwrap().used
    };
    assert_eq!((used(&snapshot, "org-1"), used(&snapshot, "org-2")), (2, 1), "nothing charged is forgotten");
    // Another model of theirs is theirs, too.
    let body = ASK.replace("test-1", "test-2");
    client.send(Request::new("/v1/messages", body).credential(Credential::api_key("1"))).await.unwrap();
    assert_eq!(accounts(&client.snapshot().await), ["org-1", "org-1", "org-2"]);
    let callers: Vec<_> = client.snapshot().await.upstreams.into_iter().filter_map(|of| of.caller).collect();
    assert_eq!(callers, ["org-1", "org-1", "org-2"]);
    let learned = client.learned().await;
    assert_eq!(learned.len(), 3, "who can be known again is kept: {learned:?}");
    // The next client knows the organisation's limit from its first answer on.
    let plain = [("content-type", "application/json"), ("anthropic-organization-id", "org-2")];
    let server = Server::start(vec![answer(200, &plain, ANSWER)]).await;
    let next = Client::builder().upstream(passing(&server)).learned(learned).build().unwrap();
    next.send(as_caller("2")).await.unwrap();
    let limiters = next.snapshot().await.limiters;
    assert_eq!(limiters[0].account, "org-2");
    assert!(limiters[0].view.buckets.iter().any(|bucket| bucket.quota.limit == 50), "{limiters:?}");
}

#[tokio::test(start_paused = true)]
async fn upstreams_whose_keys_belong_to_one_organisation_share_it_unless_told_otherwise() {
    let cases = [
        ([None, None], None, vec!["a"]),
        ([Some("x"), Some("y")], None, vec!["x", "y"]),
        ([None, None], Some("b"), vec!["a", "b"]),
    ];
    for (named, typed, want) in cases {
        let server = Server::start(vec![answer_of("org-1"); 2]).await;
        let upstream = |name: &str, account: Option<&str>| {
            let upstream = server.upstream(name).api_key(format!("key of {name}"));
            account.map_or(upstream.clone(), |account| upstream.account(account))
        };
        let builder = Client::builder().upstream(upstream("a", named[0])).upstream(upstream("b", named[1]));
        let quota = Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit: 30 };
        let builder = match typed {
            Some(account) => builder.ceilings(Ceilings::new().account(account).quota(quota)),
            None => builder,
        };
        let client = builder.seed(1).build().unwrap();
        for name in ["a", "b"] {
            client.send(ask().to(name)).await.unwrap();
        }
        assert_eq!(accounts(&client.snapshot().await), want, "{named:?} {typed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_organisation_is_forgotten_with_the_last_who_belonged_to_it() {
    let server = Server::start(vec![answer_of("org-1"); 300]).await;
    let client = client(&server);
    for caller in 0..300 {
        client.send(as_caller(caller)).await.unwrap();
    }
    let snapshot = client.snapshot().await;
    assert_eq!((accounts(&snapshot), snapshot.upstreams.len()), (vec!["org-1"], 1 + 256));
    let used = snapshot.limiters[0].view.buckets.iter().map(|bucket| bucket.used).max().unwrap();
    assert_eq!(used, 300, "what its members used is not forgotten with them");
}

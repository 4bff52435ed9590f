//! Several upstreams: pools, accounts, ceilings, what is shown and what is kept.

use std::time::Duration;

use paceline::core::quota::{Dimension, Quota};
use paceline::{BuildError, Builder, Ceilings, Client, Pool, PoolMember, Request, Upstream};
use tokio::time::Instant;

use crate::support::{ANSWER, ASK, KEY, Server, ask, json, provider};

fn per_minute(limit: u64) -> Quota {
    Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit }
}

#[tokio::test(start_paused = true)]
async fn a_pool_sends_under_its_own_model_name() {
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let member =
        PoolMember { upstream: "mock".into(), send_as: Some("claude-haiku-4-5".into()), tier: 0, weight: 1 };
    let client = server.builder().pool(Pool::new("test-1").member(member)).build().unwrap();
    client.send(ask()).await.unwrap();
    assert_eq!(server.seen()[0].body, ASK.replace("test-1", "claude-haiku-4-5"));
}

/// With limits of its own, a smaller model of the same account steps in for a larger one.
#[tokio::test(start_paused = true)]
async fn one_upstream_serves_in_several_tiers() {
    let server = Server::start(vec![json(200, ANSWER); 2]).await;
    let member = |model: &str, tier| PoolMember {
        upstream: "mock".into(),
        send_as: Some(model.into()),
        tier,
        weight: 1,
    };
    let pool = Pool::new("test-1").member(member("large", 0)).member(member("small", 1));
    let daily = Quota { window: Duration::from_secs(86_400), ..per_minute(1) };
    let ceilings = Ceilings::new().account("mock").model("large").quota(daily);
    let client = server.builder().pool(pool).ceilings(ceilings).build().unwrap();
    for model in ["large", "small"] {
        assert_eq!(*client.send(ask()).await.unwrap().trip.model, *model);
    }
    let sent: Vec<String> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(sent, ["large", "small"].map(|model| ASK.replace("test-1", model)));
}

#[tokio::test(start_paused = true)]
async fn who_could_serve_is_told_before() {
    let server = Server::start(vec![]).await;
    let member =
        PoolMember { upstream: "mock".into(), send_as: Some("claude-haiku-4-5".into()), tier: 0, weight: 1 };
    let pool = Pool::new("smart").member(member).upstream("other");
    let client = server.builder().upstream(server.upstream("other")).pool(pool).build().unwrap();
    let told = |to, path, model| {
        let candidates = client.candidates(to, path, model);
        let told = candidates.iter().map(|one| format!("{}/{}", one.upstream(), one.model()));
        told.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told(None, "/v1/messages", "smart"), "mock/claude-haiku-4-5 other/smart");
    assert_eq!(told(None, "/v1/messages", "x"), "mock/x other/x");
    assert_eq!(told(Some("other"), "/v1/messages", "smart"), "other/smart");
    assert_eq!(told(Some("nobody"), "/v1/messages", "smart"), "");
    assert_eq!(told(None, "/v1/chat/completions", "x"), "");
    assert!(
        client.candidates(None, "/v1/messages", "x").iter().all(|one| one.provider().name == "anthropic")
    );
    let pools: Vec<String> = client.pools().into_iter().map(|(name, _)| name).collect();
    assert_eq!((pools, client.upstreams().len()), (vec!["smart".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn another_upstream_serves_when_one_refuses_its_key() {
    let no = json(
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
    );
    let dead = Server::start(vec![no.clone(), no.clone(), no]).await;
    let live = Server::start(vec![json(200, ANSWER); 8]).await;
    let pool = Pool::new("test-1").upstream("dead").upstream("live");
    let builder = Client::builder().upstream(dead.upstream("dead")).upstream(live.upstream("live"));
    let client = builder.pool(pool).seed(1).build().unwrap();
    for _ in 0..8 {
        assert_eq!(*client.send(ask()).await.unwrap().trip.upstream, *"live");
    }
    assert!(dead.seen().len() <= 2, "{}", dead.seen().len());
}

#[tokio::test(start_paused = true)]
async fn a_typed_ceiling_is_one_meter_for_an_account() {
    let server = Server::start(vec![json(200, ANSWER); 12]).await;
    // Two keys of one account: together they get what the account gets.
    let second = Upstream::new("second", provider("anthropic"))
        .base_url(format!("http://{}", server.address))
        .api_key("another-key")
        .account("org");
    let ceilings = Ceilings::new().account("org").model("test-*").quota(per_minute(6));
    let builder = Client::builder().upstream(server.upstream("first").account("org")).upstream(second);
    let client = builder.ceilings(ceilings).seed(1).build().unwrap();
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let client = client.clone();
        tasks.spawn(async move { client.send(ask()).await.unwrap() });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(60 <= start.elapsed().as_secs(), "{:?}", start.elapsed());
    let snapshot = client.snapshot().await;
    assert_eq!((snapshot.sent, snapshot.throttled), (12, 0));
    assert_eq!(snapshot.upstreams.len(), 2);
    let limiter = &snapshot.limiters[0];
    assert_eq!((limiter.account.as_str(), limiter.models.as_str()), ("org", "test-*"));
    assert_eq!(snapshot.limiters.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_several_typed_ceilings_the_tightest_holds() {
    let server = Server::start(vec![json(200, ANSWER); 5]).await;
    let all = |requests| Ceilings::new().quota(per_minute(requests));
    let some = |requests| all(requests).account("mock").model("test-*");
    let cases = [
        (vec![all(300), some(50)], 50, None),
        (vec![all(30), some(50)], 30, None),
        (vec![some(50), all(30).in_flight(4)], 30, Some(4)),
        (vec![all(30).in_flight(9), some(50).in_flight(5), some(20)], 30, Some(5)),
        (vec![some(50), all(7).model("other-*")], 50, None),
    ];
    for (ceilings, requests, in_flight) in cases {
        let typed = format!("{ceilings:?}");
        let builder = ceilings.into_iter().fold(server.builder(), Builder::ceilings);
        let client = builder.seed(1).build().unwrap();
        client.send(ask()).await.unwrap();
        let limiter = client.snapshot().await.limiters.remove(0);
        let bucket = limiter.view.buckets.iter().find(|bucket| bucket.quota.dimension == Dimension::Requests);
        assert_eq!(bucket.map(|bucket| bucket.quota), Some(per_minute(requests)), "{typed}");
        assert_eq!(limiter.models, "test-*", "{typed}");
        if in_flight.is_some() {
            assert_eq!(limiter.view.in_flight.1, in_flight, "{typed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_can_be_kept() {
    let limits = [
        ("content-type", "application/json"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:02Z"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ];
    let server = Server::start(vec![crate::support::answer(200, &limits, ANSWER); 2]).await;
    let client = server.client();
    client.send(ask()).await.unwrap();
    let learned = client.learned().await;
    assert_eq!(learned.len(), 1, "{learned:?}");
    assert_eq!((learned[0].provider.as_str(), learned[0].account.as_str()), ("anthropic", "mock"));
    assert_eq!(learned[0].models, "test-1");
    assert!(learned[0].limits.iter().any(|limit| limit.quota == per_minute(50)), "{learned:?}");

    let next = server.builder().learned(learned.clone()).build().unwrap();
    assert_eq!(
        next.learned().await[0].limits[0].quota,
        learned[0].limits[0].quota,
        "kept though not used yet"
    );
    next.send(ask()).await.unwrap();
    assert_eq!(next.learned().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_models_are_told_apart_and_then_no_more() {
    let server = Server::start(vec![json(200, ANSWER); 5_000]).await;
    let client = server.client();
    for model in 0..4_200 {
        let body = ASK.replace("test-1", &format!("made-up-{model}"));
        client.send(Request::new("/v1/messages", body)).await.unwrap();
    }
    assert_eq!(client.snapshot().await.limiters.len(), 4_097);
}

#[tokio::test]
async fn descriptions_are_checked_as_a_whole() {
    let upstream = |name: &str| Upstream::new(name, provider("anthropic")).api_key(KEY);
    let one = || Client::builder().upstream(upstream("a"));
    let cases = [
        (Client::builder(), "no upstream is configured"),
        (one().upstream(upstream("a")), "the name `a` is used twice among upstreams and pools"),
        (one().pool(Pool::new("p")), "pool `p`: it names no upstream"),
        (one().pool(Pool::new("p").upstream("b")), "pool `p`: there is no upstream `b`"),
        (one().pool(Pool::new("p").upstream("a").upstream("a")), "pool `p`: the upstream `a` is named twice"),
        (
            one().ceilings(Ceilings::new().account("x")),
            "ceilings name the account `x`, which no upstream has",
        ),
        (
            Client::builder().upstream(upstream("a").base_url("http://example.com")),
            "upstream `a`: plain http would show the credential to the network; use `https://example.com`",
        ),
        (
            Client::builder().upstream(upstream("a").api_key("a\nb")),
            "upstream `a`: the API key holds characters that no header can carry",
        ),
    ];
    for (builder, message) in cases {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_client_needs_a_runtime() {
    let upstream = Upstream::new("a", provider("anthropic")).api_key(KEY);
    assert!(matches!(Client::builder().upstream(upstream).build(), Err(BuildError::NoRuntime)));
}

#[tokio::test(start_paused = true)]
async fn one_credential_is_one_account_however_often_it_is_named() {
    let server = Server::start(vec![json(200, ANSWER); 2]).await;
    let client =
        Client::builder().upstream(server.upstream("a")).upstream(server.upstream("b")).build().unwrap();
    client.send(ask().to("a")).await.unwrap();
    client.send(ask().to("b")).await.unwrap();
    let limiters = client.snapshot().await.limiters;
    assert_eq!(limiters.iter().map(|limiter| limiter.account.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_alike_goes_to_who_served_it_last() {
    let mut scripts = vec![json(200, ANSWER); 40];
    scripts.insert(0, json(529, "{}"));
    let servers = [Server::start(scripts).await, Server::start(vec![json(200, ANSWER); 40]).await];
    let builder =
        Client::builder().upstream(servers[0].upstream("a")).upstream(servers[1].upstream("b").api_key("2"));
    let client = builder.pool(Pool::new("test-1").upstream("a").upstream("b")).seed(1).build().unwrap();
    // Its first attempt fails at `a`, so that `b` serves it.
    for round in 0..10 {
        let alike = client.send(ask().affinity(7)).await.unwrap().trip;
        let other = client.send(ask().affinity(100 + round)).await.unwrap().trip;
        assert_eq!((&*alike.upstream, &*other.upstream), ("b", "a"), "round {round}");
    }
}

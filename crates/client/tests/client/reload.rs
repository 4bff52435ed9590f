//! Another configuration while everything goes on.

use std::time::Duration;

use paceline::core::engine::{Health, LimitSource};
use paceline::core::quota::{Dimension, Quota};
use paceline::{
    BuildError, Ceilings, Client, CommonCeiling, Credential, Pool, PoolMember, Request, SendError, Upstream,
};
use tokio::time::Instant;

use crate::support::{ANSWER, ASK, KEY, Server, Step, ask, json};

fn per_minute(limit: u64) -> Ceilings {
    Ceilings::new().quota(Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit })
}

/// Sends in a task of its own.
fn sending(
    client: &Client,
    request: Request,
) -> tokio::task::JoinHandle<Result<paceline::Response, SendError>> {
    let client = client.clone();
    tokio::spawn(async move { client.send(request).await })
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn used(client: &paceline::Snapshot, index: usize) -> (u64, u64, LimitSource) {
    let buckets = &client.limiters[index].view.buckets;
    let bucket = buckets.iter().find(|bucket| bucket.quota.dimension == Dimension::Requests).unwrap();
    (bucket.used, bucket.quota.limit, bucket.source)
}

#[tokio::test(start_paused = true)]
async fn a_bad_description_changes_nothing() {
    let server = Server::start(vec![json(200, ANSWER)]).await;
    let client = server.client();
    let bad = server.builder().pool(Pool::new("p").upstream("nobody"));
    assert!(matches!(client.reconfigure(bad), Err(BuildError::Pool { .. })));
    client.send(ask()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn new_ceilings_hold_at_once_and_what_was_charged_counts() {
    let server = Server::start(vec![json(200, ANSWER); 40]).await;
    let client = server.builder().ceilings(per_minute(600)).build().unwrap();
    for _ in 0..6 {
        client.send(ask()).await.unwrap();
    }
    client
        .reconfigure(server.builder().ceilings(per_minute(6)).timeouts(paceline::Timeouts::default()))
        .unwrap();
    let start = Instant::now();
    assert_eq!(used(&client.snapshot().await, 0), (6, 6, LimitSource::Typed));
    client.send(ask()).await.unwrap();
    assert!(Duration::from_secs(50) < start.elapsed(), "six of six were used: {:?}", start.elapsed());
    client.reconfigure(server.builder().ceilings(per_minute(6_000))).unwrap();
    let start = Instant::now();
    for _ in 0..6 {
        client.send(ask()).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(client.snapshot().await.limiters.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_common_ceiling_changes_while_requests_wait() {
    let server = Server::start(vec![json(200, ANSWER); 40]).await;
    let client = server.builder().ceilings(per_minute(2)).build().unwrap();
    let change = |limit| CommonCeiling::Quota {
        dimension: Dimension::Requests,
        window: Duration::from_secs(60),
        limit,
    };
    let waiting: Vec<_> = (0..20).map(|_| sending(&client, ask())).collect();
    settle().await;
    assert!(server.seen().len() < 3, "two a minute: {}", server.seen().len());
    let start = Instant::now();
    client.set_common_ceiling(change(Some(6_000)));
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(used(&client.snapshot().await, 0), (20, 6_000, LimitSource::Typed));

    // What was charged counts at once, for those who come now, too; and lifted it is gone.
    client.set_common_ceiling(change(Some(20)));
    let late = sending(&client, ask());
    settle().await;
    assert!(!late.is_finished());
    client.set_common_ceiling(CommonCeiling::InFlight(Some(3)));
    client.set_common_ceiling(change(None));
    late.await.unwrap().unwrap();
    let limiter = client.snapshot().await.limiters.remove(0).view;
    assert_eq!(
        (limiter.in_flight.1, limiter.buckets.iter().any(|of| of.source == LimitSource::Typed)),
        (Some(3), false)
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_meter_charged_counts_on_those_that_follow_it() {
    let server = Server::start(vec![json(200, ANSWER); 9]).await;
    let client = server.client();
    let other = || Request::new("/v1/messages", ASK.replace("test-1", "test-2"));
    for _ in 0..3 {
        client.send(ask()).await.unwrap();
        client.send(other()).await.unwrap();
    }
    client.reconfigure(server.builder().ceilings(per_minute(7).model("test-*"))).unwrap();
    let snapshot = client.snapshot().await;
    let index = snapshot.limiters.iter().position(|of| of.models == "test-*").expect("made at once");
    assert_eq!(used(&snapshot, index), (6, 7, LimitSource::Typed), "of both models");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_upstream_that_is_gone_is_served_by_the_others() {
    let [gone, stays] =
        [Server::start(vec![vec![Step::Hang]]).await, Server::start(vec![json(200, ANSWER); 2]).await];
    let pool = |names: &[&str]| names.iter().fold(Pool::new("test-1"), |pool, name| pool.upstream(*name));
    let alone = Client::builder().upstream(gone.upstream("gone").in_flight(1)).pool(pool(&["gone"]));
    let client = alone.seed(1).build().unwrap();
    let flying = sending(&client, ask());
    gone.has_seen(1).await;
    let waiting = sending(&client, ask());
    settle().await;
    client.reconfigure(Client::builder().upstream(stays.upstream("stays")).pool(pool(&["stays"]))).unwrap();
    assert_eq!(*waiting.await.unwrap().unwrap().trip.upstream, *"stays");
    settle().await;
    assert!(!flying.is_finished(), "what is in flight is not touched");
    assert_eq!(gone.seen().len(), 1, "and nothing else goes there");
    let snapshot = client.snapshot().await;
    let names: Vec<_> = snapshot.upstreams.iter().map(|of| &*of.name).collect();
    assert_eq!((names, snapshot.in_flight), (vec!["stays"], 1));
    flying.abort();
    gone.was_left(1).await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_after_its_upstream_is_gone_is_tried_elsewhere() {
    let fails_late = vec![
        Step::Sleep(Duration::from_secs(1)),
        Step::Bytes(b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n".to_vec()),
    ];
    let [gone, stays] = [Server::start(vec![fails_late]).await, Server::start(vec![json(200, ANSWER)]).await];
    let client = gone.client();
    let flying = sending(&client, ask());
    gone.has_seen(1).await;
    client.reconfigure(Client::builder().upstream(stays.upstream("stays"))).unwrap();
    let trip = flying.await.unwrap().unwrap().trip;
    assert_eq!((&*trip.upstream, trip.attempts, gone.seen().len()), ("stays", 2, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_name_that_is_gone_is_told_so() {
    let server = Server::start(vec![vec![Step::Hang], json(200, ANSWER), json(200, ANSWER)]).await;
    let limited = || server.upstream("mock").in_flight(1);
    let pooled = Client::builder().upstream(limited()).pool(Pool::new("test-1").upstream("mock"));
    let client = pooled.seed(1).build().unwrap();
    let flying = sending(&client, ask());
    server.has_seen(1).await;
    let named = sending(&client, ask().to("test-1"));
    let by_model = sending(&client, ask());
    settle().await;
    client.reconfigure(Client::builder().upstream(limited())).unwrap();
    let ended = named.await.unwrap().unwrap_err();
    assert_eq!(ended.to_string(), "there is no upstream or pool `test-1` any more; known are `mock`");
    assert!(!by_model.is_finished(), "the model itself can still be served");
    flying.abort();
    by_model.await.unwrap().unwrap();
    assert!(matches!(client.send(ask().to("test-1")).await, Err(SendError::Invalid { .. })));
    client.send(ask().to("mock")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_fails_after_their_name_is_gone_is_told_what_happened() {
    let fails_late = vec![
        Step::Sleep(Duration::from_secs(1)),
        Step::Bytes(b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n".to_vec()),
    ];
    let server = Server::start(vec![fails_late, json(200, ANSWER)]).await;
    let client = server.builder().pool(Pool::new("smart").upstream("mock")).build().unwrap();
    let flying = sending(&client, ask().to("smart"));
    server.has_seen(1).await;
    client.reconfigure(server.builder()).unwrap();
    client.reconfigure(server.builder()).unwrap();
    let ended = flying.await.unwrap();
    assert!(
        matches!(&ended, Err(SendError::Failed(failed)) if failed.end == paceline::End::NoUpstream),
        "{ended:?}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_tried_at_once_and_an_old_refusal_stands_for_the_same() {
    let no = json(401, "{}");
    let server = Server::start(vec![no, json(200, ANSWER)]).await;
    let client = server.client();
    client.send(ask()).await.unwrap_err();
    client.reconfigure(server.builder()).unwrap();
    assert!(matches!(client.send(ask()).await, Err(SendError::NoUpstream { .. })));
    client
        .reconfigure(Client::builder().upstream(server.upstream("mock").api_key("sk-another-key")))
        .unwrap();
    client.send(ask()).await.unwrap();
    assert_eq!(server.seen()[1].header("x-api-key"), ["sk-another-key"]);
    assert_eq!(client.snapshot().await.upstreams[0].view.health, Health::Closed);
    assert!(server.seen()[0].head.contains(KEY));
}

#[tokio::test(start_paused = true)]
async fn a_pool_may_change_its_model_name_and_a_caller_stays_who_it_is() {
    let server = Server::start(vec![json(200, ANSWER); 4]).await;
    let upstream = || {
        Upstream::new("mock", crate::support::provider("anthropic"))
            .base_url(format!("http://{}", server.address))
    };
    let member = |send_as: &str| PoolMember {
        upstream: "mock".into(),
        send_as: Some(send_as.into()),
        tier: 0,
        weight: 1,
    };
    let described = |send_as| {
        Client::builder().upstream(upstream().pass_through()).pool(Pool::new("smart").member(member(send_as)))
    };
    let client = described("one").build().unwrap();
    let asked = || ask().to("smart").credential(Credential::bearer("sk-caller"));
    client.send(asked()).await.unwrap();
    client.reconfigure(described("two")).unwrap();
    client.send(asked()).await.unwrap();
    assert_eq!(server.seen()[0].body, ASK.replace("test-1", "one"));
    assert_eq!(server.seen()[1].body, ASK.replace("test-1", "two"));
    let snapshot = client.snapshot().await;
    let callers: Vec<_> = snapshot.upstreams.iter().filter_map(|of| of.caller.as_deref()).collect();
    assert_eq!(callers, ["caller #1"]);
}

#[tokio::test(start_paused = true)]
async fn tenants_share_by_weight_and_by_a_new_weight() {
    let server = Server::start(vec![json(200, ANSWER); 400]).await;
    let described = |heavy| server.builder().weight(heavy, 3).ceilings(per_minute(60));
    let client = described("a").build().unwrap();
    for heavy in ["a", "b"] {
        client.reconfigure(described(heavy)).unwrap();
        let mut events = client.events();
        let tasks: Vec<_> =
            (0..80).map(|index| sending(&client, ask().tenant(["a", "b"][index % 2]))).collect();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let done = [0, 1]
            .map(|tenant| tasks.iter().skip(tenant).step_by(2).filter(|task| task.is_finished()).count());
        let (most, least) = if heavy == "a" { (done[0], done[1]) } else { (done[1], done[0]) };
        assert!(least * 2 < most && most < least * 4, "{heavy}: {done:?}");
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        while tokio::time::timeout(Duration::from_secs(120), events.recv()).await.is_ok() {}
    }
}

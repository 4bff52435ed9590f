//! What an operator does while everything runs, and what is shown to him.

use std::time::Duration;

use paceline::core::engine::LimitSource;
use paceline::core::quota::{Dimension, Quota};
use paceline::{Client, Pool, Priority, Request};

use crate::support::{ANSWER, ASK, Server, Step, ask, json};

fn two(one: &Server, other: &Server) -> paceline::Builder {
    Client::builder()
        .upstream(one.upstream("one"))
        .upstream(other.upstream("other"))
        .pool(Pool::new("test-1").upstream("one").upstream("other"))
        .seed(1)
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_was_taken_out_gets_nothing_until_it_is_put_back() {
    let [one, other] =
        [Server::start(vec![json(200, ANSWER); 9]).await, Server::start(vec![json(200, ANSWER); 9]).await];
    let client = two(&one, &other).build().unwrap();
    assert!(!client.take_out("nobody").await);
    assert!(client.take_out("one").await);
    for _ in 0..4 {
        assert_eq!(&*client.send(ask()).await.unwrap().trip.upstream, "other");
    }
    // A reload that keeps the name leaves it out; what it is left alone for may be a new key.
    client.reconfigure(two(&one, &other)).unwrap();
    let standing = client.snapshot().await.upstreams;
    assert_eq!(
        standing.iter().map(|of| (&*of.name, of.view.taken_out)).collect::<Vec<_>>(),
        [("one", true), ("other", false)]
    );
    assert!(one.seen().is_empty());
    assert!(client.put_back("one").await && client.take_out("other").await);
    assert_eq!(&*client.send(ask()).await.unwrap().trip.upstream, "one");
}

#[tokio::test(start_paused = true)]
async fn a_retuned_ceiling_holds_until_the_next_reload() {
    let server = Server::start(vec![json(200, ANSWER); 2]).await;
    let client = server.client();
    client.send(ask()).await.unwrap();
    let meter = client.snapshot().await.limiters.remove(0);
    let ceiling = Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit: 7 };
    assert!(!client.retune("nobody", &meter.models, ceiling).await);
    assert!(client.retune(&meter.account, &meter.models, ceiling).await);
    let bucket = client.snapshot().await.limiters[0].view.buckets[0];
    assert_eq!((bucket.quota, bucket.source, bucket.used), (ceiling, LimitSource::Typed, 1));
    client.reconfigure(server.builder()).unwrap();
    client.send(ask()).await.unwrap();
    let buckets = client.snapshot().await.limiters.remove(0).view.buckets;
    assert!(buckets.iter().all(|bucket| bucket.source != LimitSource::Typed), "{buckets:?}");
}

#[tokio::test(start_paused = true)]
async fn shows_who_is_in_flight_and_who_waits() {
    let server = Server::start(vec![vec![Step::Hang]]).await;
    let client = Client::builder().upstream(server.upstream("mock").in_flight(1)).seed(1).build().unwrap();
    let send = |tenant: &str| {
        let ask = Request::new("/v1/messages", ASK).tenant(tenant).priority(Priority::Batch);
        let client = client.clone();
        tokio::spawn(async move { client.send(ask).await })
    };
    let flying = send("first");
    server.has_seen(1).await;
    let waiting = send("second");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let shown = client.snapshot().await;
    let flight = &shown.flights[0];
    assert_eq!((flight.tenant.as_str(), &*flight.model, &*flight.upstream), ("first", "test-1", "mock"));
    assert!(Duration::from_secs(3) <= flight.age && !flight.begun, "{flight:?}");
    assert_eq!((&*shown.tenants[0].name, shown.tenants[0].waiting), ("second", [0, 0, 1]));
    assert_eq!(shown.next_in, [None; 3], "nobody knows when the first is done");
    flying.abort();
    waiting.abort();
}

//! Watches what happens to a few requests, and prints what was learned about the limits.

mod shared;

use std::error::Error;

use paceline::{Client, ClientEvent, Request};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (upstreams, _mock) = shared::upstreams(&["ANTHROPIC_API_KEY"]).await?;
    let builder =
        upstreams.into_iter().fold(Client::builder(), |builder, upstream| builder.upstream(upstream));
    let client = builder.build()?;

    let mut events = client.events();
    let sending = tokio::spawn({
        let client = client.clone();
        async move {
            for number in 1..=5 {
                let body = json!({
                    "model": "claude-haiku-4-5",
                    "max_tokens": 50,
                    "messages": [{"role": "user", "content": format!("Count to {number}.")}],
                });
                client.send(Request::new("/v1/messages", body.to_string())).await?;
            }
            Ok::<(), paceline::SendError>(())
        }
    });
    while let Ok(event) = events.recv().await {
        println!("{event:?}");
        if matches!(event, ClientEvent::Finished { request: 5, .. } | ClientEvent::Refused { .. }) {
            break;
        }
    }
    sending.await??;

    for limiter in client.snapshot().await.limiters {
        for bucket in limiter.view.buckets {
            let quota = bucket.quota;
            let (what, window) = (quota.dimension.name(), quota.window.as_secs());
            println!(
                "{} {}: {} of {} {what} in {window} s",
                limiter.account, limiter.models, bucket.used, quota.limit
            );
        }
    }
    Ok(())
}

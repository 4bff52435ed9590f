//! Sends a thousand requests at once. The client spreads them over time so that none is refused.

mod shared;

use std::error::Error;
use std::time::Instant;

use paceline::{Client, Priority, Request};
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (upstreams, _mock) = shared::upstreams(&["ANTHROPIC_API_KEY"]).await?;
    let builder =
        upstreams.into_iter().fold(Client::builder(), |builder, upstream| builder.upstream(upstream));
    let client = builder.build()?;

    let start = Instant::now();
    let mut answers = JoinSet::new();
    for number in 0..1_000 {
        let client = client.clone();
        let body = json!({
            "model": "claude-haiku-4-5",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": format!("Say something about the number {number}.")}],
        });
        let request = Request::new("/v1/messages", body.to_string()).priority(Priority::Batch);
        answers.spawn(async move { client.send(request).await });
    }
    let (mut done, mut failed) = (0, 0);
    while let Some(answer) = answers.join_next().await {
        match answer? {
            Ok(_) => done += 1,
            Err(error) => {
                eprintln!("error: {error}");
                failed += 1;
            }
        }
    }
    let throttled = client.snapshot().await.throttled;
    println!("{done} done, {failed} failed, {throttled} throttled in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

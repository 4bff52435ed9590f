//! Sends one request and prints its answer.

mod shared;

use std::error::Error;

use paceline::{Client, Request};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (upstreams, _mock) = shared::upstreams(&["ANTHROPIC_API_KEY"]).await?;
    let builder =
        upstreams.into_iter().fold(Client::builder(), |builder, upstream| builder.upstream(upstream));
    let client = builder.build()?;

    let body = json!({
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": "Why do cyclists ride in a line? One paragraph."}],
    });
    let response = client.send(Request::new("/v1/messages", body.to_string())).await?;
    let answer: Value = serde_json::from_slice(&response.body)?;
    println!("{}", answer["content"][0]["text"].as_str().unwrap_or_default());
    println!("-- {:?} after {} attempt(s)", response.usage, response.trip.attempts);
    Ok(())
}

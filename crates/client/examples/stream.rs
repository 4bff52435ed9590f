//! Streams one answer and prints its text as it comes.

mod shared;

use std::error::Error;
use std::io::Write;

use paceline::wire::sse::{Event, Parser};
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
        "stream": true,
        "messages": [{"role": "user", "content": "Tell a story of a cyclist in ten sentences."}],
    });
    let mut stream = client.stream(Request::new("/v1/messages", body.to_string())).await?;
    let mut parser = Parser::new();
    while let Some(bytes) = stream.next().await {
        // A stream that was cut ends with an error here, never as if it were whole.
        parser.push(&bytes?, |event| {
            if let Event::Message { name: b"content_block_delta", data } = event {
                let delta: Value = serde_json::from_slice(data).unwrap_or_default();
                print!("{}", delta["delta"]["text"].as_str().unwrap_or_default());
            }
        });
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}

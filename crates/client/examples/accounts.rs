//! Shares the work between two accounts: each is held to its own limits, and whichever has room serves.

mod shared;

use std::collections::BTreeMap;
use std::error::Error;

use paceline::{Client, Pool, PoolMember, Request};
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (upstreams, _mock) = shared::upstreams(&["ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_2"]).await?;
    // Callers ask for `cheap`; what that is, is said here.
    let mut pool = Pool::new("cheap");
    let mut builder = Client::builder();
    for upstream in upstreams {
        let send_as = Some("claude-haiku-4-5".to_owned());
        pool = pool.member(PoolMember { upstream: upstream.name().to_owned(), send_as, tier: 0, weight: 1 });
        builder = builder.upstream(upstream);
    }
    let client = builder.pool(pool).build()?;

    let mut answers = JoinSet::new();
    for number in 0..400 {
        let client = client.clone();
        let body = json!({
            "model": "cheap",
            "max_tokens": 50,
            "messages": [{"role": "user", "content": format!("Is {number} a lucky number?")}],
        });
        answers.spawn(async move { client.send(Request::new("/v1/messages", body.to_string())).await });
    }
    let mut served = BTreeMap::new();
    while let Some(answer) = answers.join_next().await {
        *served.entry(answer??.trip.upstream).or_insert(0) += 1;
    }
    for (upstream, count) in served {
        println!("{upstream} served {count}");
    }
    Ok(())
}

//! How many results a second become durable, with a sender that answers at once.
//!
//! `cargo run --release -p paceline-batch --example bench_durable -- [JOBS] [FOLDER]`

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use paceline_batch::{Answer, Checked, Control, End, Progress, Reply, RunOptions, Sender, Start};
use paceline_wire::line::{Defaults, Line};
use paceline_wire::provider::Catalog;

const ANSWER: &[u8] = br#"{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"A title for a blog post, and a paragraph that says what the post is about, in about as many words as people ask for."},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":40,"total_tokens":70}}"#;

#[derive(Clone)]
struct AtOnce;

impl Sender for AtOnce {
    async fn send(&self, _: Arc<Line>, start: Start) -> Reply {
        if !start.may_go().await {
            return Reply::of(End::Withdrawn);
        }
        let answer = Answer { status: 200, request_id: None, body: Bytes::from_static(ANSWER) };
        Reply { attempts: 1, ..Reply::of(End::Answered(answer)) }
    }

    fn unpriced(&self, _: &Line) -> Option<String> {
        None
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let jobs: usize = args.next().map_or(Ok(100_000), |text| text.parse())?;
    let folder = args.next().map_or_else(std::env::temp_dir, Into::into);
    let folder = folder.join(format!("paceline-bench-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let lines: String = (0..jobs)
        .map(|i| {
            format!(
                "{{\"custom_id\":\"job-{i}\",\"prompt\":\"Write a title for a post about subject {i}.\"}}\n"
            )
        })
        .collect();
    std::fs::write(folder.join("in.jsonl"), lines)?;
    let mut defaults = Defaults::new(Catalog::embedded().provider("openai").ok_or("no such provider")?);
    defaults.model = Some("m".to_owned());
    let options = RunOptions::new(vec![folder.join("in.jsonl")], Some(folder.join("out.jsonl")), defaults);

    let begun = Instant::now();
    let checked = Checked::new(options)?;
    let progress = Progress::new();
    let summary =
        paceline_batch::run(checked, AtOnce, Control::new(), progress, Box::new(std::io::sink())).await?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{} durable results in {seconds:.2} s: {:.0} a second (stopped: {:?})",
        summary.view.done,
        summary.view.done as f64 / seconds,
        summary.stop
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

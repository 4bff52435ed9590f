//! What fuzzing starts from, and every beginning of it, through the same checks: see `fuzz/`.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/checks/limit_headers.rs"]
mod limit_headers;
#[path = "../../../fuzz/checks/lines.rs"]
mod lines;
#[path = "../../../fuzz/checks/request_peek.rs"]
mod request_peek;
#[path = "../../../fuzz/checks/sse.rs"]
mod sse;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut seeds = 0;
    for file in fs::read_dir(folder).expect("the seeds are in the repository") {
        let seed = fs::read(file.expect("the folder can be read").path()).expect("a seed can be read");
        (0..=seed.len()).for_each(|end| check(&seed[..end]));
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds for {target}");
}

#[test]
fn streams() {
    replay("sse", sse::check);
}

#[test]
fn answers() {
    replay("limit_headers", limit_headers::check);
}

#[test]
fn lines_and_results() {
    replay("lines", lines::check);
}

#[test]
fn bodies() {
    replay("request_peek", request_peek::check);
}

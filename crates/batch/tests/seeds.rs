//! What fuzzing starts from, and every beginning of it, through the same check: see `fuzz/`.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/checks/journal_recovery.rs"]
mod journal_recovery;

#[test]
fn journals() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/journal_recovery");
    let mut seeds = 0;
    for file in fs::read_dir(folder).expect("the seeds are in the repository") {
        let seed = fs::read(file.expect("the folder can be read").path()).expect("a seed can be read");
        (0..=seed.len()).for_each(|end| journal_recovery::check(&seed[..end]));
        seeds += 1;
    }
    assert!(seeds > 0);
}

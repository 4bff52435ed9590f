//! What fuzzing starts from, and every beginning of it, through the same check: see `fuzz/`.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/checks/requests.rs"]
mod requests;

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/requests");
    let seeds: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!seeds.is_empty(), "the seeds are in the repository");
    seeds
}

#[test]
fn beginnings() {
    for seed in seeds() {
        (0..=seed.len()).for_each(|end| requests::check(&seed[..end]));
    }
}

#[test]
fn every_byte_replaced() {
    for seed in seeds() {
        for at in 1..seed.len() {
            for byte in b"\0\t\n\r !%,./:;?AZ[\\]_az~\x7f\x80\xff0159" {
                let mut changed = seed.clone();
                changed[at] = *byte;
                requests::check(&changed);
            }
        }
    }
}

#![no_main]

#[path = "../checks/journal_recovery.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));

//! The official Python SDKs accept what the mock says. Ignored by default, because they have to be installed first;
//! `tests/sdk/run` does that.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

use paceline_mock::profile::Profile;
use paceline_mock::script::Script;
use paceline_mock::server::{Options, Server};

/// Names the Python that has the SDKs.
const PYTHON: &str = "PACELINE_SDK_PYTHON";

async fn check(script: &str) {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let profile = Profile::named("anthropic-start").unwrap().without_latency();
    let script = Script::parse("sdk", script).unwrap();
    let mock = Server::start(Options { profile, script, ..Options::default() }).await.unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk/sdk_check.py");
    let url = mock.base_url();
    let mut command = Command::new(&python);
    command.arg(file).arg(url).stdin(Stdio::null());
    let status = tokio::task::spawn_blocking(move || command.status()).await.unwrap();
    let hint = format!(
        "run `tests/sdk/run`, or set {PYTHON} to a Python that has tests/sdk/requirements.txt installed"
    );
    let status = status.unwrap_or_else(|error| panic!("cannot run `{python}`: {error}; {hint}"));
    assert!(status.success(), "the SDKs objected, or are missing; {hint}");
    mock.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python SDKs: run tests/sdk/run"]
async fn the_official_sdks_accept_every_answer() {
    check("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python SDKs: run tests/sdk/run"]
async fn the_official_sdks_bear_every_disguise() {
    // Events of an unknown kind are left out: strict validation means that these SDKs refuse them.
    let disguises = ["padding", "comments", "pings", "crlf", "data-first", "split"];
    let rule = |fault: &&str| format!("[[rule]]\nfault = \"{fault}\"\nstream = true\n");
    check(&disguises.iter().map(rule).collect::<String>()).await;
}

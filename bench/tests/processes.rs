//! The parts of the benchmark as `bench/run` starts them: each in a process of its own.

#![allow(clippy::unwrap_used)] // Whatever fails here fails the test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use paceline_bench::address::Base;
use paceline_bench::load::caller::Caller;
use paceline_bench::load::request::{self, Wanted};
use paceline_bench::sockets::{self, Socket};

/// A process that ends with the test.
struct Process {
    child: Child,
    base: Base,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline-bench"));
        command.args(arguments).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, base: url.trim().parse().unwrap() }
    }

    fn caller(&self, wanted: Wanted) -> Caller {
        Caller::new(self.base.address, request::bytes(&self.base, &[], wanted, 1_024), wanted)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The floor's connections to its caller and to its upstream, while both are kept.
fn connections(flags: &[&str]) -> Vec<Socket> {
    let upstream = Process::start(&["upstream"]);
    let address = upstream.base.address.to_string();
    let floor = Process::start(&[&["floor", "--upstream", &address], flags].concat());
    let mut caller = floor.caller(Wanted::Chat);
    caller.ask().unwrap();
    caller.ask().unwrap();
    sockets::of(floor.child.id()).unwrap()
}

#[test]
fn the_floor_holds_no_small_write_back_on_either_side() {
    let found = connections(&[]);
    assert!(found.len() >= 2, "no connection to the caller, or none to the upstream: {found:?}");
    assert!(found.iter().all(|socket| socket.no_delay), "{found:?}");
}

#[test]
fn nagle_is_noticed_on_either_side() {
    let found = connections(&["--nagle"]);
    assert!(found.len() >= 2, "{found:?}");
    assert!(found.iter().all(|socket| !socket.no_delay), "{found:?}");
}

#[test]
fn every_kind_of_answer_comes_through_the_floor_whole() {
    let upstream = Process::start(&["upstream"]);
    let floor = Process::start(&["floor", "--upstream", &upstream.base.address.to_string()]);
    let burst = Wanted::Stream { count: 50, millis: 0 };
    for wanted in [Wanted::Chat, burst, Wanted::Stream { count: 3, millis: 1 }] {
        for process in [&upstream, &floor] {
            let mut caller = process.caller(wanted);
            for _ in 0..3 {
                caller.ask().unwrap();
            }
            assert_eq!(caller.reconnects(), 0);
        }
    }
}

#[test]
fn an_upstream_that_is_away_is_told_as_such() {
    let upstream = Process::start(&["upstream"]);
    let floor = Process::start(&["floor", "--upstream", &upstream.base.address.to_string()]);
    drop(upstream);
    let error = floor.caller(Wanted::Chat).ask().unwrap_err();
    assert!(error.to_string().contains("status 502"), "{error}");
}

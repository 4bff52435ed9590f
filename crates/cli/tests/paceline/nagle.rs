//! Small writes leave at once. With Nagle's algorithm on, each waits for the peer's delayed acknowledgement, 40 ms of it; the
//! sockets are asked, since no time on a busy machine would tell.

use paceline_bench::sockets;

use crate::gateway::{gateway, mock};

#[test]
fn neither_side_of_the_gateway_holds_small_writes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    let upstream = format!("anthropic={}", mock.url);
    let gateway = gateway(folder.path(), &["--base-url", &upstream], &[]);
    let mut stream = gateway.stream("sk-ant-somebodys-own", 10_000); // Minutes of it: open while we look.
    stream.read_until("content_block_delta");

    let found = sockets::of(gateway.process.id()).unwrap();
    let peers = |url: &str| found.iter().filter(|s| url.ends_with(&format!(":{}", s.peer.port()))).count();
    let locals = |url: &str| found.iter().filter(|s| url.ends_with(&format!(":{}", s.local.port()))).count();
    assert!(peers(&mock.url) > 0, "no connection to the upstream: {found:?}");
    assert!(locals(&gateway.process.url) > 0, "no connection to the caller: {found:?}");
    assert!(found.iter().all(|socket| socket.no_delay), "{found:?}");
}

//! What the operator chooses. Checked by whoever reads it from a file; replaced as a whole by a reload.

use std::time::Duration;

/// All choices but upstreams, which are the client's, and callers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names, beside those of this machine, under which callers may address us (the `host` header, without its port).
    pub hosts: Vec<String>,
    /// Origins of web pages that may call us, such as `https://chat.example.com`. Nobody else's page may.
    pub origins: Vec<String>,
    /// Bounds of connections and requests.
    pub caps: Caps,
    /// How waiting requests are held.
    pub waiting: Waiting,
}

/// Bounds of connections and requests, against those who take more than their share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Connections at once; the next ones wait to be accepted.
    pub connections: usize,
    /// Connections at once from one address that is not this machine.
    pub connections_per_address: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header lines.
    pub headers: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// From accepting a connection to its first byte.
    pub first_byte: Duration,
    /// How long a connection may rest between requests. Clients that keep theirs for longer notice the close and dial anew.
    pub rest: Duration,
    /// From a head's first byte to its last.
    pub head: Duration,
    /// After this long a body must have come at `body_rate` on average.
    pub body_grace: Duration,
    /// Bytes a second.
    pub body_rate: u64,
    /// A caller who takes nothing for this long is cut off.
    pub write_stall: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 512,
            head_bytes: 32 << 10,
            headers: 100,
            target_bytes: 8 << 10,
            body_bytes: 32 << 20,
            first_byte: Duration::from_secs(10),
            rest: Duration::from_secs(75),
            head: Duration::from_secs(10),
            body_grace: Duration::from_secs(10),
            body_rate: 1 << 10,
            write_stall: Duration::from_secs(60),
        }
    }
}

/// How waiting requests are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Nobody is kept waiting for longer than this before the start.
    pub longest: Duration,
    /// A stream that waits longer than this is opened and kept alive meanwhile ...
    pub open_after: Duration,
    /// ... with a sign of life this often.
    pub sign_of_life: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            longest: Duration::from_secs(300),
            open_after: Duration::from_secs(5),
            sign_of_life: Duration::from_secs(10),
        }
    }
}

//! Looks at the TCP connections of a running process: whether small writes leave at once.
//!
//! With Nagle's algorithm on, a write that follows an unacknowledged one waits for the peer's delayed acknowledgement: 40 ms
//! on Linux, for every request. That is a property of the socket, so it is read there and not guessed from times.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// A connection of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own end.
    pub local: SocketAddr,
    /// The far end.
    pub peer: SocketAddr,
    /// Whether writes leave at once (`TCP_NODELAY`).
    pub no_delay: bool,
}

/// All TCP connections that process `id` holds now. Needs the right to trace it, as a parent has over its child.
pub fn of(id: u32) -> io::Result<Vec<Socket>> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/fd"))? {
        let entry = entry?;
        let is_socket =
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if !is_socket {
            continue;
        }
        match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(twin) => found.extend(connection(&TcpStream::from(twin))),
            Err(rustix::io::Errno::BADF) => {} // Closed since we listed it.
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Nothing for listeners and for sockets that are not TCP's.
fn connection(stream: &TcpStream) -> Option<Socket> {
    let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
    Some(Socket { local, peer, no_delay: stream.nodelay().ok()? })
}

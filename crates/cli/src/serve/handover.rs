//! A socket that somebody else holds for us, such as systemd: while one process follows another, callers wait in its line,
//! and nobody is refused.

use std::io;
use std::net::{SocketAddr, TcpListener};

use anyhow::anyhow;
use listenfd::ListenFd;
use rustix::net::{AddressFamily, SocketType};

use crate::exit::Failure;

/// The socket for callers, if one came with this process (`LISTEN_FDS`). It is where the configuration says, so that all
/// that was checked of this address holds.
pub(super) fn listener(mut handed: ListenFd, listen: SocketAddr) -> Result<Option<TcpListener>, Failure> {
    let fault = |fault: String| {
        Failure::usage(anyhow!("{fault}"))
            .hint("hand over one TCP socket, bound to the address of `--listen` or of `listen` in [server]")
    };
    if handed.len() > 1 {
        return Err(fault(format!("{} sockets were handed over", handed.len())));
    }
    let family = if listen.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = SocketType::STREAM.as_raw().cast_signed();
    let cannot = |error: io::Error| fault(format!("the socket that was handed over cannot be used: {error}"));
    let taken = handed.take_custom(0, family.as_raw().into(), kind, "TCP socket of this family");
    let Some(listener): Option<TcpListener> = taken.map_err(cannot)? else { return Ok(None) };
    let bound = listener.local_addr().map_err(cannot)?;
    if bound != listen {
        return Err(fault(format!("the socket that was handed over is bound to {bound}, not to {listen}")));
    }
    listener.set_nonblocking(true).map_err(cannot)?;
    Ok(Some(listener))
}

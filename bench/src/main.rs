//! The parts of the benchmark as processes. People run `bench/run`, which puts them together.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use paceline_bench::address::Base;
use paceline_bench::floor::{self, Nagle};
use paceline_bench::load::caller::Caller;
use paceline_bench::load::request::{self, Wanted};
use paceline_bench::load::tally::Figures;
use paceline_bench::load::{closed, hold, open};
use paceline_bench::{sockets, upstream};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Measures gateways side by side. `bench/run` uses these commands.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says the same to everybody, at once.
    Upstream {
        #[arg(long)]
        listen: SocketAddr,
        /// Send no headers that tell of limits.
        #[arg(long)]
        no_limits: bool,
    },
    /// Passes everything on, and does nothing else.
    Floor {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        upstream: SocketAddr,
        /// Leave Nagle's algorithm on, to see what that costs.
        #[arg(long)]
        nagle: bool,
    },
    /// Each caller asks again as soon as it is answered.
    Closed {
        #[command(flatten)]
        asked: Asked,
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Requests are due at fixed times.
    Open {
        #[command(flatten)]
        asked: Asked,
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// Requests a second.
        #[arg(long)]
        rate: f64,
    },
    /// Opens many streams (`--connections`), says `open` once all have begun, and reads them to their end.
    Hold {
        #[command(flatten)]
        asked: Asked,
        /// Over how long the streams are opened.
        #[arg(long, default_value_t = 10.0)]
        ramp_seconds: f64,
    },
    /// Lists the TCP connections of a process; exits 1 if one of them holds small writes back.
    Sockets { pid: u32 },
}

#[derive(Args)]
struct Asked {
    /// The gateway, without `/v1`.
    #[arg(long)]
    url: Base,
    /// Callers at once, each with a connection of its own.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Size of the request's body.
    #[arg(long, default_value_t = 1024)]
    body_bytes: usize,
    /// Ask for a stream of so many chunks instead of a whole answer.
    #[arg(long)]
    chunks: Option<usize>,
    /// Milliseconds between two chunks.
    #[arg(long, default_value_t = 0)]
    every_millis: u64,
    /// A further header, `name: value`.
    #[arg(long)]
    header: Vec<String>,
}

impl Asked {
    fn wanted(&self) -> Wanted {
        self.chunks.map_or(Wanted::Chat, |count| Wanted::Stream { count, millis: self.every_millis })
    }

    fn request(&self) -> Vec<u8> {
        request::bytes(&self.url, &self.header, self.wanted(), self.body_bytes)
    }

    fn callers(&self) -> Vec<Caller> {
        let one = || Caller::new(self.url.address, self.request(), self.wanted());
        std::iter::repeat_with(one).take(self.connections).collect()
    }
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Upstream { listen, no_limits } => {
            // One thread is enough, and leaves the other cores to what is measured.
            let runtime = Builder::new_current_thread().enable_all().build()?;
            serve(runtime, listen, |listener| upstream::serve(listener, !no_limits))
        }
        Command::Floor { listen, upstream, nagle } => {
            let nagle = if nagle { Nagle::On } else { Nagle::Off };
            let runtime = Builder::new_multi_thread().enable_all().build()?; // As the paceline command has it.
            serve(runtime, listen, |listener| floor::serve(listener, upstream, nagle))
        }
        Command::Closed { asked, seconds } => tell(&closed::run(asked.callers(), span(seconds)?)?),
        Command::Open { asked, seconds, rate } => tell(&open::run(asked.callers(), rate, span(seconds)?)?),
        Command::Hold { asked, ramp_seconds } => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (address, ramp) = (asked.url.address, span(ramp_seconds)?);
            let all_open = || println!("open");
            let held = hold::run(address, asked.request(), asked.wanted(), asked.connections, ramp, all_open);
            tell(&runtime.block_on(held)?)
        }
        Command::Sockets { pid } => list(pid),
    }
}

fn span(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).with_context(|| format!("`{seconds}` is no length of time"))
}

fn serve<F>(runtime: Runtime, listen: SocketAddr, server: impl FnOnce(TcpListener) -> F) -> Result<()>
where
    F: Future<Output = std::io::Result<Infallible>>,
{
    runtime.block_on(async {
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on `{listen}`"))?;
        println!("http://{}", listener.local_addr()?);
        let Err(error) = server(listener).await;
        Err(error.into())
    })
}

fn tell(figures: &Figures) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, figures)?;
    writeln!(out)?;
    Ok(())
}

fn list(pid: u32) -> Result<()> {
    let found = sockets::of(pid).with_context(|| format!("cannot look at the sockets of process {pid}"))?;
    for socket in &found {
        let told = if socket.no_delay { "writes leave at once" } else { "small writes are held back" };
        println!("{} -> {}: {told}", socket.local, socket.peer);
    }
    ensure!(found.iter().all(|socket| socket.no_delay), "Nagle's algorithm is on");
    Ok(())
}

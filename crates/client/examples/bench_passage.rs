//! Measures what a request costs on its way through the client, beside what it costs on bare hyper.
//!
//!     cargo run --release -p paceline --example bench_passage [requests] [workers] [connections]
//!
//! Both send the same kilobyte over as many connections (64) to a server in this process that answers at once; no limit binds. CPU time
//! is that of the client's threads alone, in several rounds that take turns; the medians are compared.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use paceline::core::quota::{Dimension, Quota};
use paceline::wire::provider::Catalog;
use paceline::{Ceilings, Client, Request, Upstream};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

const ROUNDS: usize = 5;
const THREADS: &str = "sending";
const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let requests = arguments.next().transpose()?.unwrap_or(50_000);
    let workers = arguments.next().transpose()?.unwrap_or(1);
    let connections = arguments.next().transpose()?.unwrap_or(64);
    let each = requests / connections;
    let serving =
        Builder::new_multi_thread().worker_threads(1).thread_name("serving").enable_all().build()?;
    let address = serving.block_on(serve())?;
    let sending =
        Builder::new_multi_thread().worker_threads(workers).thread_name(THREADS).enable_all().build()?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let client = sending.block_on(async { client(address) })?;
    for _ in 0..ROUNDS {
        bare.push(cost(&sending, requests, send_bare(address, connections, each))?);
        ours.push(cost(&sending, requests, send_ours(client.clone(), connections, each))?);
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("bare hyper: {:6.2} us of CPU a request, {:7.0} requests/s", bare.0, bare.1);
    println!("paceline:   {:6.2} us of CPU a request, {:7.0} requests/s", ours.0, ours.1);
    println!("ratio: {:.2}, added: {:.2} us", ours.0 / bare.0, ours.0 - bare.0);
    Ok(())
}

/// Microseconds of CPU time for each request, and requests per second.
fn cost(
    runtime: &Runtime,
    requests: usize,
    work: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(f64, f64), Failure> {
    let (cpu, start) = (cpu_time()?, Instant::now());
    runtime.block_on(runtime.spawn(work))??;
    let (cpu, took) = (cpu_time()? - cpu, start.elapsed());
    Ok((cpu.as_secs_f64() * 1e6 / requests as f64, requests as f64 / took.as_secs_f64()))
}

/// What the sending threads have used so far.
fn cpu_time() -> Result<Duration, Failure> {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        if std::fs::read_to_string(thread.join("comm"))?.trim() == THREADS {
            let used = std::fs::read_to_string(thread.join("schedstat"))?;
            sum += used.split(' ').next().ok_or("no schedstat")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(sum))
}

fn median(mut rounds: Vec<(f64, f64)>) -> (f64, f64) {
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    rounds[rounds.len() / 2]
}

fn body() -> Bytes {
    let text = "x".repeat(930);
    let body =
        format!(r#"{{"model":"test-1","max_tokens":9,"messages":[{{"role":"user","content":"{text}"}}]}}"#);
    body.into()
}

async fn send_bare(address: SocketAddr, connections: usize, each: usize) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let body = body();
        tasks.spawn(async move {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
            tokio::spawn(connection);
            for _ in 0..each {
                let request = http::Request::post("/v1/messages")
                    .header("host", "127.0.0.1")
                    .header("content-type", "application/json")
                    .header("x-api-key", "sk-bench")
                    .header("anthropic-version", "2023-06-01")
                    .body(Full::new(body.clone()))?;
                sender.ready().await?;
                let answer = sender.send_request(request).await?;
                answer.into_body().collect().await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// One whose limits are known, and never bind.
fn client(address: SocketAddr) -> Result<Client, Failure> {
    let anthropic = Catalog::embedded().provider("anthropic").ok_or("unknown provider")?;
    let upstream =
        Upstream::new("bench", anthropic.clone()).base_url(format!("http://{address}")).api_key("sk-bench");
    let dimensions = [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens];
    let ample = dimensions.map(|dimension| Quota { dimension, window: MINUTE, limit: 1 << 40 });
    let ceilings = ample.into_iter().fold(Ceilings::new(), Ceilings::quota);
    Ok(Client::builder().upstream(upstream).ceilings(ceilings).build()?)
}

async fn send_ours(client: Client, connections: usize, each: usize) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (client, body) = (client.clone(), body());
        tasks.spawn(async move {
            for _ in 0..each {
                client.send(Request::new("/v1/messages", body.clone())).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// A server that answers at once.
async fn serve() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let _ = tcp.set_nodelay(true);
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service_fn(answer));
            tokio::spawn(serving);
        }
    });
    Ok(address)
}

async fn answer(request: http::Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    // What was asked has to be read before the connection can be used again; an error ends it anyway.
    let _ = request.into_body().collect().await;
    let text = "x".repeat(700);
    let body = format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"test-1","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":240,"output_tokens":9}}}}"#
    );
    let response = http::Response::builder()
        .header("content-type", "application/json")
        .header("request-id", "req_011CVQtbqszdJeNPUoVMEFqc")
        .header("anthropic-ratelimit-requests-limit", "1000000")
        .header("anthropic-ratelimit-requests-remaining", "999999")
        .header("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:02Z")
        .body(Full::new(Bytes::from(body)));
    Ok(response.expect("these headers are good"))
}

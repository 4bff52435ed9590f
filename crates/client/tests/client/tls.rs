//! TLS: a host that cannot prove who it is gets no byte of the request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use paceline::core::feedback::Class;
use paceline::{Client, Fault, SendError, Upstream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{ANSWER, KEY, ask, provider, read_request};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// A server's certificate for `name`, valid until `year`.
    fn server(&self, name: &str, year: i32) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        config(vec![certificate.der().clone()], &key)
    }
}

fn self_signed(name: &str) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    config(vec![certificate.der().clone()], &key)
}

fn config(chain: Vec<rustls::pki_types::CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// Answers every request; keeps everything it reads from inside the encryption.
async fn serve(config: ServerConfig) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let read = Arc::new(Mutex::new(String::new()));
    let kept = read.clone();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            if let Some(seen) = read_request(&mut tls, &mut Vec::new(), 0).await {
                kept.lock().unwrap().push_str(&seen.head);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
                    ANSWER.len()
                );
                tls.write_all(answer.as_bytes()).await.unwrap();
                let _ = tls.read(&mut [0]).await;
            }
        }
    });
    (address, read)
}

fn client(url: &str, authority: &Authority) -> Client {
    let upstream = Upstream::new("tls", provider("anthropic")).base_url(url).api_key(KEY);
    Client::builder().upstream(upstream).root_certificate(authority.der()).seed(1).build().unwrap()
}

#[tokio::test]
async fn a_host_that_proves_itself_is_spoken_to() {
    let authority = Authority::new();
    for name in ["localhost", "127.0.0.1"] {
        let (address, read) = serve(authority.server(name, 4096)).await;
        let client = client(&format!("https://{name}:{}", address.port()), &authority);
        assert_eq!(client.send(ask()).await.unwrap().body, ANSWER);
        assert!(read.lock().unwrap().contains(KEY));
    }
}

#[tokio::test]
async fn a_host_that_cannot_gets_nothing_and_is_not_asked_twice() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let cases = [
        ("wrong host", authority.server("other.example", 4096)),
        ("expired", authority.server("localhost", 2021)),
        ("unknown authority", stranger.server("localhost", 4096)),
        ("self-signed", self_signed("localhost")),
    ];
    for (name, config) in cases {
        let (address, read) = serve(config).await;
        let client = client(&format!("https://localhost:{}", address.port()), &authority);
        match client.send(ask()).await {
            Err(SendError::Failed(failed)) => {
                assert!(matches!(failed.fault, Some(Fault::Certificate(_))), "{name}: {failed:?}");
                assert_eq!((failed.class, failed.trip.attempts), (Class::Auth, 1), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(*read.lock().unwrap(), "", "{name}");
    }
}

#[tokio::test]
async fn a_host_without_tls_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            let count = tcp.read(&mut bytes).await.unwrap_or(0);
            kept.lock().unwrap().extend_from_slice(&bytes[..count]);
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let upstream =
        Upstream::new("x", provider("anthropic")).base_url(format!("https://{address}")).api_key(KEY);
    let client = Client::builder().upstream(upstream).max_attempts(1).build().unwrap();
    assert!(client.send(ask()).await.is_err());
    let got = String::from_utf8_lossy(&got.lock().unwrap()).into_owned();
    assert!(!got.contains(&KEY[..8]), "{got}");
}

//! Where a process answers, and how to ask it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// One question, from its connection to the last byte of the answer.
const LONGEST: Duration = Duration::from_secs(5);
/// Bytes of an answer: a gateway with hundreds of accounts has much to tell.
const MOST_ANSWER: usize = 16 << 20;

/// Where a process answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A socket of [`crate::Socket`].
    Socket(PathBuf),
    /// The admin listener of a gateway.
    Admin {
        /// Its address, as `http://host:port`.
        url: Uri,
        /// Its token, as a header.
        token: Option<HeaderValue>,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error("nobody answers at `{place}`")]
    Unreachable {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// It took too long.
    #[error("`{place}` does not answer")]
    Silent {
        /// Where.
        place: String,
    },
    /// Whoever answers wants a token, or another one.
    #[error("`{place}` refuses the admin token")]
    Token {
        /// Where.
        place: String,
    },
    /// It says no.
    #[error("{why}")]
    Refused {
        /// Its words.
        why: String,
    },
    /// What answers is no process of ours, or of another version.
    #[error("`{place}` answers what cannot be read: {why}")]
    Unreadable {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Socket(path) => path.display().fmt(f),
            Place::Admin { url, .. } => url.fmt(f),
        }
    }
}

impl Place {
    /// The admin listener at `url`, with its `token`. Without TLS: such a listener is on this machine, or behind a tunnel.
    pub fn admin(url: &str, token: Option<&str>) -> Result<Self, String> {
        let url: Uri =
            url.parse().map_err(|_| format!("`{url}` is no URL; write it as `http://127.0.0.1:4001`"))?;
        if url.scheme_str() != Some("http")
            || url.host().is_none()
            || url.path() != "/"
            || url.query().is_some()
        {
            return Err(format!(
                "`{url}` is no address of an admin listener; write it as `http://127.0.0.1:4001`"
            ));
        }
        let header = |token: &str| {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| "the admin token has characters that no token has".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        Ok(Place::Admin { token: token.map(header).transpose()?, url })
    }

    /// Asks for what is at `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &'static str) -> Result<T, AskError> {
        let answer = self.ask(Method::GET, path, None).await?;
        serde_json::from_slice(&answer).map_err(|error| self.unreadable(error))
    }

    /// Tells the process to do what stands at `path`, and returns its answer.
    pub async fn post(&self, path: &'static str, body: Option<&Value>) -> Result<Bytes, AskError> {
        self.ask(Method::POST, path, body).await
    }

    async fn ask(&self, method: Method, path: &'static str, body: Option<&Value>) -> Result<Bytes, AskError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static(path);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        let asked = async {
            match self {
                Place::Socket(path) => {
                    let stream = UnixStream::connect(path).await.map_err(|error| self.unreachable(error))?;
                    self.exchange(stream, request).await
                }
                Place::Admin { url, token } => {
                    let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
                    if let Ok(host) = HeaderValue::from_str(authority) {
                        request.headers_mut().insert(HOST, host);
                    }
                    if let Some(token) = token {
                        request.headers_mut().insert(AUTHORIZATION, token.clone());
                    }
                    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
                    let stream = TcpStream::connect((host, url.port_u16().unwrap_or(80))).await;
                    self.exchange(stream.map_err(|error| self.unreachable(error))?, request).await
                }
            }
        };
        timeout(LONGEST, asked).await.map_err(|_| AskError::Silent { place: self.to_string() })?
    }

    async fn exchange<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Bytes, AskError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| self.unreadable(error))?;
        // Ends with the answer: there is one request a connection.
        let driving = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|error| self.unreadable(error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
        driving.abort();
        let body = body.map_err(|error| self.unreadable(error))?.to_bytes();
        match status {
            _ if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED => Err(AskError::Token { place: self.to_string() }),
            _ => Err(AskError::Refused {
                why: why(&body).unwrap_or_else(|| format!("`{self}` answers {status}")),
            }),
        }
    }

    fn unreachable(&self, source: io::Error) -> AskError {
        AskError::Unreachable { place: self.to_string(), source }
    }

    fn unreadable(&self, why: impl fmt::Display) -> AskError {
        AskError::Unreadable { place: self.to_string(), why: why.to_string() }
    }
}

fn why(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("error")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_admin_listeners() {
        for (url, good) in [
            ("http://127.0.0.1:4001", true),
            ("http://[::1]:4001/", true),
            ("https://127.0.0.1:4001", false),
            ("http://127.0.0.1:4001/v1/status", false),
            ("127.0.0.1:4001", false),
            ("", false),
        ] {
            assert_eq!(Place::admin(url, None).is_ok(), good, "{url}");
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let place = Place::admin("http://127.0.0.1:1", Some("canary-token")).unwrap();
        assert!(!format!("{place:?} {place}").contains("canary"));
        assert!(Place::admin("http://127.0.0.1:1", Some("a\nb")).is_err());
    }
}

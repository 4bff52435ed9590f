//! Why a request is turned away before anybody has looked at what it wants.

use http::header::UPGRADE;
use http::{HeaderValue, Response, StatusCode};
use paceline_wire::Dialect;

use crate::answer::{self, Kind};
use crate::body::Body;

/// A request that is not taken, and what to tell its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The status to answer with.
    pub status: StatusCode,
    /// What is wrong, and what helps. Never any of the sender's own bytes.
    pub message: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message }
    }

    /// A request that nobody should send.
    pub(crate) const fn bad(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The answer in the caller's dialect.
    pub fn response(self, dialect: Dialect) -> Response<Body> {
        let mut response = answer::error(dialect, self.kind(), self.message);
        *response.status_mut() = self.status;
        if self.status == StatusCode::UPGRADE_REQUIRED {
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
        }
        response
    }

    fn kind(self) -> Kind {
        match self.status {
            StatusCode::FORBIDDEN => Kind::Forbidden,
            StatusCode::NOT_FOUND => Kind::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            StatusCode::REQUEST_TIMEOUT => Kind::Timeout,
            StatusCode::SERVICE_UNAVAILABLE => Kind::Unavailable,
            status if status.is_server_error() => Kind::Internal,
            _ => Kind::BadRequest,
        }
    }
}

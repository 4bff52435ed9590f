//! The head of an answer: status, the headers every answer has, and those that tell where the limits stand.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Response};

use super::socket::Rudeness;
use super::telling::{Pieces, Telling};
use super::track::Track;
use crate::accounts::Decision;
use crate::clock::Clock;
use crate::headers::{self, Header, http_date};
use crate::log::Outcome;
use crate::profile::{Dialect, Manners};

/// An answer that only lacks its body.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content: &'static str,
    pub(super) headers: Vec<Header>,
    pub(super) request_id: String,
    pub(super) dialect: Dialect,
    pub(super) clock: Clock,
    pub(super) rudeness: Rudeness,
    pub(super) track: Track,
    pub(super) head_only: bool,
    pub(super) azure: bool,
}

impl Reply {
    /// The answer; `end` is how its call ended once everything is said.
    pub(super) fn send(self, pieces: Pieces, size: Option<u64>, end: Outcome) -> Response<Telling> {
        let pieces: Pieces = if self.head_only { Box::new(std::iter::empty()) } else { pieces };
        let telling = Telling::new(pieces, size, self.clock, self.rudeness, self.track, end);
        let mut response = Response::new(telling);
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap_or_default();
        let id = match self.dialect {
            Dialect::Anthropic => "request-id",
            Dialect::OpenAi => "x-request-id",
        };
        let azure = self.azure.then(|| ("apim-request-id".to_owned(), self.request_id.clone()));
        let own = [
            ("content-type".to_owned(), self.content.to_owned()),
            ("date".to_owned(), http_date(self.clock.unix())),
            (id.to_owned(), self.request_id),
        ];
        for (name, value) in own.into_iter().chain(azure).chain(self.headers) {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Where the limits stand, in the dialect's words. A project's limits come first: where it has one, that one is told.
/// `odd` leaves out the requests, as Anthropic does now and then, or tells nothing in numbers, as Azure does.
pub(super) fn limit_headers(
    dialect: Dialect,
    manners: Manners,
    decision: &Decision,
    unix: Duration,
    odd: bool,
) -> Vec<Header> {
    match dialect {
        Dialect::OpenAi if manners == Manners::Azure => headers::azure(&decision.organization, odd),
        Dialect::Anthropic => {
            let standings = [&decision.project[..], &decision.organization[..]].concat();
            let mut told = headers::anthropic(&standings, unix);
            told.retain(|(name, _)| !odd || !name.starts_with("anthropic-ratelimit-requests-"));
            told
        }
        Dialect::OpenAi => {
            let mut told = headers::openai(&decision.organization);
            let project = headers::openai(&decision.project).into_iter();
            let tokens = project.filter(|(name, _)| name.ends_with("-tokens"));
            told.extend(tokens.map(|(name, value)| (name.replace("-tokens", "-project-tokens"), value)));
            told
        }
    }
}

//! What the operator has done by hand: pause, resume, take an upstream out, put it back, retune a ceiling.
//!
//! Each is said in a few words of JSON. A web page can send that only if its origin is ours: the door sees to it, and
//! [`is_foreign`] once more, because pages that may call models are not therefore pages of the operator.

use std::time::Duration;

use http::header::{HOST, HeaderMap, ORIGIN};
use http::{Response, StatusCode};
use paceline::core::quota::{Dimension, Quota};
use paceline_wire::terminal;
use serde::Deserialize;
use serde_json::json;

use super::{Admin, Order, object};
use crate::body::Body;

/// No action takes more words.
pub(super) const LONGEST_BODY: usize = 4 << 10;
/// Nobody meters a longer window.
const LONGEST_WINDOW: f64 = 366.0 * 86_400.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    upstream: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retune {
    account: String,
    models: String,
    dimension: String,
    window_seconds: f64,
    limit: u64,
}

/// Whether a page of another origin asks. Browsers let no page forge these headers; programs have no need of them.
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let host = headers.get(HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let own = |origin: &[u8]| {
        let name = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        name.is_some_and(|name| name.eq_ignore_ascii_case(host))
    };
    let by_others = headers.get(ORIGIN).is_some_and(|origin| !own(origin.as_bytes()));
    by_others || !matches!(site, None | Some(b"same-origin" | b"none"))
}

impl Admin {
    pub(super) fn pause(&self, paused: bool) -> Response<Body> {
        if paused {
            self.client.pause()
        } else {
            self.client.resume()
        }
        self.tell(if paused { "paused: nothing more is sent until it is resumed" } else { "resumed" }.into());
        object(StatusCode::OK, json!({"paused": paused}))
    }

    pub(super) async fn set_service(&self, out: bool, body: &[u8]) -> Response<Body> {
        let Service { upstream } = match read(body) {
            Ok(service) => service,
            Err(fault) => return object(StatusCode::BAD_REQUEST, json!({"error": fault})),
        };
        let found = match out {
            true => self.client.take_out(upstream.clone()).await,
            false => self.client.put_back(upstream.clone()).await,
        };
        if !found {
            return object(
                StatusCode::NOT_FOUND,
                json!({"error": format!("there is no upstream `{upstream}`")}),
            );
        }
        self.tell(format!("upstream `{upstream}` was {}", if out { "taken out" } else { "put back" }));
        object(StatusCode::OK, json!({"upstream": upstream, "taken_out": out}))
    }

    pub(super) async fn retune(&self, body: &[u8]) -> Response<Body> {
        let retune: Retune = match read(body) {
            Ok(retune) => retune,
            Err(fault) => return object(StatusCode::BAD_REQUEST, json!({"error": fault})),
        };
        let ceiling = match ceiling(&retune) {
            Ok(ceiling) => ceiling,
            Err(fault) => return object(StatusCode::BAD_REQUEST, json!({"error": fault})),
        };
        let Retune { account, models, dimension, limit, .. } = retune;
        if !self.client.retune(account.clone(), models.clone(), ceiling).await {
            let fault = format!("nothing is metered for account `{account}` and models `{models}`");
            return object(StatusCode::NOT_FOUND, json!({"error": fault}));
        }
        self.tell(format!(
            "the ceiling of {dimension} for account `{account}`, models `{models}` is {limit} until the next reload"
        ));
        object(StatusCode::OK, json!({"limit": limit, "until": "the next reload"}))
    }

    /// Has it logged. A log that is behind misses it rather than that it holds up the operator.
    fn tell(&self, what: String) {
        let _ = self.orders.try_send(Order::Note(terminal::line(&what).into_owned()));
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|fault| format!("the body is not as expected: {fault}"))
}

fn ceiling(retune: &Retune) -> Result<Quota, String> {
    let known = Dimension::ALL.into_iter().find(|dimension| dimension.name() == retune.dimension);
    let Some(dimension) = known else {
        let names = Dimension::ALL.map(Dimension::name).join("`, `");
        return Err(format!("`dimension` must be one of `{names}`"));
    };
    if !(0.001..=LONGEST_WINDOW).contains(&retune.window_seconds) {
        return Err("`window_seconds` must be between a thousandth and a year".to_owned());
    }
    if retune.limit == 0 {
        return Err("`limit` must be at least 1; to send nothing, pause".to_owned());
    }
    Ok(Quota { dimension, window: Duration::from_secs_f64(retune.window_seconds), limit: retune.limit })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_our_own_page_is_no_stranger() {
        let cases = [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:4001")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://127.0.0.1:4001")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("origin", "http://127.0.0.1:4000")], true),
            (&[("origin", "null")], true),
            (&[("origin", "http://evil.example")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://chat.example")], true),
        ];
        for (given, foreign) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:4001"));
            for (name, value) in given {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_foreign(&headers), foreign, "{given:?}");
        }
    }

    #[test]
    fn a_ceiling_must_make_sense() {
        let retune = |dimension: &str, window_seconds, limit| Retune {
            account: "a".into(),
            models: "m".into(),
            dimension: dimension.into(),
            window_seconds,
            limit,
        };
        let good = ceiling(&retune("input_tokens", 60.0, 5)).unwrap();
        assert_eq!((good.dimension, good.window.as_secs(), good.limit), (Dimension::InputTokens, 60, 5));
        for bad in [
            retune("money", 60.0, 5),
            retune("requests", 0.0, 5),
            retune("requests", -1.0, 5),
            retune("requests", 1e12, 5),
            retune("requests", f64::NAN, 5),
            retune("requests", 60.0, 0),
        ] {
            assert!(ceiling(&bad).is_err());
        }
    }
}

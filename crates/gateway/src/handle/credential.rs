//! The caller's credential: found in one place, hashed at once, never printed.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline::Secret;

/// Where an API key may stand.
static API_KEYS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// Shorter ones are typing errors or samples; longer ones are attacks.
const LONGEST: usize = 8 << 10;

/// Which header carried it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `Authorization: Bearer ...`.
    Bearer,
    /// `x-api-key`, `api-key` or `x-goog-api-key`.
    ApiKey,
}

/// A credential that a caller presented.
pub struct Presented {
    secret: Secret,
    form: Form,
    hash: [u8; 32],
}

impl Presented {
    fn new(text: &str, form: Form) -> Self {
        Self { hash: *blake3::hash(text.as_bytes()).as_bytes(), secret: Secret::new(text), form }
    }

    /// The BLAKE3 hash of the bare key: what keys are looked up and compared by, so that no comparison meets the key itself.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Which header carried it.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The credential itself, to be handed on and for nothing else.
    pub(super) fn secret(&self) -> Secret {
        self.secret.clone()
    }
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({:?}, ****)", self.form)
    }
}

/// The headers present a credential in no way we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    /// One header says this, another that: whoever reads only one of them would be fooled.
    #[error("the request carries different credentials in several headers; send one")]
    Several,
    /// It is none.
    #[error("the credential cannot be read; send it as `authorization: Bearer <key>` or `x-api-key: <key>`")]
    Unreadable,
}

/// The credential in `headers`, wherever it is, if there is one.
pub(super) fn extract(headers: &HeaderMap) -> Result<Option<Presented>, Unclear> {
    let bearers = headers.get_all(AUTHORIZATION).iter().map(|value| (bearer(value), Form::Bearer));
    let keys =
        API_KEYS.iter().flat_map(|name| headers.get_all(name)).map(|value| (plain(value), Form::ApiKey));
    let mut found: Option<(&str, Form)> = None;
    for (text, form) in bearers.chain(keys) {
        let text = text.ok_or(Unclear::Unreadable)?;
        match found {
            None => found = Some((text, form)),
            Some((known, _)) if known == text => {}
            Some(_) => return Err(Unclear::Several),
        }
    }
    Ok(found.map(|(text, form)| Presented::new(text, form)))
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token).and_then(readable)
}

fn plain(value: &HeaderValue) -> Option<&str> {
    readable(value.to_str().ok()?)
}

/// Spaces inside are let pass: placeholders such as "my key" are common where a server takes anything.
fn readable(text: &str) -> Option<&str> {
    let text = text.trim();
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let good = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain);
    good.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    #[test]
    fn every_spelling_gives_the_same_credential() {
        let spellings: [&[(&str, &str)]; 10] = [
            &[("authorization", "Bearer sk-1")],
            &[("Authorization", "bearer sk-1")],
            &[("authorization", "BEARER   sk-1 ")],
            &[("x-api-key", "sk-1")],
            &[("X-API-Key", " sk-1")],
            &[("api-key", "sk-1")],
            &[("x-goog-api-key", "sk-1")],
            &[("authorization", "Bearer sk-1"), ("x-api-key", "sk-1")],
            &[("x-api-key", "sk-1"), ("x-api-key", "sk-1")],
            &[("api-key", "sk-1"), ("x-goog-api-key", "sk-1"), ("authorization", "Bearer sk-1")],
        ];
        let want = *blake3::hash(b"sk-1").as_bytes();
        for spelling in spellings {
            let found = extract(&headers(spelling)).unwrap().unwrap();
            assert_eq!(found.hash, want, "{spelling:?}");
            let shown = format!("{found:?} {found:#?}");
            assert!(!shown.contains("sk-1"), "{shown}");
        }
        assert!(extract(&headers(&[("accept", "x")])).unwrap().is_none());
    }

    #[test]
    fn what_is_unclear_is_none() {
        let long = "x".repeat(LONGEST + 1);
        let cases: [(&[(&str, &str)], Unclear); 9] = [
            (&[("authorization", "Bearer a"), ("x-api-key", "b")], Unclear::Several),
            (&[("x-api-key", "a"), ("x-api-key", "b")], Unclear::Several),
            (&[("api-key", "a"), ("x-goog-api-key", "A")], Unclear::Several),
            (&[("authorization", "Basic YTpi")], Unclear::Unreadable),
            (&[("authorization", "Bearer")], Unclear::Unreadable),
            (&[("authorization", "Bearer ")], Unclear::Unreadable),
            (&[("authorization", "Bearer a\tb")], Unclear::Unreadable),
            (&[("x-api-key", "")], Unclear::Unreadable),
            (&[("x-api-key", &long)], Unclear::Unreadable),
        ];
        for (pairs, want) in cases {
            assert_eq!(extract(&headers(pairs)).unwrap_err(), want, "{pairs:?}");
        }
    }
}

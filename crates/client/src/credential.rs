//! The caller's own credential, for gateways that have none: it goes upstream as it came.

use std::hash::{BuildHasher, RandomState};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use paceline_wire::provider::Auth;

use crate::secret::Secret;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
/// Headers that carry credentials. What an upstream has of them never goes out beside a caller's own.
const CREDENTIALS: [HeaderName; 4] =
    [header::AUTHORIZATION, X_API_KEY, API_KEY, HeaderName::from_static("x-goog-api-key")];

/// Hexadecimal digits of a caller's name: 128 bits, so that no two callers share one.
const NAME_DIGITS: usize = 32;

/// A caller's own credential, in the form the caller used. Never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    form: Form,
    secret: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Bearer,
    ApiKey,
}

impl Credential {
    /// What came as `authorization: Bearer`.
    pub fn bearer(secret: impl Into<Secret>) -> Self {
        Self { form: Form::Bearer, secret: secret.into() }
    }

    /// What came as `x-api-key` or `api-key`.
    pub fn api_key(secret: impl Into<Secret>) -> Self {
        Self { form: Form::ApiKey, secret: secret.into() }
    }
}

/// Who a caller is, as far as the client knows: a keyed hash of the credential, good for telling callers apart only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallerId(u64);

/// What callers' names are made with, where those are to outlast the client: without it nobody can tell whose a name is.
/// Never printed.
#[derive(Clone)]
pub struct CallerKey([u8; 32]);

impl CallerKey {
    /// The same bytes give the same names.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for CallerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// A credential that fits into a header.
#[derive(Clone)]
pub(crate) struct Presented {
    pub(crate) id: CallerId,
    pub(crate) secret: Secret,
    form: Form,
    value: HeaderValue,
}

impl Presented {
    /// `None` when no header can carry it.
    pub(crate) fn new(credential: Credential, key: &RandomState) -> Option<Self> {
        let Credential { form, secret } = credential;
        let mut value = match form {
            Form::Bearer => HeaderValue::try_from(format!("Bearer {}", secret.expose())).ok()?,
            Form::ApiKey => HeaderValue::from_str(secret.expose()).ok()?,
        };
        value.set_sensitive(true);
        let id = CallerId(key.hash_one((form, secret.expose())));
        Some(Self { id, secret, form, value })
    }

    /// A name for whoever holds it, the same in every client that has `key`.
    pub(crate) fn name(&self, key: &CallerKey) -> String {
        let form = match self.form {
            Form::Bearer => b'b',
            Form::ApiKey => b'k',
        };
        let mut hasher = blake3::Hasher::new_keyed(&key.0);
        hasher.update(&[form]).update(self.secret.expose().as_bytes());
        format!("caller {}", &hasher.finalize().to_hex()[..NAME_DIGITS])
    }

    /// Puts it in place of every credential that `headers` hold.
    pub(crate) fn replace_in(&self, headers: &mut HeaderMap, auth: Auth) {
        for name in &CREDENTIALS {
            headers.remove(name);
        }
        let name = match (self.form, auth) {
            (Form::Bearer, _) => header::AUTHORIZATION,
            (Form::ApiKey, Auth::ApiKey) => API_KEY,
            (Form::ApiKey, _) => X_API_KEY,
        };
        headers.insert(name, self.value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_out_in_the_form_it_came_in_and_alone() {
        let cases = [
            (Credential::bearer("sk-a"), Auth::XApiKey, "authorization", "Bearer sk-a"),
            (Credential::api_key("sk-a"), Auth::XApiKey, "x-api-key", "sk-a"),
            (Credential::api_key("sk-a"), Auth::Bearer, "x-api-key", "sk-a"),
            (Credential::api_key("sk-a"), Auth::ApiKey, "api-key", "sk-a"),
        ];
        for (credential, auth, name, value) in cases {
            let mut headers: HeaderMap =
                CREDENTIALS.iter().map(|name| (name.clone(), HeaderValue::from_static("of-ours"))).collect();
            Presented::new(credential, &RandomState::new()).unwrap().replace_in(&mut headers, auth);
            assert_eq!((headers.len(), &headers[name]), (1, &HeaderValue::from_static(value)), "{auth:?}");
            assert!(headers[name].is_sensitive());
        }
    }

    #[test]
    fn is_known_again_by_a_hash_that_only_this_client_can_compute() {
        let (key, other) = (RandomState::new(), RandomState::new());
        let id = |credential, key| Presented::new(credential, key).unwrap().id;
        assert_eq!(id(Credential::bearer("a"), &key), id(Credential::bearer("a"), &key));
        assert_ne!(id(Credential::bearer("a"), &key), id(Credential::bearer("a"), &other));
        assert_ne!(id(Credential::bearer("a"), &key), id(Credential::bearer("b"), &key));
        assert_ne!(id(Credential::bearer("a"), &key), id(Credential::api_key("a"), &key));
        assert!(Presented::new(Credential::bearer("a\nb"), &key).is_none());
    }

    #[test]
    fn has_one_name_wherever_the_key_is_the_same() {
        let presented = |credential| Presented::new(credential, &RandomState::new()).unwrap();
        let name = |credential, key| presented(credential).name(&CallerKey::new([key; 32]));
        assert_eq!(name(Credential::bearer("a"), 1), name(Credential::bearer("a"), 1));
        assert_ne!(name(Credential::bearer("a"), 1), name(Credential::bearer("a"), 2));
        assert_ne!(name(Credential::bearer("a"), 1), name(Credential::bearer("b"), 1));
        assert_ne!(name(Credential::bearer("a"), 1), name(Credential::api_key("a"), 1));
    }

    #[test]
    fn is_never_printed() {
        assert!(!format!("{:?}", Credential::bearer("sk-canary")).contains("canary"));
        assert_eq!(format!("{:?}", CallerKey::new([7; 32])), "****");
    }
}

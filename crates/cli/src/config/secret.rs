//! Where a secret comes from. The configuration names the place; the secret itself never stands in it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};

/// The most a secret file may hold.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

/// Keys that stand in documentation. Somebody forgot to put in their own.
const SAMPLES: [&str; 6] = ["sk-1234", "sk-...", "changeme", "your-api-key", "your_api_key", "YOUR_API_KEY"];

/// The place a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; `shared` accepts one that other users of the machine can read.
    File { path: PathBuf, shared: bool },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    env: Option<String>,
    file: Option<PathBuf>,
    #[serde(default)]
    shared: bool,
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Place;
        impl<'de> Visitor<'de> for Place {
            type Value = SecretSource;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("{ env = \"NAME\" } or { file = \"PATH\" }")
            }

            // The text is not repeated: it is somebody's key.
            fn visit_str<E: Error>(self, _secret: &str) -> Result<SecretSource, E> {
                Err(E::custom(
                    "a key does not stand in this file; name its place: { env = \"NAME\" } or { file = \"PATH\" }",
                ))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretSource, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                match (table.env, table.file) {
                    (Some(name), None) if !name.is_empty() && !table.shared => Ok(SecretSource::Env(name)),
                    (None, Some(path)) => Ok(SecretSource::File { path, shared: table.shared }),
                    _ => Err(A::Error::custom("expected either { env = \"NAME\" } or { file = \"PATH\" }")),
                }
            }
        }
        input.deserialize_any(Place)
    }
}

impl SecretSource {
    /// Reads the secret. A relative path starts at `base`, the folder of the file that names it.
    pub(crate) fn read(&self, base: &Path) -> Result<String, String> {
        let (text, place) = match self {
            SecretSource::Env(name) => {
                let text = std::env::var(name).map_err(|_| format!("the variable `{name}` is not set"))?;
                (text, format!("the variable `{name}`"))
            }
            SecretSource::File { path, shared } => {
                let path = base.join(path);
                (read_file(&path, *shared)?, format!("the file `{}`", path.display()))
            }
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        check(secret).map_err(|fault| format!("{place} {fault}"))?;
        Ok(secret.to_owned())
    }
}

/// Says why a text cannot be a key, without repeating it.
pub(crate) fn check(secret: &str) -> Result<(), &'static str> {
    if secret.trim().is_empty() {
        Err("is empty")
    } else if !secret.bytes().all(|b| b.is_ascii_graphic()) {
        Err("holds characters that no key has, such as a space or a line break")
    } else if SAMPLES.contains(&secret) {
        Err("holds the sample key of some documentation")
    } else {
        Ok(())
    }
}

/// Rights are read from the open file, so that it cannot be exchanged between the check and the reading.
fn read_file(path: &Path, shared: bool) -> Result<String, String> {
    let fault = |error: std::io::Error| format!("the file `{}` cannot be read: {error}", path.display());
    let file = File::open(path).map_err(fault)?;
    let mode = file.metadata().map_err(fault)?.mode();
    if mode & 0o077 != 0 && !shared {
        let path = path.display();
        return Err(format!(
            "other users can read the file `{path}` (mode {:03o}); run `chmod 600 {path}`, or say `shared = true`",
            mode & 0o777
        ));
    }
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text).map_err(fault)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn reads_a_private_file_and_refuses_a_readable_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-ant-abc123\n").unwrap();
        let source = |shared| SecretSource::File { path: "key".into(), shared };
        for (mode, shared, readable) in
            [(0o600, false, true), (0o640, false, false), (0o604, false, false), (0o644, true, true)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = source(shared).read(folder.path());
            assert_eq!(read.is_ok(), readable, "mode {mode:o}, shared {shared}: {read:?}");
            assert!(readable || read.unwrap_err().contains("chmod 600"));
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        for secret in ["", "   ", "two words", "line\nbreak", "sk-1234", "changeme", "clé"] {
            assert!(check(secret).is_err(), "{secret:?}");
        }
        assert!(check("sk-proj-abcdef").is_ok());
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = SecretSource::Env("PACELINE_TEST_UNSET".into()).read(Path::new(".")).unwrap_err();
        assert_eq!(error, "the variable `PACELINE_TEST_UNSET` is not set");
    }
}

//! Caller keys: made from chance, stored as a hash, known again by it.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

/// What a key of ours begins with, so that people and scanners for leaked secrets know it when they see it.
const PREFIX: &str = "pl-";
/// Letters behind the prefix: 32 of 62 kinds are 190 random bits.
const LETTERS: usize = 32;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// A secret that somebody chose is no shorter, whatever it is for.
pub const SHORTEST_SECRET: usize = 20;
/// Beginnings of keys that stand in documentation. Somebody forgot to put in their own.
const SAMPLES: [&str; 8] =
    ["sk-1234", "sk-...", "sk-xxx", "changeme", "change-me", "your-api-key", "your_api_key", "password"];

/// What a key hashes to. The key has too many bits to be guessed, so a fast hash without salt is right: it can be looked
/// up. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(blake3::Hash);

/// A new key for a caller. It is shown once; its hash is kept.
pub struct NewKey(Zeroizing<String>);

/// Why a text cannot be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Nothing is in it.
    #[error("is empty")]
    Empty,
    /// It can be guessed.
    #[error("is shorter than {SHORTEST_SECRET} characters")]
    Short,
    /// Everybody knows it.
    #[error("holds the sample key of some documentation")]
    Sample,
    /// It cannot be sent in a header.
    #[error("holds characters that no key has, such as a space or a line break")]
    Characters,
}

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(blake3::hash(key))
    }
}

impl From<[u8; 32]> for KeyHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash.into())
    }
}

impl FromStr for KeyHash {
    type Err = ();

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        blake3::Hash::from_hex(text).map(Self).map_err(|_| ())
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for KeyHash {
    /// The beginning is enough to tell keys apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", &self.0.to_hex()[..8])
    }
}

impl NewKey {
    /// Draws a key from the operating system's chance. Fails when the system gives none: a guessable key is no key.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new(String::with_capacity(PREFIX.len() + LETTERS));
        key.push_str(PREFIX);
        let mut bytes = Zeroizing::new([0; LETTERS]);
        while key.len() < PREFIX.len() + LETTERS {
            getrandom::fill(bytes.as_mut_slice())?;
            // Only a whole number of alphabets counts, so that every letter is as likely.
            let whole = ALPHABET.len() * (256 / ALPHABET.len());
            let letters = bytes.iter().filter(|byte| usize::from(**byte) < whole);
            for byte in letters.take(PREFIX.len() + LETTERS - key.len()) {
                key.push(char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
            }
        }
        Ok(Self(key))
    }

    /// The key itself, to show it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What to keep of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Says why a text is no secret that protects anything, without repeating it.
pub fn check_secret(secret: &str) -> Result<(), WeakSecret> {
    let lower = secret.to_ascii_lowercase();
    if secret.trim().is_empty() {
        Err(WeakSecret::Empty)
    } else if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(WeakSecret::Characters)
    } else if SAMPLES.iter().any(|sample| lower.starts_with(sample)) {
        Err(WeakSecret::Sample)
    } else if secret.len() < SHORTEST_SECRET {
        Err(WeakSecret::Short)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_long_its_own_and_known_by_its_hash() {
        let keys: Vec<NewKey> = (0..50).map(|_| NewKey::draw().unwrap()).collect();
        for (n, key) in keys.iter().enumerate() {
            let letters = key.reveal().strip_prefix("pl-").unwrap();
            assert_eq!(letters.len(), LETTERS);
            assert!(letters.bytes().all(|letter| letter.is_ascii_alphanumeric()));
            assert!(keys[..n].iter().all(|other| other.reveal() != key.reveal()));
            assert_eq!(check_secret(key.reveal()), Ok(()));
            let hash = key.hash();
            assert_eq!(hash.to_string().parse(), Ok(hash));
            assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
            assert!(!format!("{key:?} {hash:?}").contains(letters));
        }
        // Every letter of the alphabet turns up: 1,600 draws leave one out once in 10^10 runs.
        let all: String = keys.iter().map(NewKey::reveal).collect();
        assert!(ALPHABET.iter().all(|letter| all.contains(char::from(*letter))));
    }

    #[test]
    fn what_protects_nothing_is_refused() {
        let cases = [
            ("", WeakSecret::Empty),
            ("   ", WeakSecret::Empty),
            ("sk-1234", WeakSecret::Sample),
            ("SK-1234567890123456789012", WeakSecret::Sample),
            ("changeme-changeme-changeme", WeakSecret::Sample),
            ("sk-abc", WeakSecret::Short),
            ("nineteen-characters", WeakSecret::Short),
            ("a secret with spaces in it", WeakSecret::Characters),
            ("a-secret-with-a-break\nin-it", WeakSecret::Characters),
        ];
        for (secret, weakness) in cases {
            assert_eq!(check_secret(secret), Err(weakness), "{secret:?}");
        }
        assert_eq!(check_secret("sk-ant-REDACTED"), Err(WeakSecret::Short));
        assert_eq!(check_secret("0123456789abcdef0123"), Ok(()));
    }

    #[test]
    fn no_hash_no_key() {
        for text in ["", "abc", &"g".repeat(64), &"0".repeat(63), &"0".repeat(65)] {
            assert!(text.parse::<KeyHash>().is_err(), "{text}");
        }
    }
}

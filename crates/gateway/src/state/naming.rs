//! The key that names callers who bring their own credentials: drawn once, and kept beside the state, so that what was
//! learned of their limits finds them again. No credential can be told from a name, and without the key none be tried.

use std::io;
use std::path::Path;

use paceline::CallerKey;

use super::file::{read, replace};

/// Bytes of a key.
const BYTES: usize = 32;

/// The key that is kept at `path`. Where there is none, or something else, one is drawn and kept.
pub(super) fn key(path: &Path) -> io::Result<CallerKey> {
    if let Some(bytes) = read(path).ok().and_then(|text| parsed(text.trim_end())) {
        return Ok(CallerKey::new(bytes));
    }
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    replace(path, text.as_bytes(), true)?;
    Ok(CallerKey::new(bytes))
}

fn parsed(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.len() == 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bytes = [0; BYTES];
    for (index, byte) in bytes.iter_mut().enumerate().filter(|_| digits) {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    digits.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_key_is_drawn_once_and_belongs_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("callers.key");
        key(&path).unwrap();
        let drawn = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        key(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), drawn);
        for broken in ["", "abc", &drawn.replace(['0', '1', '2'], "ä")] {
            fs::write(&path, broken).unwrap();
            key(&path).unwrap();
            let again = fs::read_to_string(&path).unwrap();
            assert!(parsed(again.trim_end()).is_some() && again != drawn, "{broken}");
        }
    }
}

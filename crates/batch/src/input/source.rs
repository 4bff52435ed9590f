//! Where jobs come from: files, standard input, compressed or not, each of them readable more than once.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Reread};
use crate::error::CheckError;
use crate::shown::shown_path;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const UTF16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// One input, opened. A file that is renamed or replaced meanwhile is still the one that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// How messages name it.
    pub(crate) name: String,
    /// A prompt a line, instead of JSON.
    pub(crate) text: bool,
    file: Arc<File>,
}

impl Source {
    /// Opens an input; `-` is standard input. What can be read only once (a pipe) is copied to a file without a name, in
    /// `spool_dir`.
    pub(crate) fn open(path: &Path, spool_dir: &Path) -> Result<Self, CheckError> {
        let unreadable = |source| CheckError::Input { input: shown_path(path), source };
        if path.as_os_str() == "-" {
            let file = spool(&mut io::stdin().lock(), spool_dir)
                .map_err(|source| CheckError::Input { input: "standard input".to_owned(), source })?;
            return Self { name: "standard input".to_owned(), text: false, file: Arc::new(file) }.checked();
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let kind = file.metadata().map_err(unreadable)?;
        if kind.is_dir() {
            return Err(CheckError::InputIsDirectory { input: shown_path(path) });
        }
        if !kind.is_file() {
            file = spool(&mut file, spool_dir).map_err(unreadable)?;
        }
        Self { name: shown_path(path), text: is_text(path), file: Arc::new(file) }.checked()
    }

    fn checked(self) -> Result<Self, CheckError> {
        let start = self.start().map_err(|source| CheckError::Input { input: self.name.clone(), source })?;
        match UTF16.iter().any(|mark| start.starts_with(mark)) {
            true => Err(CheckError::Utf16 { input: self.name }),
            false => Ok(self),
        }
    }

    /// Its content from the beginning, decompressed.
    pub(crate) fn read(&self) -> io::Result<Box<dyn Read + Send>> {
        let start = self.start()?;
        let raw = Reread::new(self.file.clone());
        Ok(if start.starts_with(GZIP) {
            Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(raw)))
        } else if start.starts_with(ZSTD) {
            Box::new(zstd::stream::read::Decoder::new(raw)?)
        } else {
            Box::new(raw)
        })
    }

    fn start(&self) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        Reread::new(self.file.clone()).take(4).read_to_end(&mut start)?;
        Ok(start)
    }
}

/// `.txt`, compressed or not.
fn is_text(path: &Path) -> bool {
    let compressed = path.extension().is_some_and(|end| end == "gz" || end == "zst");
    let inner = if compressed { path.with_extension("") } else { path.to_owned() };
    inner.extension().is_some_and(|end| end.eq_ignore_ascii_case("txt"))
}

/// Copies a stream to a file that has no name any more, so that it goes away with this process.
fn spool(stream: &mut impl Read, dir: &Path) -> io::Result<File> {
    let path = spool_path(dir);
    let mut file = disk::create_new(&path)?;
    fs::remove_file(&path)?;
    io::copy(stream, &mut file)?;
    file.rewind()?;
    Ok(file)
}

fn spool_path(dir: &Path) -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    dir.join(format!(".paceline-{}-{}.spool", std::process::id(), now.as_nanos()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn compressed_or_not_is_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let text = b"{\"prompt\":\"a\"}\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let mut gzip = gzip.finish().unwrap();
        gzip.extend(gzip.clone()); // Concatenated members are one stream.
        let zstd = zstd::stream::encode_all(&text[..], 1).unwrap();
        for (name, bytes, copies) in [("a.jsonl", text.to_vec(), 1), ("a.gz", gzip, 2), ("a.zst", zstd, 1)] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let source = Source::open(&path, dir.path()).unwrap();
            for _ in 0..2 {
                let mut read = Vec::new();
                source.read().unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(read, text.repeat(copies), "{name}");
            }
        }
    }

    #[test]
    fn what_can_be_read_once_is_kept_in_a_file_that_goes_away_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let file = spool(&mut &b"{}\n"[..], dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let source = Source { name: "-".to_owned(), text: false, file: Arc::new(file) };
        for _ in 0..2 {
            let mut read = String::new();
            source.read().unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, "{}\n");
        }
    }

    #[test]
    fn what_is_no_file_of_lines_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| Source::open(&dir.path().join(name), dir.path());
        assert!(matches!(open("missing"), Err(CheckError::Input { .. })));
        assert!(matches!(open("."), Err(CheckError::InputIsDirectory { .. })));
        fs::write(dir.path().join("utf16"), b"\xff\xfe{\0").unwrap();
        assert!(matches!(open("utf16"), Err(CheckError::Utf16 { .. })));
    }

    #[test]
    fn text_files_are_known_by_name() {
        for (name, text) in
            [("a.txt", true), ("a.TXT", true), ("a.txt.gz", true), ("a.jsonl", false), ("txt", false)]
        {
            assert_eq!(is_text(Path::new(name)), text, "{name}");
        }
    }
}

//! The names of a batch's files, and whether they may be used.

use std::fs;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::CheckError;

/// The files of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPaths {
    /// What succeeded.
    pub output: PathBuf,
    /// What ended without success.
    pub errors: PathBuf,
    /// What is done.
    pub journal: PathBuf,
    /// The output's name ends in `.jsonl`.
    pub(crate) jsonl: bool,
}

impl OutputPaths {
    /// The files beside `output`: `OUT.jsonl` has `OUT.errors.jsonl` and `OUT.journal`.
    pub fn beside(output: &Path) -> Self {
        let jsonl = output.extension().is_some_and(|end| end == "jsonl");
        let stem = if jsonl { output.with_extension("") } else { output.to_owned() };
        Self {
            output: output.to_owned(),
            errors: with_suffix(&stem, ".errors.jsonl"),
            journal: with_suffix(&stem, ".journal"),
            jsonl,
        }
    }

    /// The three files.
    pub(crate) fn all(&self) -> [&Path; 3] {
        [&self.output, &self.errors, &self.journal]
    }

    /// Looks at what is there, without changing anything.
    pub(crate) fn check(&self, inputs: &[PathBuf]) -> Result<(), CheckError> {
        let refused = |path: &Path, reason| Err(CheckError::Output { output: path.to_owned(), reason });
        if self.output.file_name().is_none() {
            return refused(&self.output, "it names no file");
        }
        let directory = disk::parent(&self.output);
        match fs::metadata(&directory) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return refused(&self.output, "its parent is no directory"),
            Err(_) => return refused(&self.output, "its directory does not exist; create it first"),
        }
        for path in self.all() {
            let Ok(found) = fs::symlink_metadata(path) else { continue };
            if found.is_dir() {
                return refused(path, "it is a directory; name a file in it");
            }
            if found.is_symlink() {
                return refused(path, "it is a link; name the file itself");
            }
            if !found.is_file() {
                return refused(path, "it is no regular file; leave `-o` out to write to standard output");
            }
            if inputs.iter().any(|input| fs::metadata(input).is_ok_and(|input| disk::same(&input, &found))) {
                return refused(path, "it is an input, too");
            }
            if found.permissions().readonly() {
                return refused(path, "it is read-only");
            }
        }
        Ok(())
    }
}

/// A path with more at its end.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_beside_the_output() {
        let cases = [
            ("d/out.jsonl", "d/out.errors.jsonl", "d/out.journal"),
            ("out", "out.errors.jsonl", "out.journal"),
            ("out.json", "out.json.errors.jsonl", "out.json.journal"),
        ];
        for (output, errors, journal) in cases {
            let paths = OutputPaths::beside(Path::new(output));
            assert_eq!((paths.errors.to_str(), paths.journal.to_str()), (Some(errors), Some(journal)));
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_anything_happens() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("dir")).unwrap();
        fs::write(at("in.jsonl"), "{}\n").unwrap();
        fs::write(at("file"), "").unwrap();
        fs::hard_link(at("in.jsonl"), at("same.jsonl")).unwrap();
        fs::hard_link(at("in.jsonl"), at("x.errors.jsonl")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        let inputs = [at("in.jsonl")];
        for name in
            ["dir", "missing/out.jsonl", "file/out", "in.jsonl", "same.jsonl", "x.jsonl", "link", ".."]
        {
            let checked = OutputPaths::beside(&at(name)).check(&inputs);
            assert!(matches!(checked, Err(CheckError::Output { .. })), "{name}: {checked:?}");
        }
        assert!(OutputPaths::beside(Path::new("/dev/null")).check(&inputs).is_err());
        OutputPaths::beside(&at("new.jsonl")).check(&inputs).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6, "nothing was created");
    }
}

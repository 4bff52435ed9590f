//! The file that a configuration comes from: faults that show only later are told with their place in it, too.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::place::Problem;
use super::secret::SecretSource;
use crate::exit::Failure;

/// The most a configuration may hold; a bigger file is something else.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// A configuration as it stands in its file.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    path: PathBuf,
    text: String,
}

impl Origin {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let fault =
            |error: String| Failure::usage(anyhow::anyhow!("config file `{}` {error}", path.display()));
        let metadata = std::fs::metadata(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
        if metadata.len() > MAX_CONFIG_BYTES {
            return Err(fault(format!("is over {} MiB", MAX_CONFIG_BYTES >> 20)));
        }
        let bytes = std::fs::read(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
        let path = path.to_owned();
        String::from_utf8(bytes).map(|text| Self { path: path.clone(), text }).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let problem = Problem::at(at..at, "bytes that are no text").hint("save the file as UTF-8");
            Self { path, text }.failure(problem)
        })
    }

    /// All that stands in the file.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where relative paths start.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Reads a secret from the place that the file names.
    pub(crate) fn secret(&self, source: &Spanned<SecretSource>) -> Result<String, Failure> {
        source.get_ref().read(self.folder()).map_err(|fault| self.fault(source.span(), fault))
    }

    /// What is wrong with these bytes.
    pub(crate) fn fault(&self, place: Range<usize>, message: String) -> Failure {
        self.failure(Problem::at(place, message))
    }

    /// The failure that tells of a problem with what stands there.
    pub(super) fn failure(&self, problem: Problem) -> Failure {
        let name = self.path.display().to_string();
        let failure = Failure::usage(anyhow::anyhow!("{}", problem.describe(&name, &self.text)));
        match problem.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

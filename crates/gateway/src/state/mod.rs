//! What outlives the process: learned limits, what was used of long windows, what callers have spent. One file, replaced
//! every few seconds; no key of a caller or provider is in it.
//!
//! Without it the gateway learns again, so nothing here stops one: a broken file is told and put aside.

mod file;
mod inherited;
mod kept;
mod limits;
mod naming;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use paceline::{CallerKey, LearnedLimits};

use crate::callers::{Callers, Counted, Slice};
pub use file::{MOST_BYTES, read, replace};
use inherited::Inherited;
use kept::{parse, written};
pub use limits::{LimitEntry, entries, learned};

const NAME: &str = "gateway.json";
const LOCK: &str = "gateway.lock";
const CALLER_KEY: &str = "callers.key";

/// What was saved.
#[derive(Debug, Default, PartialEq)]
pub struct State {
    /// Limits, older by the time since.
    pub limits: Vec<LearnedLimits>,
    /// What callers had spent.
    pub spending: Vec<Spending>,
}

/// Whether the process comes to its end, so that nothing happens after the save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order.
    Yes,
    /// Not yet; if nothing is saved after this, it was killed.
    NotYet,
}

/// What one caller had spent of one allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Whose.
    pub caller: String,
    /// Of what.
    pub counted: Counted,
    /// In which window.
    pub window: Duration,
    /// How much, and when.
    pub slices: Vec<Slice>,
}

impl Spending {
    /// What all callers have spent.
    pub fn of(callers: &Callers) -> Vec<Spending> {
        let each = |caller: &std::sync::Arc<crate::callers::Caller>| {
            let name = caller.name.to_string();
            let spending = caller.purse.spending().into_iter();
            spending.map(move |(counted, window, slices)| Spending {
                caller: name.clone(),
                counted,
                window,
                slices,
            })
        };
        callers.callers().iter().flat_map(each).collect()
    }

    /// Gives it back to the caller, if there still is one of that name.
    pub fn restore(&self, callers: &Callers) {
        if let Some(caller) = callers.callers().iter().find(|caller| *caller.name == *self.caller) {
            caller.purse.restore(self.counted, self.window, &self.slices);
        }
    }
}

/// The folder of the state, held by this process alone.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    inherited: Mutex<Inherited>,
    _lock: File,
}

impl StateFile {
    /// Takes the folder at `path`, which is made for its owner only. An error says why that cannot be.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let fault = |error: io::Error| format!("cannot keep state in `{}`: {error}", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK));
        let lock = lock.map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: folder.join(NAME), inherited: Mutex::default(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(format!(
                "another gateway keeps its state in `{}`; give each its own `--state` folder",
                folder.display()
            )),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }

    /// What names callers who bring their own credentials, in this process and the next one here.
    pub fn caller_key(&self) -> Result<CallerKey, String> {
        let path = self.path.with_file_name(CALLER_KEY);
        naming::key(&path).map_err(|error| format!("cannot keep a key in `{}`: {error}", path.display()))
    }

    /// What was saved, as of `now` (unix time). An error tells of a file that is no state; it has been put aside.
    pub fn load(&self, now: Duration) -> Result<State, String> {
        let text = match read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => Err(error.to_string()),
            Ok(text) => parse(&text, now),
        };
        let parsed = text.map(|(state, inherited)| {
            *self.inherited.lock().unwrap_or_else(PoisonError::into_inner) = inherited;
            state
        });
        parsed.map_err(|reason| {
            let aside = self.path.with_extension("json.broken");
            let fate = match fs::rename(&self.path, &aside) {
                Ok(()) => format!("put aside as `{}`", aside.display()),
                Err(error) => format!("it cannot be put aside: {error}"),
            };
            format!("`{}` holds no state ({reason}): starting without; {fate}", self.path.display())
        })
    }

    /// Saves what is so at `now` (unix time); when it is the last time, also against a power cut.
    pub fn store(&self, state: &State, now: Duration, ended: Ended) -> Result<(), String> {
        let inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
        replace(&self.path, &written(state, &inherited, now, ended), ended == Ended::Yes)
            .map_err(|error| format!("cannot save the state in `{}`: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use paceline::core::engine::{Learned, LimitSource};
    use paceline::core::quota::{Dimension, Quota};

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn state() -> State {
        let quota = Quota { dimension: Dimension::Requests, window: Duration::from_secs(60), limit: 50 };
        let age = Duration::from_secs(10);
        State {
            limits: vec![LearnedLimits {
                provider: "anthropic".to_owned(),
                account: "org-a".to_owned(),
                models: "claude".to_owned(),
                limits: vec![Learned { quota, source: LimitSource::Reported, age, used: 3 }],
            }],
            spending: vec![Spending {
                caller: "ci".to_owned(),
                counted: Counted::Money,
                window: Duration::from_secs(86_400),
                slices: vec![Slice { start: Duration::from_secs(999_000), amount: 7 }],
            }],
        }
    }

    #[test]
    fn state_comes_back_and_belongs_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state/paceline");
        let file = StateFile::open(&place).unwrap();
        assert_eq!(file.load(NOW), Ok(State::default()));
        file.store(&state(), NOW, Ended::NotYet).unwrap();
        file.store(&state(), NOW, Ended::Yes).unwrap();
        let mut later = state();
        later.limits[0].limits[0].age += Duration::from_secs(5);
        assert_eq!(file.load(NOW + Duration::from_secs(5)), Ok(later));
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&place).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
    }

    fn used(state: &State) -> u64 {
        state.limits[0].limits[0].used
    }

    fn with_used(used: u64) -> State {
        let mut state = state();
        state.limits[0].limits[0].used = used;
        state
    }

    #[test]
    fn after_a_kill_the_last_moment_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::open(folder.path()).unwrap();
        for (before, assumed) in [(3, 4), (49, 50), (50, 50)] {
            file.store(&with_used(before), NOW, Ended::NotYet).unwrap();
            assert_eq!(used(&file.load(NOW).unwrap()), assumed, "{before} of 50 a minute");
            file.inherited.lock().unwrap().clone_from(&Inherited::default());
            file.store(&with_used(before), NOW, Ended::Yes).unwrap();
            assert_eq!(used(&file.load(NOW).unwrap()), before);
            file.inherited.lock().unwrap().clone_from(&Inherited::default());
        }
    }

    #[test]
    fn what_was_used_is_over_a_window_later_however_often_we_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut total = 30;
        let mut seen = Vec::new();
        // Saved ten seconds after what was used, and started every ten: the engine takes what it is told for used just now, and one request more goes out.
        for round in 0..9_u64 {
            let now = NOW + Duration::from_secs(10 * round);
            let file = StateFile::open(folder.path()).unwrap();
            if round > 0 {
                total = used(&file.load(now).unwrap()) + 1;
            }
            file.store(&with_used(total), now, Ended::Yes).unwrap();
            seen.push(total);
        }
        assert_eq!(seen, [30, 31, 32, 33, 34, 35, 6, 6, 6]);
    }

    #[test]
    fn one_process_keeps_one_state() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateFile::open(folder.path()).unwrap();
        assert!(StateFile::open(folder.path()).unwrap_err().contains("another gateway"));
        drop(first);
        assert!(StateFile::open(folder.path()).is_ok());
    }

    #[test]
    fn what_is_no_state_is_told_and_put_aside() {
        let whole = String::from_utf8(written(&state(), &Inherited::default(), NOW, Ended::Yes)).unwrap();
        let mut broken = vec![String::new(), "{}".to_owned(), whole[..whole.len() / 2].to_owned()];
        let changes = [
            ("state\": 1", "state\": 2"),
            ("budget", "bugdet"),
            ("86400000", "0"),
            ("60000", "0"),
            ("\"caller\"", "\"key\""),
            ("999000000", "-1"),
        ];
        broken.extend(changes.map(|(old, new)| whole.replace(old, new)));
        for text in broken {
            let folder = tempfile::tempdir().unwrap();
            let file = StateFile::open(folder.path()).unwrap();
            fs::write(&file.path, &text).unwrap();
            assert!(file.load(NOW).unwrap_err().contains("put aside as"), "{text}");
            assert_eq!(fs::read_to_string(folder.path().join("gateway.json.broken")).unwrap(), text);
            file.store(&state(), NOW, Ended::Yes).unwrap();
            assert!(file.load(NOW).is_ok());
        }
    }

    #[test]
    fn a_planted_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
        let file = StateFile::open(&folder.path().join("state")).unwrap();
        for name in ["gateway.json", "gateway.json.new"] {
            std::os::unix::fs::symlink(&victim, folder.path().join("state").join(name)).unwrap();
        }
        file.store(&state(), NOW, Ended::Yes).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(!fs::symlink_metadata(&file.path).unwrap().is_symlink());
    }
}

//! What was learned about limits, kept beside the journal from one run to the next. The file names upstreams' accounts and
//! models, never a key.
//!
//! Without it a run just learns again, so nothing here stops one. A file that is not ours to read is not ours to replace:
//! it is left as it is.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paceline::LearnedLimits;
use paceline_gateway::state::{self, LimitEntry};
use serde::{Deserialize, Serialize};

/// The format of the file.
const VERSION: u32 = 1;
/// What was used of shorter windows is over, mostly, when the next run begins.
const LASTING_WINDOW: Duration = Duration::from_secs(3_600);

/// The file of limits of one output.
#[derive(Debug)]
pub(crate) struct LimitsFile {
    path: PathBuf,
    usable: bool,
}

impl LimitsFile {
    /// The file beside `journal`: `out.journal` has `out.limits.json`.
    pub(crate) fn beside(journal: &Path) -> Self {
        Self { path: journal.with_extension("limits.json"), usable: true }
    }

    /// The limits that are still fresh at `now`. An error says why there are none; the file is not touched any more then.
    pub(crate) fn load(&mut self, now: SystemTime) -> Result<Vec<LearnedLimits>, String> {
        let read = match state::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
            Ok(text) => parse(&text, now),
        };
        read.map_err(|reason| {
            self.usable = false;
            let path = self.path.display();
            format!("`{path}` does not hold limits ({reason}): ignored and left as it is; delete it to have limits kept")
        })
    }

    /// Replaces what the file holds. An error says why that could not be; it is not tried again.
    pub(crate) fn store(&mut self, learned: &[LearnedLimits], now: SystemTime) -> Result<(), String> {
        let limits = state::entries(learned, unix(now), LASTING_WINDOW);
        if !self.usable || limits.is_empty() {
            return Ok(());
        }
        state::replace(&self.path, &written(limits), true).map_err(|error| {
            self.usable = false;
            format!(
                "cannot keep the limits in `{}`: {error}; the next run learns them again",
                self.path.display()
            )
        })
    }
}

/// The whole file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    paceline_limits: u32, // The version, under a name that says whose file this is.
    limits: Vec<LimitEntry>,
}

fn parse(text: &str, now: SystemTime) -> Result<Vec<LearnedLimits>, String> {
    let kept: Kept = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if kept.paceline_limits != VERSION {
        return Err(format!("its version is {}", kept.paceline_limits));
    }
    Ok(state::learned(kept.limits, unix(now)).ok_or("one of them makes no sense")?)
}

fn written(limits: Vec<LimitEntry>) -> Vec<u8> {
    let kept = Kept { paceline_limits: VERSION, limits };
    let mut text = serde_json::to_vec_pretty(&kept).expect("strings and numbers always become JSON");
    text.push(b'\n');
    text
}

fn unix(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use paceline_core::engine::{Learned, LimitSource};
    use paceline_core::quota::{Dimension, Quota};
    use paceline_gateway::state::MOST_BYTES;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn learned(models: &str, ages: &[u64]) -> LearnedLimits {
        let limit = |(age, dimension): (&u64, Dimension)| Learned {
            quota: Quota { dimension, window: MINUTE, limit: 50 },
            source: if *age % 2 == 0 { LimitSource::Reported } else { LimitSource::Learned },
            age: Duration::from_secs(*age),
            used: 0,
        };
        LearnedLimits {
            provider: "anthropic".to_owned(),
            account: "org-a".to_owned(),
            models: models.to_owned(),
            limits: ages.iter().zip(Dimension::ALL).map(limit).collect(),
        }
    }

    fn file(folder: &tempfile::TempDir) -> LimitsFile {
        LimitsFile::beside(&folder.path().join("out.journal"))
    }

    #[test]
    fn limits_come_back_older_by_the_time_between() {
        let folder = tempfile::tempdir().unwrap();
        let before = [learned("claude-a", &[0, 7, 100]), learned("claude-b", &[30])];
        file(&folder).store(&before, at(100_000)).unwrap();
        let after = [learned("claude-a", &[60, 67, 160]), learned("claude-b", &[90])];
        assert_eq!(file(&folder).load(at(100_060)), Ok(after.to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // Again, over what is there and over what a killed run left.
        fs::write(folder.path().join("out.limits.json.new"), "{").unwrap();
        file(&folder).store(&before[1..], at(100_060)).unwrap();
        assert_eq!(file(&folder).load(at(100_060)), Ok(before[1..].to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn limits_of_yesterday_and_of_tomorrow_are_learned_anew() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder).store(&[learned("claude-a", &[0, 7])], at(100_000)).unwrap();
        let cases = [(99_000, 0), (99_999, 1), (100_000, 2), (186_393, 2), (186_394, 1), (186_401, 0)];
        for (now, count) in cases {
            let found = file(&folder).load(at(now)).unwrap();
            assert_eq!(found.iter().map(|of| of.limits.len()).sum::<usize>(), count, "{now}");
        }
    }

    #[test]
    fn what_was_used_of_a_day_comes_back_and_old_files_know_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let day = |source, used| Learned {
            quota: Quota { dimension: Dimension::Requests, window: Duration::from_secs(86_400), limit: 50 },
            source,
            age: Duration::from_secs(60),
            used,
        };
        let limits =
            vec![day(LimitSource::Typed, 7), day(LimitSource::Reported, 9), day(LimitSource::Learned, 0)];
        let before = [LearnedLimits { limits, ..learned("claude-a", &[]) }];
        file(&folder).store(&before, at(100_000)).unwrap();
        assert_eq!(file(&folder).load(at(100_000)), Ok(before.to_vec()));
        let text = fs::read_to_string(file(&folder).path).unwrap();
        assert_eq!(text.matches("\"used\"").count(), 2, "{text}");
        // Of a month, later than the limit itself is believed.
        let mut month = day(LimitSource::Reported, 9);
        month.quota.window *= 30;
        let kept = [LearnedLimits { limits: vec![month], ..learned("claude-a", &[]) }];
        file(&folder).store(&kept, at(100_000)).unwrap();
        let later = file(&folder).load(at(300_000)).unwrap().remove(0).limits[0];
        assert_eq!((later.source, later.used), (LimitSource::Typed, 9));
        assert_eq!(file(&folder).load(at(100_000 + 31 * 86_400)), Ok(vec![]));
        let old = r#"{"paceline_limits":1,"limits":[{"provider":"p","account":"a","models":"m","dimension":"requests",
            "window_ms":60000,"limit":5,"source":"reported","confirmed":0}]}"#;
        assert_eq!(parse(old, at(0)).unwrap()[0].limits[0].used, 0);
    }

    #[test]
    fn what_is_not_ours_is_ignored_and_left_alone() {
        let entry = r#"{"provider":"p","account":"a","models":"m","dimension":"requests","window_ms":60000,"limit":5,
            "source":"reported","confirmed":0}"#;
        let whole = format!(r#"{{"paceline_limits":1,"limits":[{entry}]}}"#);
        assert!(parse(&whole, at(0)).is_ok());
        let mut broken = vec![
            String::new(),
            "{\"prompt\":\"mine\"}\n".to_owned(),
            whole[..whole.len() / 2].to_owned(),
            " ".repeat(MOST_BYTES as usize + 1),
        ];
        let changes = [
            ("limits\":1", "limits\":2"),
            ("60000", "0"),
            ("60000", "99999999999999"),
            ("60000", "-1"),
            (":5,", ":0,"),
            ("requests", "requestz"),
            ("reported", "typed"),
            ("\"models\"", "\"key\""),
        ];
        broken.extend(changes.map(|(old, new)| whole.replace(old, new)));
        for text in broken {
            let folder = tempfile::tempdir().unwrap();
            let mut file = file(&folder);
            fs::write(&file.path, &text).unwrap();
            let note = file.load(at(0)).unwrap_err();
            assert!(note.contains("out.limits.json` does not hold limits ("), "{note}");
            file.store(&[learned("m", &[0])], at(0)).unwrap();
            assert_eq!(fs::read_to_string(&file.path).unwrap(), text);
        }
    }

    #[test]
    fn a_folder_in_the_way_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(&folder);
        let limits = [learned("m", &[0])];
        fs::create_dir(&file.path).unwrap();
        assert!(file.store(&limits, at(0)).unwrap_err().contains("the next run learns them again"));
        assert_eq!(file.store(&limits, at(0)), Ok(()));
        assert!(LimitsFile::beside(&folder.path().join("out.journal")).load(at(0)).is_err());
    }
}

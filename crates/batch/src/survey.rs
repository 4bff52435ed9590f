//! Tells of each job what a run would do with it, and what jobs that are done have used.

use std::collections::HashMap;

use paceline_wire::line::{self, Line};
use paceline_wire::usage::FullUsage;

use crate::check::Checked;
use crate::error::CheckError;
use crate::input::{Inputs, RawJob};
use crate::journal::IdHash;
use crate::output::Results;
use crate::run::read_job;
use crate::standing::State;

/// Results whose usage is remembered, at most: a sample over the whole file tells as much as all of them.
pub const MOST_USAGES: usize = 4096;

/// One chosen job.
#[derive(Debug)]
pub struct Surveyed<'a> {
    /// Its id.
    pub id: &'a str,
    /// What would be sent, or why the line can't be.
    pub task: Result<Line, String>,
    /// What it used, when it is done and among those that are remembered; a job that is done is not run again.
    pub used: Option<FullUsage>,
    inputs: &'a Inputs,
    raw: RawJob<'a>,
}

impl Surveyed<'_> {
    /// Where its line is: the input's name and the line's number in it.
    pub fn place(&self) -> String {
        self.inputs.place(&self.raw)
    }
}

impl Checked {
    /// Visits the chosen jobs in the order of the input: those that a run would send, and of those that are done the ones
    /// that tell what they used.
    pub fn survey(&self, mut visit: impl FnMut(Surveyed<'_>)) -> Result<(), CheckError> {
        let usages = self.usages()?;
        let mut jobs = self.inputs.jobs();
        let mut number = 0;
        while let Some(raw) = jobs.next()? {
            let mine = number;
            number += 1;
            // An input that has grown since it was checked has no more jobs than it had.
            if mine >= self.index.len() || !self.standing.is_chosen(mine) {
                continue;
            }
            let id = raw.id();
            let done = self.standing.state(mine) == State::Done;
            let used = if done { usages.get(&IdHash::of(&id).key()).copied() } else { None };
            if done && used.is_none() {
                continue;
            }
            let task = read_job(&raw, &id, &self.options.defaults);
            visit(Surveyed { id: &id, task, used, inputs: &self.inputs, raw });
        }
        Ok(())
    }

    /// What results tell of their usage, by the key of the job's id.
    fn usages(&self) -> Result<HashMap<u64, FullUsage>, CheckError> {
        let Some(paths) = self.paths().filter(|_| !self.options.fresh) else { return Ok(HashMap::new()) };
        let broken = |source| CheckError::file(&paths.output, source);
        let Some(mut results) = Results::open(&paths.output).map_err(broken)? else {
            return Ok(HashMap::new());
        };
        let mut usages: HashMap<u64, (u64, FullUsage)> = HashMap::new();
        // Every second one is forgotten when there are too many, and from then on fewer are read.
        let (mut stride, mut number) = (1_u64, 0_u64);
        while let Some(result) = results.next().map_err(broken)? {
            number += 1;
            let Some(key) = result.key.filter(|_| number.is_multiple_of(stride)) else { continue };
            let Some(usage) = line::result_usage(result.bytes) else { continue };
            usages.insert(key, (number, usage));
            if usages.len() >= MOST_USAGES {
                stride *= 2;
                usages.retain(|_, (number, _)| number.is_multiple_of(stride));
            }
        }
        Ok(usages.into_iter().map(|(key, (_, usage))| (key, usage)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use paceline_wire::line::Defaults;
    use paceline_wire::provider::Catalog;

    use super::*;
    use crate::options::{RunOptions, Selection};

    fn survey(text: &str, selection: Selection) -> Vec<(String, String, Result<usize, String>)> {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("in.jsonl");
        fs::write(&input, text).unwrap();
        let defaults = Defaults::new(Catalog::embedded().provider("anthropic").unwrap());
        let options = RunOptions { selection, ..RunOptions::new(vec![input], None, defaults) };
        let mut seen = Vec::new();
        let checked = Checked::new(options).unwrap();
        let note = |job: Surveyed<'_>| {
            let place = job.place().rsplit('/').next().unwrap_or_default().to_owned();
            seen.push((job.id.to_owned(), place, job.task.map(|line| line.body.len())));
        };
        checked.survey(note).unwrap();
        seen
    }

    #[test]
    fn every_chosen_job_is_told_with_what_is_wrong_with_it() {
        let text =
            "{\"id\":\"a\",\"model\":\"m\",\"prompt\":\"x\",\"max_tokens\":9}\n\n{\"prompt\"\nnonsense\n";
        let seen = survey(text, Selection::All);
        let places: Vec<_> = seen.iter().map(|(id, place, _)| (id.as_str(), place.as_str())).collect();
        assert_eq!(places, [("a", "in.jsonl:1"), ("line-3", "in.jsonl:3"), ("line-4", "in.jsonl:4")]);
        assert!(seen[0].2.as_ref().is_ok_and(|bytes| *bytes > 20));
        assert!(seen[1..].iter().all(|(.., task)| task.is_err()), "{seen:?}");
        assert_eq!(survey(text, Selection::First(1)).len(), 1);
    }
}

//! A sender without a network, and files to run it on.

#![allow(dead_code)] // Each test file uses its own part.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use paceline_batch::{
    Answer, CheckError, Checked, Control, End, Progress, Reply, RunOptions, Sender, Start, Summary,
};
use paceline_wire::line::{Defaults, Line, result_id};
use paceline_wire::provider::Catalog;

/// What the fake does with a job, by its id and how often it was sent before.
type Script = dyn Fn(&Line, u32) -> Reply + Send + Sync;

/// Answers at once, and remembers what it was sent.
#[derive(Clone)]
pub(crate) struct Fake {
    script: Arc<Script>,
    calls: Arc<Mutex<Vec<String>>>,
    counts: Arc<Mutex<HashMap<String, u32>>>,
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

impl Fake {
    pub(crate) fn new(script: impl Fn(&Line, u32) -> Reply + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), calls: Arc::default(), counts: Arc::default(), gate: None }
    }

    /// Answers only as often as the gate allows.
    pub(crate) fn behind(self, gate: &Arc<tokio::sync::Semaphore>) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// Answers every job with its own body.
    pub(crate) fn echo() -> Self {
        Self::new(|line, _| answered(&line.body))
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

impl Sender for Fake {
    async fn send(&self, job: Arc<Line>, start: Start) -> Reply {
        if !start.may_go().await {
            return Reply::of(End::Withdrawn);
        }
        self.calls.lock().unwrap().push(job.id.clone());
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(job.id.clone()).or_default();
        *count += 1;
        (self.script)(&job, *count - 1)
    }

    fn unpriced(&self, _: &Line) -> Option<String> {
        None
    }
}

/// A good answer.
pub(crate) fn answered(body: &[u8]) -> Reply {
    let answer = Answer { status: 200, request_id: None, body: bytes::Bytes::copy_from_slice(body) };
    Reply { attempts: 1, ..Reply::of(End::Answered(answer)) }
}

/// A failure for good, or one that may pass.
pub(crate) fn failed(passing: bool) -> Reply {
    let class = Some(paceline_core::feedback::Class::BadRequest);
    let end = End::Failed { class, message: "no".to_owned(), answer: None, passing };
    Reply { attempts: 1, ..Reply::of(end) }
}

/// A folder with an input and an output.
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new(input: &str) -> Self {
        // In memory where that is possible: what is tested here is not the disk.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let desk = Self { dir: dir.unwrap() };
        desk.write("in.jsonl", input);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        match fs::read_to_string(self.path(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => panic!("{name}: {error}"),
        }
    }

    pub(crate) fn options(&self) -> RunOptions {
        options(self.path("in.jsonl"), self.path("out.jsonl"))
    }

    pub(crate) fn check(&self) -> Result<Checked, CheckError> {
        Checked::new(self.options())
    }

    pub(crate) async fn run(&self, sender: &Fake) -> Summary {
        self.run_with(self.options(), sender).await.unwrap()
    }

    pub(crate) async fn run_with(&self, options: RunOptions, sender: &Fake) -> Result<Summary, CheckError> {
        let checked = Checked::new(options)?;
        let stream = Box::new(std::io::sink());
        paceline_batch::run(checked, sender.clone(), Control::new(), Progress::new(), stream).await
    }

    /// The ids in a results file, in its order. Fails on lines that are no results.
    pub(crate) fn ids(&self, name: &str) -> Vec<String> {
        let id = |line: &str| result_id(line.as_bytes()).unwrap_or_else(|| panic!("{line}")).id.into_owned();
        self.read(name).lines().map(id).collect()
    }

    pub(crate) fn sorted_ids(&self, name: &str) -> Vec<String> {
        let mut ids = self.ids(name);
        ids.sort();
        ids
    }
}

pub(crate) fn options(input: PathBuf, output: PathBuf) -> RunOptions {
    let openai = Catalog::embedded().provider("openai").unwrap();
    let mut defaults = Defaults::new(openai);
    defaults.model = Some("m".to_owned());
    RunOptions::new(vec![input], Some(output), defaults)
}

/// A line that asks for `prompt` under `id`.
pub(crate) fn line(id: &str, prompt: &str) -> String {
    format!("{{\"id\":\"{id}\",\"prompt\":\"{prompt}\"}}\n")
}

/// Jobs `a0`, `a1`, ...
pub(crate) fn jobs(count: usize) -> String {
    (0..count).map(|i| line(&format!("a{i}"), &format!("prompt {i}"))).collect()
}

pub(crate) fn sorted(ids: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().map(Into::into).collect();
    ids.sort();
    ids
}

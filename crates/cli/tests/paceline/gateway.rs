//! A gateway and a mock as processes, and callers that speak plain HTTP to them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command;

/// Longer than anything here takes; what hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that has said where it listens. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it printed first: its base URL.
    pub(crate) url: String,
    said: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        said.lock().unwrap().push_str(&url);
        for mut source in [Box::new(stdout) as Box<dyn Read + Send>, Box::new(child.stderr.take().unwrap())] {
            let said = said.clone();
            thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = source.read(&mut piece) {
                    said.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..count]));
                }
            });
        }
        Self { child, url: url.trim().to_owned(), said }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end and returns its exit code; `None` when a signal ended it.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "does not end: {}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mock of `profile`, at most as fast as it is.
pub(crate) fn mock(folder: &Path, more: &[&str]) -> Process {
    let args = ["mock", "--listen", "127.0.0.1:0"];
    Process::start(command(folder, &[&args[..], more].concat()))
}

/// A gateway with a state of its own below `folder`.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) admin: String,
}

/// Starts a gateway with these flags and variables.
pub(crate) fn gateway(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Gateway {
    let usual = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--state", "state"];
    let mut command = command(folder, &[&usual[..], args].concat());
    command.envs(env.iter().copied());
    let process = Process::start(command);
    let started = Instant::now();
    loop {
        if let Some(admin) = admin(&process.said()) {
            return Gateway { process, admin };
        }
        assert!(started.elapsed() < PATIENCE, "names no admin side: {}", process.said());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Where the admin side is, as the words for people or the event for programs tell.
fn admin(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("admin: ").or_else(|| said.split_once("\"admin\":\""))?;
    let end = "http://".len() + rest["http://".len()..].find(['/', '"'])?;
    Some(rest[..end].to_owned())
}

impl Gateway {
    /// Asks for a short answer, as Anthropic's SDK does.
    pub(crate) fn ask(&self, key: &str) -> Answer {
        self.ask_with(key, "")
    }

    pub(crate) fn ask_with(&self, key: &str, headers: &str) -> Answer {
        send(&self.process.url, &message(key, headers, 16, false)).finish()
    }

    /// Begins a stream of so many tokens.
    pub(crate) fn stream(&self, key: &str, tokens: u32) -> Open {
        send(&self.process.url, &message(key, "", tokens, true))
    }

    pub(crate) fn look(&self, path: &str) -> Answer {
        send(&self.admin, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
            .finish()
    }

    pub(crate) fn order(&self, path: &str, headers: &str) -> Answer {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n");
        send(&self.admin, &format!("{head}{headers}\r\n")).finish()
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.look("/v1/status").body).unwrap()
    }

    /// Looks again and again until `is_so`.
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < PATIENCE, "never {what}: {}", self.process.said());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn message(key: &str, headers: &str, max_tokens: u32, stream: bool) -> String {
    let body = format!(
        r#"{{"model":"claude-haiku-4-5","max_tokens":{max_tokens},"stream":{stream},"messages":[{{"role":"user","content":"Say canary-prompt."}}]}}"#
    );
    format!(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\nx-api-key: {key}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer that is still coming.
pub(crate) struct Open {
    source: BufReader<TcpStream>,
    text: String,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends `request` as it is to the host of `url`.
pub(crate) fn send(url: &str, request: &str) -> Open {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    Open { source: BufReader::new(stream), text: String::new() }
}

impl Open {
    /// Reads until `text` has come.
    pub(crate) fn read_until(&mut self, text: &str) {
        while !self.text.contains(text) {
            assert!(
                self.source.read_line(&mut self.text).unwrap() > 0,
                "ended before `{text}`: {}",
                self.text
            );
        }
    }

    /// Reads to the end.
    pub(crate) fn finish(mut self) -> Answer {
        self.source.read_to_string(&mut self.text).unwrap();
        let (head, body) =
            self.text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {}", self.text));
        let status = head[9..12].parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Every file below `folder`, as text.
pub(crate) fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

//! A run and a gateway that are looked at and steered while they work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::{Process, gateway, mock};
use crate::{Ended, command, ended};

/// Longer than anything here takes; what hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder for everything, and a provider without limits that keeps a log of its calls.
struct Place {
    folder: TempDir,
    mock: Process,
}

impl Place {
    fn new(prompts: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let line = |n| format!("{{\"id\":\"job-{n}\",\"prompt\":\"Say {n}.\",\"max_tokens\":16}}\n");
        fs::write(folder.path().join("in.jsonl"), (1..=prompts).map(line).collect::<String>()).unwrap();
        let args = ["--profile", "unlimited", "--speed", "100", "--log", "calls.jsonl"];
        let mock = mock(folder.path(), &args);
        Self { folder, mock }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a run that writes to `out`, and waits until it can be asked.
    fn run(&self, out: &str, more: &[&str]) -> Running<'_> {
        let url = format!("{}/v1", self.mock.url);
        let args = ["run", "in.jsonl", "-o", out, "--provider", "openai", "--base-url", &url, "--model", "m"];
        let mut command = command(self.path(), &[&args[..], more].concat());
        command.env("XDG_RUNTIME_DIR", self.path()).env("OPENAI_API_KEY", "sk-canary-0123456789");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Running { place: self, child };
        if !more.contains(&"--control") {
            until("answers", || running.socket().exists().then_some(()));
        }
        running
    }

    fn ask(&self, args: &[&str]) -> Ended {
        let mut command = command(self.path(), args);
        command.env("XDG_RUNTIME_DIR", self.path()).env("OPENAI_API_KEY", "sk-canary-0123456789");
        ended(command.output().unwrap())
    }

    /// Asks for what must succeed.
    fn ctl(&self, args: &[&str]) -> Ended {
        let asked = self.ask(&[&["ctl"], args].concat());
        assert_eq!(asked.code, Some(0), "{args:?}: {}", asked.stderr);
        asked
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.ctl(&["status", "--json"]).stdout).unwrap()
    }

    /// Waits until nothing is in flight, and says how many attempts were sent.
    fn at_rest(&self) -> u64 {
        until("comes to rest", || {
            let status = self.status();
            (status["in_flight"] == 0).then(|| status["sent"].as_u64().unwrap())
        })
    }

    /// Calls that have ended, as the provider counts them.
    fn calls(&self) -> usize {
        fs::read_to_string(self.path().join("calls.jsonl")).map_or(0, |log| log.lines().count())
    }
}

/// A run that is killed when this is dropped.
struct Running<'a> {
    place: &'a Place,
    child: Child,
}

impl Running<'_> {
    fn id(&self) -> String {
        self.child.id().to_string()
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join(format!("paceline/run-{}.sock", self.child.id()))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> Option<i32> {
        until("ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Fails when it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(it) = is_so() {
            return it;
        }
        assert!(started.elapsed() < PATIENCE, "never {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_running_batch_changes_its_rate_within_a_second() {
    let place = Place::new(400);
    let mut run = place.run("out.jsonl", &["--rpm", "6"]);
    until("sends", || (place.calls() > 0).then_some(()));
    // At six a minute the next one is up to ten seconds away, and the last one an hour.
    let before = place.calls();
    let asked = Instant::now();
    let said = place.ctl(&["limit", "rpm=3000"]).stderr;
    assert_eq!(said, format!("run {} (out.jsonl): rpm is 3,000 from now on\n", run.id()));
    until("sends more", || (place.calls() > before + 20).then_some(()));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    // More than the new limit was used already: nothing goes until that has passed.
    place.ctl(&["limit", "rpm=10"]);
    let sent = place.at_rest();
    for _ in 0..20 {
        assert_eq!(place.status()["sent"], sent);
    }
    assert_eq!(place.calls() as u64, sent, "and the provider saw no more");
    let limit = &place.status()["limiters"][0]["limits"][0];
    assert_eq!((&limit["limit"], &limit["source"]), (&10.into(), &"typed".into()));

    place.ctl(&["limit", "rpm=none", "in_flight=3"]);
    assert_eq!(run.end(), Some(0));
    assert_eq!(place.calls(), 400);
}

#[test]
fn a_pause_lets_nothing_out_until_it_ends() {
    let place = Place::new(300);
    let mut run = place.run("out.jsonl", &["--rpm", "3000"]);
    until("sends", || (place.calls() > 0).then_some(()));
    let said = place.ctl(&["pause"]).stderr;
    assert!(said.contains("nothing more is sent; `paceline ctl resume` goes on"), "{said}");
    let sent = place.at_rest();
    for _ in 0..20 {
        assert_eq!(place.status()["sent"], sent);
    }
    let status = place.status();
    assert_eq!(
        (&status["paused"], &status["batch"]["binds"]),
        (&true.into(), &"a pause that was asked for".into())
    );
    assert_eq!(place.calls() as u64, sent);
    place.ctl(&["out.jsonl", "resume"]);
    place.ctl(&["limit", "rpm=none"]);
    assert_eq!(run.end(), Some(0));
    assert_eq!(place.calls(), 300);
}

#[test]
fn one_of_several_is_named_by_its_number_its_output_or_its_socket() {
    let place = Place::new(50);
    let none = place.ask(&["ctl", "status"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.starts_with("error: nothing of yours is running\nhint: "), "{}", none.stderr);

    let one = place.run("one.jsonl", &["--rpm", "1"]);
    let other = place.run("other.jsonl", &["--rpm", "1"]);
    let several = place.ask(&["ctl", "pause"]);
    assert_eq!(several.code, Some(2));
    for run in [format!("run {} (one.jsonl)", one.id()), format!("run {} (other.jsonl)", other.id())] {
        assert!(several.stderr.contains(&run), "{}", several.stderr);
    }
    assert!(
        several.stderr.contains("\nhint: say which by its number, such as `paceline ctl "),
        "{}",
        several.stderr
    );

    let socket = other.socket();
    for target in [
        &*other.id(),
        "other.jsonl",
        "./other.jsonl",
        &place.path().join("other.jsonl").display().to_string(),
        socket.to_str().unwrap(),
    ] {
        let status = place.ctl(&[target, "status", "--json"]).stdout;
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["pid"].to_string(), other.id(), "{target}");
    }
    let text = place.ctl(&["one.jsonl", "status"]).stdout;
    assert!(text.contains(" of 50 jobs done, 0 failed, "), "{text}");
    let unknown = place.ask(&["ctl", "third.jsonl", "status"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("`third.jsonl` is not running\nhint: there are run "),
        "{}",
        unknown.stderr
    );
}

#[test]
fn a_socket_goes_with_its_run_and_what_a_killed_one_leaves_does_no_harm() {
    let place = Place::new(50);
    let mut interrupted = place.run("a.jsonl", &["--rpm", "1"]);
    let mode = fs::metadata(interrupted.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    interrupted.signal(Signal::INT);
    assert_eq!(interrupted.end(), Some(130));
    assert!(!interrupted.socket().exists());

    let mut killed = place.run("b.jsonl", &["--rpm", "1"]);
    killed.signal(Signal::KILL);
    assert_eq!(killed.end(), None);
    assert!(killed.socket().exists());
    let mut again = place.run("b.jsonl", &["--rpm", "1"]);
    assert_eq!(place.status()["pid"].to_string(), again.id());
    assert!(!killed.socket().exists(), "whoever looks clears it away");
    again.signal(Signal::TERM);
    assert_eq!(again.end(), Some(143));
}

#[test]
fn without_a_socket_a_run_goes_on_all_the_same() {
    let place = Place::new(2);
    let mut without = place.run("a.jsonl", &["--control", "none"]);
    assert_eq!(without.end(), Some(0));
    assert!(!place.path().join("paceline").exists());

    let url = format!("{}/v1", place.mock.url);
    let args = |control| {
        ["run", "in.jsonl", "--provider", "openai", "--base-url", &url, "--model", "m", "--control", control]
    };
    let warned = place.ask(&args("nowhere/at/all.sock"));
    assert_eq!(warned.code, Some(0), "{}", warned.stderr);
    assert!(
        warned.stderr.starts_with("warning: cannot listen at `nowhere/at/all.sock`: "),
        "{}",
        warned.stderr
    );

    // Somebody else could put something there.
    fs::create_dir(place.path().join("paceline")).unwrap();
    fs::set_permissions(place.path().join("paceline"), fs::Permissions::from_mode(0o755)).unwrap();
    let warned = place.ask(&args("none")[..8]);
    assert_eq!(warned.code, Some(0), "{}", warned.stderr);
    assert!(
        warned.stderr.contains("is open to others; remove it, or set XDG_RUNTIME_DIR"),
        "{}",
        warned.stderr
    );
    let refused = place.ask(&["ctl", "status"]);
    assert_eq!((refused.code, refused.stderr.contains("is open to others")), (Some(2), true));
}

#[test]
fn a_gateway_is_asked_by_its_socket_or_its_admin_address() {
    let place = Place::new(0);
    let token = "canary-admin-token-0123456789";
    fs::write(place.path().join("token"), token).unwrap();
    fs::set_permissions(place.path().join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let config = format!(
        "[server]\nadmin_token = {{ file = \"token\" }}\n[[upstream]]\nname = \"main\"\nprovider = \"anthropic\"\n\
         base_url = \"{}\"\napi_key = {{ env = \"KEY\" }}\n",
        place.mock.url
    );
    fs::write(place.path().join("c.toml"), config).unwrap();
    let runtime = place.path().to_str().unwrap();
    let env = [("KEY", "sk-ant-canary-0123456789"), ("XDG_RUNTIME_DIR", runtime)];
    let mut served = gateway(place.path(), &["--config", "c.toml"], &env);

    let text = place.ctl(&["status"]).stdout;
    assert!(text.starts_with(&format!("serve {}: sending, ", served.process.id())), "{text}");
    assert!(text.contains("upstream: main: 0 in flight, traffic flows"), "{text}");
    place.ctl(&["pause"]);
    assert_eq!(place.status()["paused"], true);
    place.ctl(&["resume"]);
    place.ctl(&["limit", "rpm=7"]);

    let by_admin = ["ctl", "status", "--admin", &served.admin];
    let refused = place.ask(&by_admin);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("refuses the admin token\nhint: say where the token is"),
        "{}",
        refused.stderr
    );
    let told = place.ask(&[&by_admin[..], &["--token-file", "token"]].concat());
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(told.stdout.starts_with("serve "), "{}", told.stdout);
    for said in [refused.stderr, told.stdout, served.process.said()] {
        assert!(!said.contains("canary"), "{said}");
    }
    assert!(served.process.said().contains("by the operator: paused"), "{}", served.process.said());

    let socket = place.path().join(format!("paceline/serve-{}.sock", served.process.id()));
    assert!(socket.exists());
    served.process.signal(Signal::TERM);
    assert_eq!(served.process.end(), Some(0));
    assert!(!socket.exists());
}

#[cfg(feature = "top")]
#[test]
fn a_picture_is_printed_without_a_terminal() {
    let place = Place::new(50);
    let run = place.run("out.jsonl", &["--rpm", "1"]);
    until("sends", || (place.calls() > 0).then_some(()));
    let picture = place.ask(&["top", "--once"]);
    assert_eq!((picture.code, picture.stderr.as_str()), (Some(0), ""));
    for part in [
        &format!("paceline run {}  ", run.id()),
        "] 1 of 50 (2%)",
        " Limits ---",
        "requests/min",
        " 1/1 ",
        "binds",
    ] {
        assert!(picture.stdout.contains(part), "{part}: {}", picture.stdout);
    }
    assert!(!picture.stdout.contains('\u{1b}'));
    let sized = place.ask(&["top", "out.jsonl", "--once", "--size", "80x24"]).stdout;
    assert_eq!(sized.lines().count(), 24);
    assert!(sized.lines().all(|line| line.chars().count() <= 80));
    let refused = place.ask(&["top"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.starts_with("error: `paceline top` needs a terminal\nhint: `--once`"),
        "{}",
        refused.stderr
    );
}

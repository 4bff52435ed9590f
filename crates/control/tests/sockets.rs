//! Control sockets as those on both sides meet them.

#![allow(clippy::unwrap_used)] // A test that cannot go on may panic, in its helpers too.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use paceline_control::{AskError, Counted, Desk, Folder, LimitChange, MOST_BODY, Place, Socket, Who, find};
use paceline_status::{Kind, Status};
use serde_json::{Value, json};

/// A process whose standing is what it was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Desk for Told {
    fn who(&self) -> Who {
        Who {
            kind: Kind::Run,
            pid: std::process::id(),
            what: "out.jsonl".to_owned(),
            output: Some("/somewhere/out.jsonl".to_owned()),
        }
    }

    async fn status(&self) -> Status {
        Status { sent: self.0.lock().unwrap().len() as u64, ..Status::default() }
    }

    fn pause(&self, paused: bool) {
        self.0.lock().unwrap().push(format!("pause {paused}"));
    }

    async fn limit(&self, change: LimitChange) -> Result<(), String> {
        self.0.lock().unwrap().push(format!("limit {:?}", change.amount));
        match change.dimension {
            Counted::Tokens => Err("not this one".to_owned()),
            _ => Ok(()),
        }
    }
}

fn folder(temp: &tempfile::TempDir) -> Folder {
    Folder::of_user(None, temp.path())
}

#[tokio::test]
async fn a_socket_is_found_answers_and_goes_with_its_process() {
    let temp = tempfile::tempdir().unwrap();
    let folder = folder(&temp);
    assert!(find(&folder).await.unwrap().is_empty());
    let desk = Told::default();
    let socket = Socket::open(&folder, desk.clone()).unwrap();
    assert_eq!(fs::metadata(socket.path()).unwrap().permissions().mode() & 0o777, 0o600);

    let found = find(&folder).await.unwrap();
    assert_eq!((found.len(), &found[0].who), (1, &desk.who()));
    let place = &found[0].place;
    place.post("/pause", None).await.unwrap();
    place.post("/resume", None).await.unwrap();
    let change = json!({"dimension": "in_flight", "amount": 3});
    let done: Value = serde_json::from_slice(&place.post("/limit", Some(&change)).await.unwrap()).unwrap();
    assert_eq!(done, change);
    assert_eq!(*desk.0.lock().unwrap(), ["pause true", "pause false", "limit Some(3)"]);
    assert_eq!(place.get::<Status>("/v1/status").await.unwrap().sent, 3);

    let path = socket.path().to_owned();
    drop(socket);
    assert!(!path.exists());
    assert!(find(&folder).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let socket = Socket::open(&folder(&temp), Told::default()).unwrap();
    let place = Place::Socket(socket.path().to_owned());
    let long = json!("x".repeat(MOST_BODY));
    let cases = [
        ("/limit", json!({"dimension": "tokens", "window_seconds": 60, "amount": 5}), "not this one"),
        ("/limit", json!({"dimension": "tokens", "amount": 5}), "`window_seconds` is missing"),
        ("/limit", json!({"dimension": "mood", "amount": 5}), "that is no limit: unknown variant `mood`"),
        ("/limit", long, "the body is too long or broke off"),
        ("/v1/status", json!({}), "not with this method"),
        ("/drain", json!({}), "nothing is here; there are GET /v1/who"),
    ];
    for (path, body, why) in cases {
        let Err(AskError::Refused { why: said }) = place.post(path, Some(&body)).await else {
            panic!("{path}")
        };
        assert!(said.starts_with(why), "{said}");
    }
}

#[tokio::test]
async fn noise_at_a_socket_holds_nobody_up() {
    let temp = tempfile::tempdir().unwrap();
    let socket = Socket::open(&folder(&temp), Told::default()).unwrap();
    let silent: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(socket.path()).unwrap()).collect();
    let mut noisy = UnixStream::connect(socket.path()).unwrap();
    noisy.write_all(b"\x16\x03\x01 what\r\n\r\n").unwrap();
    let who: Who = Place::Socket(socket.path().to_owned()).get("/v1/who").await.unwrap();
    assert_eq!(who.kind, Kind::Run);
    drop(silent);
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = Vec::new();
        noisy.read_to_end(&mut answer).map(|_| answer)
    });
    assert!(answer.await.unwrap().unwrap().starts_with(b"HTTP/1.1 400"));
}

#[tokio::test]
async fn what_the_dead_leave_is_cleared_away_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let folder = folder(&temp);
    let socket = Socket::open(&folder, Told::default()).unwrap();
    // A process that is over: its number is free until another process gets it.
    let mut child = Command::new("true").spawn().unwrap();
    let gone = child.id();
    child.wait().unwrap();
    let of = |name: String| folder.path().join(name);
    let (stale, other, file) =
        (of(format!("run-{gone}.sock")), of("mine.sock".into()), of(format!("run-{gone}.sock.txt")));
    // This process lives, and is not listening there yet.
    let early = of(format!("serve-{}.sock", std::process::id()));
    for path in [&stale, &other, &early] {
        drop(UnixListener::bind(path).unwrap());
    }
    fs::write(&file, "").unwrap();
    assert_eq!(find(&folder).await.unwrap().len(), 1);
    assert_eq!([&stale, &other, &file, &early].map(|path| path.exists()), [false, true, true, true]);
    drop(socket);
}

#[tokio::test]
async fn a_socket_left_behind_is_taken_over_and_one_in_use_or_a_file_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    let socket = Socket::open_at(&path, Told::default()).unwrap();
    let refused = Socket::open_at(&path, Told::default()).unwrap_err();
    assert!(
        std::error::Error::source(&refused).unwrap().to_string().contains("another process answers there")
    );
    // Another one has come in its place: not ours to take away.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    drop(socket);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert!(Socket::open_at(&path, Told::default()).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn a_folder_that_others_can_enter_is_not_used() {
    let temp = tempfile::tempdir().unwrap();
    let folder = folder(&temp);
    fs::create_dir(folder.path()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(Socket::open(&folder, Told::default()).is_err());
    assert!(find(&folder).await.is_err());
}

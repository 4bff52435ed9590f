//! Help, and what is said about a command line that cannot be meant.

use std::fmt::Write;
use std::process::Stdio;

use crate::{command, paceline};

#[test]
fn help_reads_well() {
    let folder = tempfile::tempdir().unwrap();
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help_run", &["run", "--help"]),
        ("help_plan", &["plan", "--help"]),
        ("help_serve", &["serve", "--help"]),
        ("help_top", &["top", "--help"]),
        ("help_ctl", &["ctl", "--help"]),
        ("help_ctl_limit", &["ctl", "limit", "--help"]),
        ("help_keys", &["keys", "new", "--help"]),
        ("help_mock", &["mock", "--help"]),
        ("help_sim", &["sim", "--help"]),
        ("help_check", &["check", "--help"]),
        ("help_usage", &["usage", "--help"]),
        ("help_prices", &["prices", "--help"]),
    ] {
        let ended = paceline(folder.path(), args);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{name}");
        insta::assert_snapshot!(name, ended.stdout);
    }
}

#[test]
fn bad_usage_ends_with_2_and_says_why() {
    let cases: [&[&str]; 39] = [
        &[],
        &["rnu"],
        &["run"],
        &["run", "in.jsonl", "--rmp", "5"],
        &["run", "in.jsonl", "--rpm", "0"],
        &["run", "in.jsonl", "--rpm", "many"],
        &["run", "in.jsonl", "--deadline", "90"],
        &["run", "in.jsonl", "--budget", "free"],
        &["run", "in.jsonl", "--max-attempts", "0"],
        &["run", "in.jsonl", "--first", "5", "--sample", "5"],
        &["run", "in.jsonl", "--upstream", "a"],
        &["run", "in.jsonl", "--fresh"],
        &["run", "in.jsonl", "--progress", "loud"],
        &["run", "in.jsonl", "--rpm\u{1b}[31m"],
        &["mock", "--speed", "0"],
        &["mock", "--window", "minute"],
        &["check"],
        &["serve", "--from-env", "--config", "c.toml"],
        &["serve", "--base-url", "http://127.0.0.1:1"],
        &["serve", "--listen", "localhost"],
        &["keys", "new"],
        &["keys", "new", "--name", ""],
        &["usage"],
        &["usage", "--file", "nowhere.db"],
        &["usage", "--file", "u.db", "--by", "mood"],
        &["usage", "--file", "u.db", "--since", "7"],
        &["usage", "--file", "u.db", "--csv", "--json"],
        &["prices", "--model", "nobody-knows"],
        &["run", "in.jsonl", "--mock", "--usage"],
        &["ctl"],
        &["ctl", "4711"],
        &["ctl", "limit"],
        &["ctl", "limit", "rpm"],
        &["ctl", "limit", "rpm=0"],
        &["ctl", "limit", "mood=5"],
        &["ctl", "4711", "status", "--admin", "http://127.0.0.1:4001"],
        &["ctl", "status", "--admin", "https://127.0.0.1:4001"],
        &["ctl", "status", "--token-env", "TOKEN"],
        &["top", "--size", "80x24"],
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut said = String::new();
    for args in cases {
        let ended = paceline(folder.path(), args);
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(!ended.stderr.contains('\u{1b}'), "{args:?}");
        writeln!(said, "$ paceline {}\n{}", args.join(" ").escape_default(), ended.stderr).unwrap();
    }
    insta::assert_snapshot!("bad_usage", said);
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut help = command(folder.path(), &["run", "--help"]);
    let ended = help.stdout(Stdio::from(writer)).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

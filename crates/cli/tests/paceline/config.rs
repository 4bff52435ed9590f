//! What the configuration says when it is wrong, and what it means when it is right.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::gateway::gateway;
use crate::{command, ended, paceline};

const PRICE: &str = "[[price]]\nprovider = \"openai\"\nmodels = [\"x\"]\nas_of = \"2026-11-01\"\n";
const UPSTREAM: &str = "[[upstream]]\nname = \"a\"\nprovider = \"anthropic\"\n";
const TWO_DIALECTS: &str = "[[upstream]]\nname = \"a\"\nprovider = \"anthropic\"\n\
    [[upstream]]\nname = \"b\"\nprovider = \"openai\"\n";

fn hashed(letter: &str) -> String {
    format!("key_hash = \"{}\"\n", letter.repeat(64))
}

#[test]
fn every_fault_names_its_line_its_key_and_a_remedy() {
    let hash = "key_hash = \"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262\"\n";
    let cases = [
        ("a key that does not exist", format!("{UPSTREAM}api_kee = {{ env = \"X\" }}\n")),
        ("a section that does not exist", "[sever]\nlisten = \"127.0.0.1:1\"\n".to_owned()),
        (
            "a provider that does not exist",
            "[[upstream]]\nname = \"a\"\nprovider = \"antropic\"\n".to_owned(),
        ),
        ("no name", "[[upstream]]\nprovider = \"anthropic\"\n".to_owned()),
        ("an empty name", "[[upstream]]\nname = \" \"\nprovider = \"anthropic\"\n".to_owned()),
        ("the same name twice", format!("{UPSTREAM}{UPSTREAM}")),
        ("a key in the file", format!("{UPSTREAM}api_key = \"sk-canary\"\n")),
        ("two places for a key", format!("{UPSTREAM}api_key = {{ env = \"A\", file = \"b\" }}\n")),
        ("a misspelled place", format!("{UPSTREAM}api_key = {{ enf = \"A\" }}\n")),
        ("a variable that is not set", format!("{UPSTREAM}api_key = {{ env = \"NOT_SET\" }}\n")),
        ("a key file that is not there", format!("{UPSTREAM}api_key = {{ file = \"nowhere\" }}\n")),
        ("a URL without a scheme", format!("{UPSTREAM}base_url = \"example.com\"\n")),
        ("a URL with a password", format!("{UPSTREAM}base_url = \"https://u:canary@example.com\"\n")),
        (
            "a credential for all to read",
            format!("{UPSTREAM}api_key = {{ env = \"A\" }}\nbase_url = \"http://llm.example.com\"\n"),
        ),
        ("a quota without a window", format!("{UPSTREAM}[[quota]]\naccount = \"a\"\nrequests = \"50\"\n")),
        (
            "a window that does not exist",
            format!("{UPSTREAM}[[quota]]\naccount = \"a\"\nrequests = \"50/mni\"\n"),
        ),
        ("a quota of nobody", format!("{UPSTREAM}[[quota]]\naccount = \"b\"\nrequests = \"50/min\"\n")),
        ("a quota of nothing", format!("{UPSTREAM}[[quota]]\naccount = \"a\"\n")),
        ("no slot at all", format!("{UPSTREAM}[[quota]]\naccount = \"a\"\nin_flight = 0\n")),
        ("a negative number", format!("{UPSTREAM}[[quota]]\naccount = \"a\"\nin_flight = -1\n")),
        ("a pool of nobody", format!("{UPSTREAM}[[pool]]\nmodel = \"m\"\nupstreams = []\n")),
        ("a pool of a stranger", format!("{UPSTREAM}[[pool]]\nmodel = \"m\"\nupstreams = [\"b\"]\n")),
        (
            "a fallback on nothing",
            format!("{UPSTREAM}[[pool]]\nmodel = \"m\"\nupstreams = [\"a\"]\nfallback = [\"n\"]\n"),
        ),
        (
            "a fallback on itself",
            format!("{UPSTREAM}[[pool]]\nmodel = \"m\"\nupstreams = [\"a\"]\nfallback = [\"m\"]\n"),
        ),
        (
            "a pool of two dialects",
            format!("{TWO_DIALECTS}[[pool]]\nmodel = \"m\"\nupstreams = [\"a\", \"b\"]\n"),
        ),
        (
            "a fallback of another dialect",
            format!(
                "{TWO_DIALECTS}[[pool]]\nmodel = \"m\"\nupstreams = [\"a\"]\nfallback = [\"n\"]\n\
                 [[pool]]\nmodel = \"n\"\nupstreams = [\"b\"]\n"
            ),
        ),
        ("no hash", "[[caller]]\nname = \"ci\"\nkey_hash = \"secret\"\n".to_owned()),
        ("the hash of nothing", format!("[[caller]]\nname = \"ci\"\n{hash}")),
        (
            "a priority that does not exist",
            "[[caller]]\nname = \"ci\"\nkey_hash = \"\"\npriority = \"bacth\"\n".to_owned(),
        ),
        (
            "a budget without a window",
            "[[caller]]\nname = \"ci\"\nkey_hash = \"\"\nbudget = \"20 USD\"\n".to_owned(),
        ),
        ("a budget for all and no ledger", "[usage]\nbudget = \"5 USD/day\"\n".to_owned()),
        (
            "a ledger that forgets what a budget needs",
            "[usage]\nfile = \"u.db\"\nretention = \"1h\"\nbudget = \"5 USD/day\"\n".to_owned(),
        ),
        ("neither served nor refused", "[usage]\nfile = \"u.db\"\non_failure = \"hope\"\n".to_owned()),
        ("a price that is no price", format!("{PRICE}input = \"cheap\"\noutput = \"1\"\n")),
        ("a price of nobody", PRICE.replace("openai", "opnai") + "input = \"1\"\noutput = \"1\"\n"),
        ("a price for nothing", PRICE.replace("\"x\"", "") + "input = \"1\"\noutput = \"1\"\n"),
        (
            "a price without a day",
            format!("{PRICE}input = \"1\"\noutput = \"1\"\n").replace("2026-11-01", "lately"),
        ),
        ("more than the whole price", format!("{PRICE}input = \"1\"\noutput = \"1\"\nbatch_percent = 150\n")),
        ("open to the world", "[server]\nlisten = \"0.0.0.0:4000\"\n".to_owned()),
        ("no address", "[server]\nlisten = \"localhost\"\n".to_owned()),
        ("one address for both", "[server]\nadmin = \"127.0.0.1:4000\"\n".to_owned()),
        ("admin without a token", "[server]\nadmin = \"0.0.0.0:1\"\nallow_remote = true\n".to_owned()),
        ("a token in the file", "[server]\nadmin_token = \"canary\"\n".to_owned()),
        ("a host with a port", "[server]\nhosts = [\"llm.example.com:443\"]\n".to_owned()),
        ("an origin with a path", "[server]\norigins = [\"https://chat.example.com/\"]\n".to_owned()),
        ("every origin", "[server]\norigins = [\"*\"]\n".to_owned()),
        ("a wait without a unit", "[server]\nlongest_wait = \"300\"\n".to_owned()),
        ("a body of nothing", "[server]\nbody = \"0 MiB\"\n".to_owned()),
        ("no connection at all", "[server]\nconnections = 0\n".to_owned()),
        (
            "a key to pass on and one of its own",
            format!("{UPSTREAM}api_key = {{ env = \"A\" }}\npass_through = true\n"),
        ),
        (
            "one that passes keys on beside one that does not",
            format!("{UPSTREAM}pass_through = true\n[[upstream]]\nname = \"b\"\nprovider = \"openai\"\n"),
        ),
        (
            "callers with keys of ours and none of theirs",
            format!("{UPSTREAM}pass_through = true\n[[caller]]\nname = \"ci\"\n{}", hashed("a")),
        ),
        (
            "one key for two",
            format!("[[caller]]\nname = \"a\"\n{0}[[caller]]\nname = \"b\"\n{0}", hashed("a")),
        ),
        (
            "requests of a caller without a window",
            format!("[[caller]]\nname = \"a\"\n{}requests = \"60\"\n", hashed("a")),
        ),
        ("a type that is not meant", "[server]\nlisten = 4000\n".to_owned()),
        ("no TOML", "upstream = [\n".to_owned()),
        (
            "bytes that act on a terminal",
            "[[upstream]]\nname = \"a\"\nprovider = \"\\u001b[31m\\u202e\"\n".to_owned(),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut said = String::new();
    for (what, text) in cases {
        fs::write(folder.path().join("c.toml"), text).unwrap();
        let ended = paceline(folder.path(), &["check", "--config", "c.toml"]);
        assert_eq!(ended.code, Some(2), "{what}");
        assert_eq!(ended.stdout, "", "{what}");
        writeln!(said, "# {what}\n{}", ended.stderr).unwrap();
    }
    assert!(!said.contains("canary"), "a secret is repeated: {said}");
    insta::assert_snapshot!("config_faults", said);
}

const EXAMPLE_KEYS: [(&str, &str); 3] = [
    ("ANTHROPIC_API_KEY", "sk-canary-0123456789-a"),
    ("ANTHROPIC_BACKUP_KEY", "sk-canary-0123456789-b"),
    ("OPENAI_API_KEY", "sk-canary-0123456789-c"),
];

/// Lays the example, with the key file that it names, into the folder.
fn lay_example(folder: &Path) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.toml");
    fs::copy(example, folder.join("c.toml")).unwrap();
    fs::create_dir(folder.join("secrets")).unwrap();
    let key = folder.join("secrets/second-key");
    fs::write(&key, "sk-ant-canary").unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn the_example_means_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    lay_example(folder.path());
    let mut check = command(folder.path(), &["check", "--config", "c.toml"]);
    let ended = ended(check.envs(EXAMPLE_KEYS).output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(!ended.stdout.contains("canary"));
    insta::assert_snapshot!("config_example", ended.stdout);
}

#[test]
fn the_example_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    lay_example(folder.path());
    let served = gateway(folder.path(), &["--config", "c.toml"], &EXAMPLE_KEYS);
    assert_eq!(served.status()["ready"], true);
}

#[test]
fn bytes_that_are_no_text_are_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.toml"), [UPSTREAM.as_bytes(), b"base_url = \"caf\xe9\"\n"].concat())
        .unwrap();
    let ended = paceline(folder.path(), &["check", "--config", "c.toml"]);
    assert_eq!(ended.code, Some(2));
    let expected = "error: c.toml:4: bytes that are no text (`base_url` in [[upstream]])\nhint: save the file as UTF-8\n";
    assert_eq!(ended.stderr, expected);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ended = paceline(folder.path(), &["check", "--config", "nowhere.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.starts_with("error: config file `nowhere.toml` cannot be read: "),
        "{}",
        ended.stderr
    );
}

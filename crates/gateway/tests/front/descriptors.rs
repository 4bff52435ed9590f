//! Without file descriptors: those inside are served, the listener does not spin, and those outside come in later.

use std::fs;
use std::process::Command;
use std::time::Duration;

use paceline_gateway::Settings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{PATIENCE, answer, start, status};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Names the process that has few.
const FEW: &str = "PACELINE_TEST_FEW_DESCRIPTORS";
/// Of which each connection takes two, one for each end.
const DESCRIPTORS: usize = 60;
const CALLERS: usize = 35;

#[test]
fn a_process_without_descriptors_neither_spins_nor_drops_anybody() {
    if std::env::var_os(FEW).is_some() {
        return tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(run_out());
    }
    let own_name = "descriptors::a_process_without_descriptors_neither_spins_nor_drops_anybody";
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", own_name, "--nocapture", "--test-threads=1"])
        .env(FEW, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn run_out() {
    cpu_time();
    let front = start(Settings::default()).await;
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        // Without a pause in between, so that the listener does not accept yet.
        let caller = std::net::TcpStream::connect(front.address).unwrap();
        caller.set_nonblocking(true).unwrap();
        callers.push(TcpStream::from_std(caller).unwrap());
    }
    served(&mut callers[0]).await;
    let before = cpu_time();
    sleep(Duration::from_millis(100)).await;
    let spent = cpu_time() - before;
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count);
    assert!(open.is_err(), "there is a descriptor left to read a folder with: {open:?}");
    assert!(spent < Duration::from_millis(20), "{spent:?} spent on waiting");
    served(&mut callers[0]).await;
    callers.drain(..CALLERS / 2);
    for caller in &mut callers {
        served(caller).await;
    }
}

async fn served(caller: &mut TcpStream) {
    caller.write_all(GET).await.unwrap();
    let answer = timeout(PATIENCE, answer(caller)).await.unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
}

/// What this thread, which runs everything, has computed. The file is opened while there is a descriptor for it.
fn cpu_time() -> Duration {
    thread_local! {
        static TIME: std::cell::RefCell<Option<fs::File>> = const { std::cell::RefCell::new(None) };
    }
    TIME.with_borrow_mut(|file| {
        use std::os::unix::fs::FileExt;
        let file = file.get_or_insert_with(|| fs::File::open("/proc/thread-self/schedstat").unwrap());
        let mut text = [0; 64];
        let length = file.read_at(&mut text, 0).unwrap();
        let text = std::str::from_utf8(&text[..length]).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    })
}

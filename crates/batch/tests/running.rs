//! Whole runs with a fake sender: results, resume, stops.

#![allow(clippy::unwrap_used)] // Nothing but tests.

mod support;

use std::sync::Arc;
use std::time::Duration;

use paceline_batch::{CheckError, Checked, Control, End, Progress, Reply, Selection, StopReason};
use paceline_wire::price::MicroUsd;
use support::{Desk, Fake, answered, failed, jobs, line, sorted};

#[tokio::test]
async fn every_job_gets_one_line_and_the_same_command_does_nothing_more() {
    let desk = Desk::new(&jobs(300));
    let sender = Fake::echo();
    let summary = desk.run(&sender).await;
    assert_eq!(summary.stop, None);
    assert_eq!((summary.view.done, summary.view.failed, summary.view.left()), (300, 0, 0));
    assert_eq!(desk.sorted_ids("out.jsonl"), sorted((0..300).map(|i| format!("a{i}"))));
    let before = desk.read("out.jsonl");
    let again = desk.run(&sender).await;
    assert_eq!((again.view.done, again.report.done, sender.calls().len()), (300, 300, 300));
    assert_eq!(desk.read("out.jsonl"), before);
    assert!(!desk.path("out.errors.jsonl").exists());
}

#[tokio::test]
async fn failed_jobs_are_tried_again_and_keep_one_line() {
    let desk = Desk::new(&jobs(20));
    let sender = Fake::new(|line, before| match line.id.as_str() {
        "a3" if before == 0 => failed(false),
        "a7" => failed(false),
        _ => answered(b"{}"),
    });
    let summary = desk.run(&sender).await;
    assert_eq!((summary.view.done, summary.view.failed), (18, 2));
    assert_eq!(desk.sorted_ids("out.errors.jsonl"), ["a3", "a7"]);
    let summary = desk.run(&sender).await;
    assert_eq!((summary.report.retried, summary.view.done, summary.view.failed), (2, 19, 1));
    assert_eq!(desk.ids("out.errors.jsonl"), ["a7"]);
    assert_eq!(desk.ids("out.jsonl").len(), 19);
    assert_eq!(sender.calls().len(), 22);
    let summary = desk.run(&Fake::echo()).await;
    assert_eq!((summary.view.done, summary.view.failed), (20, 0));
    assert!(!desk.path("out.errors.jsonl").exists());
}

#[tokio::test]
async fn bad_lines_fail_with_their_number_and_the_others_run() {
    let input = format!("{}garbage\n\n{{\"id\":\"x\",\"prompt\":1}}\n{}", line("a", "p"), line("b", "p"));
    let desk = Desk::new(&input);
    let summary = desk.run(&Fake::echo()).await;
    assert_eq!((summary.view.done, summary.view.failed), (2, 2));
    assert_eq!(desk.sorted_ids("out.errors.jsonl"), ["line-2", "x"]);
    let errors = desk.read("out.errors.jsonl");
    assert!(errors.contains("in.jsonl:2: not JSON") && errors.contains("in.jsonl:4: `prompt`"), "{errors}");
    // A line that is mended needs nobody's consent: there is no answer that could be mixed up.
    desk.write("in.jsonl", input.replace("\"prompt\":1", "\"prompt\":\"1\""));
    let summary = desk.run(&Fake::echo()).await;
    assert_eq!((summary.view.done, summary.view.failed), (3, 1));
    assert_eq!(desk.ids("out.errors.jsonl"), ["line-2"]);
}

#[tokio::test]
async fn edited_jobs_are_refused_until_changes_are_accepted() {
    let desk = Desk::new(&jobs(5));
    let sender = Fake::echo();
    desk.run(&sender).await;
    desk.write("in.jsonl", jobs(5).replace("prompt 2", "another"));
    match desk.check() {
        Err(CheckError::Edited { count: 1, id, place }) => {
            assert_eq!(id, "a2");
            assert!(place.ends_with("in.jsonl:3"), "{place}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.ids("out.jsonl").len(), 5, "a refusal changes nothing");
    let options = paceline_batch::RunOptions { accept_changes: true, ..desk.options() };
    let summary = desk.run_with(options, &sender).await.unwrap();
    assert_eq!((summary.report.edited, summary.report.missing, sender.calls().len()), (1, 0, 6));
    assert_eq!(desk.sorted_ids("out.jsonl"), ["a0", "a1", "a2", "a3", "a4"]);
    assert!(desk.read("out.jsonl").contains("another"));
    assert!(!desk.read("out.jsonl").contains("prompt 2"));
    assert_eq!(desk.run(&sender).await.view.done, 5);
}

#[tokio::test]
async fn results_that_were_changed_or_removed_are_made_again() {
    let desk = Desk::new(&jobs(6));
    let sender = Fake::echo();
    desk.run(&sender).await;
    let good = desk.read("out.jsonl");
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    lines[1] = lines[1].replace("prompt", "PROMPT");
    lines.remove(3);
    let twice = lines[2].clone();
    lines.push(twice);
    lines.push("{\"custom_id\":\"stranger\"}".to_owned());
    lines.push("{\"torn".to_owned());
    desk.write("out.jsonl", lines.join("\n"));
    let report = desk.check().unwrap().report();
    assert_eq!((report.done, report.missing, report.foreign, report.in_flight), (4, 2, 4, 0));
    desk.run(&sender).await;
    assert_eq!(sender.calls().len(), 8);
    let sort = |text: &str| sorted(text.lines());
    assert_eq!(sort(&desk.read("out.jsonl")), sort(&good));
}

#[tokio::test]
async fn a_last_line_without_its_end_is_still_a_result() {
    let desk = Desk::new(&jobs(3));
    let sender = Fake::echo();
    desk.run(&sender).await;
    let good = desk.read("out.jsonl");
    desk.write("out.jsonl", good.trim_end());
    desk.write("in.jsonl", jobs(4));
    desk.run(&sender).await;
    assert_eq!(sender.calls().len(), 4);
    assert_eq!(desk.ids("out.jsonl").len(), 4);
    assert!(desk.read("out.jsonl").starts_with(&good));
}

#[tokio::test]
async fn jobs_may_come_go_and_move() {
    let desk = Desk::new(&jobs(4));
    let sender = Fake::echo();
    desk.run(&sender).await;
    let (a, b, c, new) =
        (line("a3", "prompt 3"), line("a0", "prompt 0"), line("a1", "prompt 1"), line("n", "p"));
    desk.write("in.jsonl", format!("{a}\r\n{new}{b}{c}"));
    let summary = desk.run(&sender).await;
    assert_eq!((summary.report.strangers, summary.view.done, sender.calls().len()), (1, 4, 5));
    assert_eq!(desk.sorted_ids("out.jsonl"), ["a0", "a1", "a2", "a3", "n"]);
}

#[tokio::test]
async fn ordered_output_follows_the_input() {
    let desk = Desk::new(&jobs(200));
    let sender = Fake::new(|line, _| if line.id.ends_with('5') { failed(false) } else { answered(b"{}") });
    desk.run(&Fake::new(|line, _| if line.id.len() < 4 { failed(false) } else { answered(b"{}") })).await;
    let options = paceline_batch::RunOptions { ordered: true, ..desk.options() };
    desk.run_with(options.clone(), &sender).await.unwrap();
    let expected = |five: bool| -> Vec<String> {
        (0..200).map(|i| format!("a{i}")).filter(|id| (id.len() < 4 && id.ends_with('5')) == five).collect()
    };
    assert_eq!(desk.ids("out.jsonl"), expected(false));
    assert_eq!(desk.ids("out.errors.jsonl"), expected(true));
    let again = desk.run_with(options, &Fake::echo()).await.unwrap();
    assert_eq!(again.view.done, 200, "order does not matter to the journal");
    assert_eq!(desk.ids("out.jsonl"), (0..200).map(|i| format!("a{i}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_selection_runs_its_jobs_and_the_rest_can_follow() {
    let desk = Desk::new(&jobs(50));
    let sender = Fake::echo();
    let with = |selection| paceline_batch::RunOptions { selection, ..desk.options() };
    desk.run_with(with(Selection::First(7)), &sender).await.unwrap();
    assert_eq!(desk.sorted_ids("out.jsonl"), sorted((0..7).map(|i| format!("a{i}"))));
    let summary = desk.run_with(with(Selection::Sample(20)), &sender).await.unwrap();
    assert_eq!((summary.view.jobs, summary.view.done), (20, 20));
    let calls = sender.calls().len();
    desk.run_with(with(Selection::Sample(20)), &sender).await.unwrap();
    assert_eq!(sender.calls().len(), calls, "the same sample again");
    desk.run(&sender).await;
    assert_eq!((desk.ids("out.jsonl").len(), sender.calls().len()), (50, 50));
}

#[tokio::test]
async fn fresh_begins_anew() {
    let desk = Desk::new(&jobs(3));
    desk.write("out.jsonl", "precious\n");
    assert!(matches!(desk.check(), Err(CheckError::OutputExists { .. })));
    assert!(!desk.path("out.journal").exists());
    let options = paceline_batch::RunOptions { fresh: true, ..desk.options() };
    let sender = Fake::echo();
    desk.run_with(options.clone(), &sender).await.unwrap();
    desk.run_with(options, &sender).await.unwrap();
    assert_eq!((desk.ids("out.jsonl").len(), sender.calls().len()), (3, 6));
    assert_eq!(desk.run(&sender).await.report.done, 3);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let desk = Desk::new(&jobs(3));
    let options = paceline_batch::RunOptions { dry_run: true, ..desk.options() };
    assert_eq!(Checked::new(options.clone()).unwrap().report().chosen, 3);
    assert!(!desk.path("out.journal").exists() && !desk.path("out.jsonl").exists());
    desk.run(&Fake::echo()).await;
    assert_eq!(Checked::new(options).unwrap().report().done, 3);
}

#[tokio::test]
async fn a_refused_input_leaves_nothing_behind() {
    let desk = Desk::new(&format!("{}{}", jobs(3), line("a1", "again")));
    match desk.check() {
        Err(CheckError::Duplicates { pairs, count: 1 }) => {
            assert_eq!(pairs[0].id, "a1");
            assert!(pairs[0].first.ends_with("in.jsonl:2") && pairs[0].second.ends_with("in.jsonl:4"));
        }
        other => panic!("{other:?}"),
    }
    assert!(!desk.path("out.journal").exists());
    desk.write("in.jsonl", "\n \n");
    assert!(matches!(desk.check(), Err(CheckError::NoJobs { .. })));
}

#[tokio::test]
async fn a_second_runner_is_refused() {
    let desk = Desk::new(&jobs(3));
    let first = desk.check().unwrap();
    for _ in 0..5 {
        assert!(
            matches!(desk.check(), Err(CheckError::Held { pid: Some(pid), .. }) if pid == std::process::id())
        );
    }
    first.abandon();
    desk.check().unwrap();
}

#[tokio::test]
async fn draining_lets_what_is_in_flight_end_and_stopping_does_not() {
    for stop in [false, true] {
        let desk = Desk::new(&jobs(100));
        let gate = Arc::new(tokio::sync::Semaphore::new(10));
        let sender = Fake::echo().behind(&gate);
        let (control, progress) = (Control::new(), Progress::new());
        let run = paceline_batch::run(
            desk.check().unwrap(),
            sender.clone(),
            control.clone(),
            progress.clone(),
            Box::new(std::io::sink()),
        );
        let run = tokio::spawn(run);
        while progress.view().done < 10 || sender.calls().len() < 100 {
            tokio::task::yield_now().await;
        }
        if stop {
            control.stop();
        } else {
            control.drain();
            gate.add_permits(90);
        }
        let summary = run.await.unwrap().unwrap();
        let done = if stop { 10 } else { 100 };
        assert_eq!((summary.view.done, summary.stop.is_some()), (done, stop));
        let resumed = desk.check().unwrap().report();
        assert_eq!((resumed.done, resumed.in_flight), (done, 100 - done));
    }
}

#[tokio::test]
async fn money_failures_and_credentials_stop_a_run_and_leave_the_rest_to_the_next() {
    let paid = |line: &paceline_wire::line::Line, _| {
        let usage = Some(Default::default());
        Reply { cost: Some(MicroUsd::new(10)), usage, ..answered(&line.body) }
    };
    let desk = Desk::new(&jobs(20_000));
    let options = paceline_batch::RunOptions { budget: Some(MicroUsd::new(1_000)), ..desk.options() };
    let summary = desk.run_with(options, &Fake::new(paid)).await.unwrap();
    assert!(matches!(summary.stop, Some(StopReason::Budget { .. })), "{:?}", summary.stop);
    assert!(summary.view.done < 20_000);

    let desk = Desk::new(&jobs(20_000));
    let options = paceline_batch::RunOptions { max_failures: Some(3), ..desk.options() };
    let summary = desk.run_with(options, &Fake::new(|_, _| failed(false))).await.unwrap();
    assert!(matches!(summary.stop, Some(StopReason::Failures { .. })));
    assert!(summary.view.left() > 0);

    let desk = Desk::new(&jobs(5_000));
    let refused = Fake::new(|_, _| {
        let class = paceline_core::feedback::Class::Auth;
        Reply::of(End::NoUpstream { class, message: "check the key".to_owned() })
    });
    let summary = desk.run(&refused).await;
    assert!(matches!(summary.stop, Some(StopReason::Credential { .. })));
    assert_eq!((summary.view.done, summary.view.failed), (0, 0), "the jobs are not to blame");
    assert_eq!(desk.run(&Fake::echo()).await.view.done, 5_000);
}

#[tokio::test(start_paused = true)]
async fn passing_faults_fail_no_job_while_others_succeed() {
    let desk = Desk::new(&jobs(50));
    let sender = Fake::new(|line, before| match line.id.as_str() {
        "a1" | "a30" if before < 2 => failed(true),
        "a2" => failed(true),
        _ => answered(b"{}"),
    });
    let summary = desk.run(&sender).await;
    assert_eq!((summary.view.done, desk.ids("out.errors.jsonl")), (49, vec!["a2".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_outage_stops_the_run_and_fails_no_job() {
    let desk = Desk::new(&jobs(50));
    let summary = desk.run(&Fake::new(|_, _| failed(true))).await;
    match summary.stop {
        Some(StopReason::Outage { lasted, .. }) => assert!(lasted >= Duration::from_secs(900)),
        other => panic!("{other:?}"),
    }
    assert_eq!((summary.view.failed, summary.view.left()), (0, 50));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_run() {
    let desk = Desk::new(&jobs(5));
    let gate = Arc::new(tokio::sync::Semaphore::new(2));
    let sender = Fake::echo().behind(&gate);
    let options = paceline_batch::RunOptions { deadline: Some(Duration::from_secs(60)), ..desk.options() };
    let progress = Progress::new();
    // The clock stands still while something blocks, so that it doesn't run away from the threads that do the files.
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let still = tokio::task::spawn_blocking(move || blocked.recv());
    let checked = Checked::new(options).unwrap();
    let run =
        paceline_batch::run(checked, sender, Control::new(), progress.clone(), Box::new(std::io::sink()));
    let run = tokio::spawn(run);
    while progress.view().done < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    drop(release);
    let summary = run.await.unwrap().unwrap();
    assert!(still.await.unwrap().is_err());
    assert_eq!((summary.stop, summary.view.done), (Some(StopReason::Deadline), 2));
}

#[tokio::test]
async fn a_stream_gets_every_line_until_nobody_reads() {
    struct Pipe(std::sync::mpsc::Sender<Vec<u8>>, usize);
    impl std::io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.1 == 0 {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.1 -= 1;
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for (writes, stop) in [(usize::MAX, None), (0, Some(StopReason::PipeClosed))] {
        let desk = Desk::new(&jobs(10));
        let options = paceline_batch::RunOptions { output: None, ..desk.options() };
        let (sink, written) = std::sync::mpsc::channel();
        let checked = Checked::new(options).unwrap();
        let run = paceline_batch::run(
            checked,
            Fake::new(|line, _| if line.id == "a4" { failed(false) } else { answered(b"{}") }),
            Control::new(),
            Progress::new(),
            Box::new(Pipe(sink, writes)),
        );
        let summary = run.await.unwrap();
        assert_eq!(summary.stop, stop);
        let text: Vec<u8> = written.iter().flatten().collect();
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, if writes == 0 { 0 } else { 10 });
    }
}

#[tokio::test]
async fn results_of_every_family_and_compressed_input() {
    use std::io::Write;
    let desk = Desk::new("");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(jobs(3).as_bytes()).unwrap();
    desk.write("in.jsonl", gzip.finish().unwrap());
    desk.write("more.txt", "first\n\nsecond\n");
    let mut options = desk.options();
    options.inputs.push(desk.path("more.txt"));
    let summary = desk.run_with(options, &Fake::echo()).await.unwrap();
    assert_eq!(summary.view.done, 5);
    assert_eq!(desk.sorted_ids("out.jsonl"), ["a0", "a1", "a2", "line-4", "line-6"]);
}

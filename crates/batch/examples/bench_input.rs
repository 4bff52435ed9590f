//! What an input of millions of lines costs: the first pass, and the start of a resume when everything is done.
//!
//! `cargo run --release -p paceline-batch --example bench_input -- [LINES] [FOLDER]`
//!
//! The results of the earlier run are written here, as a run would have written them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use paceline_batch::{Checked, ContentHasher, IdHash, LineSum, RECORD_SIZE, Record, RunOptions};
use paceline_wire::line::{Answer, Defaults, Family, Outcome, result_line};
use paceline_wire::provider::Catalog;

fn job(i: u64) -> String {
    format!(
        "{{\"custom_id\":\"job-{i}\",\"prompt\":\"Write a title and a first paragraph for a blog post about subject {i}.\"}}"
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let lines: u64 = args.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let folder = args.next().map_or_else(std::env::temp_dir, Into::into);
    let folder = folder.join(format!("paceline-bench-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let mut defaults = Defaults::new(Catalog::embedded().provider("openai").ok_or("no such provider")?);
    defaults.model = Some("m".to_owned());
    write_input(&folder, lines)?;
    let options =
        RunOptions::new(vec![folder.join("in.jsonl")], Some(folder.join("out.jsonl")), defaults.clone());

    let (checked, took) = timed(options.clone())?;
    println!("{} jobs: first pass {took}, peak {} MiB", checked.report().jobs, peak()?);
    drop(checked);

    write_results(&folder, lines, &defaults)?;
    let (checked, took) = timed(options)?;
    let report = checked.report();
    println!("{} of {} done: resume starts after {took}, peak {} MiB", report.done, report.jobs, peak()?);
    drop(checked);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Checks a run, and says how long that took: on the clock, and on the processor.
fn timed(options: RunOptions) -> Result<(Checked, String), Box<dyn std::error::Error>> {
    let (begun, used) = (Instant::now(), processor_seconds()?);
    let checked = Checked::new(options)?;
    let used = processor_seconds()? - used;
    Ok((checked, format!("{:.1} s ({used:.1} s of a core)", begun.elapsed().as_secs_f64())))
}

fn processor_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ticks = stat.split_whitespace().skip(13).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}

fn write_input(folder: &Path, lines: u64) -> std::io::Result<()> {
    let mut input = BufWriter::new(File::create(folder.join("in.jsonl"))?);
    for i in 0..lines {
        writeln!(input, "{}", job(i))?;
    }
    input.flush()
}

fn write_results(folder: &Path, lines: u64, defaults: &Defaults) -> std::io::Result<()> {
    let hasher = ContentHasher::new(defaults);
    let mut output = BufWriter::new(File::create(folder.join("out.jsonl"))?);
    let journal = File::options().append(true).open(folder.join("out.journal"))?;
    let mut until = journal.metadata()?.len();
    let mut journal = BufWriter::new(journal);
    let answer =
        Answer { status: 200, request_id: None, body: br#"{"choices":[],"usage":{"total_tokens":70}}"# };
    for i in 0..lines {
        let id = format!("job-{i}");
        let line = result_line(Family::Prompt, &id, &Outcome::Succeeded(answer));
        let content = hasher.hash(job(i).as_bytes(), false);
        let id = IdHash::of(&id);
        journal.write_all(&Record::Sent { id, content }.encode())?;
        let sum = LineSum::of(&line[..line.len() - 1]);
        journal.write_all(&Record::Done { id, content, line: sum, ok: true }.encode())?;
        until += 2 * RECORD_SIZE as u64;
        if i % 100 == 99 {
            journal.write_all(&Record::Settled { until }.encode())?;
            until += RECORD_SIZE as u64;
        }
        output.write_all(&line)?;
    }
    journal.write_all(&Record::Settled { until }.encode())?;
    output.flush()?;
    journal.flush()
}

/// The most memory this process has ever held, in MiB.
fn peak() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).ok_or("no VmHWM")?;
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1024)
}

//! Prints the simulator's tables: `cargo run --release -p paceline-sim --example tables -- [main|robust|baselines|huge|faults|all] [--seeds N] [--first-seed N]
//! [--filter PART,PART] [--threads N] [--timeline]`, or `… bench`: how fast the engine decides.

use std::io;
use std::process::ExitCode;

use paceline_sim::bench;
use paceline_sim::command::{Options, run_tables};
use paceline_sim::matrix::Table;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("bench") {
        for waiting in [1_000, 100_000] {
            let speed = bench::decisions(waiting, 2_000_000);
            println!("{:.0} decisions/s of one core with {} waiting", speed.per_second(), speed.waiting);
        }
        return ExitCode::SUCCESS;
    }
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    match run_tables(&options, &mut io::stdout().lock()) {
        Ok(summary) if summary.missed + summary.violations == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let number = |word: Option<String>, name: &str| {
        let word = word.ok_or_else(|| format!("`{name}` needs a number"))?;
        word.parse::<u64>().map_err(|_| format!("`{word}` is not a number"))
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => options.seeds = number(words.next(), "--seeds")?,
            "--first-seed" => options.first_seed = number(words.next(), "--first-seed")?,
            "--threads" => options.threads = usize::try_from(number(words.next(), "--threads")?).unwrap_or(1),
            "--filter" => options.filter = words.next().ok_or("`--filter` needs a text")?,
            "--timeline" => options.timeline = true,
            "all" => options.tables = Table::ALL.to_vec(),
            name => {
                let table = Table::ALL.into_iter().find(|table| table.name() == name);
                options.tables = vec![table.ok_or_else(|| format!("unknown table `{name}`"))?];
            }
        }
    }
    Ok(options)
}

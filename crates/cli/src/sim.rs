//! `paceline sim`: prints the simulator's tables.

use std::io;

use paceline_sim::command::{self, Options};
use paceline_sim::matrix::Table;

use crate::args::SimArgs;
use crate::exit::{Exit, Failure};

/// Runs the tables that were asked for. A missed target or a broken law is a failed piece of work.
pub(crate) fn sim(args: &SimArgs) -> Result<Exit, Failure> {
    let tables = match &args.table {
        None => Options::default().tables,
        Some(name) if name == "all" => Table::ALL.to_vec(),
        Some(name) => vec![table(name)?],
    };
    let filter = args.filter.clone().unwrap_or_default();
    let SimArgs { seeds, first_seed, .. } = *args;
    let options = Options { tables, first_seed, seeds, filter, ..Options::default() };
    match command::run_tables(&options, &mut io::stdout()) {
        Ok(summary) if summary.settings == 0 => {
            Err(Failure::usage(anyhow::anyhow!("no setting matches `{}`", options.filter)))
        }
        Ok(summary) if summary.missed == 0 && summary.violations == 0 => Ok(Exit::Done),
        Ok(_) => Ok(Exit::SomeFailed),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::stopped(anyhow::Error::new(error).context("cannot write the table"))),
    }
}

fn table(name: &str) -> Result<Table, Failure> {
    Table::ALL.into_iter().find(|table| table.name() == name).ok_or_else(|| {
        let known: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
        Failure::usage(anyhow::anyhow!("unknown table `{name}`"))
            .hint(format!("known: `{}`, `all`", known.join("`, `")))
    })
}

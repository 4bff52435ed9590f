//! `paceline sim`: its flags.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// How many seeds each case runs with
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,

    /// The first of them, so that parameters can be tuned on others than those that judge
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) first_seed: u64,

    /// Which table to print; without it, the main one
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,

    /// Only cases whose name holds this text
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
}

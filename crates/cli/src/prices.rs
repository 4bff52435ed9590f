//! `paceline prices`: what models cost, since when, and who says so.

use std::io::{self, Write};

use comfy_table::Table;
use paceline_wire::provider::{Catalog, LongContext, Origin, Pattern, Price};
use paceline_wire::terminal;

use crate::args::PricesArgs;
use crate::config::{self, priced};
use crate::exit::{Exit, Failure};
use crate::usage::{aligned, right};

/// The columns that hold numbers.
const NUMBERS: std::ops::Range<usize> = 2..7;

/// Prints the prices.
pub(crate) fn prices(args: &PricesArgs) -> Result<Exit, Failure> {
    let own = args.config.as_deref().map(config::load).transpose()?.map(|config| config.prices);
    let own = own.unwrap_or_default();
    let mut table = aligned(&[
        "provider",
        "models",
        "input",
        "output",
        "cache read",
        "write 5m",
        "write 1h",
        "batch",
        "long prompts",
        "as of",
        "from",
    ]);
    let mut found = false;
    for provider in Catalog::embedded().providers() {
        let provider = priced(provider, &own);
        for price in provider.prices.iter().filter(|price| is_asked_for(price, args.model.as_deref())) {
            found = true;
            add(&mut table, &provider.name, price);
        }
    }
    if !found {
        let model = args.model.as_deref().unwrap_or_default();
        return Err(Failure::usage(anyhow::anyhow!("no price is known for `{model}`"))
            .hint("add a [[price]] to the configuration; without one its requests cost an unknown amount"));
    }
    right(&mut table, NUMBERS);
    let notes = "USD per million tokens; models in a [[price]] of yours count before those built in\n\
                 batch: what the provider's own batch API takes of these";
    // A reader who has closed the pipe has seen enough.
    let _ = writeln!(io::stdout(), "{}\n\n{notes}", table.trim_fmt());
    Ok(Exit::Done)
}

fn add(table: &mut Table, provider: &str, price: &Price) {
    let models: Vec<String> = price.models.iter().map(ToString::to_string).collect();
    let batch = match price.batch_percent {
        100 => "-".to_owned(),
        percent => format!("{percent} %"),
    };
    let from = match price.origin {
        Origin::BuiltIn => "built in",
        Origin::Config => "config",
    };
    table.add_row([
        provider.to_owned(),
        terminal::line(&models.join(", ")).into_owned(),
        per_million(price.input),
        per_million(price.output),
        per_million(price.cache_read),
        per_million(price.cache_write),
        per_million(price.cache_write_1h),
        batch,
        price.long_context.as_ref().map_or_else(|| "-".to_owned(), long_context),
        price.as_of.clone(),
        from.to_owned(),
    ]);
}

fn long_context(long: &LongContext) -> String {
    let above = long.above;
    match &long.price {
        Some(price) => {
            format!("above {above}: {} / {}", per_million(price.input), per_million(price.output))
        }
        None => format!("above {above}: unknown"),
    }
}

/// A model's name finds the patterns that it matches; a pattern also those that it would match as names.
fn is_asked_for(price: &Price, asked: Option<&str>) -> bool {
    let Some(asked) = asked else { return true };
    let glob = Pattern::new(asked);
    price.models.iter().any(|known| known.matches(asked) || glob.matches(&known.to_string()))
}

/// USD per million tokens, without needless zeros.
pub(crate) fn per_million(pico: u64) -> String {
    let (dollars, rest) = (pico / 1_000_000, pico % 1_000_000);
    match format!("{rest:06}").trim_end_matches('0') {
        "" => dollars.to_string(),
        fraction => format!("{dollars}.{fraction:0<2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_lists_have_them() {
        let cases = [
            (0, "0"),
            (1_000_000, "1"),
            (500_000, "0.50"),
            (3_750_000, "3.75"),
            (28_000, "0.028"),
            (1, "0.000001"),
        ];
        for (pico, want) in cases {
            assert_eq!(per_million(pico), want);
        }
    }
}

//! `[usage]` and `[[price]]`: where usage is recorded, and what it costs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline_gateway::callers::{Allowance, CallerConfig, Counted};
use paceline_usage::{OnFailure, RETENTION};
use paceline_wire::provider::{Catalog, Origin, Pattern, Price, Provider, Rates};
use toml::Spanned;

use super::file;
use super::place::Problem;

/// Where usage is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The ledger.
    pub(crate) file: PathBuf,
    /// How long its rows are kept.
    pub(crate) retention: Duration,
    /// What becomes of requests while it cannot be written.
    pub(crate) on_failure: OnFailure,
    /// What may be spent by all together.
    pub(crate) budget: Option<Allowance>,
}

impl Usage {
    /// A ledger with nothing said but its place.
    pub(crate) fn at(file: PathBuf) -> Self {
        Self { file, retention: RETENTION, on_failure: OnFailure::default(), budget: None }
    }
}

/// Checks the section; `None` when it names no file. Relative paths start at `folder`.
pub(super) fn usage(
    usage: &file::Usage,
    callers: &[CallerConfig],
    folder: &Path,
) -> Result<Option<Usage>, Problem> {
    let Some(file) = &usage.file else {
        return match &usage.budget {
            Some(budget) => Err(Problem::at(budget.span(), "a budget for all needs a ledger to be kept in")
                .hint("add `file = \"usage.db\"`")),
            None => Ok(None),
        };
    };
    let retention = usage.retention.map_or(RETENTION, |span| span.0);
    let budget = usage.budget.as_ref().map(|budget| {
        let file::Budget(amount, window) = *budget.get_ref();
        Allowance { counted: Counted::Money, window, limit: amount.micros() }
    });
    let own = callers.iter().flat_map(|caller| &caller.allowances).copied();
    let longest = own.chain(budget).filter(|it| it.counted == Counted::Money).map(|it| it.window).max();
    if longest.is_some_and(|longest| retention < longest) {
        return Err(Problem::at(file.span(), "`retention` is shorter than a budget's window")
            .hint("a restart would forget what was spent; keep rows at least as long as that"));
    }
    let on_failure = match usage.on_failure {
        file::OnFailure::Serve => OnFailure::Serve,
        file::OnFailure::Refuse => OnFailure::Refuse,
    };
    Ok(Some(Usage { file: folder.join(file.get_ref()), retention, on_failure, budget }))
}

/// A price of the user's own, and whose models it is for.
#[derive(Clone, Debug)]
pub(crate) struct OwnPrice {
    /// The provider.
    pub(crate) provider: String,
    /// The price.
    pub(crate) price: Price,
}

/// Checks a `[[price]]`.
pub(super) fn price(price: file::Price) -> Result<OwnPrice, Problem> {
    let name = price.provider.get_ref();
    let known: Vec<&str> = Catalog::embedded().providers().map(|provider| provider.name.as_str()).collect();
    if !known.contains(&name.as_str()) {
        let problem = Problem::at(price.provider.span(), format!("unknown provider `{name}`"));
        return Err(problem.meant(name, &known));
    }
    if price.models.get_ref().is_empty() {
        return Err(Problem::at(price.models.span(), "this price is for no model")
            .hint("name them, as in `models = [\"claude-sonnet-*\"]`"));
    }
    if let Some(percent) = price.batch_percent.as_ref().filter(|percent| *percent.get_ref() > 100) {
        return Err(Problem::at(percent.span(), "`batch_percent` is a part of the price, at most 100"));
    }
    let file::Price { input, output, cache_read, cache_write, cache_write_1h, .. } = price;
    let rates = Rates { input, output, cache_read, cache_write, cache_write_1h };
    let models = price.models.into_inner().into_iter().map(Pattern::new).collect();
    let percent = price.batch_percent.map_or(100, Spanned::into_inner);
    Ok(OwnPrice {
        provider: price.provider.into_inner(),
        price: rates.price(Origin::Config, models, price.as_of, percent, price.long_context),
    })
}

/// The provider with the user's own prices for it.
pub(crate) fn priced(provider: &Provider, own: &[OwnPrice]) -> Provider {
    let mut provider = provider.clone();
    let own = own.iter().filter(|own| own.provider == provider.name).map(|own| own.price.clone());
    provider.prices.extend(own.collect::<Vec<_>>());
    provider
}

//! Pools: who serves the model names that callers use, and who steps in.

use paceline_wire::Dialect;
use toml::Spanned;

use super::check::Upstream;
use super::file;
use super::place::Problem;

/// The upstreams that can serve one model name.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The name callers use.
    pub(crate) model: String,
    /// Who serves it, in order.
    pub(crate) upstreams: Vec<String>,
    /// The name upstreams get instead.
    pub(crate) send_as: Option<String>,
    /// Pools that step in.
    pub(crate) fallback: Vec<String>,
}

/// Checks the pools of a file, each by itself and then beside those that step in for it.
pub(super) fn check(pools: &[file::Pool], upstreams: &[Upstream]) -> Result<Vec<Pool>, Problem> {
    for pool in pools {
        check_upstreams(pool, upstreams)?;
        check_fallback(pool, pools)?;
    }
    for pool in pools {
        check_dialects(pool, pools, upstreams)?;
    }
    Ok(pools.iter().map(checked).collect())
}

fn check_upstreams(pool: &file::Pool, upstreams: &[Upstream]) -> Result<(), Problem> {
    let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    if pool.upstreams.get_ref().is_empty() {
        return Err(Problem::at(pool.upstreams.span(), "a pool needs an upstream").meant("", &known));
    }
    for name in pool.upstreams.get_ref() {
        if !known.contains(&name.get_ref().as_str()) {
            let message = format!("no upstream is called `{}`", name.get_ref());
            return Err(Problem::at(name.span(), message).meant(name.get_ref(), &known));
        }
    }
    Ok(())
}

fn check_fallback(pool: &file::Pool, pools: &[file::Pool]) -> Result<(), Problem> {
    let others: Vec<&str> = pools.iter().map(|other| other.model.get_ref().as_str()).collect();
    for name in &pool.fallback {
        if name.get_ref() == pool.model.get_ref() {
            return Err(Problem::at(name.span(), format!("pool `{}` falls back on itself", name.get_ref())));
        }
        if !others.contains(&name.get_ref().as_str()) {
            let message = format!("no pool serves the model `{}`", name.get_ref());
            return Err(Problem::at(name.span(), message).meant(name.get_ref(), &others));
        }
    }
    Ok(())
}

/// Bodies are not translated, so whoever may get a request must speak as its caller does.
fn check_dialects(pool: &file::Pool, pools: &[file::Pool], upstreams: &[Upstream]) -> Result<(), Problem> {
    let dialect_of = |name: &Spanned<String>| {
        let upstream = upstreams.iter().find(|upstream| upstream.name == *name.get_ref());
        upstream.map(|upstream| upstream.provider.dialect)
    };
    let mut own = None;
    let mut fits = |dialect: Option<Dialect>| dialect == *own.get_or_insert(dialect);
    let hint =
        "requests are passed on as they are: use upstreams of one dialect, in pools that step in as well";
    for name in pool.upstreams.get_ref() {
        if !fits(dialect_of(name)) {
            let message = format!("pool `{}` has upstreams of different dialects", pool.model.get_ref());
            return Err(Problem::at(name.span(), message).hint(hint));
        }
    }
    for name in &pool.fallback {
        let other = pools.iter().find(|other| other.model.get_ref() == name.get_ref());
        if !other.into_iter().flat_map(|other| other.upstreams.get_ref()).map(dialect_of).all(&mut fits) {
            let message =
                format!("pool `{}` speaks another dialect than `{}`", name.get_ref(), pool.model.get_ref());
            return Err(Problem::at(name.span(), message).hint(hint));
        }
    }
    Ok(())
}

fn checked(pool: &file::Pool) -> Pool {
    let names = |list: &[Spanned<String>]| list.iter().map(|name| name.get_ref().clone()).collect();
    Pool {
        model: pool.model.get_ref().clone(),
        upstreams: names(pool.upstreams.get_ref()),
        send_as: pool.send_as.as_ref().map(|name| name.get_ref().clone()),
        fallback: names(&pool.fallback),
    }
}

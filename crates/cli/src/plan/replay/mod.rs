//! `paceline plan --replay`: how the requests of a usage ledger would have fared under other limits.
//!
//! [`traffic`] reads the requests as jobs, which the simulator plays at the times at which they came; [`text`] and [`json`] tell
//! what became of them.

mod json;
mod text;
mod traffic;
mod waits;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use paceline_core::engine::Bind;
use paceline_sim::plan::{Coming, Limited, Need, Replay, replay};
use paceline_wire::provider::Provider;
use paceline_wire::terminal;

use self::traffic::{Asked, Traffic};
use self::waits::{ByPriority, by_priority};
use super::limits::Sources;
use super::text::remedy;
use super::world::{Known, World};
use crate::args::{PlanArgs, Since};
use crate::exit::{Exit, Failure};

/// Requests that came once, and how they would have fared.
struct Replayed {
    ledger: PathBuf,
    provider: Provider,
    sources: Sources,
    traffic: Traffic,
    known: Known,
    waits: Vec<ByPriority>,
    replay: Replay,
}

/// Prints how the requests of `ledger` would have fared.
pub(super) fn plan(args: &PlanArgs, ledger: &Path) -> Result<Exit, Failure> {
    let replayed = Replayed::new(args, ledger)?;
    let text = if args.json { terminal::json(&replayed.json()) } else { replayed.text() };
    // A reader who has closed the pipe has seen enough.
    let _ = writeln!(io::stdout(), "{text}");
    Ok(Exit::Done)
}

impl Replayed {
    fn new(args: &PlanArgs, ledger: &Path) -> Result<Self, Failure> {
        let destination = super::destination(args)?;
        if let Some(tier) = &args.assumptions.tier {
            super::tiers::check(&destination.provider, tier)?;
        }
        let provider = destination.provider.clone();
        let sources = super::premises(args, &provider).sources;
        let routes = destination.client(&args.ceilings).routes().map_err(Failure::usage)?;
        let by_own_name = args.target.config.is_some();
        let (since, until) = span(args)?;
        let asked = Asked { ledger, since, until, by_own_name };
        let mut traffic = Traffic::read(&asked, &routes, &sources)?;
        let World { mut setting, known } = World::new(&traffic.survey, &sources, args.assumptions.accounts);
        if !known.unlimited.is_empty() {
            let models = known.unlimited.join("`, `");
            return Err(Failure::usage(anyhow!("no limit is known for `{models}`: nothing would wait"))
                .hint(format!("type {}", remedy(&provider, &known.missing, &provider.tiers))));
        }
        setting.coming = Coming::Recorded(std::mem::take(&mut traffic.recorded));
        let replay = replay(&setting);
        let Coming::Recorded(recorded) = setting.coming else { unreachable!("it was set above") };
        let waits = by_priority(&recorded, &replay.waits, &traffic.waited);
        Ok(Self { ledger: ledger.to_owned(), provider, sources, traffic, known, waits, replay })
    }

    /// How long a limit held requests back.
    fn held(&self, need: &Need) -> Duration {
        let held = need.meters.iter().filter_map(|meter| self.replay.watched.held.get(meter)).flatten();
        held.filter(|(bind, _)| is_of(*bind, need.limited)).map(|(_, time)| *time).sum()
    }

    /// How long refusals held requests back.
    fn held_by_refusals(&self) -> Duration {
        let held = self.replay.watched.held.values().flatten();
        held.filter(|(bind, _)| *bind == Bind::Gate).map(|(_, time)| *time).sum()
    }

    /// The largest share that was used of a limit.
    fn fullest(&self, need: &Need) -> Option<f64> {
        let Limited::Quota(dimension, window) = need.limited else { return None };
        let fullest = &self.replay.watched.fullest;
        let of = |meter: &usize| fullest.get(&(*meter, dimension, window)).copied();
        need.meters.iter().filter_map(of).reduce(f64::max)
    }

    /// The limit that held requests back for longest.
    fn binds(&self) -> Option<&Need> {
        let needs = self.known.needs.iter().filter(|need| !self.held(need).is_zero());
        needs.max_by_key(|need| self.held(need))
    }

    /// Those that would get no answer.
    fn unanswered(&self) -> u64 {
        self.replay.waits.iter().filter(|wait| wait.is_none()).count() as u64
    }
}

fn is_of(bind: Bind, limited: Limited) -> bool {
    match (bind, limited) {
        (Bind::Quota(dimension, window), Limited::Quota(of, over)) => (dimension, window) == (of, over),
        (Bind::InFlight, Limited::InFlight) => true,
        _ => false,
    }
}

/// From when on, and before when.
fn span(args: &PlanArgs) -> Result<(Duration, Duration), Failure> {
    let now = SystemTime::now();
    let since = args.recorded.from.map_or(Duration::ZERO, |from| Since::unix(from, now));
    let until = args.recorded.to.map_or(Duration::MAX, |to| Since::unix(to, now));
    match since < until {
        true => Ok((since, until)),
        false => Err(Failure::usage(anyhow!("`--from` is not before `--to`"))),
    }
}

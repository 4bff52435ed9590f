//! The jobs and their limits, put together for the simulator.

use std::collections::HashMap;
use std::time::Duration;

use paceline::LaneOutline;
use paceline_batch::{LOOK_AHEAD, LOOK_AHEAD_BYTES};
use paceline_core::quota::{Dimension, Quota};
use paceline_sim::plan::{
    Ahead, Coming, Kind, KindLane, Limited, MeterSetting, Need, Setting, Totals, needs,
};
use paceline_wire::estimate::Ratio;

use super::limits::{Metered, Origin, Sources};
use super::survey::{ModelJobs, Survey};

/// One way through the network, median: to a provider, and to the mock on this machine.
const FAR: Duration = Duration::from_millis(30);
const NEAR: Duration = Duration::from_millis(1);
/// A limit binds when it takes this share of the whole time on its own: the rest is start, end and caution.
const BINDING_SHARE: f64 = 0.5;

/// One way through the network to where `sources` send, median.
pub(super) fn latency(sources: &Sources) -> Duration {
    if sources.mock.is_some() { NEAR } else { FAR }
}

/// What is known of the limits of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// What the jobs need of each limit, the slowest first.
    pub(crate) needs: Vec<Need>,
    /// The models that each meter counts, and where its limits come from.
    pub(crate) meters: Vec<(String, Vec<(Quota, Origin)>)>,
    /// Models of which no limit at all is known.
    pub(crate) unlimited: Vec<String>,
    /// What providers are known to limit, and nobody said by how much.
    pub(crate) missing: Vec<Dimension>,
}

impl Known {
    /// The time that the limits take at their own speed.
    pub(crate) fn steady(&self) -> Duration {
        self.needs.first().map_or(Duration::ZERO, |need| need.steady)
    }

    /// The limit that decides a run of this length; none when it is the answers themselves that take so long.
    pub(crate) fn binding(&self, finish: Duration) -> Option<&Need> {
        self.needs.first().filter(|need| finish.mul_f64(BINDING_SHARE) <= need.steady)
    }

    /// Where a limit comes from.
    pub(crate) fn origin(&self, need: &Need) -> Option<&Origin> {
        let Limited::Quota(dimension, window) = need.limited else { return None };
        let (_, origins) = self.meters.get(*need.meters.first()?)?;
        let is = |quota: &Quota| (quota.dimension, quota.window) == (dimension, window);
        origins.iter().find(|(quota, _)| is(quota)).map(|(_, origin)| origin)
    }

    /// The models that a limit is for; nothing where all jobs share one meter.
    pub(crate) fn models(&self, need: &Need) -> Option<&str> {
        let of = |meter: &usize| self.meters.get(*meter).map(|(models, _)| models.as_str());
        let first = self.needs.first()?.meters.first().and_then(of)?;
        let alike = self.needs.iter().all(|need| need.meters.first().and_then(of) == Some(first));
        need.meters.first().and_then(of).filter(|_| !alike)
    }
}

/// A plan's jobs where they are to be run.
pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) known: Known,
}

impl World {
    /// The jobs of `survey` under limits of `sources`, on so many accounts.
    pub(crate) fn new(survey: &Survey, sources: &Sources, accounts: u32) -> Self {
        let mut builder = Builder { sources, accounts, ..Builder::empty(sources) };
        let kinds: Vec<Kind> = survey.models.iter().map(|model| builder.kind(model)).collect();
        let totals: Vec<Totals> = survey.models.iter().map(|model| model.totals).collect();
        let Builder { meters, upstreams, mut known, .. } = builder;
        known.needs = needs(&kinds, &totals, &meters);
        known.missing.sort_unstable();
        known.missing.dedup();
        let setting = Setting {
            jobs: survey.sketches.clone(),
            stands_for: survey.jobs,
            kinds,
            meters,
            upstreams: upstreams.len(),
            coming: Coming::Batch(Ahead { jobs: LOOK_AHEAD, bytes: LOOK_AHEAD_BYTES }),
            latency: latency(sources),
        };
        World { setting, known }
    }
}

struct Builder<'a> {
    sources: &'a Sources,
    accounts: u32,
    meters: Vec<MeterSetting>,
    /// By provider, account, models, and which of the accounts that are assumed.
    by_name: HashMap<(String, String, String, u32), usize>,
    upstreams: HashMap<(String, u32), usize>,
    known: Known,
}

impl<'a> Builder<'a> {
    fn empty(sources: &'a Sources) -> Self {
        Self {
            sources,
            accounts: 1,
            meters: Vec::new(),
            by_name: HashMap::new(),
            upstreams: HashMap::new(),
            known: Known::default(),
        }
    }

    fn kind(&mut self, model: &ModelJobs) -> Kind {
        let lanes = (0..self.accounts)
            .flat_map(|account| model.lanes.iter().map(move |lane| (account, lane)))
            .collect::<Vec<_>>();
        Kind {
            lanes: lanes.into_iter().map(|(account, lane)| self.lane(account, lane)).collect(),
            prior: Ratio::prior(model.provider()),
            tokens_per_byte: model.tokens_per_byte,
            answers: model.answers.clone(),
        }
    }

    fn lane(&mut self, account: u32, lane: &LaneOutline) -> KindLane {
        let count = self.upstreams.len();
        let upstream = *self.upstreams.entry((lane.upstream.clone(), account)).or_insert(count);
        KindLane { upstream, meter: self.meter(account, lane), tier: lane.tier, weight: lane.weight }
    }

    fn meter(&mut self, account: u32, lane: &LaneOutline) -> usize {
        let name = (lane.provider.name.clone(), lane.account.clone(), lane.models.clone(), account);
        if let Some(meter) = self.by_name.get(&name) {
            return *meter;
        }
        let metered = self.sources.of(lane);
        if metered.is_unknown() && !self.known.unlimited.contains(&lane.models) {
            self.known.unlimited.push(lane.models.clone());
        }
        let Metered { setting, origins, missing } = metered;
        self.known.missing.extend(missing);
        self.known.meters.push((lane.models.clone(), origins));
        self.meters.push(setting);
        self.by_name.insert(name, self.meters.len() - 1);
        self.meters.len() - 1
    }
}

//! Reads the jobs of a plan: what each of them needs, in a few bytes, and what is wrong with some.

use paceline::{LaneOutline, Routes};
use paceline_batch::{CheckError, Checked, Surveyed};
use paceline_core::quota::{Dimension, OutputRule, Quota};
use paceline_mock::model::Rules;
use paceline_sim::plan::{Answers, NO_MOST, Sketch, Totals};
use paceline_wire::dialect::Endpoint;
use paceline_wire::estimate::Ratio;
use paceline_wire::line::Line;
use paceline_wire::provider::Provider;
use paceline_wire::request::{self, Peek};
use paceline_wire::terminal;

use super::answers::Outlook;
use super::calibration::Calibration;
use super::limits::Sources;
use crate::progress::{grouped, limit_name};

/// Jobs that are kept, at most: of more, every second one, then every fourth.
const MOST_SKETCHES: usize = 1 << 20;
/// Models told apart; jobs for others are counted with the last one.
pub(super) const MOST_MODELS: usize = 4_096;
/// Lines that are named of those that have something wrong.
const NAMED: usize = 3;

/// Lines that have something in common, and some of them in words: those first with a reason of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) first: Vec<String>,
    reasons: Vec<String>,
}

impl Found {
    fn add(&mut self, job: &Surveyed<'_>, reason: String) {
        self.count += 1;
        if self.first.len() < NAMED && !self.reasons.contains(&reason) {
            let text = format!("{}: {reason}", job.place());
            self.first.push(terminal::line(&text).into_owned());
            self.reasons.push(reason);
        }
    }

    /// So many lines, named as these.
    #[cfg(test)]
    pub(crate) fn of(count: u64, first: &[&str]) -> Self {
        let first = first.iter().map(|text| (*text).to_owned()).collect();
        Self { count, first, reasons: Vec::new() }
    }
}

/// The jobs for one model at one endpoint.
#[derive(Debug)]
pub(crate) struct ModelJobs {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: String,
    pub(crate) lanes: Vec<LaneOutline>,
    pub(crate) answers: Answers,
    pub(crate) tokens_per_byte: f64,
    pub(crate) totals: Totals,
    /// The most that one request may ask for, by lane.
    most: Vec<(OutputRule, Vec<Quota>)>,
}

impl ModelJobs {
    /// None yet, for lanes that are metered as `sources` say.
    pub(crate) fn new(endpoint: Endpoint, model: &str, lanes: Vec<LaneOutline>, sources: &Sources) -> Self {
        let metered = lanes.iter().map(|lane| sources.of(lane));
        Self {
            endpoint,
            model: model.to_owned(),
            answers: Answers::none(),
            tokens_per_byte: 0.0,
            totals: Totals::default(),
            most: metered.map(|of| (of.setting.rules.metering.output, of.most())).collect(),
            lanes,
        }
    }

    /// Whether the most that they ask for is charged when they are sent.
    pub(crate) fn charges_most(&self) -> bool {
        self.most.iter().any(|(rule, _)| matches!(rule, OutputRule::UpFront | OutputRule::Reserved))
    }

    /// Whose rules the jobs are sized by.
    pub(crate) fn provider(&self) -> &Provider {
        &self.lanes[0].provider // Jobs without lanes are not kept.
    }
}

/// All jobs of a plan.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) models: Vec<ModelJobs>,
    pub(crate) sketches: Vec<Sketch>,
    /// How many jobs these are kept of.
    pub(crate) jobs: u64,
    pub(crate) unreadable: Found,
    pub(crate) too_large: Found,
    /// Lines that wait for a time, or name a deadline.
    pub(crate) timed: u64,
    /// Jobs that produce text, and name no most.
    pub(crate) open_ended: u64,
    pub(crate) calibration: Calibration,
}

impl Survey {
    /// Reads the jobs that a run of `checked` would send to `routes`.
    pub(crate) fn read(
        checked: &Checked,
        routes: &Routes,
        sources: &Sources,
        outlook: &Outlook,
    ) -> Result<Self, CheckError> {
        let mut calibration = Calibration::default();
        if checked.report().done > 0 {
            checked.survey(|job| calibrate(&mut calibration, routes, &job))?;
        }
        let survey = Survey { calibration, ..Survey::default() };
        let assumed_most = Rules::default().assumed_max_tokens;
        let mut reader = Reader { routes, sources, outlook, survey, stride: 1, assumed_most, last: 0 };
        checked.survey(|job| reader.take(&job))?;
        Ok(reader.survey)
    }
}

/// Learns from a job that is done.
fn calibrate(calibration: &mut Calibration, routes: &Routes, job: &Surveyed<'_>) {
    let (Some(used), Ok(line)) = (&job.used, &job.task) else { return };
    let endpoint = Endpoint::from_path(&line.path);
    let Some(peek) = peek(routes, endpoint, line).ok().flatten() else { return };
    let lanes = routes.lanes(endpoint, peek.model.as_deref().unwrap_or_default());
    if let Some(lane) = lanes.first() {
        let most = peek.max_tokens.map(|most| most.saturating_mul(peek.choices));
        calibration.add(request::size(&lane.provider, &peek), most, endpoint.generates(), used);
    }
}

/// What a line's body asks for; nothing is read of endpoints that are paced by request count alone.
fn peek<'a>(routes: &Routes, endpoint: Endpoint, line: &'a Line) -> Result<Option<Peek<'a>>, String> {
    match endpoint {
        Endpoint::Other | Endpoint::Models => Ok(None),
        _ => request::peek(routes.dialect(endpoint), endpoint, &line.body)
            .map(Some)
            .map_err(|error| error.to_string()),
    }
}

struct Reader<'a> {
    routes: &'a Routes,
    sources: &'a Sources,
    outlook: &'a Outlook,
    survey: Survey,
    stride: u64,
    /// What providers that charge the most up front take it for, where a request names none.
    assumed_most: u64,
    /// The model of the job before: most often it is that of the next one, too.
    last: usize,
}

impl Reader<'_> {
    fn take(&mut self, job: &Surveyed<'_>) {
        if job.used.is_some() {
            return; // It is done.
        }
        let read = job.task.as_ref().map_err(Clone::clone).and_then(|line| self.sketch(line));
        let (sketch, timed) = match read {
            Ok(sketch) => sketch,
            Err(reason) => return self.survey.unreadable.add(job, reason),
        };
        let model = &self.survey.models[usize::from(sketch.kind)];
        let input = input_tokens(model, &sketch);
        if let Some((quota, wanted)) = larger_than(model, &sketch, input) {
            let name = limit_name(quota.dimension, quota.window);
            let (wanted, limit) = (grouped(wanted), grouped(quota.limit));
            let reason = format!("`{}`: {wanted} of {limit} {name}", job.id);
            return self.survey.too_large.add(job, reason);
        }
        self.survey.timed += u64::from(timed);
        self.count(sketch, input);
    }

    /// The job in a few bytes, and whether it names a time.
    fn sketch(&mut self, line: &Line) -> Result<(Sketch, bool), String> {
        let endpoint = Endpoint::from_path(&line.path);
        let peek = peek(self.routes, endpoint, line)?;
        let name = peek.as_ref().and_then(|peek| peek.model.as_deref()).unwrap_or_default();
        let kind = self.model(endpoint, name)?;
        let provider = self.survey.models[kind].provider();
        let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let mut sketch = Sketch {
            kind: u16::try_from(kind).unwrap_or(u16::MAX),
            text_bytes: 0,
            fixed_tokens: 0,
            most_output: 0,
            body_bytes: bounded(line.body.len() as u64),
        };
        if let Some(peek) = peek.filter(|_| endpoint != Endpoint::CountTokens) {
            let demand = request::demand(provider, &peek, &Ratio::prior(provider));
            let size = request::size(provider, &peek);
            let own_estimate = provider.input_estimate.is_some() && provider.metering.input_is_estimate;
            (sketch.text_bytes, sketch.fixed_tokens) = match own_estimate {
                true => (0, bounded(demand.input_tokens)),
                false => (bounded(size.bytes), bounded(size.fixed_tokens)),
            };
            sketch.most_output = demand.max_output_tokens.map_or(NO_MOST, bounded);
        }
        let timed = line.options.not_before.is_some() || line.options.deadline.is_some();
        Ok((sketch, timed))
    }

    /// The number of a model's jobs.
    fn model(&mut self, endpoint: Endpoint, name: &str) -> Result<usize, String> {
        let models = &self.survey.models;
        let is = |at: &usize| {
            models.get(*at).is_some_and(|known| known.endpoint == endpoint && known.model == name)
        };
        let known = Some(self.last).filter(is).or_else(|| (0..models.len()).find(|at| is(at)));
        if let Some(at) = known.or((models.len() >= MOST_MODELS).then_some(MOST_MODELS - 1)) {
            self.last = at;
            return Ok(at);
        }
        let lanes = self.routes.lanes(endpoint, name);
        let Some(first) = lanes.first() else {
            return Err(format!("it is open which upstream is to serve `{name}`"));
        };
        let calibration = &self.survey.calibration;
        let prior = 1_000.0 / f64::from(first.provider.milli_bytes_per_token.max(1));
        let model = ModelJobs {
            answers: self.outlook.answers(&first.provider, calibration),
            tokens_per_byte: calibration.tokens_per_byte().unwrap_or(prior),
            ..ModelJobs::new(endpoint, name, lanes, self.sources)
        };
        self.last = models.len();
        self.survey.models.push(model);
        Ok(self.last)
    }

    /// Adds a job to the totals, and keeps it if it is its turn.
    fn count(&mut self, sketch: Sketch, input: u64) {
        let model = &mut self.survey.models[usize::from(sketch.kind)];
        let generates = model.endpoint.generates();
        let most = sketch.most_output();
        let output = if generates { model.answers.of(most).mean(most) } else { 0.0 };
        let totals = &mut model.totals;
        totals.jobs += 1;
        totals.input_tokens += input;
        totals.output_tokens += output;
        totals.most_output_tokens += most.unwrap_or(self.assumed_most);
        totals.answer_seconds += model.answers.mean_duration(output).as_secs_f64();
        self.survey.open_ended += u64::from(generates && most.is_none());
        self.survey.jobs += 1;
        if !self.survey.jobs.is_multiple_of(self.stride) {
            return;
        }
        self.survey.sketches.push(sketch);
        if self.survey.sketches.len() == MOST_SKETCHES {
            self.stride *= 2;
            let mut number = 0_usize;
            self.survey.sketches.retain(|_| {
                number += 1;
                number.is_multiple_of(2)
            });
        }
    }
}

/// The input tokens that a job is believed to be charged.
pub(crate) fn input_tokens(model: &ModelJobs, sketch: &Sketch) -> u64 {
    u64::from(sketch.fixed_tokens) + (f64::from(sketch.text_bytes) * model.tokens_per_byte).round() as u64
}

/// The limit that a job exceeds on its own wherever it goes, and by what.
fn larger_than(model: &ModelJobs, sketch: &Sketch, input: u64) -> Option<(Quota, u64)> {
    let mut found = None;
    for (rule, quotas) in &model.most {
        let at_once = match rule {
            OutputRule::UpFront | OutputRule::Reserved => sketch.most_output().unwrap_or(0),
            OutputRule::Produced | OutputRule::NotCounted => 0,
        };
        let wanted = |dimension| match dimension {
            Dimension::Requests => 1,
            Dimension::InputTokens => input,
            Dimension::OutputTokens => at_once,
            Dimension::TotalTokens => input.saturating_add(at_once),
        };
        let larger = quotas.iter().find(|quota| quota.limit < wanted(quota.dimension))?;
        found = Some((*larger, wanted(larger.dimension)));
    }
    found
}

//! The provider's side of the world: an account with its meter, its moods, and what it answers.

use std::time::Duration;

use paceline_core::feedback::{Class, Failure, LimitSeen, NamedLimit};
use paceline_core::quota::{Dimension, Metering, OutputRule, Quota};
use paceline_core::time::Time;
use paceline_mock::model::{Call, Limit, Meter, Refused, Rules};

use crate::draw::Draw;
use crate::told::{self, Manners};
use crate::window::Window;
use crate::workload::Job;

/// How an account does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    /// As it should.
    Well,
    /// The credential or its credit is gone: every call fails at once with this class.
    Dead(Class),
    /// Every call hangs this long and ends in a 529.
    Hanging(Duration),
    /// Every call fails with a 500 after a moment.
    Failing,
    /// This share of the calls fails in one of many ways.
    Mixed(f64),
    /// This share of the calls is counted and then lost: the connection breaks before the first byte.
    Breaking(f64),
    /// This share of the calls is refused with a wait that makes no sense.
    Misleading(f64, Duration),
}

/// What an account tells beside its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candor {
    /// Limit headers on every answer, and the limit's name in a refusal.
    pub headers: bool,
    /// A wait hint on refusals, in whole seconds.
    pub hints: bool,
}

/// How a call ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// With the whole answer.
    Success,
    /// With this failure, after this much output.
    Failure(Failure, u64),
}

/// The provider's answer to a call, in times from its arrival.
#[derive(Clone, Debug)]
pub struct Answer {
    /// First byte of a success, when there is one.
    pub first_token_after: Option<Duration>,
    /// The last byte, or the failure.
    pub ends_after: Duration,
    /// How it ends.
    pub ending: Ending,
    /// What its headers say; true at its arrival.
    pub limits: Vec<LimitSeen>,
    /// The meter counted it.
    pub admitted: bool,
    /// What had run out, when it was refused: for the record, not for the caller.
    pub exhausted: Option<Dimension>,
}

/// One account of a provider.
#[derive(Debug)]
pub struct Account {
    meter: Meter,
    window: Window,
    hidden: Option<Window>,
    phase: Duration,
    manners: Manners,
    candor: Candor,
    mood: Mood,
    draw: Draw,
}

impl Account {
    /// An account with these quotas, on which nothing was used yet.
    pub fn new(
        quotas: &[Quota],
        window: Window,
        metering: Metering,
        manners: Manners,
        candor: Candor,
        mut draw: Draw,
    ) -> Self {
        let phase = Duration::from_millis(draw.below(60_000));
        let limits = limits(quotas, window, None, phase);
        let meter = Meter::new(limits, Rules { metering, ..Rules::default() });
        Self { meter, window, hidden: None, phase, manners, candor, mood: Mood::Well, draw }
    }

    /// The same account, when `hidden` is enforced as well and headers say nothing about that.
    pub fn also_enforced(mut self, quotas: &[Quota], hidden: Window) -> Self {
        self.hidden = Some(hidden);
        self.set_quotas(Time::ZERO, quotas);
        self
    }

    /// Changes how it does.
    pub fn set_mood(&mut self, mood: Mood) {
        self.mood = mood;
    }

    /// Puts other quotas in force.
    pub fn set_quotas(&mut self, now: Time, quotas: &[Quota]) {
        self.meter.set_limits(now, limits(quotas, self.window, self.hidden, self.phase));
    }

    /// A call arrives.
    pub fn answer(&mut self, now: Time, id: u64, job: &Job) -> Answer {
        let fault = match self.mood {
            Mood::Well => None,
            Mood::Dead(class) => Some(Fault { admitted: false, ..Fault::at_once(class) }),
            Mood::Hanging(after) => Some(Fault { after, ..Fault::at_once(Class::Overloaded) }),
            Mood::Failing => {
                Some(Fault { after: Duration::from_millis(200), ..Fault::at_once(Class::Transient) })
            }
            Mood::Mixed(share) => self.draw.chance(share).then(|| mixed(&mut self.draw, job)),
            Mood::Breaking(share) => self.draw.chance(share).then(|| Fault {
                admitted: true,
                after: job.first_token_after,
                ..Fault::at_once(Class::Transient)
            }),
            Mood::Misleading(share, wait) => self.draw.chance(share).then(|| Fault::throttled(wait)),
        };
        match fault {
            Some(fault) if !fault.admitted => fault.answer(Vec::new()),
            fault => self.meter(now, id, job, fault),
        }
    }

    /// The last byte has gone: all output is charged.
    pub fn finish(&mut self, now: Time, id: u64) {
        self.meter.finish(now, id);
    }

    /// The caller left, or the call failed: only what was produced so far is charged.
    pub fn cancel(&mut self, now: Time, id: u64) {
        self.meter.cancel(now, id);
    }

    fn meter(&mut self, now: Time, id: u64, job: &Job, fault: Option<Fault>) -> Answer {
        let call = Call {
            id,
            input_tokens: job.input_tokens,
            max_tokens: job.demand.max_output_tokens,
            output_tokens: job.output_tokens,
            first_token_after: job.first_token_after,
            token_every: job.token_every,
        };
        let refused = self.meter.admit(now, &call).err();
        let limits = match self.candor.headers {
            true => told::limits(self.manners, &self.meter.standing(now), now),
            false => Vec::new(),
        };
        match (refused, fault) {
            (Some(refused), _) => self.refusal(&refused, limits),
            (None, Some(fault)) => fault.answer(limits),
            (None, None) => Answer {
                first_token_after: Some(job.first_token_after),
                ends_after: job.duration(),
                ending: Ending::Success,
                limits,
                admitted: true,
                exhausted: None,
            },
        }
    }

    fn refusal(&self, refused: &Refused, limits: Vec<LimitSeen>) -> Answer {
        let named = refused.dimension.filter(|_| self.candor.headers).map(|dimension| NamedLimit {
            dimension,
            window: Some(refused.window),
            limit: Some(refused.limit),
            used: None,
            requested: None,
        });
        let seconds = refused.retry_in.as_millis().div_ceil(1_000).max(1);
        let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        let failure = Failure {
            class: Class::Throttled,
            wait: self.candor.hints.then_some(wait),
            named,
            unprocessed: false,
        };
        Answer {
            first_token_after: None,
            ends_after: Duration::from_millis(5),
            ending: Ending::Failure(failure, 0),
            limits,
            admitted: false,
            exhausted: refused.dimension,
        }
    }
}

/// The limits of an account; those that headers tell about come first.
fn limits(quotas: &[Quota], window: Window, hidden: Option<Window>, phase: Duration) -> Vec<Limit> {
    let all = [Some(window), hidden].into_iter().flatten();
    all.flat_map(|window| quotas.iter().map(move |quota| window.limit(quota, phase))).collect()
}

/// What a call is counted for on one dimension, when the output is counted as produced.
pub fn charge(job: &Job, dimension: Dimension, metering: &Metering) -> u64 {
    let most = job.demand.max_output_tokens.unwrap_or(0);
    let output = output_charge(metering.output, job.output_tokens, most);
    match dimension {
        Dimension::Requests => 1,
        Dimension::InputTokens => job.input_tokens,
        Dimension::OutputTokens => output,
        Dimension::TotalTokens => job.input_tokens + output,
    }
}

/// What is counted in the end for an output of `produced` tokens where `most` were allowed.
pub fn output_charge(rule: OutputRule, produced: u64, most: u64) -> u64 {
    match rule {
        OutputRule::Produced | OutputRule::Reserved => produced,
        OutputRule::UpFront => most,
        OutputRule::NotCounted => 0,
    }
}

/// A failure to come.
#[derive(Clone, Debug)]
struct Fault {
    admitted: bool,
    first_token_after: Option<Duration>,
    after: Duration,
    produced: u64,
    failure: Failure,
}

impl Fault {
    fn at_once(class: Class) -> Self {
        Self {
            admitted: false,
            first_token_after: None,
            after: Duration::from_millis(20),
            produced: 0,
            failure: Failure { class, wait: None, named: None, unprocessed: false },
        }
    }

    fn throttled(wait: Duration) -> Self {
        let mut fault = Self::at_once(Class::Throttled);
        fault.failure.wait = Some(wait);
        fault
    }

    fn answer(self, limits: Vec<LimitSeen>) -> Answer {
        Answer {
            first_token_after: self.first_token_after,
            ends_after: self.after,
            ending: Ending::Failure(self.failure, self.produced),
            limits,
            admitted: self.admitted,
            exhausted: None,
        }
    }
}

/// One of the many ways in which a call fails.
fn mixed(draw: &mut Draw, job: &Job) -> Fault {
    let begun = Fault {
        admitted: true,
        after: Duration::from_secs_f64(0.05 + draw.unit()),
        ..Fault::at_once(Class::Transient)
    };
    let half = job.first_token_after + (job.duration() - job.first_token_after) / 2;
    match draw.below(100) {
        0..30 => begun, // 500 after a moment.
        30..45 => Fault::at_once(Class::Overloaded),
        45..60 => Fault { after: job.first_token_after, ..begun }, // Reset before the first byte.
        60..75 => Fault {
            // A body cut short.
            first_token_after: Some(job.first_token_after),
            after: half,
            produced: job.output_tokens / 2,
            ..begun
        },
        75..85 => Fault {
            // Garbage in a 200.
            first_token_after: Some(job.first_token_after),
            after: job.duration(),
            produced: job.output_tokens,
            ..begun
        },
        85..95 => {
            let mut refused = Fault::at_once(Class::Transient); // Connection refused.
            refused.failure.unprocessed = true;
            refused
        }
        _ => Fault::throttled(Duration::from_secs(1)), // A 429 out of the blue.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Binding;
    use crate::workload::{Mix, Workload};

    fn account(hidden: Option<Window>) -> Account {
        let quotas = Binding::Requests.quotas(100);
        let candor = Candor { headers: true, hints: true };
        let draw = Draw::new(1, 1);
        let metering = Metering::default();
        let account = Account::new(&quotas, Window::MinuteBucket, metering, Manners::Anthropic, candor, draw);
        match hidden {
            Some(window) => account.also_enforced(&quotas, window),
            None => account,
        }
    }

    fn jobs(count: usize) -> Vec<Job> {
        Workload::new(Mix { batch: count, ..Mix::default() }, 1).batch()
    }

    /// How many calls at one instant are let in, and what the last answer says.
    fn let_in(account: &mut Account) -> (usize, Answer) {
        let jobs = jobs(700);
        let answers = jobs.iter().zip(0..).map(|(job, id)| account.answer(Time::ZERO, id, job));
        let answers: Vec<Answer> = answers.collect();
        let admitted = answers.iter().filter(|answer| answer.admitted).count();
        (admitted, answers.last().cloned().expect("there are answers"))
    }

    #[test]
    fn refusals_name_the_limit_and_a_wait_in_whole_seconds() {
        let (admitted, last) = let_in(&mut account(None));
        assert_eq!(admitted, 600);
        assert_eq!(last.exhausted, Some(Dimension::Requests));
        let Ending::Failure(failure, 0) = last.ending else { panic!("it was refused") };
        assert_eq!(failure.wait, Some(Duration::from_secs(1)));
        assert_eq!(failure.named.and_then(|named| named.limit), Some(600));
    }

    #[test]
    fn a_hidden_limit_is_enforced_and_not_told() {
        let (admitted, last) = let_in(&mut account(Some(Window::SecondBucket)));
        assert_eq!(admitted, 10);
        let told = last.limits.iter().find(|seen| seen.dimension == Dimension::Requests);
        assert_eq!(told.and_then(|seen| seen.remaining), Some(590));
    }

    #[test]
    fn the_dead_answer_at_once_and_count_nothing() {
        let mut account = account(None);
        account.set_mood(Mood::Dead(Class::Auth));
        let answer = account.answer(Time::ZERO, 0, &jobs(1)[0]);
        assert!(!answer.admitted && answer.limits.is_empty());
        assert!(matches!(answer.ending, Ending::Failure(Failure { class: Class::Auth, .. }, 0)));
    }
}

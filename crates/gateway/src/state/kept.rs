//! The state as text: JSON with a version, in which unknown keys are errors.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inherited::Inherited;
use super::limits::{LimitEntry, entries, learned};
use super::{Ended, Spending, State};
use crate::callers::{Counted, Slice};

/// The format of the file.
const VERSION: u32 = 1;
/// The longest window of a caller's allowance.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    paceline_state: u32, // The version, under a name that says whose file this is.
    ended: bool,
    limits: Vec<LimitEntry>,
    callers: Vec<CallerEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerEntry {
    caller: String,
    counted: String,
    window_ms: u64,
    spent: Vec<(u64, u64)>, // Unix time in milliseconds, and how much since.
}

/// What is so at `now`, as text.
pub(super) fn written(state: &State, inherited: &Inherited, now: Duration, ended: Ended) -> Vec<u8> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let callers = state.spending.iter().map(|spending| CallerEntry {
        caller: spending.caller.clone(),
        counted: spending.counted.name().to_owned(),
        window_ms: millis(spending.window),
        spent: spending.slices.iter().map(|slice| (millis(slice.start), slice.amount)).collect(),
    });
    let mut limits = entries(&state.limits, now, Duration::ZERO);
    inherited.tell(&mut limits, now);
    let kept =
        Kept { paceline_state: VERSION, ended: ended == Ended::Yes, limits, callers: callers.collect() };
    let mut text = serde_json::to_vec_pretty(&kept).expect("strings and numbers always become JSON");
    text.push(b'\n');
    text
}

/// What was so, as of `now`. An error says why the text is no state.
pub(super) fn parse(text: &str, now: Duration) -> Result<(State, Inherited), String> {
    let kept: Kept = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if kept.paceline_state != VERSION {
        return Err(format!("its version is {}", kept.paceline_state));
    }
    let mut entries = kept.limits;
    let inherited = Inherited::take(&mut entries, now, !kept.ended);
    let limits = learned(entries, now).ok_or("a limit in it makes no sense")?;
    let spending = kept.callers.into_iter().map(CallerEntry::spending).collect::<Option<_>>();
    let spending = spending.ok_or("what a caller spent makes no sense")?;
    Ok((State { limits, spending }, inherited))
}

impl CallerEntry {
    fn spending(self) -> Option<Spending> {
        let window = Duration::from_millis(self.window_ms);
        if window.is_zero() || LONGEST_WINDOW < window {
            return None;
        }
        let slice = |(start, amount)| Slice { start: Duration::from_millis(start), amount };
        Some(Spending {
            caller: self.caller,
            counted: Counted::ALL.into_iter().find(|known| known.name() == self.counted)?,
            window,
            slices: self.spent.into_iter().map(slice).collect(),
        })
    }
}

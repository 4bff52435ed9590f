//! A replay for programs. Keys stay; new ones may come.

use std::time::Duration;

use serde_json::{Value, json};

use super::Replayed;
use super::waits::Waits;
use crate::plan::json::{limit, seconds};

impl Replayed {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        let traffic = &self.traffic;
        let models = traffic.survey.models.iter();
        let left_out = traffic.left_out.iter();
        json!({
            "event": "replay",
            "ledger": self.ledger.display().to_string(),
            "provider": self.provider.name,
            "mock": self.sources.mock.is_some(),
            "requests": traffic.survey.jobs,
            "callers": traffic.callers,
            "first": moment(traffic.first),
            "left_out": left_out.map(|(reason, requests)| json!({"reason": reason, "requests": requests})).collect::<Vec<_>>(),
            "usage_assumed": traffic.assumed,
            "models": models.map(|model| json!({"model": model.model, "requests": model.totals.jobs})).collect::<Vec<_>>(),
            "priorities": self.waits.iter().map(|class| json!({
                "priority": class.name,
                "requests": class.requests,
                "replayed": waits(&class.replayed),
                "recorded": waits(&class.recorded),
            })).collect::<Vec<_>>(),
            "most_waiting": self.replay.watched.most_waiting,
            "limits": self.known.needs.iter().map(|need| self.limit_json(need)).collect::<Vec<_>>(),
            "limits_unknown": self.known.missing.iter().map(|dimension| dimension.name()).collect::<Vec<_>>(),
            "finish_seconds": self.replay.finish.map(seconds),
            "recorded_finish_seconds": seconds(traffic.lasted),
            "throttled": self.replay.throttled,
            "unanswered": self.unanswered(),
        })
    }

    fn limit_json(&self, need: &paceline_sim::plan::Need) -> Value {
        let mut told = limit(&self.known, need, self.binds() == Some(need));
        told["fullest"] = json!(self.fullest(need).map(|share| (share * 1e4).round() / 1e4));
        told["held_seconds"] = json!(seconds(self.held(need)));
        told
    }
}

fn waits(waits: &Waits) -> Value {
    let at = |of_a_hundred| waits.percentile(of_a_hundred).map(seconds);
    json!({
        "known": waits.count(),
        "waited": waits.waited(),
        "p50_seconds": at(50),
        "p95_seconds": at(95),
        "p99_seconds": at(99),
        "most_seconds": at(100),
    })
}

/// A moment in UTC, as `2026-11-20T14:30:05Z`.
pub(super) fn moment(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("{seconds} s"), |at| at.to_string())
}

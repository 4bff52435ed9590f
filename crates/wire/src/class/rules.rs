//! The rules, in the order in which they decide: what no wait can cure comes first.

use paceline_core::feedback::Class;

use super::body::ErrorBody;
use crate::provider::Quirks;

/// What is known of a failed answer.
pub(super) struct Seen<'a> {
    pub(super) status: u16,
    pub(super) body: &'a ErrorBody,
    pub(super) quirks: &'a Quirks,
    /// What the header `x-should-retry` says: evidence only where nothing else is.
    pub(super) retry_advised: Option<bool>,
    /// The headers show room in every dimension.
    pub(super) shows_room: bool,
}

/// The status that counts: an error inside a success goes by its own code or name. 0 when it has neither.
pub(super) fn effective_status(status: u16, body: &ErrorBody) -> u16 {
    if !(200..300).contains(&status) {
        return status;
    }
    body.status().unwrap_or_else(|| {
        let named = STATUSES.iter().find(|(_, names)| body.is_any(names));
        named.map_or(0, |(status, _)| *status)
    })
}

/// Names that stand for a status where the status itself is lost.
const STATUSES: [(u16, &[&str]); 12] = [
    (429, &THROTTLED),
    (529, &OVERLOADED),
    (504, &["timeout_error", "timeout", "deadline_exceeded"]),
    (502, &["provider_unavailable", "bad_gateway"]),
    (500, &["api_error", "server_error", "internal", "internal_error", "internal_server_error"]),
    (401, &["authentication_error", "invalid_api_key", "unauthenticated"]),
    (402, &["billing_error", "payment_required"]),
    (403, &["permission_error", "permission_denied"]),
    (404, &["not_found_error", "model_not_found", "not_found"]),
    (409, &["conflict_error"]),
    (413, &["request_too_large"]),
    (
        400,
        &[
            "invalid_request_error",
            "invalid_argument",
            "invalid_request",
            "bad_request",
            "failed_precondition",
        ],
    ),
];

const MONEY: [&str; 14] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "enforced_spend_limit_reached",
    "billing_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "payment_required",
    "insufficient_balance",
    "insufficient_credits",
    "insufficient_funds",
    "credit_balance_too_low",
];

const MONEY_PHRASES: [&str; 8] = [
    "specified api usage limits",
    "workspace api usage limits",
    "reached your api usage limits",
    "used all available credits",
    "reached its monthly spending limit",
    "insufficient balance",
    "credit balance is too low",
    "requires more credits",
];

const TOO_BIG: [&str; 6] = [
    "context_length_exceeded",
    "context_window_exceeded",
    "model_context_window_exceeded",
    "request_too_large",
    "string_above_max_length",
    "weight_exceeds_budget",
];

const TOO_BIG_PHRASES: [&str; 7] = [
    "request too large for",
    "prompt is too long",
    "input is too long",
    "exceed context limit",
    "maximum context length",
    "exceeds the context window",
    "extra usage is required for long context",
];

const POLICY: [&str; 7] = [
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "invalid_prompt",
    "moderation_blocked",
    "content_moderation",
    "safety_violation",
];

const POLICY_PHRASES: [&str; 3] = [
    "content management policy",
    "content filtering policy",
    "requires moderation and your input was flagged",
];

const AUTH: [&str; 8] = [
    "invalid_api_key",
    "authentication_error",
    "permission_error",
    "unauthenticated",
    "permission_denied",
    "accessdeniedexception",
    "unrecognizedclientexception",
    "api_key_invalid",
];

const THROTTLED: [&str; 13] = [
    "rate_limit_error",
    "rate_limit_exceeded",
    "rate_limited",
    "ratelimitreached",
    "resource_exhausted",
    "throttlingexception",
    "too_many_requests",
    "toomanyrequestsexception",
    "dynamic_request_limited",
    "dynamic_token_limited",
    "in_flight_budget_exhausted",
    "slow_down",
    "quota_exceeded",
];

const OVERLOADED: [&str; 10] = [
    "overloaded_error",
    "overloaded",
    "server_is_overloaded",
    "provider_overloaded",
    "service_unavailable_error",
    "serviceunavailableexception",
    "modelnotreadyexception",
    "capacity_exceeded",
    "capacity_exhausted",
    "resource_unavailable",
];

const OVERLOADED_PHRASES: [&str; 6] = [
    "service tier capacity exceeded",
    "resource unavailable",
    "experiencing high demand",
    "temporarily unable to process",
    "overloaded",
    "at capacity",
];

const CONCURRENCY_PHRASES: [&str; 5] = [
    "concurrent connections",
    "concurrent requests",
    "concurrency limit",
    "maximum pending requests exceeded",
    "too many requests in flight",
];

const DAILY_PHRASES: [&str; 7] =
    ["per day", "per-day", "per month", "/ month", "/ day", "daily limit", "monthly limit"];

/// Google's words for a shared pool that throttles too steep a rise.
const RAMP_PHRASES: [&str; 1] = ["resource exhausted, please try again later"];

impl Seen<'_> {
    /// The class, before a wait hint has its say.
    pub(super) fn class(&self) -> Class {
        self.incurable().or_else(|| self.throttling()).unwrap_or_else(|| self.by_status())
    }

    /// What no wait can cure.
    fn incurable(&self) -> Option<Class> {
        if self.is_money() {
            Some(Class::Money)
        } else if self.is_too_big() {
            Some(Class::TooBig)
        } else if self.is_policy() {
            Some(Class::Policy)
        } else if matches!(self.status, 401 | 403) || (self.status < 500 && self.body.is_any(&AUTH)) {
            Some(Class::Auth)
        } else {
            None
        }
    }

    fn is_money(&self) -> bool {
        let passing = self.body.is_any(&["in_flight_budget_exhausted", "weight_exceeds_budget"]);
        let told = self.body.is_any(&MONEY) || (self.blames_request() && self.body.says_any(&MONEY_PHRASES));
        !passing && (self.status == 402 || told)
    }

    fn is_too_big(&self) -> bool {
        let named = self.body.named();
        self.status == 413
            || self.body.is_any(&TOO_BIG)
            || (self.blames_request() && self.body.says_any(&TOO_BIG_PHRASES))
            || (self.status == 429 && (named.never_fits() || self.grants_nothing()))
    }

    /// Whether the words may be taken at their meaning: in a 500 they prove nothing.
    fn blames_request(&self) -> bool {
        self.status == 0 || (400..500).contains(&self.status)
    }

    /// A limit of zero: the model is not in this account's tier at all.
    fn grants_nothing(&self) -> bool {
        let said = self.body.text().match_indices("limit: 0").any(|(at, zero)| {
            let mut next = self.body.text()[at + zero.len()..].bytes();
            match next.next() {
                Some(b'.' | b',') => !next.next().is_some_and(|byte| byte.is_ascii_digit()),
                Some(byte) => !byte.is_ascii_digit(),
                None => true,
            }
        });
        said || (self.body.has_violations() && self.body.named().limit == Some(0))
    }

    fn is_policy(&self) -> bool {
        self.body.is_any(&POLICY)
            || (self.blames_request() && self.body.says_any(&POLICY_PHRASES))
            || (self.status == 403 && self.body.flags_content())
    }

    /// The meanings of "not now".
    fn throttling(&self) -> Option<Class> {
        let refused = self.status == 429 || self.body.is_any(&THROTTLED);
        if (refused || self.status >= 500) && self.body.says_any(&CONCURRENCY_PHRASES) {
            return Some(Class::Concurrency);
        }
        if self.is_overloaded(refused) {
            let full = self.status == 503 && self.quirks.overloaded_is_concurrency;
            return Some(if full { Class::Concurrency } else { Class::Overloaded });
        }
        refused.then(|| self.refusal())
    }

    fn is_overloaded(&self, refused: bool) -> bool {
        let said = refused || self.status >= 500 || self.status == 0;
        matches!(self.status, 498 | 499 | 503 | 529)
            || self.body.is_any(&OVERLOADED)
            || (said && self.body.says_any(&OVERLOADED_PHRASES))
    }

    /// Which limit a 429 is about.
    fn refusal(&self) -> Class {
        let named = self.body.named();
        let daily = self.body.is_any(&["quota_exceeded"]) || self.body.says_any(&DAILY_PHRASES);
        if self.body.is_any(&["slow_down"]) || self.body.says_any(&RAMP_PHRASES) {
            Class::Ramp
        } else if named.is_daily() || (named.window.is_none() && daily) {
            Class::Daily
        } else if self.quirks.throttled_is_concurrency && named.dimension.is_none() {
            Class::Concurrency
        } else if self.shows_room && named.dimension.is_none() {
            // Refused although every meter shows room: the rise was too steep.
            Class::Ramp
        } else {
            Class::Throttled
        }
    }

    fn by_status(&self) -> Class {
        match self.status {
            // An error inside a success that says nothing of itself, or a success that is none.
            0 => Class::Transient,
            408 | 425 => Class::Transient,
            501 | 505 => Class::BadRequest,
            500..=599 => Class::Transient,
            400 | 404 | 422 => Class::BadRequest,
            _ if self.retry_advised == Some(true) => Class::Transient,
            _ => Class::BadRequest,
        }
    }
}

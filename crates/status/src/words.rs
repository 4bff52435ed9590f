//! What the engine thinks, in words that people read.

use std::time::Duration;

use paceline::core::engine::{Bind, Health};
use paceline::core::feedback::Class;

/// A window as people write it, in seconds where it is no round one.
pub fn window(window: Duration) -> String {
    match (window.as_secs(), window.subsec_nanos()) {
        (1, 0) => "s".to_owned(),
        (60, 0) => "min".to_owned(),
        (3_600, 0) => "hour".to_owned(),
        (86_400, 0) => "day".to_owned(),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}s", window.as_secs_f64()),
    }
}

/// What is said of an upstream that an operator took out.
pub const TAKEN_OUT: &str = "an operator took it out; it gets nothing until it is put back";

/// The name of what holds requests back.
pub fn bind(bind: Bind) -> String {
    match bind {
        Bind::Quota(dimension, over) => format!("{}/{}", dimension.name(), window(over)),
        Bind::InFlight => "in_flight".to_owned(),
        Bind::Gate => "gate".to_owned(),
        Bind::Learning => "learning".to_owned(),
        Bind::Health => "health".to_owned(),
    }
}

/// How an upstream does, and what helps when something does.
pub fn health(health: Health) -> String {
    match health {
        Health::Closed => "traffic flows".to_owned(),
        Health::Open(wait) => {
            let seconds = wait.as_secs_f64().ceil();
            format!("it failed too often; the next attempt goes in {seconds} s")
        }
        Health::HalfOpen => "it failed too often; a probe is finding out whether it is well again".to_owned(),
        Health::OutOfService(class) => format!("{}; it is probed every 5 min", out_of_service(class)),
    }
}

fn out_of_service(class: Class) -> String {
    match class {
        Class::Auth => "the provider refuses its credential: replace the key".to_owned(),
        Class::Money => "its account has no money left: add credit, or raise its spend limit".to_owned(),
        Class::Daily => "its quota of the day is used up".to_owned(),
        other => format!("its last answer was `{}`", other.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_as_people_write_them() {
        let cases = [(1, "s"), (60, "min"), (3_600, "hour"), (86_400, "day"), (10, "10s")];
        for (seconds, text) in cases {
            assert_eq!(window(Duration::from_secs(seconds)), text);
        }
        assert_eq!(window(Duration::from_millis(1_500)), "1.5s");
    }

    #[test]
    fn a_reason_says_what_helps() {
        let reason = health(Health::OutOfService(Class::Auth));
        assert_eq!(reason, "the provider refuses its credential: replace the key; it is probed every 5 min");
    }
}

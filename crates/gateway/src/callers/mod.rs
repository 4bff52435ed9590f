//! Who may call, in which class, and how much.
//!
//! Without keys of our own there is nothing to guard: each caller's own credential goes upstream (pass-through). With keys,
//! callers present a caller key, known by its hash, or one of the upstreams' own keys, known by its hash as well.

mod allowance;
mod door;
mod key;
mod purse;
mod tries;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline::Priority;
pub use paceline_usage::Clock;
use paceline_usage::Spent as Charged;

pub use allowance::{Allowance, Counted, Slice};
pub use door::Door;
pub use key::{KeyHash, NewKey, SHORTEST_SECRET, WeakSecret, check_secret};
pub use purse::{Ask, Purse, Reservation, Spent};
use tries::Tries;

/// One of our own callers, as configured.
#[derive(Clone, Debug)]
pub struct CallerConfig {
    /// Its unique name.
    pub name: String,
    /// What its key hashes to.
    pub key: KeyHash,
    /// The class of its requests unless they say otherwise.
    pub priority: Priority,
    /// Its share beside other callers.
    pub weight: u32,
    /// What it may use.
    pub allowances: Vec<Allowance>,
}

/// One of our own callers.
pub struct Caller {
    /// Its unique name.
    pub name: Arc<str>,
    /// The class of its requests unless they say otherwise.
    pub priority: Priority,
    /// Its share beside other callers.
    pub weight: u32,
    /// What it may use, and what it has.
    pub purse: Arc<Purse>,
}

/// What a credential is good for.
#[derive(Clone)]
pub enum Access {
    /// It goes upstream itself; none at all goes as none.
    PassThrough,
    /// It is a caller key.
    Caller(Arc<Caller>),
    /// It is the key of the upstream of this name: whoever has that may use everything anyway.
    UpstreamKey(Arc<str>),
    /// Nobody knows it.
    Refused {
        /// So many were tried from that address that it gets no further answer for this long.
        wait: Option<Duration>,
    },
}

/// Whom we know. Replaced as a whole by a reload; what callers have spent goes on.
pub struct Callers {
    known: Option<HashMap<KeyHash, Access>>, // None: pass-through.
    callers: Vec<Arc<Caller>>,
    total: Option<Arc<Purse>>, // What all may use together.
    tries: Arc<Mutex<Tries>>,
    clock: Clock,
}

impl Callers {
    /// Everybody's own credential goes upstream.
    pub fn pass_through(clock: Clock) -> Self {
        let tries = Arc::new(Mutex::new(Tries::new()));
        Self { known: None, callers: Vec::new(), total: None, tries, clock }
    }

    /// Only callers who present one of these keys, or one of the upstreams' keys, are let in.
    pub fn new(
        callers: &[CallerConfig],
        upstream_keys: impl IntoIterator<Item = (String, KeyHash)>,
        clock: Clock,
    ) -> Self {
        Self::pass_through(clock).renewed(Some((callers, upstream_keys)))
    }

    /// The same with other callers, or with pass-through: what was spent and tried so far stays.
    pub fn renewed(
        &self,
        keys: Option<(&[CallerConfig], impl IntoIterator<Item = (String, KeyHash)>)>,
    ) -> Self {
        let (total, tries, clock) = (self.total.clone(), self.tries.clone(), self.clock);
        let Some((configs, upstream_keys)) = keys else {
            return Self { known: None, callers: Vec::new(), total, tries, clock };
        };
        let mut known = HashMap::new();
        for (upstream, key) in upstream_keys {
            known.insert(key, Access::UpstreamKey(upstream.into()));
        }
        let callers: Vec<Arc<Caller>> = configs.iter().map(|config| self.caller(config)).collect();
        for (config, caller) in configs.iter().zip(&callers) {
            known.insert(config.key, Access::Caller(caller.clone()));
        }
        Self { known: Some(known), callers, total, tries, clock }
    }

    /// The same with another budget for all callers together, or without one: what was spent so far stays.
    pub fn bounded(mut self, budget: Option<Allowance>) -> Self {
        self.total = match (budget, self.total) {
            (None, _) => None,
            (Some(budget), None) => Some(Arc::new(Purse::new(&[budget], self.clock))),
            (Some(budget), Some(purse)) => {
                purse.reconfigure(&[budget]);
                Some(purse)
            }
        };
        self
    }

    /// Takes note of what the usage ledger says was charged by earlier processes.
    pub fn recall(&self, charged: &[Charged]) {
        let money = |charged: &Charged| (charged.at, charged.amount.micros());
        if let Some(total) = &self.total {
            total.recall(Counted::Money, charged.iter().map(money));
        }
        for caller in &self.callers {
            let own = charged.iter().filter(|charged| charged.caller == *caller.name);
            caller.purse.recall(Counted::Money, own.map(money));
        }
    }

    /// The longest window of a budget, if there is a budget at all.
    pub fn longest_budget(&self) -> Option<Duration> {
        let purses = self.callers.iter().map(|caller| &caller.purse).chain(&self.total);
        let standing = purses.flat_map(|purse| purse.standing());
        standing.filter(|(it, _)| it.counted == Counted::Money).map(|(it, _)| it.window).max()
    }

    fn caller(&self, config: &CallerConfig) -> Arc<Caller> {
        let before = self.callers.iter().find(|caller| *caller.name == *config.name);
        let purse = match before {
            Some(caller) => {
                caller.purse.reconfigure(&config.allowances);
                caller.purse.clone()
            }
            None => Arc::new(Purse::new(&config.allowances, self.clock)),
        };
        let CallerConfig { name, priority, weight, .. } = config;
        Arc::new(Caller { name: name.as_str().into(), priority: *priority, weight: *weight, purse })
    }

    /// Finds out who presents the key of this hash from `address`. How long that takes says nothing about the keys that we
    /// know: nobody can choose what his key hashes to.
    pub fn authenticate(&self, key: Option<KeyHash>, address: IpAddr) -> Access {
        let Some(known) = &self.known else { return Access::PassThrough };
        if let Some(access) = key.and_then(|key| known.get(&key)) {
            return access.clone();
        }
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        Access::Refused { wait: tries.handle_failure(self.clock.now(), address).err() }
    }

    /// Our own callers.
    pub fn callers(&self) -> &[Arc<Caller>] {
        &self.callers
    }

    /// What all may use together, if that is bounded.
    pub fn total(&self) -> Option<&Arc<Purse>> {
        self.total.as_ref()
    }

    /// Whether everybody's own credential goes upstream.
    pub fn is_pass_through(&self) -> bool {
        self.known.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn clock() -> Clock {
        Clock::frozen(Duration::from_secs(1_000_000))
    }

    fn config(name: &str, key: &str, limit: u64) -> CallerConfig {
        let window = Duration::from_secs(60);
        CallerConfig {
            name: name.to_owned(),
            key: KeyHash::of(key.as_bytes()),
            priority: Priority::Batch,
            weight: 2,
            allowances: vec![Allowance { counted: Counted::Requests, window, limit }],
        }
    }

    fn ask(callers: &Callers, key: Option<&[u8]>) -> Access {
        callers.authenticate(key.map(KeyHash::of), ADDRESS)
    }

    fn who(access: &Access) -> String {
        match access {
            Access::PassThrough => "pass-through".to_owned(),
            Access::Caller(caller) => caller.name.to_string(),
            Access::UpstreamKey(name) => format!("upstream {name}"),
            Access::Refused { wait } => format!("refused, wait {wait:?}"),
        }
    }

    #[test]
    fn a_key_opens_what_it_is_for_and_nothing_else() {
        let upstream = [("main".to_owned(), KeyHash::of(b"sk-upstream-key"))];
        let callers = Callers::new(&[config("ci", "pl-one", 5)], upstream, clock());
        let cases: [(Option<&[u8]>, &str); 7] = [
            (Some(b"pl-one"), "ci"),
            (Some(b"sk-upstream-key"), "upstream main"),
            (Some(b"pl-two"), "refused, wait None"),
            (Some(b"pl-one "), "refused, wait None"),
            (Some(b"PL-ONE"), "refused, wait None"),
            (Some(b""), "refused, wait None"),
            (None, "refused, wait None"),
        ];
        for (key, expected) in cases {
            assert_eq!(who(&ask(&callers, key)), expected);
        }
        // Not even the hash itself, which stands in a file, opens anything.
        let hash = KeyHash::of(b"pl-one").to_string();
        assert_eq!(who(&ask(&callers, Some(hash.as_bytes()))), "refused, wait None");
        assert_eq!(who(&Callers::pass_through(clock()).authenticate(None, ADDRESS)), "pass-through");
    }

    #[test]
    fn who_tries_too_often_waits_but_a_key_always_opens() {
        let callers = Callers::new(&[config("ci", "pl-one", 5)], [], clock());
        let refused = (0..1_000).map(|n| ask(&callers, Some(format!("pl-{n}").as_bytes())));
        let waits = refused.filter(|access| matches!(access, Access::Refused { wait: Some(_) })).count();
        assert_eq!(waits, 980);
        assert_eq!(who(&ask(&callers, Some(b"pl-one"))), "ci");
        // A reload forgives nothing.
        let again = callers.renewed(Some((&[config("ci", "pl-one", 5)], [])));
        assert!(matches!(ask(&again, None), Access::Refused { wait: Some(_) }));
    }

    #[test]
    fn a_reload_changes_keys_and_bounds_but_not_what_was_spent() {
        let before = Callers::new(&[config("ci", "pl-one", 5)], [], clock());
        let Access::Caller(ci) = ask(&before, Some(b"pl-one")) else { panic!() };
        let mut held = ci.purse.reserve(&Ask::default()).ok().unwrap();
        held.mark_sent();
        let after = before.renewed(Some((&[config("ci", "pl-new", 1), config("dev", "pl-dev", 1)], [])));
        assert!(matches!(ask(&after, Some(b"pl-one")), Access::Refused { .. }));
        let Access::Caller(ci) = ask(&after, Some(b"pl-new")) else { panic!() };
        assert!(ci.purse.reserve(&Ask::default()).is_err());
        assert_eq!(who(&ask(&after, Some(b"pl-dev"))), "dev");
        let open = after.renewed(None::<(&[CallerConfig], [(String, KeyHash); 0])>);
        assert!(open.is_pass_through());
    }
}

//! Decides, call by call, which rules strike.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Choice, Details, Fault, Matching, Rule};

/// Attempts are counted for this many different bodies; after that the count starts again.
const MAX_BODIES: usize = 100_000;

/// What is known of a call when the rules are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) since_start: Duration,
    pub(crate) path: &'a str,
    pub(crate) key: &'a str,
    pub(crate) model: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) attempt: u32,
    pub(crate) stream: bool,
}

/// Harmless oddities of one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Disguises {
    worn: HashSet<Fault>,
    pub(crate) drip: Option<Duration>,
}

impl Disguises {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.worn.contains(&fault)
    }
}

/// What happens to one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) trouble: Option<(Fault, Details)>,
    pub(crate) disguises: Disguises,
}

/// The rules and how often each has struck.
#[derive(Debug)]
pub(crate) struct Director {
    seed: u64,
    rules: Vec<Tally>,
    attempts: HashMap<[u8; 16], u32>,
}

#[derive(Debug)]
struct Tally {
    rule: Rule,
    matched: u64,
    struck: u64,
}

impl Director {
    pub(crate) fn new(rules: Vec<Rule>, seed: u64) -> Self {
        let rules = rules.into_iter().map(|rule| Tally { rule, matched: 0, struck: 0 }).collect();
        Director { seed, rules, attempts: HashMap::new() }
    }

    /// How often this body has come, this time included.
    pub(crate) fn attempt(&mut self, body: &[u8]) -> u32 {
        let mut marker = [0; 16];
        marker.copy_from_slice(&blake3::hash(body).as_bytes()[..16]);
        if self.attempts.len() == MAX_BODIES && !self.attempts.contains_key(&marker) {
            self.attempts.clear();
        }
        let count = self.attempts.entry(marker).or_insert(0);
        *count = count.saturating_add(1);
        *count
    }

    /// The first trouble among the rules that strike, and all their disguises.
    pub(crate) fn choose(&mut self, facts: &Facts) -> Chosen {
        let mut chosen = Chosen::default();
        for (index, tally) in self.rules.iter_mut().enumerate() {
            if !matches(&tally.rule.matching, facts) {
                continue;
            }
            tally.matched += 1;
            let spent = tally.rule.count.is_some_and(|count| count <= tally.struck);
            if spent || !strikes(&tally.rule.choice, tally.matched, self.seed, index, facts) {
                continue;
            }
            let fault = tally.rule.fault;
            if fault.is_harmless() {
                if fault == Fault::Drip {
                    chosen.disguises.drip =
                        Some(tally.rule.details.wait.unwrap_or(Duration::from_millis(20)));
                }
                chosen.disguises.worn.insert(fault);
            } else if chosen.trouble.is_none() {
                chosen.trouble = Some((fault, tally.rule.details.clone()));
            } else {
                continue; // It would have struck, had no other been first: it may strike later.
            }
            tally.struck += 1;
        }
        chosen
    }
}

fn matches(matching: &Matching, facts: &Facts) -> bool {
    fn holds<T>(wanted: &Option<T>, test: impl FnOnce(&T) -> bool) -> bool {
        wanted.as_ref().is_none_or(test)
    }
    let model = |wanted: &String| match wanted.strip_suffix('*') {
        Some(start) => facts.model.starts_with(start),
        None => facts.model == wanted,
    };
    let contains = |text: &String| text.is_empty() || find(facts.body, text.as_bytes());
    holds(&matching.from, |from| *from <= facts.since_start)
        && holds(&matching.until, |until| facts.since_start < *until)
        && holds(&matching.path, |path| facts.path.ends_with(path.as_str()))
        && holds(&matching.key, |key| *key == facts.key.into())
        && holds(&matching.model, model)
        && holds(&matching.attempt, |attempt| *attempt == facts.attempt)
        && holds(&matching.stream, |stream| *stream == facts.stream)
        && holds(&matching.body_contains, contains)
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn strikes(choice: &Choice, matched: u64, seed: u64, index: usize, facts: &Facts) -> bool {
    match choice {
        Choice::Each => true,
        Choice::Nth(numbers) => numbers.contains(&matched),
        Choice::Every(every) => matched.is_multiple_of(*every),
        Choice::Probability(share) => chance(seed, index, facts) < *share,
    }
}

/// A number between 0 and 1 that only the seed, the rule, the body and the attempt decide.
fn chance(seed: u64, index: usize, facts: &Facts) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&index.to_le_bytes());
    hasher.update(&facts.attempt.to_le_bytes());
    hasher.update(facts.body);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::super::Script;
    use super::*;

    fn facts(body: &[u8]) -> Facts<'_> {
        Facts {
            since_start: Duration::from_secs(5),
            path: "/v1/messages",
            key: "k",
            model: "claude-x",
            body,
            attempt: 1,
            stream: false,
        }
    }

    fn director(text: &str) -> Director {
        Director::new(Script::parse("test", text).unwrap().rules, 7)
    }

    fn struck(director: &mut Director, calls: u64) -> Vec<u64> {
        let one = |nth: &u64| director.choose(&facts(nth.to_string().as_bytes())).trouble.is_some();
        (1..=calls).filter(one).collect()
    }

    #[test]
    fn rules_strike_by_number_count_and_chance() {
        let cases: [(&str, &[u64]); 5] = [
            ("nth = [2, 4]", &[2, 4]),
            ("every = 3", &[3, 6]),
            ("every = 3\ncount = 1", &[3]),
            ("path = \"/v1/responses\"", &[]),
            ("from = \"4s\"\nuntil = \"5s\"", &[]),
        ];
        for (text, expected) in cases {
            let mut director = director(&format!("[[rule]]\nfault = \"overloaded\"\n{text}\n"));
            assert_eq!(struck(&mut director, 6), expected, "{text}");
        }
        let chance = "[[rule]]\nfault = \"overloaded\"\nprobability = 0.1\n";
        let first = struck(&mut director(chance), 2_000);
        assert!((150..250).contains(&first.len()), "{}", first.len());
        assert_eq!(first, struck(&mut director(chance), 2_000), "the same seed, the same faults");
    }

    #[test]
    fn conditions_look_at_model_key_body_and_attempt() {
        let cases = [
            ("model = \"claude-*\"", true),
            ("model = \"claude\"", false),
            ("key = \"k\"", true),
            ("key = \"other\"", false),
            ("body_contains = \"ell\"", true),
            ("body_contains = \"elk\"", false),
            ("attempt = 1", true),
            ("attempt = 2", false),
            ("stream = true", false),
        ];
        for (text, expected) in cases {
            let mut director = director(&format!("[[rule]]\nfault = \"hang\"\n{text}\n"));
            assert_eq!(director.choose(&facts(b"hello")).trouble.is_some(), expected, "{text}");
        }
    }

    #[test]
    fn one_trouble_and_every_disguise() {
        let mut director = director(
            "[[rule]]\nfault = \"crlf\"\n[[rule]]\nfault = \"cut\"\n[[rule]]\nfault = \"hang\"\n[[rule]]\nfault = \"split\"\n",
        );
        let chosen = director.choose(&facts(b""));
        assert_eq!(chosen.trouble.map(|(fault, _)| fault), Some(Fault::Cut));
        assert!(chosen.disguises.has(Fault::Crlf) && chosen.disguises.has(Fault::Split));
    }

    #[test]
    fn attempts_are_counted_by_body() {
        let mut director = director("");
        assert_eq!([b"a", b"b", b"a"].map(|body| director.attempt(body)), [1, 1, 2]);
    }
}

//! Whose limit a key uses: several keys of one organisation share its meters, and a project may have less.

use std::collections::HashMap;
use std::fmt;

use http::HeaderMap;
use paceline_core::time::Time;
use serde::Deserialize;

use crate::model::{Call, Limit, Meter, Refused, Rules, Standing};
use crate::profile::{Amounts, Enforcement};

/// Whom every key belongs to when no account is configured.
const DEFAULT_ORGANIZATION: &str = "org-mock";
/// Meters are kept for this many pairs of organisation and model; beyond, models share one.
const MAX_METERS: usize = 10_000;

/// A credential that cannot be printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl From<&str> for Key {
    fn from(key: &str) -> Self {
        Key(key.to_owned())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// An organisation and its keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its name, such as `org-a`.
    pub organization: String,
    /// Keys that draw on the organisation alone.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Projects (or workspaces) with a limit of their own within the organisation's.
    #[serde(default)]
    pub project: Vec<Project>,
}

/// A part of an organisation with a lower limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Its keys.
    pub keys: Vec<Key>,
    /// Its limits; the organisation's hold as well.
    pub limits: Amounts,
}

/// Who calls, by the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) organization: String,
    pub(crate) project: Option<(String, Amounts)>,
}

impl Caller {
    /// Any key is good while no account is configured; after that only theirs.
    pub(crate) fn of(accounts: &[Account], key: &str) -> Option<Caller> {
        if accounts.is_empty() {
            return Some(Caller { organization: DEFAULT_ORGANIZATION.to_owned(), project: None });
        }
        let has = |keys: &[Key]| keys.iter().any(|known| known.0 == key);
        accounts.iter().find_map(|account| {
            let organization = account.organization.clone();
            if has(&account.keys) {
                return Some(Caller { organization, project: None });
            }
            let project = account.project.iter().find(|project| has(&project.keys))?;
            Some(Caller { organization, project: Some((project.name.clone(), project.limits)) })
        })
    }
}

/// The key of a request: `x-api-key`, `api-key` or `Authorization: Bearer`.
pub(crate) fn key_of(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let bearer = || {
        let (scheme, key) = text("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    };
    text("x-api-key").or_else(|| text("api-key")).or_else(bearer).filter(|key| !key.is_empty())
}

/// The meters a call was admitted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MeterKey {
    organization: String,
    project: Option<String>,
    pool: String,
}

/// What an organisation and its project are told after a call, whether it was admitted or not.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) refused: Option<Refused>,
    pub(crate) organization: Vec<Standing>,
    pub(crate) project: Vec<Standing>,
    pub(crate) meters: Vec<MeterKey>,
}

/// Every meter there is.
#[derive(Debug)]
pub(crate) struct Meters {
    meters: HashMap<MeterKey, Meter>,
    limits: Vec<Limit>,
    window: Enforcement,
    rules: Rules,
}

impl Meters {
    pub(crate) fn new(limits: Vec<Limit>, window: Enforcement, rules: Rules) -> Self {
        Meters { meters: HashMap::new(), limits, window, rules }
    }

    /// Puts other limits in force for every organisation, projects excepted.
    pub(crate) fn set_limits(&mut self, now: Time, limits: Vec<Limit>) {
        let organizations = self.meters.iter_mut().filter(|(key, _)| key.project.is_none());
        organizations.for_each(|(_, meter)| meter.set_limits(now, limits.clone()));
        self.limits = limits;
    }

    /// Asks the project first, then the organisation; both are charged or none.
    pub(crate) fn admit(&mut self, now: Time, caller: &Caller, pool: &str, call: &Call) -> Decision {
        let whole = MeterKey {
            organization: caller.organization.clone(),
            project: None,
            pool: self.bounded_pool(pool).to_owned(),
        };
        let mut meters = vec![whole.clone()];
        let mut refused = None;
        if let Some((name, amounts)) = &caller.project {
            let part = MeterKey { project: Some(name.clone()), ..whole.clone() };
            let meter = self.meter(&part, Some(amounts));
            refused = meter.check(now, call).err();
            meters.push(part);
        }
        if refused.is_none() {
            refused = self.meter(&whole, None).admit(now, call).err();
        }
        if refused.is_none() {
            // The project was asked at this very instant, so it admits.
            refused = meters.get(1).and_then(|part| self.meters.get_mut(part)?.admit(now, call).err());
        }
        let mut standing = |key: Option<&MeterKey>| {
            let meter = key.and_then(|key| self.meters.get_mut(key));
            meter.map(|meter| meter.standing(now)).unwrap_or_default()
        };
        let (organization, project) = (standing(meters.first()), standing(meters.get(1)));
        if refused.is_some() {
            meters.clear();
        }
        Decision { refused, organization, project, meters }
    }

    /// The call is over; `whole` when everything was produced.
    pub(crate) fn end(&mut self, now: Time, keys: &[MeterKey], id: u64, whole: bool) {
        for key in keys {
            if let Some(meter) = self.meters.get_mut(key) {
                if whole { meter.finish(now, id) } else { meter.cancel(now, id) }
            }
        }
    }

    fn meter(&mut self, key: &MeterKey, amounts: Option<&Amounts>) -> &mut Meter {
        let (limits, window, rules) = (&self.limits, self.window, self.rules);
        self.meters.entry(key.clone()).or_insert_with(|| match amounts {
            Some(amounts) => Meter::new(amounts.enforced(window), Rules { concurrency: None, ..rules }),
            None => Meter::new(limits.clone(), rules),
        })
    }

    fn bounded_pool<'a>(&self, pool: &'a str) -> &'a str {
        let known = self.meters.keys().any(|key| key.pool == pool);
        if self.meters.len() < MAX_METERS || known { pool } else { "(others)" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Vec<Account> {
        let toml = r#"
            [[account]]
            organization = "org-a"
            keys = ["sk-1", "sk-2"]
            [[account.project]]
            name = "blog"
            keys = ["sk-blog"]
            limits = { requests_per_minute = 1 }
        "#;
        #[derive(Deserialize)]
        struct File {
            account: Vec<Account>,
        }
        toml::from_str::<File>(toml).unwrap().account
    }

    fn requests(amount: u64) -> Vec<Limit> {
        Amounts { requests_per_minute: Some(amount), ..Amounts::default() }
            .enforced(Enforcement::MinuteBucket)
    }

    #[test]
    fn keys_of_one_organisation_share_a_meter_and_a_project_has_less() {
        let accounts = accounts();
        let mut meters = Meters::new(requests(3), Enforcement::MinuteBucket, Rules::default());
        let mut id = 0;
        let mut admitted = |key: &str| {
            id += 1;
            let caller = Caller::of(&accounts, key).unwrap();
            let call = Call { id, ..Call::default() };
            meters.admit(Time::ZERO, &caller, "m", &call).refused.is_none()
        };
        assert!(admitted("sk-blog"));
        assert!(!admitted("sk-blog"), "the project is at its limit, the organisation is not");
        assert!(admitted("sk-1"));
        assert!(admitted("sk-2"));
        assert!(!admitted("sk-1"));
        assert!(!admitted("sk-2"));
    }

    #[test]
    fn unknown_keys_are_nobody_once_accounts_are_named() {
        assert_eq!(Caller::of(&accounts(), "sk-9"), None);
        assert!(Caller::of(&[], "anything").is_some());
        assert!(!format!("{:?}", accounts()).contains("sk-1"));
    }

    #[test]
    fn keys_come_in_three_headers() {
        for (name, value) in [("x-api-key", "k"), ("authorization", "Bearer k"), ("api-key", "k")] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(key_of(&headers), Some("k"));
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic k".parse().unwrap());
        assert_eq!(key_of(&headers), None);
    }
}

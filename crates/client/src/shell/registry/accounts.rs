//! Whom providers count for: an account of its own for each credential, until answers tell that several belong to one
//! organisation.

use std::collections::HashMap;

/// Accounts, as far as answers have told more than the configuration.
#[derive(Default)]
pub(super) struct Accounts {
    of_organisations: HashMap<Named, String>,
    known_as: HashMap<Named, String>, // By the name a credential's account had at first.
}

/// A name at a provider.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Named {
    provider: String,
    name: String,
}

fn named(provider: &str, name: &str) -> Named {
    Named { provider: provider.to_owned(), name: name.to_owned() }
}

impl Accounts {
    /// Under which account `name` is metered by now.
    pub(super) fn of<'a>(&'a self, provider: &str, name: &'a str) -> &'a str {
        if self.known_as.is_empty() {
            return name;
        }
        self.known_as.get(&named(provider, name)).map_or(name, String::as_str)
    }

    /// Whether the organisation of `name` has been told.
    pub(super) fn is_told(&self, provider: &str, name: &str) -> bool {
        !self.known_as.is_empty() && self.known_as.contains_key(&named(provider, name))
    }

    /// `name` belongs to an organisation: returns the account of all who do. The first of them gives it its name, unless that
    /// is a `passing` one. Once told, that stands.
    pub(super) fn belongs(&mut self, provider: &str, name: &str, organisation: &str, passing: bool) -> &str {
        let first = || if passing { organisation } else { name }.to_owned();
        let account =
            self.of_organisations.entry(named(provider, organisation)).or_insert_with(first).clone();
        self.known_as.entry(named(provider, name)).or_insert(account)
    }

    /// `name` is gone. Returns the accounts, with their providers, that go with it: nobody else is metered there.
    pub(super) fn forget(&mut self, name: &str) -> Vec<(String, String)> {
        let Self { of_organisations, known_as } = self;
        let gone = known_as.extract_if(|known, _| known.name == name);
        let mut left: Vec<(String, String)> =
            gone.map(|(known, account)| (known.provider, account)).collect();
        left.retain(|(provider, account)| {
            !known_as.iter().any(|(known, theirs)| known.provider == *provider && theirs == account)
        });
        of_organisations.retain(|known, theirs| {
            !left.iter().any(|(provider, account)| known.provider == *provider && theirs == account)
        });
        left
    }
}

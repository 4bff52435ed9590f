//! Tenants' names to numbers.

use std::collections::HashMap;

use paceline_core::engine::TenantId;

/// Tenants told apart; those that come later count as one.
const MOST_TENANTS: usize = 65_536;

/// The tenants that are told apart.
#[derive(Default)]
pub(in crate::shell) struct Tenants {
    numbers: HashMap<String, TenantId>,
}

impl Tenants {
    pub(in crate::shell) fn number(&mut self, name: &str) -> TenantId {
        if let Some(id) = self.numbers.get(name) {
            return *id;
        }
        let next = TenantId(u32::try_from(self.numbers.len()).unwrap_or(u32::MAX));
        if self.numbers.len() < MOST_TENANTS {
            self.numbers.insert(name.to_owned(), next);
        }
        next
    }
}

//! Tenants' names to numbers, and their weights.

use std::collections::HashMap;
use std::sync::Arc;

use paceline_core::engine::{Engine, TenantId};

/// Tenants told apart; those that come later count as one.
const MOST_TENANTS: usize = 65_536;

/// The tenants that are told apart.
pub(in crate::shell) struct Tenants {
    numbers: HashMap<Arc<str>, TenantId>,
    names: Vec<Arc<str>>, // By number.
    weights: HashMap<String, u32>,
}

impl Tenants {
    pub(in crate::shell) fn new(weights: HashMap<String, u32>) -> Self {
        Self { numbers: HashMap::new(), names: Vec::new(), weights }
    }

    pub(in crate::shell) fn number(&mut self, engine: &mut Engine, name: &str) -> TenantId {
        if let Some(id) = self.numbers.get(name) {
            return *id;
        }
        let next = TenantId(u32::try_from(self.numbers.len()).unwrap_or(u32::MAX));
        if self.numbers.len() < MOST_TENANTS {
            let name: Arc<str> = name.into();
            self.numbers.insert(name.clone(), next);
            self.names.push(name.clone());
            engine.set_weight(next, self.weight(&name));
        }
        next
    }

    /// What a tenant is called; those that are told apart no more have no name.
    pub(in crate::shell) fn name(&self, id: TenantId) -> Arc<str> {
        self.names.get(id.0 as usize).cloned().unwrap_or_default()
    }

    pub(in crate::shell) fn set_weights(&mut self, engine: &mut Engine, weights: HashMap<String, u32>) {
        self.weights = weights;
        for (name, id) in &self.numbers {
            engine.set_weight(*id, self.weight(name));
        }
    }

    fn weight(&self, name: &str) -> u32 {
        self.weights.get(name).copied().unwrap_or(1)
    }
}

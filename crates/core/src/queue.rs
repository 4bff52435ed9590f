//! Who goes next: classes, fair shares between tenants, deadlines.
//!
//! One queue per route. Inside a class the tenant with the least weighted service goes first (virtual time, as in fair
//! queuing); inside a tenant the earliest deadline, then the order of arrival. A request that is put back keeps its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Priority, TenantId};
use crate::quota::Demand;
use crate::time::Time;

/// A request in the engine's slab.
pub(crate) type Key = usize;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    classes: [Class; 3],
}

/// The requests of one priority.
#[derive(Debug, Default)]
pub(crate) struct Class {
    tenants: BTreeMap<TenantId, Tenant>,
    order: BTreeSet<(VirtualTime, TenantId)>, // Those with work, least served first.
    least_served: VirtualTime,                // Of whoever went last: newcomers start there.
    len: usize,
    input_tokens: u64,
    /// How often somebody of a class above was sent while somebody waited here, since one of this class was.
    pub(crate) passed_by: u32,
    /// Nothing here can go before this.
    pub(crate) blocked_until: Time,
    /// The head that does not fit, and since when it has not.
    pub(crate) stuck: Option<(Key, Time)>,
}

#[derive(Debug, Default)]
struct Tenant {
    served: VirtualTime,
    waiting: BTreeSet<Entry>,
}

/// Service received, in shares of the limit times a large number, divided by the weight.
type VirtualTime = u64;

/// One second of a limit's steady rate, in virtual time.
const VIRTUAL_SECOND: f64 = 1e9;

/// What a request counts where no limit says how much it is worth: there, requests are shared.
const UNMETERED_SECONDS: f64 = 1.0;

/// What is needed to place a request: its key breaks no tie, `arrival` is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The deadline of interactive requests; others don't compete by it.
    pub(crate) urgency: Time,
    /// A running number.
    pub(crate) arrival: u64,
    /// The request.
    pub(crate) key: Key,
}

impl Queue {
    pub(crate) fn class(&self, priority: Priority) -> &Class {
        &self.classes[priority as usize]
    }

    pub(crate) fn class_mut(&mut self, priority: Priority) -> &mut Class {
        &mut self.classes[priority as usize]
    }

    /// Somebody of this class was sent: those below were passed by once more.
    pub(crate) fn note_served(&mut self, priority: Priority) {
        let (class, below) =
            self.classes[priority as usize..].split_first_mut().expect("a class for each priority");
        class.passed_by = 0;
        for class in below.iter_mut().filter(|class| 0 < class.len) {
            class.passed_by += 1;
        }
    }

    /// Something changed that may let anybody go.
    pub(crate) fn unblock(&mut self) {
        for class in &mut self.classes {
            class.blocked_until = Time::ZERO;
        }
    }
}

impl Class {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn input_tokens(&self) -> u64 {
        self.input_tokens
    }

    pub(crate) fn push(&mut self, tenant: TenantId, entry: Entry, demand: &Demand) {
        let least_served = self.least_served;
        let state = self.tenants.entry(tenant).or_default();
        if state.waiting.is_empty() {
            // Whoever was idle has not saved up service meanwhile.
            state.served = state.served.max(least_served);
            self.order.insert((state.served, tenant));
        }
        if state.waiting.insert(entry) {
            self.len += 1;
            self.input_tokens += demand.input_tokens;
        }
    }

    pub(crate) fn remove(&mut self, tenant: TenantId, entry: Entry, demand: &Demand) {
        let Some(state) = self.tenants.get_mut(&tenant) else { return };
        if state.waiting.remove(&entry) {
            self.len -= 1;
            self.input_tokens -= demand.input_tokens;
            if state.waiting.is_empty() {
                self.order.remove(&(state.served, tenant));
            }
        }
    }

    /// Counts service: `seconds` is how long the request occupies the tightest limit.
    pub(crate) fn serve(&mut self, tenant: TenantId, seconds: f64, weight: u32) {
        let Some(state) = self.tenants.get_mut(&tenant) else { return };
        let before = state.served;
        self.least_served = self.least_served.max(before);
        let seconds = if 0.0 < seconds { seconds } else { UNMETERED_SECONDS };
        state.served = before.saturating_add((seconds * VIRTUAL_SECOND / f64::from(weight.max(1))) as u64);
        if self.order.remove(&(before, tenant)) {
            self.order.insert((state.served, tenant));
        } else if state.waiting.is_empty() {
            let served = state.served;
            if served <= self.least_served {
                self.tenants.remove(&tenant); // Nothing is owed: forget it.
            }
        }
    }

    /// Who has something waiting here, and how much.
    pub(crate) fn waiting_by_tenant(&self) -> impl Iterator<Item = (TenantId, usize)> + '_ {
        let in_line = self.order.iter().filter_map(|(_, id)| Some((*id, self.tenants.get(id)?)));
        in_line.map(|(id, tenant)| (id, tenant.waiting.len()))
    }

    /// The first in line.
    pub(crate) fn head(&self) -> Option<Key> {
        let (_, tenant) = self.order.first()?;
        Some(self.tenants.get(tenant)?.waiting.first()?.key)
    }

    /// The first few in line, fairest first.
    pub(crate) fn first(&self, count: usize) -> impl Iterator<Item = Key> + '_ {
        let tenants = self.order.iter().filter_map(|(_, tenant)| self.tenants.get(tenant));
        tenants.flat_map(|tenant| tenant.waiting.iter()).take(count).map(|entry| entry.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(arrival: u64) -> Entry {
        Entry { urgency: Time::NEVER, arrival, key: arrival as usize }
    }

    const DEMAND: Demand = Demand { input_tokens: 1, max_output_tokens: None };

    #[test]
    fn shares_by_weight_between_tenants() {
        let mut class = Class::default();
        let [one, three] = [TenantId(1), TenantId(3)];
        for arrival in 0..4_000 {
            class.push(if arrival % 2 == 0 { one } else { three }, entry(arrival), &DEMAND);
        }
        let mut counts = [0, 0];
        for _ in 0..1_000 {
            let key = class.head().expect("there is work");
            let (tenant, weight) = if key % 2 == 0 { (one, 1) } else { (three, 3) };
            counts[usize::from(weight == 3)] += 1;
            class.serve(tenant, 0.1, weight);
            class.remove(tenant, entry(key as u64), &DEMAND);
        }
        assert!((740..=760).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn an_idle_tenant_saves_nothing_up() {
        let mut class = Class::default();
        let [busy, idle] = [TenantId(1), TenantId(2)];
        (0..100).for_each(|arrival| class.push(busy, entry(arrival), &DEMAND));
        for arrival in 0..50 {
            class.serve(busy, 1.0, 1);
            class.remove(busy, entry(arrival), &DEMAND);
        }
        (100..200).for_each(|arrival| class.push(idle, entry(arrival), &DEMAND));
        let mut idle_first = 0;
        while class.head().is_some_and(|key| key >= 100) {
            idle_first += 1;
            class.serve(idle, 1.0, 1);
            class.remove(idle, entry(99 + idle_first), &DEMAND);
        }
        assert!(idle_first <= 2, "{idle_first}");
    }

    #[test]
    fn earlier_deadlines_first_and_a_returned_request_keeps_its_place() {
        let mut class = Class::default();
        let urgent = Entry { urgency: Time::from_nanos(5), arrival: 9, key: 9 };
        (0..3).for_each(|arrival| class.push(TenantId(0), entry(arrival), &DEMAND));
        class.push(TenantId(0), urgent, &DEMAND);
        assert_eq!(class.first(16).collect::<Vec<_>>(), [9, 0, 1, 2]);
        class.remove(TenantId(0), entry(0), &DEMAND);
        class.push(TenantId(0), entry(0), &DEMAND);
        assert_eq!(class.first(2).collect::<Vec<_>>(), [9, 0]);
        assert_eq!((class.len(), class.input_tokens()), (4, 4));
    }
}

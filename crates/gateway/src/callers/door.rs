//! The callers as the handler asks for them: who comes in, and what they may use.

use std::net::IpAddr;
use std::sync::Arc;

use paceline::Priority;
use tokio::sync::watch;

use super::{Access, Callers, Counted, KeyHash, Purse, Reservation, Spent};
use crate::handle::Presented;
use crate::handle::access::{self, Admitted, Gatekeeper, Guard, Refusal, Used};

/// The callers of this moment: a reload puts others in their place.
#[derive(Clone)]
pub struct Door(watch::Receiver<Arc<Callers>>);

impl Door {
    /// Lets in whom `callers` know.
    pub fn new(callers: watch::Receiver<Arc<Callers>>) -> Self {
        Self(callers)
    }
}

impl Gatekeeper for Door {
    fn admit(&self, presented: Option<&Presented>, address: IpAddr) -> Result<Admitted, Refusal> {
        let callers = self.0.borrow().clone();
        let total = callers.total().cloned();
        let key = presented.map(|presented| KeyHash::from(*presented.hash()));
        match callers.authenticate(key, address) {
            Access::PassThrough => Ok(admitted("", Priority::default(), true, None, total)),
            // Tenants of our own have names of their own: no caller is taken for an upstream.
            Access::UpstreamKey(name) => {
                Ok(admitted(&format!("key of {name}"), Priority::default(), false, None, total))
            }
            Access::Caller(caller) => {
                Ok(admitted(&caller.name, caller.priority, false, Some(caller.purse.clone()), total))
            }
            Access::Refused { wait: Some(wait) } => Err(Refusal::TooManyTries { wait }),
            Access::Refused { wait: None } => Err(Refusal::Unauthenticated),
        }
    }
}

fn admitted(
    tenant: &str,
    priority: Priority,
    pass_through: bool,
    own: Option<Arc<Purse>>,
    total: Option<Arc<Purse>>,
) -> Admitted {
    let bounded = own.is_some() || total.is_some();
    let purse = bounded.then(|| Arc::new(Bounded { own, total }) as Arc<dyn access::Purse>);
    Admitted { tenant: tenant.into(), priority, pass_through, purse }
}

/// The bounds of a caller, and those of all together.
struct Bounded {
    own: Option<Arc<Purse>>,
    total: Option<Arc<Purse>>,
}

impl access::Purse for Bounded {
    fn reserve(&self, ask: &access::Ask) -> Result<Box<dyn Guard>, Refusal> {
        let ask = super::Ask { tokens: ask.tokens, cost: ask.cost };
        // Whatever is held already is given back when the next purse says no.
        let own = self.own.as_ref().map(|own| own.reserve(&ask)).transpose().map_err(refusal)?;
        let total = self.total.as_ref().map(|total| total.reserve(&ask)).transpose();
        let total = total.map_err(|spent| match refusal(spent) {
            Refusal::Spent { wait, .. } => Refusal::Spent { what: access::Spent::Total, wait },
            Refusal::TooMuch { .. } => Refusal::TooMuch { what: access::Spent::Total },
            other => other,
        })?;
        Ok(Box::new(Held([own, total])))
    }
}

fn refusal(spent: Spent) -> Refusal {
    match spent {
        Spent::UsedUp { allowance, wait } => Refusal::Spent { what: what(allowance.counted), wait },
        Spent::TooMuch { allowance, .. } => Refusal::TooMuch { what: what(allowance.counted) },
        Spent::Unpriced => Refusal::Unpriced,
    }
}

fn what(counted: Counted) -> access::Spent {
    match counted {
        Counted::Requests => access::Spent::Requests,
        Counted::Tokens => access::Spent::Tokens,
        Counted::Money => access::Spent::Budget,
    }
}

/// Given back when it is dropped unsettled: then nothing was sent.
struct Held([Option<Reservation>; 2]);

impl Guard for Held {
    fn settle(self: Box<Self>, used: Option<Used>) {
        for mut reservation in self.0.into_iter().flatten() {
            match used {
                Some(Used { tokens, cost }) => reservation.settle(&super::Ask { tokens, cost }),
                None => reservation.mark_sent(),
            }
        }
    }
}

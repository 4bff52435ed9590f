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
        let key = presented.map(|presented| KeyHash::from(*presented.hash()));
        match callers.authenticate(key, address) {
            Access::PassThrough => Ok(admitted("", Priority::default(), true, None)),
            // Tenants of our own have names of their own: no caller is taken for an upstream.
            Access::UpstreamKey(name) => {
                Ok(admitted(&format!("key of {name}"), Priority::default(), false, None))
            }
            Access::Caller(caller) => {
                Ok(admitted(&caller.name, caller.priority, false, Some(caller.purse.clone())))
            }
            Access::Refused { wait: Some(wait) } => Err(Refusal::TooManyTries { wait }),
            Access::Refused { wait: None } => Err(Refusal::Unauthenticated),
        }
    }
}

fn admitted(tenant: &str, priority: Priority, pass_through: bool, purse: Option<Arc<Purse>>) -> Admitted {
    let purse = purse.map(|purse| Arc::new(Bounded(purse)) as Arc<dyn access::Purse>);
    Admitted { tenant: tenant.into(), priority, pass_through, purse }
}

struct Bounded(Arc<Purse>);

impl access::Purse for Bounded {
    fn reserve(&self, ask: &access::Ask) -> Result<Box<dyn Guard>, Refusal> {
        let ask = super::Ask { tokens: ask.tokens, cost: ask.cost };
        match self.0.reserve(&ask) {
            Ok(reservation) => Ok(Box::new(Held(reservation))),
            Err(spent) => Err(refusal(spent)),
        }
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
struct Held(Reservation);

impl Guard for Held {
    fn settle(self: Box<Self>, used: Option<Used>) {
        let mut reservation = self.0;
        match used {
            Some(Used { tokens, cost }) => reservation.settle(&super::Ask { tokens, cost }),
            None => reservation.mark_sent(),
        }
    }
}

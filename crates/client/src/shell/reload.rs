//! Another configuration while everything goes on.

use std::sync::Arc;

use paceline_core::engine::{Event, RequestId};
use paceline_core::time::Time;

use super::Plan;
use super::driver::Driver;
use crate::directory::Directory;
use crate::error::SendError;
use crate::net::ConnectionPool;

impl Driver {
    /// Goes on with another configuration.
    pub(super) fn reconfigure(&mut self, now: Time, plan: Plan) {
        let Plan { directory, config, timeouts, weights, dialer } = plan;
        self.replace_directory(now, directory);
        self.engine.set_config(config);
        self.tenants.set_weights(&mut self.engine, weights);
        self.start.plan.timeouts = timeouts;
        if let Some(dialer) = dialer {
            self.pool = ConnectionPool::new(dialer);
        }
    }

    /// Goes on with other places, other ways to them, or other ceilings.
    pub(super) fn replace_directory(&mut self, now: Time, directory: Arc<Directory>) {
        let old = std::mem::replace(&mut self.start.plan.directory, directory.clone());
        self.redirect(now, &old, &directory);
        self.registry.reconfigure(now, &mut self.engine, &old, &directory);
    }

    /// Finds out where requests go by now. Those that wait for what is gone are over; those in flight may get their answer.
    fn redirect(&mut self, now: Time, old: &Directory, new: &Directory) {
        let mut lost = Vec::new();
        for (id, pending) in &mut self.requests {
            let Some(target) = pending.target else { continue };
            let heir = pending.work.heir(new, old, target);
            pending.target = heir.as_ref().ok().copied();
            if let Err(error) = heir
                && !self.by_request.contains_key(id)
            {
                lost.push((*id, error));
            }
        }
        for (id, error) in lost {
            self.give_up(now, id, error);
        }
    }

    /// Ends a request that the engine would go on with.
    pub(super) fn give_up(&mut self, now: Time, id: RequestId, error: SendError) {
        let reply = self.requests.remove(&id).and_then(|pending| pending.reply);
        self.engine.handle_event(now, Event::Canceled { request: id });
        if let Some(reply) = reply {
            reply.refuse(error);
        }
    }
}

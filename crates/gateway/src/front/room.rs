//! How many connections there are, all together and from each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::settings::Caps;

/// Counts the connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: Mutex<Taken>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>, // Only of other machines.
}

impl Room {
    /// Returns when fewer than `cap` connections are there.
    pub(super) async fn wait_below(&self, cap: usize) {
        loop {
            let left = self.left.notified();
            if self.taken().total < cap {
                return;
            }
            left.await;
        }
    }

    /// A seat for a connection from `address`, unless those from there have their share already.
    pub(super) fn try_enter(self: &Arc<Self>, address: IpAddr, caps: &Caps) -> Option<Seat> {
        let address = counted(address);
        let mut taken = self.taken();
        if let Some(address) = address {
            let of_address = taken.by_address.entry(address).or_default();
            if *of_address >= caps.connections_per_address {
                return None;
            }
            *of_address += 1;
        }
        taken.total += 1;
        Some(Seat { room: Arc::clone(self), address })
    }

    /// Whether a connection should not outlive its answer, because others will want its seat.
    pub(super) fn is_crowded(&self, caps: &Caps) -> bool {
        self.taken().total >= caps.connections - caps.connections / 10
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the room, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    address: Option<IpAddr>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.total -= 1;
        if let Some(address) = self.address
            && let Some(of_address) = taken.by_address.get_mut(&address)
        {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
        drop(taken);
        self.room.left.notify_waiters();
    }
}

/// Whom a connection counts against: nobody if it comes from this machine. Whoever has an IPv6 address has the 2^64 next
/// to it too.
fn counted(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    match address {
        _ if address.is_loopback() => None,
        IpAddr::V4(_) => Some(address),
        IpAddr::V6(address) => Some(Ipv6Addr::from(u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_share_and_gives_it_back() {
        let caps = Caps { connections: 10, connections_per_address: 2, ..Caps::default() };
        let room = Arc::new(Room::default());
        let enter = |address: &str| room.try_enter(address.parse().unwrap(), &caps);
        let cases = [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false), // The same, as a listener on `[::]` sees it.
            ("192.0.2.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::3", true),
            ("127.0.0.1", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("127.0.0.1", true), // As many as there is room for.
        ];
        let mut seats = Vec::new();
        for (at, (address, fits)) in cases.iter().enumerate() {
            let seat = enter(address);
            assert_eq!(seat.is_some(), *fits, "{at}: {address}");
            seats.extend(seat);
        }
        assert!(room.is_crowded(&caps));
        drop(seats);
        assert!(!room.is_crowded(&caps));
        assert!(room.taken().by_address.is_empty(), "nothing is remembered of those who left");
        assert!(enter("192.0.2.1").is_some());
    }
}

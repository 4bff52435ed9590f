//! Counts failed tries to call, by address. Known keys always pass, so nobody can lock others out.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

/// Addresses that are remembered at once. One that shares its place with another that still has tries to be forgiven goes
/// uncounted: the bound is worth more than the count, since no key can be guessed anyway.
const PLACES: usize = 4_096;
/// Failed tries that an address may make at once ...
const TRIES: u32 = 20;
/// ... and the time after which it has earned another one.
const EARNED_EVERY: Duration = Duration::from_secs(3);

/// The failed tries of the last minute, in a table that never grows.
pub(super) struct Tries {
    places: Box<[Option<Place>]>,
    hasher: RandomState, // Drawn anew by each process: nobody can choose whom to collide with.
}

#[derive(Clone, Copy)]
struct Place {
    network: IpAddr,
    clear_at: Duration, // When all its failed tries will be forgiven.
}

impl Tries {
    pub(super) fn new() -> Self {
        Self { places: vec![None; PLACES].into_boxed_slice(), hasher: RandomState::new() }
    }

    /// Counts a failed try at `now`. An error says how long the address has to wait before it gets an answer again.
    pub(super) fn handle_failure(&mut self, now: Duration, address: IpAddr) -> Result<(), Duration> {
        let network = network(address);
        let index = self.hasher.hash_one(network) as usize % PLACES;
        let place = &mut self.places[index];
        let clear_at = match place {
            Some(known) if known.network == network => known.clear_at.max(now),
            Some(other) if now < other.clear_at => return Ok(()),
            _ => now,
        };
        let most = EARNED_EVERY * TRIES;
        let after = clear_at + EARNED_EVERY;
        if now + most < after {
            return Err(after - (now + most));
        }
        *place = Some(Place { network, clear_at: after });
        Ok(())
    }
}

/// Whoever has one IPv6 address has the rest of its /64, too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn twenty_at_once_then_one_in_three_seconds() {
        let mut tries = Tries::new();
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..20 {
            assert_eq!(tries.handle_failure(secs(100), address), Ok(()));
        }
        assert_eq!(tries.handle_failure(secs(100), address), Err(secs(3)));
        assert_eq!(tries.handle_failure(secs(102), address), Err(secs(1)));
        assert_eq!(tries.handle_failure(secs(103), address), Ok(()));
        assert_eq!(tries.handle_failure(secs(103), address), Err(secs(3)));
        assert_eq!(tries.handle_failure(secs(1_000), address), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut tries = Tries::new();
        let address = |last: u16| format!("2001:db8::{last:x}").parse().unwrap();
        let refused = (0..100).filter(|n| tries.handle_failure(secs(1), address(*n)).is_err()).count();
        assert_eq!(refused, 80);
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn any_number_of_addresses_fits() {
        let mut tries = Tries::new();
        for n in 0..100_000_u32 {
            // Never refused for what others did.
            assert_eq!(tries.handle_failure(secs(1), IpAddr::V4(n.into())), Ok(()), "{n}");
        }
        assert!(std::mem::size_of_val(&*tries.places) < 1 << 20);
    }
}

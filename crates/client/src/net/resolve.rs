//! Finds the addresses of names: once for all connections that are opened at a time, and never one that stands for the
//! machine's own surroundings.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::Instant;

/// An answer serves for so long: a burst of connections asks once, and a name that moves is soon followed.
const FRESH: Duration = Duration::from_secs(5);
/// When nobody answers any more, the last answer serves for so long.
const STALE: Duration = Duration::from_secs(60);
/// Addresses of one name that are tried at most.
const MOST_ADDRESSES: usize = 6;
/// Names that are remembered. Above it all are forgotten: there are only as many as upstreams, unless these keep changing.
const MOST_NAMES: usize = 256;
/// Where Amazon's machines are told their credentials; other clouds use link-local addresses for that.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Finds addresses. Clones share what they found.
#[derive(Clone, Default)]
pub(crate) struct Resolver(Arc<Mutex<HashMap<(String, u16), Slot>>>);

/// The last answer; whoever asks anew holds it, and the others wait for what comes of that.
type Slot = Arc<tokio::sync::Mutex<Option<Found>>>;

#[derive(Clone)]
struct Found {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl Resolver {
    /// The addresses of `host`, at least one. Has no deadline of its own.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]); // Whoever writes it down means it.
        }
        self.resolve_by(host, port, async || {
            Ok(lookup_host((host, port)).await?.take(MOST_ADDRESSES).collect())
        })
        .await
    }

    async fn resolve_by(
        &self,
        host: &str,
        port: u16,
        look_up: impl AsyncFnOnce() -> io::Result<Vec<SocketAddr>>,
    ) -> io::Result<Vec<SocketAddr>> {
        let slot = self.slot(host, port);
        let mut last = slot.lock().await;
        let young = |limit| last.as_ref().filter(|found: &&Found| found.at.elapsed() < limit).cloned();
        if let Some(found) = young(FRESH) {
            return Ok(found.addresses);
        }
        match look_up().await {
            Ok(addresses) => {
                let addresses = permitted(addresses)?;
                *last = Some(Found { addresses: addresses.clone(), at: Instant::now() });
                Ok(addresses)
            }
            Err(error) => young(STALE).map(|found| found.addresses).ok_or(error),
        }
    }

    fn slot(&self, host: &str, port: u16) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (host.to_owned(), port);
        if MOST_NAMES <= slots.len() && !slots.contains_key(&name) {
            slots.clear();
        }
        slots.entry(name).or_default().clone()
    }
}

/// What of a name's addresses an upstream may have.
fn permitted(mut addresses: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    addresses.retain(|address| !is_of_the_surroundings(address.ip()));
    if addresses.is_empty() {
        let message =
            "the name leads to a link-local or metadata address; if that is meant, write the address itself";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(addresses)
}

/// Whether an address means something else on every machine, as those do where clouds hand out credentials: whoever
/// answers for a name could have us ask there.
fn is_of_the_surroundings(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.octets()[0] == 0
                || address.is_multicast()
                || address.is_broadcast()
        }
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || address == METADATA
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| (text.parse::<IpAddr>().unwrap(), 443).into()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_one_moment_look_a_name_up_once() {
        let (resolver, asked) = (Resolver::default(), std::cell::Cell::new(0));
        let ask = || {
            resolver.resolve_by("provider.example", 443, async || {
                asked.set(asked.get() + 1);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(addresses(&["203.0.113.7"]))
            })
        };
        let all = tokio::join!(ask(), ask(), ask());
        for found in [all.0, all.1, all.2] {
            assert_eq!(found.unwrap(), addresses(&["203.0.113.7"]));
        }
        assert_eq!(asked.get(), 1);
        tokio::time::advance(FRESH).await;
        ask().await.unwrap();
        assert_eq!(asked.get(), 2, "a name may move");
        resolver.resolve_by("other.example", 443, async || Ok(addresses(&["203.0.113.8"]))).await.unwrap();
        assert_eq!(ask().await.unwrap(), addresses(&["203.0.113.7"]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_answer_serves_while_nobody_answers() {
        let resolver = Resolver::default();
        let fail = || resolver.resolve_by("a.example", 443, async || Err(io::Error::other("no answer")));
        assert!(fail().await.is_err());
        resolver.resolve_by("a.example", 443, async || Ok(addresses(&["203.0.113.7"]))).await.unwrap();
        tokio::time::advance(STALE - Duration::from_secs(1)).await;
        assert_eq!(fail().await.unwrap(), addresses(&["203.0.113.7"]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(fail().await.is_err());
    }

    #[tokio::test]
    async fn names_do_not_lead_into_the_surroundings_but_addresses_may() {
        for bad in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert_eq!(
                permitted(addresses(&[bad])).unwrap_err().kind(),
                io::ErrorKind::PermissionDenied,
                "{bad}"
            );
            let good = addresses(&["203.0.113.7"]);
            assert_eq!(permitted([addresses(&[bad]), good.clone()].concat()).unwrap(), good, "{bad}");
        }
        for good in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "2001:db8::1"] {
            assert!(permitted(addresses(&[good])).is_ok(), "{good}");
        }
        let listed = Resolver::default().resolve("169.254.10.20", 80).await.unwrap();
        assert_eq!(listed, ["169.254.10.20:80".parse().unwrap()]);
    }

    #[test]
    fn names_that_keep_changing_are_forgotten() {
        let resolver = Resolver::default();
        for number in 0..3 * MOST_NAMES {
            resolver.slot(&format!("{number}.example"), 443);
            assert!(resolver.0.lock().unwrap().len() <= MOST_NAMES);
        }
    }
}

//! What a mock can be told when it starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::profile::{Amounts, Enforcement, Profile};
use crate::script::Script;

/// How a server is to behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Which account to play.
    pub profile: Profile,
    /// Limits that differ from the profile's.
    pub limits: Amounts,
    /// How limits are enforced, if not as the profile says.
    pub window: Option<Enforcement>,
    /// What goes wrong.
    pub script: Script,
    /// Where calls are logged, beside memory.
    pub log: Option<PathBuf>,
    /// Decides lengths, texts and chance.
    pub seed: u64,
    /// How many of the provider's seconds pass in one of ours; `Date` and resets agree with it.
    pub speed: f64,
    /// Every answer comes at once.
    pub instant: bool,
    /// The provider's time at the start, since 1970; `None` takes the machine's.
    pub unix: Option<Duration>,
    /// Headers as odd as they are: `retry-after` on success, `requests-*` missing now and then.
    pub odd_headers: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            profile: Profile::named("demo").expect("the profile is embedded, and a test reads every one"),
            limits: Amounts::default(),
            window: None,
            script: Script::default(),
            log: None,
            seed: 1,
            speed: 1.0,
            instant: false,
            unix: None,
            odd_headers: true,
        }
    }
}

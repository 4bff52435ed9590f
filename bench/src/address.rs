//! Where to connect to: the part of an `http://` URL that we need.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};

/// A base URL, looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// What a `host` header says.
    pub authority: String,
    /// Where that is.
    pub address: SocketAddr,
    /// What stands before every path, without a slash at its end.
    pub prefix: String,
}

impl std::str::FromStr for Base {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!("`{url}` does not begin with `http://`; encryption would be measured, not the gateway");
        };
        let (authority, prefix) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let with_port =
            if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let address = with_port
            .to_socket_addrs()
            .with_context(|| format!("cannot look up `{authority}`"))?
            .next()
            .with_context(|| format!("`{authority}` has no address"))?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { authority: authority.to_owned(), address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let cases = [
            ("http://127.0.0.1:4000", Some(("127.0.0.1:4000", 4000, ""))),
            ("http://127.0.0.1:4000/", Some(("127.0.0.1:4000", 4000, ""))),
            ("http://127.0.0.1/openai/", Some(("127.0.0.1", 80, "/openai"))),
            ("https://127.0.0.1:4000", None),
            ("127.0.0.1:4000", None),
            ("http://", None),
        ];
        for (url, expected) in cases {
            let found = url.parse::<Base>().ok();
            let found = found.as_ref().map(|b| (b.authority.as_str(), b.address.port(), b.prefix.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}

//! Addresses of machines as people write them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// TCP port of links, as in the sources; also that of an address given without one.
pub const DEFAULT_WORKER_PORT: u16 = 5556;
/// Longest host name in bytes (RFC 1035).
pub(super) const MAX_HOST: usize = 253;

/// Why a text is no address, after `"…" is not an address: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(&'static str);

/// `HOST:PORT` from `HOST`, `HOST:PORT`, `V6` or `[V6]:PORT`; without a port it is the standard one. One machine has one
/// spelling: names in lower case, IPv6 as RFC 5952 has it.
///
/// Whatever is written by hand goes through here (`homie add`, `direct:`, `homie invite --at`), and whatever comes out
/// fits into a [`super::Token`].
///
/// # Errors
/// It is not an address.
pub fn parse_address(text: &str) -> Result<String, AddressError> {
    let text = text.trim();
    if let Ok(ip) = text.parse::<Ipv6Addr>() {
        return Ok(format!("[{ip}]:{DEFAULT_WORKER_PORT}"));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').ok_or(AddressError("the bracket is not closed"))?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| AddressError("what stands in brackets must be an IPv6 address"))?;
        let port = match rest.strip_prefix(':') {
            Some(port) => self::port(port)?,
            None if rest.is_empty() => DEFAULT_WORKER_PORT,
            None => return Err(AddressError("after the bracket comes :PORT")),
        };
        return Ok(format!("[{ip}]:{port}"));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, self::port(port)?),
        None => (text, DEFAULT_WORKER_PORT),
    };
    if host.is_empty() || host.len() > MAX_HOST {
        return Err(AddressError("the host is empty or too long"));
    }
    // A dash in front would be an option to whatever is called with it.
    if !host.chars().all(is_of_host) || host.starts_with(['-', '.']) {
        return Err(AddressError(
            "a host has the letters a to z, digits, dots, dashes and underscores (other letters are written xn--...)",
        ));
    }
    let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(AddressError("an IPv4 address has four numbers from 0 to 255"));
    }
    Ok(format!("{}:{port}", host.to_ascii_lowercase()))
}

/// Whether a host's name may have this character.
pub(super) fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn port(text: &str) -> Result<u16, AddressError> {
    text.parse().ok().filter(|p| *p > 0).ok_or(AddressError("the port must be a number from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PeerId, Token};
    use proptest::prelude::*;

    #[test]
    fn addresses_are_completed_or_refused() {
        for (text, wanted) in [
            ("raj", "raj:5556"),
            (" Raj:7000 ", "raj:7000"),
            ("100.64.0.7", "100.64.0.7:5556"),
            ("my_nas.local", "my_nas.local:5556"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example:5556"),
            ("fd7a::1", "[fd7a::1]:5556"),
            ("[FD7A:0::1]", "[fd7a::1]:5556"),
            ("[fd7a::1]:1", "[fd7a::1]:1"),
        ] {
            assert_eq!(parse_address(text).as_deref(), Ok(wanted));
        }
        for text in [
            "",
            ":5556",
            "raj:",
            "raj:0",
            "raj:65536",
            "raj:x",
            "[raj]:1",
            "[::1",
            "[::1]x",
            "raj]",
            "raj]:1",
            "fe80::1%eth0",
            "bücher.example",
            "1.2.3",
            "-x",
            "a b",
            "a/b",
            "http://raj",
            "a\u{1b}b",
        ] {
            assert!(parse_address(text).is_err(), "{text:?}");
        }
        assert!(parse_address(&"a".repeat(254)).is_err());
    }

    proptest! {
        #[test]
        fn what_was_parsed_parses_to_itself_and_fits_a_token(
            text in "\\PC{0,30}|[a-z0-9.:\\[\\]]{0,20}|\\[[a-f0-9:]{2,20}\\](:[0-9]{1,5})?|[a-zA-Z0-9._-]{1,260}",
        ) {
            if let Ok(address) = parse_address(&text) {
                prop_assert_eq!(parse_address(&address), Ok(address.clone()));
                let token = Token { secret: [7; 16], inviter: PeerId([9; 32]), addresses: vec![address] };
                prop_assert_eq!(token.to_string().parse(), Ok(token));
            }
        }
    }
}

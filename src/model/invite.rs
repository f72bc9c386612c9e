//! The token of `homie invite`: one line that carries all a machine needs to join a group, and works once.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use super::address::{MAX_HOST, is_of_host};
use super::ids::{Digest, PeerId};

/// What every token begins with, so that people and programs know one when they see it.
pub const TOKEN_START: &str = "homie1-";
/// Bytes of the secret. Nobody guesses 128 bits, so it needs no slow derivation.
pub const TOKEN_SECRET_BYTES: usize = 16;
/// Addresses in one token: those of a machine with Wi-Fi, cable and a VPN, of both families. More make a line that no
/// longer fits a terminal's QR code.
pub const TOKEN_ADDRESSES: usize = 6;
/// Bytes of the check: one paste in four thousand million that lost a character passes.
const CHECK_BYTES: usize = 4;
/// A longer text is something else.
const MAX_TEXT: usize = 4096;

/// An invitation as it travels by hand. Whoever has it can join once, so its debug form hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Known to whoever invites and whoever was given the token.
    pub secret: [u8; TOKEN_SECRET_BYTES],
    /// Who invites; nobody else is believed at these addresses.
    pub inviter: PeerId,
    /// `HOST:PORT`, at most [`TOKEN_ADDRESSES`].
    pub addresses: Vec<String>,
}

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin like one.
    #[error("this is not a token of `homie invite`: those begin with {TOKEN_START}")]
    NotOne,
    /// A character is missing, wrong or too many.
    #[error("the token is damaged: copy the whole line again")]
    Damaged,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?} at {:?})", self.inviter, self.addresses)
    }
}

/// The line people paste.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&self.inviter.0);
        for address in self.addresses.iter().take(TOKEN_ADDRESSES) {
            match address.parse::<SocketAddr>() {
                Ok(SocketAddr::V4(v4)) => {
                    bytes.push(4);
                    bytes.extend_from_slice(&v4.ip().octets());
                    bytes.extend_from_slice(&v4.port().to_be_bytes());
                }
                Ok(SocketAddr::V6(v6)) => {
                    bytes.push(6);
                    bytes.extend_from_slice(&v6.ip().octets());
                    bytes.extend_from_slice(&v6.port().to_be_bytes());
                }
                Err(_) => {
                    let Some((host, port)) = address.rsplit_once(':') else { continue };
                    let (Ok(len), Ok(port)) = (u8::try_from(host.len()), port.parse::<u16>()) else { continue };
                    bytes.extend_from_slice(&[0, len]);
                    bytes.extend_from_slice(host.as_bytes());
                    bytes.extend_from_slice(&port.to_be_bytes());
                }
            }
        }
        let check = Digest::of(&bytes);
        bytes.extend_from_slice(&check.0[..CHECK_BYTES]);
        write!(f, "{TOKEN_START}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// Takes what people paste: blanks and line breaks anywhere in it, and capitals (a QR code has only those).
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let plain: String =
            text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).take(MAX_TEXT).collect();
        let body = plain.strip_prefix(&TOKEN_START.to_ascii_uppercase()).ok_or(TokenError::NotOne)?;
        let bytes = BASE32_NOPAD.decode(body.as_bytes()).map_err(|_| TokenError::Damaged)?;
        let (content, check) = bytes.split_at_checked(bytes.len().saturating_sub(CHECK_BYTES)).unwrap_or_default();
        if check != &Digest::of(content).0[..CHECK_BYTES] {
            return Err(TokenError::Damaged);
        }
        read(content).ok_or(TokenError::Damaged)
    }
}

fn read(content: &[u8]) -> Option<Token> {
    let (secret, rest) = content.split_first_chunk::<TOKEN_SECRET_BYTES>()?;
    let (inviter, mut rest) = rest.split_first_chunk::<32>()?;
    let mut addresses = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        let host = match kind {
            4 => {
                let (ip, after) = after.split_first_chunk::<4>()?;
                rest = after;
                Ipv4Addr::from(*ip).to_string()
            }
            6 => {
                let (ip, after) = after.split_first_chunk::<16>()?;
                rest = after;
                format!("[{}]", Ipv6Addr::from(*ip))
            }
            0 => {
                let (len, after) = after.split_first()?;
                let (host, after) = after.split_at_checked(usize::from(*len))?;
                rest = after;
                let host = std::str::from_utf8(host).ok()?;
                if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(is_of_host) {
                    return None;
                }
                host.to_owned()
            }
            _ => return None,
        };
        let (port, after) = rest.split_first_chunk::<2>()?;
        rest = after;
        addresses.push(format!("{host}:{}", u16::from_be_bytes(*port)));
        if addresses.len() > TOKEN_ADDRESSES {
            return None;
        }
    }
    Some(Token { secret: *secret, inviter: PeerId(*inviter), addresses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(addresses: &[&str]) -> Token {
        let addresses = addresses.iter().map(|a| (*a).to_owned()).collect();
        Token { secret: [7; 16], inviter: PeerId([9; 32]), addresses }
    }

    #[test]
    fn a_token_survives_capitals_blanks_and_line_breaks() {
        let token = token(&["10.77.0.1:5556", "[fd7a:115c:a1e0::7]:5556", "raj.tail1234.ts.net:443"]);
        let line = token.to_string();
        assert!(line.starts_with(TOKEN_START) && !line.contains(char::is_whitespace), "{line}");
        assert_eq!(line.parse(), Ok(token.clone()));
        assert_eq!(line.to_uppercase().parse(), Ok(token.clone()));
        let (a, b) = line.split_at(40);
        assert_eq!(format!("  {a}\n {b}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("7, 7"), "the secret is not printed");
    }

    #[test]
    fn what_is_no_token_says_what_is_wrong() {
        for text in ["", "homie", "hunter2", "https://example.org/homie1-abc"] {
            assert_eq!(text.parse::<Token>(), Err(TokenError::NotOne), "{text}");
        }
        let line = token(&["10.0.0.1:5556"]).to_string();
        for text in [&line[..line.len() - 1], &format!("{line}a"), "homie1-", "homie1-a", "homie1-!!!!"] {
            assert_eq!(text.parse::<Token>(), Err(TokenError::Damaged), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_token_is_read_back_and_one_changed_letter_is_noticed(
            secret: [u8; 16], inviter: [u8; 32], ips in proptest::collection::vec((any::<[u8; 4]>(), any::<u16>()), 0..6),
            at in 7usize..60,
        ) {
            let addresses = ips.iter().map(|(ip, port)| format!("{}:{port}", Ipv4Addr::from(*ip))).collect();
            let token = Token { secret, inviter: PeerId(inviter), addresses };
            let line = token.to_string();
            prop_assert_eq!(line.parse(), Ok(token));
            let mut changed: Vec<char> = line.chars().collect();
            changed[at] = if changed[at] == 'a' { 'b' } else { 'a' };
            prop_assert_eq!(changed.iter().collect::<String>().parse::<Token>(), Err(TokenError::Damaged));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,200}|homie1-[a-z2-7]{0,200}") {
            let _ = text.parse::<Token>();
        }
    }
}

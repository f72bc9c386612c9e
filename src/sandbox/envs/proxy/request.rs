//! The head of a request to the proxy, and what of it goes on (pure). RFC 9110 §9.3.6 and RFC 9112 §3.2.

use std::net::IpAddr;

/// Most bytes of a request's head. pip and apt need a few hundred.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// Longest name of a host (RFC 1035).
const MAX_HOST: usize = 253;

/// Where a client wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name in lower case without a last dot, or the text of an address.
    pub host: String,
    /// The address, when the host is one.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A tunnel, for TLS.
    Connect(Target),
    /// One plain document.
    Plain {
        /// From where.
        target: Target,
        /// `GET` or `HEAD`.
        method: String,
        /// Path and query, beginning with `/`.
        path: String,
        /// The headers that may go on.
        headers: Vec<(String, String)>,
    },
}

/// Why a request is refused: the status and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{1}")]
pub struct BadRequest(pub u16, pub &'static str);

/// Headers that concern one hop (RFC 9110 §7.6.1), or that the proxy writes itself.
const OWN: [&str; 11] = [
    "connection",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

impl Request {
    /// Reads a head, which ends with an empty line.
    ///
    /// # Errors
    /// It is not one that a package installer sends through a proxy.
    pub fn parse(head: &[u8]) -> Result<Self, BadRequest> {
        let bad = |why| BadRequest(400, why);
        let text = std::str::from_utf8(head).map_err(|_| bad("the request is not text"))?;
        let text = text.strip_suffix("\r\n\r\n").ok_or(bad("the request does not end"))?;
        let mut lines = text.split("\r\n");
        // A bare CR or LF inside a line is how requests are smuggled.
        if text.replace("\r\n", "").chars().any(|c| c.is_control() && c != '\t') {
            return Err(bad("the request has a control character"));
        }
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(uri), Some("HTTP/1.1" | "HTTP/1.0"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad("this is no HTTP/1.1 request"));
        };
        match method {
            "CONNECT" => Target::parse(uri, None).map(Self::Connect).ok_or(bad("CONNECT wants HOST:PORT")),
            "GET" | "HEAD" => {
                let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("HTTP://"));
                let rest = rest.ok_or(bad("a proxy wants http:// and a host"))?;
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                let target = Target::parse(authority, Some(80)).ok_or(bad("the host is not one"))?;
                let path = path.split('#').next().unwrap_or_default();
                let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
                Ok(Self::Plain { target, method: method.to_owned(), path, headers: headers(lines)? })
            }
            _ => Err(BadRequest(405, "only GET, HEAD and CONNECT go through")),
        }
    }

    /// Where it goes.
    pub fn target(&self) -> &Target {
        match self {
            Self::Connect(target) | Self::Plain { target, .. } => target,
        }
    }
}

fn headers<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, BadRequest> {
    let mut kept = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BadRequest(400, "a header has no colon"))?;
        let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(BadRequest(400, "a header has a bad name"));
        }
        let lower = name.to_ascii_lowercase();
        if lower == "transfer-encoding" || (lower == "content-length" && value.trim() != "0") {
            return Err(BadRequest(400, "a request for a document has no body"));
        }
        if !OWN.contains(&lower.as_str()) && lower != "content-length" {
            kept.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    Ok(kept)
}

impl Target {
    /// Reads `HOST:PORT`, or `HOST` where there is a usual port. No user, no zone, nothing that another reader could
    /// take for another host.
    pub fn parse(text: &str, usual_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']')?;
                let ip: IpAddr = IpAddr::V6(inside.parse().ok()?);
                return Some(Self { host: ip.to_string(), ip: Some(ip), port: port(after, usual_port)? });
            }
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = self::port(port, usual_port)?;
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let label = |l: &str| {
            !l.is_empty() && l.len() <= 63 && l.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        };
        if host.len() > MAX_HOST || !host.split('.').all(label) {
            return None;
        }
        let ip = host.parse().ok().map(IpAddr::V4);
        Some(Self { host: host.to_owned(), ip, port })
    }
}

/// What follows a host: nothing, or `:PORT`.
fn port(text: &str, usual: Option<u16>) -> Option<u16> {
    match text.strip_prefix(':') {
        None if text.is_empty() => usual,
        None => None,
        Some(digits) if digits.bytes().all(|c| c.is_ascii_digit()) => digits.parse().ok().filter(|p| *p != 0),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Request, BadRequest> {
        Request::parse(text.as_bytes())
    }

    fn target(host: &str, port: u16) -> Target {
        Target { host: host.into(), ip: host.parse().ok(), port }
    }

    #[test]
    fn the_requests_of_installers_are_understood() {
        let pip = parse("CONNECT PyPI.org.:443 HTTP/1.0\r\nHost: pypi.org:443\r\n\r\n");
        assert_eq!(pip, Ok(Request::Connect(target("pypi.org", 443))));
        let apt = "GET http://deb.debian.org/debian/dists/x?y=1#z HTTP/1.1\r\nHost: evil\r\nRange: bytes=5-\r\n\
                   Proxy-Authorization: Basic eA==\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(
            parse(apt),
            Ok(Request::Plain {
                target: target("deb.debian.org", 80),
                method: "GET".into(),
                path: "/debian/dists/x?y=1".into(),
                headers: vec![("Range".into(), "bytes=5-".into())],
            })
        );
        let Ok(Request::Plain { path, .. }) = parse("HEAD http://h?q HTTP/1.1\r\n\r\n") else { panic!("refused") };
        assert_eq!(path, "/?q");
    }

    #[test]
    fn tricks_are_refused() {
        for text in [
            "",
            "\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pypi.org\r\n\r\n",
            "GET https://pypi.org/ HTTP/1.1\r\n\r\n",
            "GET ftp://pypi.org/ HTTP/1.1\r\n\r\n",
            "GET file:///etc/passwd HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "GET http://pypi.org@127.0.0.1/ HTTP/1.1\r\n\r\n",
            "GET http://pypi.org:80@127.0.0.1/ HTTP/1.1\r\n\r\n",
            "GET http://pypi.org\\@127.0.0.1/ HTTP/1.1\r\n\r\n",
            "GET http://pypi.org%00.evil/ HTTP/1.1\r\n\r\n",
            "GET http://pypi.org/ HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET http://pypi.org/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET http://pypi.org/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
            "GET http://pypi.org/ HTTP/1.1\r\nBad Name: 5\r\n\r\n",
            "GET http://pypi.org/ HTTP/1.1\r\n folded\r\n\r\n",
            "GET  http://pypi.org/ HTTP/1.1\r\n\r\n",
            "GET http://pypi.org/ HTTP/2.0\r\n\r\n",
            "POST http://pypi.org/ HTTP/1.1\r\n\r\n",
            "CONNECT pypi.org HTTP/1.1\r\n\r\n",
            "CONNECT pypi.org:0 HTTP/1.1\r\n\r\n",
            "CONNECT pypi.org:65536 HTTP/1.1\r\n\r\n",
            "CONNECT pypi.org:+443 HTTP/1.1\r\n\r\n",
            "CONNECT pypi.org:443:80 HTTP/1.1\r\n\r\n",
            "CONNECT user@pypi.org:443 HTTP/1.1\r\n\r\n",
            "CONNECT http://pypi.org:443 HTTP/1.1\r\n\r\n",
            "CONNECT [::1%25lo]:443 HTTP/1.1\r\n\r\n",
            "CONNECT ::1:443 HTTP/1.1\r\n\r\n",
            "CONNECT .pypi.org:443 HTTP/1.1\r\n\r\n",
            "CONNECT pypi..org:443 HTTP/1.1\r\n\r\n",
            "CONNECT pypi.org:443 HTTP/1.1\r\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_are_told_from_names() {
        assert_eq!(Target::parse("127.0.0.1", Some(80)).and_then(|t| t.ip), Some([127, 0, 0, 1].into()));
        assert!(Target::parse("[::1]:443", None).is_some_and(|t| t.ip.is_some() && t.to_string() == "[::1]:443"));
        // Names for us; whatever a resolver makes of them is judged as an address.
        assert!(Target::parse("2130706433", Some(80)).is_some_and(|t| t.ip.is_none()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Request::parse(&bytes);
        }

        #[test]
        fn what_is_taken_has_a_clean_host(text in "(CONNECT|GET) (http://)?[ -~]{0,40}(:[0-9]{0,6})? HTTP/1.1\r\n\r\n") {
            if let Ok(request) = parse(&text) {
                let host = &request.target().host;
                prop_assert!(request.target().ip.is_some()
                    || host.bytes().all(|c| c.is_ascii_alphanumeric() && !c.is_ascii_uppercase() || b"-._".contains(&c)));
            }
        }
    }
}

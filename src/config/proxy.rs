//! Proxies: the keys `proxy` and `proxy_rules`.
//!
//! A proxy is a URL as curl takes it: `socks5h://` sends names to the proxy, `socks5://` resolves them here (RFC 1928),
//! `http://` asks by CONNECT (RFC 9110 §9.3.6). A URL may carry a password, so it is a secret and shown without it.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::keys::excerpt;
use super::settings::Settings;
use super::shape::Given;
use crate::secret::Secret;

/// How connections to peers leave this machine where no rule says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ProxyChoice {
    /// As the variables ALL_PROXY, HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
    #[default]
    Environment,
    /// This way.
    Given(Exit),
}

/// A way out of this machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Exit {
    /// Straight.
    Direct,
    /// Through the proxy with this URL.
    Proxy(Secret),
}

/// One of the `proxy_rules`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyRule {
    /// Which peers it is for.
    pub to: Destination,
    /// How they are reached.
    pub via: Exit,
}

/// The peers a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Addresses in a network.
    Net(IpNet),
    /// A host by this name, in lower case.
    Host(String),
    /// Every host below this domain, in lower case and without the leading dot.
    Below(String),
}

impl Destination {
    /// Whether `host`, a name in lower case or an address, is one of them. A name is not resolved for this.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Net(net) => host.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip.to_canonical())),
            Self::Host(name) => host == name,
            Self::Below(domain) => host.strip_suffix(domain.as_str()).is_some_and(|front| front.ends_with('.')),
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
            Self::Host(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl std::str::FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("{:?} is no destination; write 100.64.0.0/10, nas.local or *.ts.net", excerpt(text));
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net.trunc()));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Net(ip.into()));
        }
        let text = text.to_ascii_lowercase();
        let (below, name) = match text.strip_prefix("*.").or_else(|| text.strip_prefix('.')) {
            Some(domain) => (true, domain),
            None => (false, text.as_str()),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        // What looks like a broken address would never match anything.
        let numeric = name.chars().all(|c| c.is_ascii_digit() || c == '.');
        if name.is_empty() || numeric || name.starts_with(['.', '-']) || !name.chars().all(plain) {
            return Err(fail());
        }
        Ok(if below { Self::Below(name.to_owned()) } else { Self::Host(name.to_owned()) })
    }
}

impl Exit {
    /// From `direct` or the URL of a proxy.
    ///
    /// # Errors
    /// It is neither; the text says what to write, and never repeats a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "direct" {
            return Ok(Self::Direct);
        }
        let wrong = |why: &str| Err(format!("{why}; write socks5h://localhost:1055, http://proxy:8888 or direct"));
        let Ok(url) = text.parse::<Uri>() else { return wrong("that is not the URL of a proxy") };
        match url.scheme_str() {
            Some("socks5h" | "socks5" | "http") => {}
            // TLS to the proxy itself hides nothing that the link's own TLS does not hide.
            Some("https") => return wrong("a proxy that is itself reached by TLS is not supported"),
            Some(_) => return wrong("the proxy's URL has an unknown scheme"),
            None => return wrong("the proxy's URL has no scheme"),
        }
        if url.host().is_none_or(str::is_empty) || url.port_u16().is_none_or(|port| port == 0) {
            return wrong("the proxy's URL wants a host and a port");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return wrong("the proxy's URL ends after the port");
        }
        Ok(Self::Proxy(Secret::new(text)))
    }
}

/// The URL of a proxy without its login.
#[must_use]
pub fn without_login(url: &str) -> String {
    match url.parse::<Uri>() {
        Ok(u) => format!(
            "{}://{}:{}",
            u.scheme_str().unwrap_or("http"),
            u.host().unwrap_or_default(),
            u.port_u16().map_or_else(String::new, |p| p.to_string())
        ),
        Err(_) => "********".to_owned(),
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Proxy(url) => f.write_str(&without_login(url.reveal())),
        }
    }
}

pub(super) fn set(s: &mut Settings, text: &str) -> Result<(), String> {
    s.proxy = if text == "auto" { ProxyChoice::Environment } else { ProxyChoice::Given(Exit::parse(text)?) };
    Ok(())
}

pub(super) fn show(s: &Settings) -> Value {
    match &s.proxy {
        ProxyChoice::Environment => json!("auto"),
        ProxyChoice::Given(exit) => json!(exit.to_string()),
    }
}

fn rule(item: &Value) -> Result<ProxyRule, String> {
    let shape = || "a rule has `to:` and `via:`, both texts".to_owned();
    let pairs = item.as_object().filter(|p| p.len() == 2).ok_or_else(shape)?;
    let text = |key: &str| pairs.get(key).and_then(Value::as_str).map(str::trim).ok_or_else(shape);
    Ok(ProxyRule { to: text("to")?.parse()?, via: Exit::parse(text("via")?)? })
}

pub(super) fn set_rules(s: &mut Settings, given: &Given) -> Result<(), String> {
    let Given::Many(items) = given else {
        return Err("rules are a list in the file: `- to: 100.64.0.0/10` with `via: socks5h://localhost:1055`".into());
    };
    s.proxy_rules = items
        .iter()
        .map(|i| rule(&i.value).map_err(|e| if i.line > 0 { format!("line {}: {e}", i.line) } else { e }))
        .collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn show_rules(s: &Settings) -> Value {
    s.proxy_rules.iter().map(|r| json!({"to": r.to.to_string(), "via": r.via.to_string()})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_told_from_mistakes() {
        assert_eq!(Exit::parse("direct"), Ok(Exit::Direct));
        for good in [
            "socks5h://localhost:1055",
            "socks5://10.0.0.1:1080",
            "http://user:pa%20ss@proxy:8888/",
            "http://[fd00::1]:3128",
        ] {
            assert!(matches!(Exit::parse(good), Ok(Exit::Proxy(_))), "{good}");
        }
        for bad in [
            "",
            "localhost:1055",
            "socks4://h:1",
            "https://h:1",
            "http://h",
            "http://h:0",
            "http://:1",
            "http://h:1/path",
            "ftp://h:1",
            "http://h:1?x",
            "http://h h:1",
        ] {
            let error = Exit::parse(bad).expect_err(bad);
            assert!(error.contains("socks5h://localhost:1055"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let exit = Exit::parse("http://me:hunter2@proxy:8888").expect("fine");
        assert_eq!(exit.to_string(), "http://proxy:8888");
        assert!(!format!("{exit:?}").contains("hunter2"));
        for bad in [
            "https://me:hunter2@proxy:1",
            "http://me:hunter2@proxy",
            "http://me:hunter2@proxy:1/x",
            "http://me:hunter2 @x",
        ] {
            assert!(!Exit::parse(bad).expect_err(bad).contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn destinations_cover_what_they_say() {
        let to = |text: &str| text.parse::<Destination>().expect(text);
        assert!(to("100.64.0.0/10").covers("100.100.1.2"));
        assert!(!to("100.64.0.0/10").covers("100.128.0.1"));
        assert!(to("100.64.0.0/10").covers("::ffff:100.64.0.1"));
        assert!(to("10.0.0.1").covers("10.0.0.1") && !to("10.0.0.1").covers("10.0.0.2"));
        assert!(to("*.TS.net").covers("bob.ts.net") && to(".ts.net").covers("a.b.ts.net"));
        assert!(!to("*.ts.net").covers("ts.net") && !to("*.ts.net").covers("evilts.net"));
        assert!(to("nas.local").covers("nas.local") && !to("nas.local").covers("x.nas.local"));
        assert_eq!(to("10.1.2.3/8").to_string(), "10.0.0.0/8");
        for bad in ["", "*", "*.", "10.0.0", "300.1.1.1", "a b", "10.0.0.0/40", "-x", "a/b"] {
            assert!(bad.parse::<Destination>().is_err(), "{bad}");
        }
    }
}

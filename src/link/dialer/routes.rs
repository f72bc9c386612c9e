//! Which way a peer is dialled: the rules of the configuration, then its proxy or the environment's.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::Target;
use crate::config::{Exit, ProxyChoice, ProxyRule};

/// The ways out of this machine.
#[derive(Debug)]
pub(in crate::link) struct Routes {
    rules: Vec<ProxyRule>,
    /// For the peers without a rule that the user named; NO_PROXY decides by host, and without a proxy nothing matches.
    rest: Matcher,
}

impl Routes {
    /// The ways that the configuration and the environment give. `env` reads a variable.
    pub(in crate::link) fn new(
        choice: &ProxyChoice,
        rules: Vec<ProxyRule>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let rest = match choice {
            ProxyChoice::Given(Exit::Direct) => Matcher::builder().build(),
            ProxyChoice::Given(Exit::Proxy(url)) => Matcher::builder().all(url.reveal().to_owned()).build(),
            ProxyChoice::Environment => {
                // Small letters first: curl reads http_proxy only so, and the others agree more often than not.
                let read = |name: &str| {
                    env(&name.to_ascii_lowercase()).or_else(|| env(name)).filter(|v| !v.is_empty()).unwrap_or_default()
                };
                let (all, https, http) = (read("ALL_PROXY"), read("HTTPS_PROXY"), read("HTTP_PROXY"));
                // A link is asked for by CONNECT, as https is; a machine that only sets HTTP_PROXY means it for that too.
                let all = [all, https, http].into_iter().find(|v| !v.is_empty()).unwrap_or_default();
                Matcher::builder().all(all).no(read("NO_PROXY")).build()
            }
        };
        Self { rules, rest }
    }

    /// Straight to everybody.
    #[cfg(test)]
    pub(in crate::link) fn direct() -> Self {
        Self { rules: Vec::new(), rest: Matcher::builder().build() }
    }

    /// The proxy that `target` is dialled through, if any.
    ///
    /// A rule decides for everybody. Without one a proxy is only for peers that the user named: an address that was
    /// heard on the LAN is on the LAN.
    pub(in crate::link) fn proxy(&self, target: &Target) -> Option<Intercept> {
        let (host, named) = match target {
            Target::Loopback => return None,
            Target::Addr(addr) => (addr.ip().to_canonical().to_string(), false),
            Target::Name(name) => (host_of(name).to_ascii_lowercase(), true),
        };
        match self.rules.iter().find(|rule| rule.to.covers(&host)) {
            Some(ProxyRule { via: Exit::Direct, .. }) => None,
            Some(ProxyRule { via: Exit::Proxy(url), .. }) => {
                Matcher::builder().all(url.reveal().to_owned()).build().intercept(&uri(target)?)
            }
            None if !named => None,
            None => self.rest.intercept(&uri(target)?),
        }
    }
}

/// The host of `HOST:PORT` or `[V6]:PORT`.
fn host_of(name: &str) -> &str {
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// A target as the libraries of proxies take it.
pub(super) fn uri(target: &Target) -> Option<Uri> {
    format!("https://{target}/").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Target {
        Target::Name(text.into())
    }

    fn with(vars: &'static [(&'static str, &'static str)]) -> Routes {
        Routes::new(&ProxyChoice::Environment, Vec::new(), |name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn shown(routes: &Routes, target: &Target) -> Option<String> {
        routes.proxy(target).map(|p| p.uri().to_string())
    }

    #[test]
    fn the_usual_variables_are_honoured() {
        let bob = named("bob.ts.net:5556");
        assert_eq!(shown(&with(&[]), &bob), None);
        let socks = with(&[("ALL_PROXY", "socks5h://localhost:1055"), ("NO_PROXY", "nas.local,10.0.0.0/8")]);
        assert_eq!(shown(&socks, &bob).as_deref(), Some("socks5h://localhost:1055/"));
        assert_eq!(shown(&socks, &named("nas.local:5556")), None);
        assert_eq!(shown(&socks, &named("10.1.2.3:5556")), None);
        assert_eq!(shown(&socks, &named("[fd7a::1]:5556")).as_deref(), Some("socks5h://localhost:1055/"));
        for variable in ["HTTPS_PROXY", "HTTP_PROXY", "http_proxy", "all_proxy"] {
            let vars: &'static [(&str, &str)] = Box::leak(Box::new([(variable, "http://proxy:8888")]));
            assert_eq!(shown(&with(vars), &bob).as_deref(), Some("http://proxy:8888/"), "{variable}");
        }
        assert_eq!(shown(&with(&[("ALL_PROXY", "")]), &bob), None);
    }

    #[test]
    fn a_peer_heard_on_the_lan_is_dialled_straight() {
        let heard = Target::Addr("192.168.1.2:5556".parse().expect("address"));
        assert_eq!(shown(&with(&[("ALL_PROXY", "socks5h://localhost:1055")]), &heard), None);
        assert_eq!(shown(&with(&[("ALL_PROXY", "socks5h://localhost:1055")]), &Target::Loopback), None);
    }

    #[test]
    fn the_first_rule_that_covers_a_peer_decides() {
        let rule = |to: &str, via: &str| ProxyRule { to: to.parse().expect(to), via: Exit::parse(via).expect(via) };
        let rules = vec![
            rule("100.64.0.7", "direct"),
            rule("100.64.0.0/10", "socks5h://localhost:1055"),
            rule("*.lan", "direct"),
        ];
        let routes = Routes::new(&ProxyChoice::Given(Exit::parse("http://proxy:1").expect("url")), rules, |_| None);
        let heard = |text: &str| Target::Addr(text.parse().expect("address"));
        assert_eq!(shown(&routes, &named("100.64.0.7:5556")), None);
        assert_eq!(shown(&routes, &named("100.64.0.8:5556")).as_deref(), Some("socks5h://localhost:1055/"));
        assert_eq!(shown(&routes, &heard("100.64.0.8:5556")).as_deref(), Some("socks5h://localhost:1055/"));
        assert_eq!(shown(&routes, &named("Nas.LAN:5556")), None);
        assert_eq!(shown(&routes, &named("elsewhere.org:5556")).as_deref(), Some("http://proxy:1/"));
        assert_eq!(shown(&routes, &heard("192.168.0.9:5556")), None);
    }
}

//! The proxy of the owner's own network, where there is one: machines that reach the internet only through it.

use std::collections::BTreeMap;

use super::request::Target;

/// A proxy that everything goes through but what it is told to leave.
#[derive(Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub at: Target,
    /// `user:password` in base64, when it wants one.
    pub login: Option<String>,
    /// Hosts that are reached without it: names, which stand for everything below them too, and addresses.
    direct: Vec<String>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("at", &self.at).field("direct", &self.direct).finish_non_exhaustive()
    }
}

impl Upstream {
    /// What `HTTPS_PROXY` (or `HTTP_PROXY`, `ALL_PROXY`, in either case) and `NO_PROXY` of `vars` say.
    ///
    /// # Errors
    /// A variable is set that we cannot follow; going straight past it would not be what its owner wants.
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let value =
            |name: &str| vars.get(name).or_else(|| vars.get(&name.to_ascii_lowercase())).filter(|v| !v.is_empty());
        let Some((name, url)) = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].iter().find_map(|n| Some((n, value(n)?)))
        else {
            return Ok(None);
        };
        let wrong = || format!("{name} is not of the form http://[USER:PASSWORD@]HOST[:PORT]; builds cannot use it");
        let rest =
            url.strip_prefix("http://").or_else(|| (!url.contains("://")).then_some(url.as_str())).ok_or_else(wrong)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
        let at = Target::parse(host, Some(80)).ok_or_else(wrong)?;
        let login = login.map(|l| data_encoding::BASE64.encode(l.as_bytes()));
        let direct =
            value("NO_PROXY").map_or("", String::as_str).split([',', ' ']).map(|d| d.trim().to_ascii_lowercase());
        Ok(Some(Self { at, login, direct: direct.filter(|d| !d.is_empty()).collect() }))
    }

    /// Whether `target` is reached through it.
    pub fn takes(&self, target: &Target) -> bool {
        !self.direct.iter().any(|direct| {
            let direct = direct.trim_start_matches("*.").trim_start_matches('.');
            direct == "*"
                || target.host == direct
                || target.to_string() == direct
                || target.host.strip_suffix(direct).is_some_and(|front| front.ends_with('.'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Option<Upstream>, String> {
        Upstream::from_vars(&vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn the_usual_variables_are_followed() {
        assert_eq!(of(&[("https_proxy", "")]), Ok(None));
        let proxy =
            of(&[("https_proxy", "http://me:pw@proxy.corp:3128/"), ("NO_PROXY", ".lan, 10.0.0.5,pypi.corp:8080")]);
        let proxy = proxy.expect("valid").expect("set");
        assert_eq!((proxy.at.to_string().as_str(), proxy.login.as_deref()), ("proxy.corp:3128", Some("bWU6cHc=")));
        let takes = |host| proxy.takes(&Target::parse(host, None).expect("a target"));
        assert!(takes("pypi.org:443") && takes("evillan:80") && takes("pypi.corp:443"));
        assert!(!takes("mirror.lan:80") && !takes("10.0.0.5:80") && !takes("pypi.corp:8080"));
        assert!(!format!("{proxy:?}").contains("bWU6"));
        for bad in ["socks5://proxy:1080", "https://proxy:3128", "http://"] {
            assert!(of(&[("ALL_PROXY", bad)]).is_err(), "{bad}");
        }
    }
}

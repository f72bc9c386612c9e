//! Which variables tell other programs of the proxy, and how a shell reads them (pure).

/// What is asked without a proxy when a URL of the configuration is handed on and nobody said: this machine itself.
const OWN: &str = "localhost,127.0.0.1,::1";

/// A variable and its value.
pub(super) type Variable = (&'static str, String);

/// The variables for `proxy` of the configuration: `auto`, `direct` or a URL. `env` reads the environment. None without
/// a proxy.
pub(super) fn variables(proxy: &str, env: impl Fn(&str) -> Option<String>) -> Vec<Variable> {
    // In the order in which homied reads them.
    let read = |name: &str| env(&name.to_ascii_lowercase()).or_else(|| env(name)).filter(|value| !value.is_empty());
    let no = read("NO_PROXY");
    let ([all, https, http], no) = match proxy {
        "direct" => return Vec::new(),
        "auto" => {
            let all = read("ALL_PROXY");
            // Not every program knows ALL_PROXY.
            let or_all = |name| read(name).or_else(|| all.clone());
            ([all.clone(), or_all("HTTPS_PROXY"), or_all("HTTP_PROXY")], no)
        }
        url => ([(); 3].map(|()| Some(url.to_owned())), no.or_else(|| Some(OWN.to_owned()))),
    };
    if [&all, &https, &http].iter().all(|value| value.is_none()) {
        return Vec::new();
    }
    // curl reads http_proxy in small letters only; others know the capitals only.
    let both = [
        (["ALL_PROXY", "all_proxy"], all),
        (["HTTPS_PROXY", "https_proxy"], https),
        (["HTTP_PROXY", "http_proxy"], http),
        (["NO_PROXY", "no_proxy"], no),
    ];
    let set = both.into_iter().map(|(names, value)| names.map(|name| Some((name, value.clone()?))));
    set.flatten().flatten().collect()
}

/// The lines that set them in a POSIX shell.
pub(super) fn lines(variables: &[Variable]) -> String {
    variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
}

/// A word that a POSIX shell takes as it is, whatever is in it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    const SOCKS: &str = "socks5h://localhost:1055";

    fn of(proxy: &str, env: &[(&str, &str)]) -> String {
        lines(&variables(proxy, |name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())))
    }

    #[test]
    fn a_proxy_of_the_configuration_is_exported_in_every_spelling_and_not_for_this_machine_itself() {
        let wanted: String = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
            .map(|name| format!("export {name}=socks5h://localhost:1055\n"))
            .concat();
        let wanted = |no: &str| format!("{wanted}export NO_PROXY={no}\nexport no_proxy={no}\n");
        assert_eq!(of(SOCKS, &[]), wanted("localhost,127.0.0.1,::1"));
        // It wins over the environment, as it does in homied; who must not be asked by it is the environment's to say.
        assert_eq!(of(SOCKS, &[("ALL_PROXY", "http://other:1"), ("no_proxy", "nas.local")]), wanted("nas.local"));
        assert!(of("socks5://h:1", &[]).contains("=socks5://h:1\n"), "names are resolved where the user said");
    }

    #[test]
    fn what_the_environment_says_holds_for_auto() {
        assert_eq!(of("auto", &[]), "");
        assert_eq!(of("auto", &[("NO_PROXY", "nas.local"), ("ALL_PROXY", "")]), "");
        assert_eq!(of("direct", &[("ALL_PROXY", SOCKS)]), "");
        let all = of("auto", &[("all_proxy", SOCKS), ("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", "nas.local")]);
        for line in ["ALL_PROXY=socks5h:", "http_proxy=socks5h:", "https_proxy=http://proxy:1", "no_proxy=nas.local"] {
            assert!(all.contains(&format!("export {line}")), "{line} in {all}");
        }
        // Who named a proxy for one scheme did not name it for all.
        let one = of("auto", &[("http_proxy", "http://proxy:1")]);
        assert_eq!(one, "export HTTP_PROXY=http://proxy:1\nexport http_proxy=http://proxy:1\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_shell_reads_every_value_back(value in "[^\\x00]{1,40}") {
            let script = lines(&[("ALL_PROXY", value.clone())]) + "printf %s \"$ALL_PROXY\"";
            let out = Command::new("sh").args(["-c", &script]).output().expect("a shell");
            prop_assert_eq!(out.stdout, value.into_bytes());
        }
    }
}

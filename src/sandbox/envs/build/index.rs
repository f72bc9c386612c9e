//! Where this machine's owner gets packages from: pip's own settings and the usual variables of homied's environment.
//!
//! What the owner told pip, builds may do too, also where it leads into a private network. Nothing of this comes from a
//! recipe or a friend.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::sandbox::envs::proxy::{Allowed, Upstream};

/// Sections of pip.conf that concern us; later ones win.
const SECTIONS: [&str; 3] = ["global", "download", "install"];
/// Settings that are handed on: (in the file, as a variable).
const SETTINGS: [(&str, &str); 4] = [
    ("index-url", "PIP_INDEX_URL"),
    ("extra-index-url", "PIP_EXTRA_INDEX_URL"),
    ("trusted-host", "PIP_TRUSTED_HOST"),
    ("timeout", "PIP_DEFAULT_TIMEOUT"),
];
/// Where systems keep the certificates they trust: Debian, Fedora, BSDs and macOS.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What builds are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Variables for pip.
    pub(super) vars: BTreeMap<String, String>,
    /// The hosts that these name.
    pub(super) hosts: Vec<Allowed>,
    /// The proxy to go through.
    pub(super) upstream: Option<Upstream>,
    /// The certificates that are trusted.
    pub(super) bundle: Option<PathBuf>,
}

impl Index {
    /// As this process finds them.
    ///
    /// # Errors
    /// A proxy is set that cannot be used.
    pub(super) fn of_this_process() -> Result<Self, String> {
        let vars: BTreeMap<String, String> = std::env::vars().collect();
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let files: Vec<String> = files(&vars).iter().map(|p| text(p)).collect();
        let mut index = Self::of(&vars, &files)?;
        index.bundle =
            index.bundle.filter(|b| b.is_file()).or_else(|| BUNDLES.iter().map(PathBuf::from).find(|b| b.is_file()));
        Ok(index)
    }

    /// As `vars` and the texts of pip's files, the least important first, have them.
    fn of(vars: &BTreeMap<String, String>, files: &[String]) -> Result<Self, String> {
        let mut set: BTreeMap<String, String> = BTreeMap::new();
        for file in files {
            set.extend(read(file));
        }
        let value = |name: &str| {
            let upper = format!("PIP_{}", name.to_ascii_uppercase().replace('-', "_"));
            vars.get(&upper).or_else(|| set.get(name)).filter(|v| !v.trim().is_empty()).cloned()
        };
        let mut index = Self { upstream: Upstream::from_vars(vars)?, ..Self::default() };
        for (setting, variable) in SETTINGS {
            let setting = if setting == "timeout" && vars.contains_key(variable) { "default-timeout" } else { setting };
            if let Some(value) = value(setting) {
                index.vars.insert(variable.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        if let Some(proxy) = value("proxy").filter(|_| index.upstream.is_none()) {
            index.upstream = Upstream::from_vars(&[("HTTPS_PROXY".to_owned(), proxy)].into())?;
        }
        let urls = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"].iter().filter_map(|v| index.vars.get(*v));
        index.hosts = urls.flat_map(|v| v.split(' ')).filter_map(Allowed::of_url).collect();
        index.bundle = value("cert")
            .or_else(|| ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"].iter().find_map(|n| vars.get(*n).cloned()))
            .map(PathBuf::from);
        Ok(index)
    }
}

/// Where pip looks on Linux, the least important first; see its documentation, "Configuration files".
fn files(vars: &BTreeMap<String, String>) -> Vec<PathBuf> {
    if let Some(file) = vars.get("PIP_CONFIG_FILE") {
        return vec![PathBuf::from(file)];
    }
    let mut all = vec![PathBuf::from("/etc/xdg/pip/pip.conf"), PathBuf::from("/etc/pip.conf")];
    if let Some(home) = vars.get("HOME") {
        all.push(Path::new(home).join(".pip/pip.conf"));
        let config = vars.get("XDG_CONFIG_HOME").map_or_else(|| Path::new(home).join(".config"), PathBuf::from);
        all.push(config.join("pip/pip.conf"));
    }
    all
}

/// The settings of one file, as Python's configparser reads it: sections, `key = value`, indented lines go on.
fn read(text: &str) -> BTreeMap<String, String> {
    let mut by_section: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let (mut section, mut key) = (String::new(), None::<String>);
    for line in text.lines().filter(|l| !l.trim_start().starts_with(['#', ';'])) {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            (section, key) = (name.trim().to_owned(), None);
        } else if let (true, Some(key)) = (line.starts_with([' ', '\t']), &key) {
            let value = by_section.entry(section.clone()).or_default().entry(key.clone()).or_default();
            value.push(' ');
            value.push_str(trimmed);
        } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
            let name = name.trim().to_ascii_lowercase().replace('_', "-");
            by_section.entry(section.clone()).or_default().insert(name.clone(), value.trim().to_owned());
            key = Some(name);
        }
    }
    SECTIONS.iter().filter_map(|s| by_section.remove(*s)).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::envs::proxy::{Rules, Target};

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_pip_was_told_builds_are_told() {
        let conf = "# mine\n[global]\nindex-url = http://me:pw@pypi.lan:3141/root/simple\ncert=/etc/my.pem\n\
                    [install]\nextra_index_url =\n    https://a.example/simple\n    https://10.0.0.5/simple\n[list]\nindex-url = no\n";
        let index = Index::of(&vars(&[("PIP_TRUSTED_HOST", "pypi.lan")]), &[conf.to_owned()]).expect("valid");
        assert_eq!(index.vars["PIP_INDEX_URL"], "http://me:pw@pypi.lan:3141/root/simple");
        assert_eq!(index.vars["PIP_EXTRA_INDEX_URL"], "https://a.example/simple https://10.0.0.5/simple");
        assert_eq!(index.vars["PIP_TRUSTED_HOST"], "pypi.lan");
        assert_eq!(index.bundle.as_deref(), Some(Path::new("/etc/my.pem")));
        let rules = Rules::new(index.hosts);
        let near = |to: &str| rules.permit(&Target::parse(to, None).expect("a target"));
        assert_eq!((near("pypi.lan:3141"), near("10.0.0.5:443")), (Ok(true), Ok(true)));
        assert!(near("pypi.lan:443").is_err() && near("10.0.0.5:22").is_err());
    }

    #[test]
    fn variables_win_and_the_public_index_is_never_near() {
        let conf = "[global]\nindex-url = https://elsewhere/simple\nproxy = http://proxy.corp:3128\n";
        let index =
            Index::of(&vars(&[("PIP_INDEX_URL", "https://pypi.org/simple")]), &[conf.to_owned()]).expect("valid");
        assert_eq!(index.vars["PIP_INDEX_URL"], "https://pypi.org/simple");
        assert_eq!(Rules::new(index.hosts).permit(&Target::parse("pypi.org:443", None).expect("ok")), Ok(false));
        assert_eq!(index.upstream.expect("set").at.to_string(), "proxy.corp:3128");
        assert!(Index::of(&vars(&[("https_proxy", "socks5://x:1")]), &[]).is_err());
    }
}

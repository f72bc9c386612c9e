//! The keys of the config file that the client can check and set: which values they take, and what to say of them.

use crate::model::{Isolation, LEAST_MEMORY, parse_cpus, parse_duration, parse_size_from};

use super::scalar::quote;

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A machine's or group's name.
    Name,
    /// Never shown.
    Secret,
    /// A port, 1 to 65535.
    Port,
    /// Cores.
    Cpus,
    /// Bytes in Docker's notation, at least so many.
    Size(u64),
    /// Seconds, or `10m`.
    Seconds,
    /// A number from 1 to this.
    Count(u32),
    /// A number from 0 to this.
    Upto(u32),
    /// `all`, or a number from 0 to 64.
    Gpus,
    /// `none`, or a number of bytes a second of at least 1 KiB.
    Rate,
    /// A socket's path, with or without `unix://`.
    Socket,
    /// `auto`, `direct` or the URL of a proxy; homied reads the rest of it.
    Proxy,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list; set by other commands or by hand.
    List,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As in the file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent, as written in the file; empty when that depends on the machine.
    pub default: &'static str,
    /// What it is for, one line.
    pub about: &'static str,
}

/// Why a key or value is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No such key.
    #[error("there is no setting {name:?}{}", near.map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    Unknown {
        /// What was typed.
        name: String,
        /// The nearest key.
        near: Option<&'static str>,
    },
    /// The value does not fit.
    #[error("{key}: {why}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What is wrong and what would fit.
        why: String,
    },
}

/// Far longer than any secret, so that a file given by mistake is noticed; homied holds to the same.
const LONGEST_SECRET: usize = 1024;
const ENGINES: &[&str] = &["auto", "docker", "native"];
const LISTEN: &[&str] = &["private", "all"];
const BUILDS: &[&str] = &["none", "wheels", "all"];
const LEVELS: &[&str] = &["limits", "process", "namespace", "container", "gvisor"];

/// Every key, in the order of the file. The first seven are the sources' own.
pub const KEYS: &[Key] = &[
    key("name", Kind::Name, "", "the name your friends see; default: this machine's host name"),
    key("group_secret", Kind::Secret, "", "what all machines of your group share; keep it to yourselves"),
    key("discovery_port", Kind::Port, "5555", "UDP port on which machines find each other"),
    key("worker_port", Kind::Port, "5556", "TCP port on which jobs arrive"),
    key("container_cpu_limit", Kind::Cpus, "2.0", "cores that a job gets at most"),
    key("container_memory_limit", Kind::Size(LEAST_MEMORY), "4g", "memory that a job gets at most"),
    key("container_timeout", Kind::Seconds, "600", "seconds after which a job is stopped"),
    key("group", Kind::Name, "homie", "the group's name; machines of another group are not seen"),
    key("engine", Kind::Word(ENGINES), "auto", "what runs jobs here: auto, docker or native"),
    key(
        "docker_host",
        Kind::Socket,
        "unix:///var/run/docker.sock",
        "where Docker or Podman answers; default: looked for",
    ),
    key("min_isolation", Kind::Word(LEVELS), "namespace", "the weakest jail a friend's job may be put in"),
    key("job_slots", Kind::Count(65_535), "2", "jobs that run here at once"),
    key("container_pids_limit", Kind::Count(100_000), "256", "processes and threads that a job gets at most"),
    key("container_disk_limit", Kind::Size(1), "10g", "bytes that a job may write"),
    key("container_output_limit", Kind::Size(1 << 10), "256m", "bytes that a job may print"),
    key("container_tmp_limit", Kind::Size(1 << 20), "1g", "bytes of a job's /tmp, which is memory"),
    key("container_gpu_limit", Kind::Gpus, "all", "GPUs that a job gets at most: all, or a number; 0 lends none"),
    key("gpu_share", Kind::Switch, "false", "whether several jobs may have one GPU at a time"),
    key("store_limit", Kind::Size(1 << 20), "20g", "bytes of inputs and results kept here"),
    key(
        "bandwidth_limit",
        Kind::Rate,
        "none",
        "bytes a second that transfers may take each way: none, or a size (10m)",
    ),
    key("keep_results", Kind::Seconds, "604800", "seconds that results wait for being fetched (7 days)"),
    key("warm_containers", Kind::Upto(64), "2", "containers started ahead for the next job; 0: none"),
    key("warm_idle", Kind::Seconds, "600", "seconds that such a container, and the next supervisor, waits"),
    key(
        "listen",
        Kind::Word(LISTEN),
        "private",
        "where jobs may come from: private (also tailnet) addresses only, or all, the internet's too",
    ),
    key("broadcast", Kind::Switch, "true", "whether to announce this machine on the local network"),
    key("allow_builds", Kind::Word(BUILDS), "wheels", "what a friend's job may have built here: none, wheels or all"),
    key("env_limit", Kind::Size(1 << 20), "20g", "bytes of environments kept here; the longest unused go first"),
    key(
        "build_hosts",
        Kind::List,
        "[pypi.org, files.pythonhosted.org, deb.debian.org, security.debian.org, archive.ubuntu.com, \
         security.ubuntu.com, ports.ubuntu.com]",
        "where builds may fetch from",
    ),
    key("direct", Kind::List, "[]", "machines outside the local network; see: homie add"),
    key("proxy", Kind::Proxy, "auto", "way to peers added by address; auto: as ALL_PROXY and its sisters say"),
    key(
        "proxy_rules",
        Kind::List,
        "[]",
        "ways to certain peers: `- to: 100.64.0.0/10` with `via: socks5h://HOST:PORT`",
    ),
    key("admins", Kind::List, "[]", "users who may change these settings beside root"),
];

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key { name, kind, default, about }
}

/// The key of that name; `-` for `_` is forgiven, as are the short names of the flags.
///
/// # Errors
/// There is none; the error names the nearest.
pub fn find(name: &str) -> Result<&'static Key, KeyError> {
    let plain = name.trim().to_ascii_lowercase().replace('-', "_");
    let full = match plain.as_str() {
        "cpu" => "container_cpu_limit",
        "memory" => "container_memory_limit",
        "timeout" => "container_timeout",
        "pids" => "container_pids_limit",
        "disk" => "container_disk_limit",
        "gpu" => "container_gpu_limit",
        "jobs" => "job_slots",
        "bandwidth" => "bandwidth_limit",
        "secret" => "group_secret",
        other => other,
    };
    KEYS.iter().find(|k| k.name == full).ok_or_else(|| KeyError::Unknown {
        name: name.chars().take(40).collect(),
        near: KEYS
            .iter()
            .map(|k| (strsim::jaro_winkler(&plain, k.name), k.name))
            // Below this the suggestion is a guess that confuses.
            .filter(|(score, _)| *score > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, n)| n),
    })
}

impl Key {
    /// What a new file shows in the place of the value: the default, or an example where that depends on the machine.
    pub fn example(&self) -> &'static str {
        match self.name {
            "docker_host" => "unix:///var/run/docker.sock",
            "job_slots" => "2",
            _ => self.default,
        }
    }

    /// `text`, checked and written as this key's YAML value.
    ///
    /// # Errors
    /// It is no value for this key.
    pub fn yaml(&self, text: &str) -> Result<String, KeyError> {
        let text = text.trim();
        let bad = |why: String| KeyError::BadValue { key: self.name, why };
        match self.kind {
            Kind::Name => check_name(text).map(|()| quote(text)).map_err(bad),
            Kind::Secret if text.is_empty() => Err(bad("a secret may not be empty".into())),
            Kind::Secret if text.len() > LONGEST_SECRET || text.chars().any(char::is_control) => {
                Err(bad(format!("a secret is one line of at most {LONGEST_SECRET} bytes")))
            }
            Kind::Secret => Ok(quote(text)),
            Kind::Port => match text.parse::<u16>() {
                Ok(port) if port > 0 => Ok(port.to_string()),
                _ => Err(bad(format!("{text:?} is not a port; ports are 1 to 65535"))),
            },
            Kind::Cpus => {
                let millis = parse_cpus(text).map_err(|e| bad(e.to_string()))?;
                Ok(format!("{:?}", f64::from(millis) / 1000.0))
            }
            Kind::Size(least) => parse_size_from(text, least).map(|_| quote_size(text)).map_err(bad),
            Kind::Seconds => parse_duration(text).map(|s| s.to_string()).map_err(|e| bad(e.to_string())),
            Kind::Count(most) => match text.parse::<u32>() {
                Ok(n) if (1..=most).contains(&n) => Ok(n.to_string()),
                _ => Err(bad(format!("{text:?} is not a number from 1 to {most}"))),
            },
            Kind::Upto(most) => match text.parse::<u32>() {
                Ok(n) if n <= most => Ok(n.to_string()),
                _ => Err(bad(format!("{text:?} is not a number from 0 to {most}"))),
            },
            Kind::Rate if text.eq_ignore_ascii_case("none") => Ok("none".into()),
            Kind::Rate => parse_size_from(text, 1 << 10).map(|_| quote_size(text)).map_err(bad),
            Kind::Gpus => match text.to_ascii_lowercase().as_str() {
                "all" => Ok("all".into()),
                number => match number.parse::<u32>() {
                    Ok(n) if n <= 64 => Ok(n.to_string()),
                    _ => Err(bad(format!("{text:?} is neither all nor a number from 0 to 64"))),
                },
            },
            Kind::Socket if text.starts_with('/') || text.starts_with("unix:///") => Ok(quote(text)),
            Kind::Socket => Err(bad(format!("{text:?} is not a local socket; write unix:///var/run/docker.sock"))),
            Kind::Proxy
                if matches!(text, "auto" | "direct")
                    || ["socks5h://", "socks5://", "http://"].iter().any(|s| text.starts_with(s)) =>
            {
                Ok(quote(text))
            }
            // Never repeats the text: it may hold a password.
            Kind::Proxy => {
                Err(bad("that is no proxy; write auto, direct, socks5h://HOST:PORT or http://HOST:PORT".into()))
            }
            Kind::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok("true".into()),
                "false" | "no" | "off" | "0" => Ok("false".into()),
                _ => Err(bad(format!("{text:?} is neither true nor false"))),
            },
            Kind::Word(words) if words.contains(&text) => Ok(text.to_owned()),
            Kind::Word(words) => Err(bad(format!("{text:?} is none of {}", words.join(", ")))),
            Kind::List => Err(bad("is a list; edit the file, or use homie add and homie remove".into())),
        }
    }
}

/// A size keeps the user's spelling, so that `4g` stays `4g`.
fn quote_size(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

/// What a machine or group may be called: something that fits a table and a shell, and cannot be taken for a flag.
///
/// # Errors
/// Why not.
pub fn check_name(text: &str) -> Result<(), String> {
    // What a DNS label may have; homied holds to the same.
    const LONGEST: usize = 63;
    if text.is_empty() {
        return Err("a name may not be empty".into());
    }
    if text.len() > LONGEST {
        return Err(format!("a name may have at most {LONGEST} bytes"));
    }
    if text.starts_with('-') || !text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
        return Err(format!("{text:?} is not a name; use letters, digits, - _ and ."));
    }
    Ok(())
}

/// A name made of this machine's host name, which may hold anything.
pub fn name_from_hostname(hostname: &str) -> String {
    let first = hostname.split('.').next().unwrap_or_default();
    let clean: String =
        first.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(32).collect();
    let clean = clean.trim_matches('-').to_ascii_lowercase();
    if clean.is_empty() || clean == "localhost" { "homie".to_owned() } else { clean }
}

// The word list above and the type must not drift apart.
const _: () = assert!(LEVELS.len() == Isolation::Gvisor as usize + 1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_checked_and_written_the_way_the_file_has_them() {
        for (name, text, want) in [
            ("cpu", "2", "2.0"),
            ("container_cpu_limit", "0.5", "0.5"),
            ("memory", "4G", "4g"),
            ("timeout", "10m", "600"),
            ("worker-port", "5556", "5556"),
            ("broadcast", "no", "false"),
            ("proxy", "socks5h://localhost:1055", "\"socks5h://localhost:1055\""),
            ("gpu", "0", "0"),
            ("gpu", "All", "all"),
            ("disk", "20g", "20g"),
            ("pids", "512", "512"),
            ("jobs", "4", "4"),
            ("engine", "native", "native"),
            ("secret", "correct horse", "\"correct horse\""),
            ("name", "raj", "raj"),
        ] {
            assert_eq!(find(name).and_then(|k| k.yaml(text)).as_deref(), Ok(want), "{name}");
        }
        for (name, text) in [
            ("cpu", "many"),
            ("memory", "lots"),
            ("timeout", "0"),
            ("worker_port", "0"),
            ("worker_port", "70000"),
            ("engine", "Docker"),
            ("name", "a b"),
            ("name", "-rf"),
            ("name", ""),
            ("secret", ""),
            ("job_slots", "0"),
            ("gpu", "65"),
            ("gpu", "some"),
            ("direct", "a"),
            ("proxy", "localhost:1055"),
        ] {
            assert!(find(name).and_then(|k| k.yaml(text)).is_err(), "{name}={text}");
        }
    }

    #[test]
    fn a_mistyped_key_is_answered_with_the_nearest() {
        let error = find("container_cpu_limt").expect_err("no such key");
        assert_eq!(error.to_string(), "there is no setting \"container_cpu_limt\"; did you mean container_cpu_limit?");
        assert!(matches!(find("zzz"), Err(KeyError::Unknown { near: None, .. })));
    }

    #[test]
    fn every_isolation_level_can_be_set() {
        for level in LEVELS {
            assert!(level.parse::<Isolation>().is_ok(), "{level}");
        }
    }

    proptest! {
        #[test]
        fn any_hostname_gives_a_good_name(hostname in "\\PC{0,80}") {
            prop_assert_eq!(check_name(&name_from_hostname(&hostname)), Ok(()));
        }
    }
}

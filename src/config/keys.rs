//! Every key of the config file: what it takes, how it is checked, how it is shown.

use serde_json::{Value, json};

use super::direct;
use super::proxy;
use super::settings::{EngineChoice, Listen, Settings};
use super::shape::{Arity, Given};
use crate::model::{LEAST_MEMORY, parse_cpus, parse_duration, parse_size_from, visible_controls};
use crate::secret::Secret;

/// A key.
pub(super) struct Key {
    /// As in the file; `HOMIE_` and its capitals in the environment.
    pub name: &'static str,
    /// One value or a list.
    pub arity: Arity,
    /// Checks a value and puts it into the settings; or says what is wrong and what to write.
    pub set: fn(&mut Settings, &Given) -> Result<(), String>,
    /// The value as it would be written in the file; a secret is masked.
    pub show: fn(&Settings) -> Value,
}

impl Key {
    /// Its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("HOMIE_{}", self.name.to_ascii_uppercase())
    }
}

/// Longest name of a machine or group in bytes: what a DNS label may have (RFC 1035), and what a heartbeat carries.
const MAX_NAME: usize = 63;
/// Longest secret in bytes: far more than any, so that a file given by mistake is noticed.
const MAX_SECRET: usize = 1024;
/// Most jobs at once, processes of a job and entries of a list: typing slips end here.
const MAX_COUNT: u32 = 100_000;

macro_rules! one {
    ($name:literal, $set:expr, $show:expr) => {
        Key {
            name: $name,
            arity: Arity::One,
            set: |s, given| {
                let Given::One(text) = given else { return Err("one value is wanted, not a list".to_owned()) };
                let set: fn(&mut Settings, &str) -> Result<(), String> = $set;
                set(s, text.trim())
            },
            show: $show,
        }
    };
}

/// All keys, in the order they are shown in. The first seven are those of the first Homie; they stay for ever.
pub(super) static KEYS: &[Key] = &[
    one!("name", |s, v| name(v).map(|v| s.name = v), |s| json!(s.name)),
    one!("group_secret", set_secret, |s| if s.group_secret.is_empty() { Value::Null } else { json!("********") }),
    one!("discovery_port", |s, v| port(v).map(|v| s.discovery_port = v), |s| json!(s.discovery_port)),
    one!("worker_port", |s, v| port(v).map(|v| s.worker_port = v), |s| json!(s.worker_port)),
    one!(
        "container_cpu_limit",
        |s, v| parse_cpus(v).map(|v| s.limits.cpu_millis = v).map_err(|e| e.to_string()),
        |s| json!(f64::from(s.limits.cpu_millis) / 1000.0)
    ),
    one!("container_memory_limit", |s, v| size(v, LEAST_MEMORY).map(|v| s.limits.memory_bytes = v), |s| show_size(
        s.limits.memory_bytes
    )),
    one!("container_timeout", |s, v| seconds(v).map(|v| s.limits.timeout_s = v), |s| json!(s.limits.timeout_s)),
    one!("container_pids_limit", |s, v| count(v).map(|v| s.limits.pids = v), |s| json!(s.limits.pids)),
    one!("container_disk_limit", |s, v| size(v, 1).map(|v| s.limits.disk_bytes = v), |s| show_size(
        s.limits.disk_bytes
    )),
    one!("container_output_limit", |s, v| size(v, 1 << 10).map(|v| s.limits.output_bytes = v), |s| show_size(
        s.limits.output_bytes
    )),
    one!("container_tmp_limit", |s, v| size(v, 1 << 20).map(|v| s.limits.tmp_bytes = v), |s| show_size(
        s.limits.tmp_bytes
    )),
    one!("container_gpu_limit", |s, v| gpus(v).map(|v| s.limits.gpus = v), |s| s
        .limits
        .gpus
        .map_or_else(|| json!("all"), |n| json!(n))),
    one!("gpu_share", |s, v| truth(v).map(|v| s.gpu_share = v), |s| json!(s.gpu_share)),
    one!("group", |s, v| name(v).map(|v| s.group = v), |s| json!(s.group)),
    one!(
        "job_slots",
        |s, v| count(v).and_then(|n| u16::try_from(n).map_err(|_| slots_problem(v))).map(|n| s.job_slots = n),
        |s| json!(s.job_slots)
    ),
    one!("engine", set_engine, |s| json!(s.engine.as_str())),
    one!("min_isolation", |s, v| v.parse().map(|v| s.min_isolation = v), |s| json!(s.min_isolation.as_str())),
    one!("listen", set_listen, |s| json!(s.listen.as_str())),
    one!("broadcast", |s, v| truth(v).map(|v| s.broadcast = v), |s| json!(s.broadcast)),
    one!("store_limit", |s, v| size(v, 1 << 20).map(|v| s.store_bytes = v), |s| show_size(s.store_bytes)),
    one!("bandwidth_limit", |s, v| rate(v).map(|v| s.bandwidth_bytes = v), |s| match s.bandwidth_bytes {
        0 => json!("none"),
        rate => show_size(rate),
    }),
    one!("keep_results", |s, v| seconds(v).map(|v| s.keep_results_s = v), |s| json!(s.keep_results_s)),
    one!("warm_containers", |s, v| few(v).map(|v| s.warm_containers = v), |s| json!(s.warm_containers)),
    one!("warm_idle", |s, v| seconds(v).map(|v| s.warm_idle_s = v), |s| json!(s.warm_idle_s)),
    one!("docker_host", set_docker_host, |s| json!(s.docker_host)),
    one!("allow_builds", |s, v| v.parse().map(|v| s.allow_builds = v), |s| json!(s.allow_builds.as_str())),
    one!("env_limit", |s, v| size(v, 1 << 20).map(|v| s.env_bytes = v), |s| show_size(s.env_bytes)),
    Key { name: "build_hosts", arity: Arity::Many, set: set_build_hosts, show: |s| json!(s.build_hosts) },
    Key { name: "admins", arity: Arity::Many, set: set_admins, show: |s| json!(s.admins) },
    Key { name: "direct", arity: Arity::Many, set: direct::set, show: direct::show },
    one!("proxy", proxy::set, proxy::show),
    Key { name: "proxy_rules", arity: Arity::Many, set: proxy::set_rules, show: proxy::show_rules },
];

/// Every key.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
}

/// What `name` takes, if it is a key.
pub(super) fn arity(name: &str) -> Option<Arity> {
    all().find(|k| k.name == name).map(|k| k.arity)
}

/// The key that was probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // 0.8 of Jaro-Winkler takes in a dropped, doubled or swapped letter and leaves out other words.
    all()
        .map(|k| (strsim::jaro_winkler(&name.to_ascii_lowercase(), k.name), k.name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A name of a machine or a group. It is printed before every line of output, sent in heartbeats, and given to
/// commands, so it may not look like a flag.
fn name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.len() <= MAX_NAME && !text.starts_with('-');
    if fits && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{:?} is not a name; write at most {MAX_NAME} letters, digits, `-` (not in front), `_` or `.`, such as raj",
            excerpt(text)
        ))
    }
}

fn set_secret(s: &mut Settings, text: &str) -> Result<(), String> {
    if text.len() > MAX_SECRET || text.chars().any(char::is_control) {
        return Err(format!("a secret is one line of at most {MAX_SECRET} bytes; `homie setup` makes one"));
    }
    s.group_secret = Secret::new(text);
    Ok(())
}

fn set_listen(s: &mut Settings, text: &str) -> Result<(), String> {
    s.listen = match text {
        "private" => Listen::Private,
        "all" => Listen::All,
        _ => return Err(format!("{:?} is neither private nor all", excerpt(text))),
    };
    Ok(())
}

fn set_engine(s: &mut Settings, text: &str) -> Result<(), String> {
    s.engine = [EngineChoice::Auto, EngineChoice::Docker, EngineChoice::Native]
        .into_iter()
        .find(|e| e.as_str() == text)
        .ok_or_else(|| format!("{:?} is not an engine; write auto, docker or native", excerpt(text)))?;
    Ok(())
}

fn set_docker_host(s: &mut Settings, text: &str) -> Result<(), String> {
    if text.starts_with('/') || text.starts_with("unix:///") {
        s.docker_host = Some(text.to_owned());
        Ok(())
    } else {
        Err(format!("{:?} is not a local socket; write unix:///var/run/docker.sock", excerpt(text)))
    }
}

fn set_admins(s: &mut Settings, given: &Given) -> Result<(), String> {
    let texts: Vec<String> = match given {
        Given::One(list) => list.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect(),
        Given::Many(items) => items
            .iter()
            .map(|i| match &i.value {
                Value::String(text) => Ok(text.clone()),
                Value::Number(uid) => Ok(uid.to_string()),
                _ => Err("an entry is a user name or a user id".to_owned()),
            })
            .collect::<Result<_, _>>()?,
    };
    s.admins = texts;
    Ok(())
}

fn set_build_hosts(s: &mut Settings, given: &Given) -> Result<(), String> {
    let texts: Vec<String> = match given {
        Given::One(list) => list.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect(),
        Given::Many(items) => {
            let host = |v: &Value| v.as_str().map(|t| t.trim().to_owned());
            let problem = || "an entry is the name of a host, such as pypi.org".to_owned();
            items.iter().map(|i| host(&i.value).ok_or_else(problem)).collect::<Result<_, _>>()?
        }
    };
    let known = |c: char| c.is_ascii_alphanumeric() || "-._:*[]".contains(c);
    match texts.iter().find(|t| t.is_empty() || !t.chars().all(known)) {
        Some(bad) => {
            Err(format!("{:?} is not a host; write pypi.org, *.pytorch.org or local:mirror.lan:8080", excerpt(bad)))
        }
        None => {
            s.build_hosts = texts;
            Ok(())
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|p| *p > 0)
        .ok_or_else(|| format!("{:?} is not a port; write a number from 1 to 65535", excerpt(text)))
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=MAX_COUNT).contains(n))
        .ok_or_else(|| format!("{:?} is not a count; write a number from 1 to {MAX_COUNT}", excerpt(text)))
}

/// A number of GPUs; `None` is all of them.
fn gpus(text: &str) -> Result<Option<u32>, String> {
    /// What one machine can hold, as on the command line of `run`.
    const MOST: u32 = 64;
    match (text, text.parse()) {
        ("all", _) => Ok(None),
        (_, Ok(n)) if n <= MOST => Ok(Some(n)),
        _ => Err(format!("{:?} is not a number of GPUs; write all, or a number from 0 to {MOST}", excerpt(text))),
    }
}

/// Bytes a second; 0 for `none`.
fn rate(text: &str) -> Result<u64, String> {
    if text == "none" { Ok(0) } else { size(text, 1 << 10).map_err(|e| format!("{e}, or none")) }
}

/// A number of waiting containers. Each costs memory, and a typing slip should not cost all of it.
fn few(text: &str) -> Result<u16, String> {
    const MOST: u16 = 64;
    let number = text.parse().ok().filter(|n| *n <= MOST);
    number.ok_or_else(|| format!("{:?} is not a number from 0 to {MOST}", excerpt(text)))
}

fn slots_problem(text: &str) -> String {
    format!("{text} jobs at once are too many; write a number from 1 to {}", u16::MAX)
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(format!("{:?} is neither true nor false; write true or false", excerpt(text))),
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    parse_duration(text).map_err(|e| e.to_string())
}

/// A size of at least `least` bytes.
fn size(text: &str, least: u64) -> Result<u64, String> {
    parse_size_from(text, least)
}

/// `4g`, `512m`: as it is written in the file.
fn show_size(bytes: u64) -> Value {
    let unit =
        [(40, "t"), (30, "g"), (20, "m"), (10, "k")].into_iter().find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    match unit {
        Some((shift, unit)) if bytes > 0 => json!(format!("{}{unit}", bytes >> shift)),
        _ => json!(bytes.to_string()),
    }
}

/// What was typed, short and harmless to print.
pub(super) fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    visible_controls(short.as_bytes())
}

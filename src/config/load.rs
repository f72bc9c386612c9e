//! The layers: defaults < file < `HOMIE_*` < flags. Each value remembers where it came from.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::ConfigError;
use super::file;
use super::keys;
use super::rotation;
use super::settings::Settings;
use super::shape::{Given, parse};
use crate::model::weakness;
use crate::paths::Places;
use crate::wire::ipc::ConfigRow;

/// `HOMIE_*` variables that are not settings but say where things are, or what is logged.
const NOT_SETTINGS: [&str; 5] = ["HOMIE_HOME", "HOMIE_SOCKET", "HOMIE_SYSTEM", "HOMIE_LOG", "HOMIE_NVML"];

/// The name of a machine that was given none: its host name, less what no name may have.
pub fn host_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|h| h.into_string().ok()).unwrap_or_default();
    // `raj.local` is `raj` to people.
    let first = host.split('.').next().unwrap_or_default();
    let clean: String = first.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(63).collect();
    if clean.is_empty() { "homie".to_owned() } else { clean }
}

/// The configuration, ready to use.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every key with its value (secrets masked) and origin, for `homie config`.
    pub rows: Vec<ConfigRow>,
    /// What its owner should know: unknown keys, a file that others can read, a weak secret.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Says with each value that a running homied, started with other settings, cannot take up, that it is not in
    /// force yet.
    pub fn note_what_needs_a_restart(&mut self, started_with: &Settings) {
        for key in self.settings.needing_a_restart(started_with) {
            let text = "not in force yet, restart needed: `homie down`, then `homie up`".to_owned();
            self.warnings.push(format!("{key} is {text}"));
            if let Some(row) = self.rows.iter_mut().find(|row| row.key == key) {
                row.warning = Some(text);
            }
        }
    }
}

/// Reads and checks everything. A missing file is an empty one.
///
/// `host_name` is the default of `name` (see [`host_name`]), so that tests need not be this machine. `env` are environment variables (others than `HOMIE_*` are passed over); `flags` are pairs of a key and its value.
///
/// # Errors
/// The first thing that cannot be used, with its place, key, and what to write.
pub fn load(
    places: &Places,
    host_name: &str,
    env: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let text = file::read(&places.config, &mut warnings)?;
    layers(&places.config, &places.state, &text, host_name, env, flags, warnings)
}

/// The settings of a file with this text, for the fuzzer.
///
/// # Errors
/// As [`load`].
#[cfg(fuzzing)]
pub fn from_text(text: &str) -> Result<Loaded, ConfigError> {
    layers(Path::new("config.yaml"), Path::new("/nonexistent"), text, "host", [], &[], Vec::new())
}

/// A value and where it came from.
type Layer = BTreeMap<&'static str, (Given, String)>;

fn layers(
    path: &Path,
    state: &Path,
    text: &str,
    host_name: &str,
    env: impl IntoIterator<Item = (String, String)>,
    flags: &[(String, String)],
    mut warnings: Vec<String>,
) -> Result<Loaded, ConfigError> {
    let mut row_warnings: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut given = from_file(path, text, &mut warnings)?;
    from_env(env, &mut given, &mut warnings);
    for (name, value) in flags {
        if let Some(key) = keys::all().find(|k| k.name == name.replace('-', "_")) {
            given.insert(key.name, (Given::One(value.clone()), format!("--{}", name.replace('_', "-"))));
        }
    }

    let mut settings = Settings::defaults(host_name);
    for key in keys::all() {
        if let Some((value, origin)) = given.get(key.name) {
            (key.set)(&mut settings, value).map_err(|problem| ConfigError::Value {
                origin: origin.clone(),
                key: key.name,
                problem,
            })?;
        }
    }
    if let Some(origin) = rotation::apply(state, &mut settings)?
        && let Some((_, whence)) = given.get_mut("group_secret")
    {
        *whence = origin;
    }
    if let Some(trouble) = secret_trouble(&settings) {
        row_warnings.insert("group_secret", trouble.clone());
        warnings.push(trouble);
    }
    let row = |key: &'static keys::Key| ConfigRow {
        key: key.name.to_owned(),
        value: (key.show)(&settings),
        origin: given.get(key.name).map_or("default", |(_, origin)| origin).to_owned(),
        warning: row_warnings.get(key.name).cloned(),
    };
    let rows = keys::all().map(row).collect();
    Ok(Loaded { settings, rows, warnings })
}

fn from_file(path: &Path, text: &str, warnings: &mut Vec<String>) -> Result<Layer, ConfigError> {
    let entries = parse(text, keys::arity).map_err(|e| ConfigError::Syntax {
        path: path.to_owned(),
        line: e.line,
        problem: e.problem,
    })?;
    let mut layer = Layer::new();
    for entry in entries {
        let place = format!("{}:{}", path.display(), entry.line);
        match keys::all().find(|k| k.name == entry.key) {
            // A blank value is the same as none.
            Some(key) => _ = entry.given.and_then(|g| layer.insert(key.name, (g, place))),
            None => warnings.push(unknown(&place, &entry.key, keys::nearest(&entry.key))),
        }
    }
    Ok(layer)
}

fn unknown(place: &str, key: &str, nearest: Option<&str>) -> String {
    let key = keys::excerpt(key);
    match nearest {
        Some(meant) => format!("{place}: unknown key {key:?} is ignored; did you mean {meant}?"),
        None => format!("{place}: unknown key {key:?} is ignored"),
    }
}

fn from_env(env: impl IntoIterator<Item = (String, String)>, given: &mut Layer, warnings: &mut Vec<String>) {
    for (variable, value) in env {
        let Some(name) = variable.strip_prefix("HOMIE_") else { continue };
        if value.is_empty() || NOT_SETTINGS.contains(&variable.as_str()) {
            continue;
        }
        match keys::all().find(|k| k.variable() == variable) {
            Some(key) => _ = given.insert(key.name, (Given::One(value), variable)),
            // Other programs may have variables of this prefix, so only what looks like a slip is worth a line.
            None => {
                if let Some(meant) = keys::nearest(name) {
                    let meant = format!("HOMIE_{}", meant.to_ascii_uppercase());
                    warnings.push(format!("{variable} is ignored; did you mean {meant}?"));
                }
            }
        }
    }
}

/// Why the group's secret protects less than it could, or that there is none.
fn secret_trouble(settings: &Settings) -> Option<String> {
    let secret = settings.group_secret.reveal();
    if secret.is_empty() {
        return Some(
            "no group_secret: this machine stays alone until `homie setup` or a secret in its config".to_owned(),
        );
    }
    weakness(secret).map(|why| {
        format!(
            "group_secret is weak: {why}, so whoever records a heartbeat can guess it at leisure; \
             `homie setup --new-secret` makes a strong one, for all machines of the group"
        )
    })
}

//! Changes lines of the config file; homied has the last word, and a file it refuses is put back.

use std::path::Path;

use super::{connect_if_up, show};
use crate::ctl::config_file::{self, EditError, Key, KeyError, Kind, StoreError, config_path};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::model::beyond_machine;
use crate::paths::Surroundings;
use crate::wire::ipc::{ConfigRow, method};
use crate::wire::refusal::RefusalKind;

/// One line to change.
#[derive(Debug, Clone)]
pub struct Change {
    key: &'static Key,
    /// The new value as YAML; `None` takes the line out.
    yaml: Option<String>,
}

impl Change {
    /// `key` gets `value`, if that is one for it.
    ///
    /// # Errors
    /// It is not.
    pub fn set(key: &'static Key, value: &str) -> Result<Self, KeyError> {
        Ok(Self { key, yaml: Some(key.yaml(value)?) })
    }

    /// `key` gets its default.
    pub fn unset(key: &'static Key) -> Self {
        Self { key, yaml: None }
    }

    /// What was done, for people; a secret is not shown.
    fn report(&self) -> String {
        match (&self.yaml, self.key.kind) {
            (None, _) => format!("{} is at its default", self.key.name),
            (Some(_), Kind::Secret) => format!("{} is changed", self.key.name),
            (Some(yaml), _) => format!("{}: {yaml}", self.key.name),
        }
    }
}

/// Makes the changes in the file, lets homied read it, and says what was done. When homied refuses, the old file is
/// back in its place.
///
/// # Errors
/// The file cannot be read, edited or written, or homied refuses.
pub async fn apply(ctx: &Context, changes: &[Change]) -> Result<(), CtlError> {
    let mut homied = connect_if_up(ctx).await?;
    let path = config_path(&Surroundings::current(), homied.as_ref().map(|h| h.socket.as_path()))
        .map_err(|e| CtlError::usage(e.to_string()))?;
    let old = config_file::read(&path).map_err(store_error)?;
    let new = edit(old.as_deref().unwrap_or_default(), changes).map_err(|e| edit_error(&path, &e))?;
    let changed = old.as_deref() != Some(new.as_str());
    if changed {
        config_file::write(&path, &new).map_err(store_error)?;
    }
    let mut rows: Vec<ConfigRow> = Vec::new();
    if let Some(homied) = &mut homied {
        match homied.call_rows(method::CONFIG_RELOAD, &()).await {
            Ok(read) => rows = read,
            Err(refused) => {
                if changed {
                    // A new file that is refused is emptied rather than removed: homied then runs with its defaults.
                    config_file::write(&path, old.as_deref().unwrap_or_default()).map_err(store_error)?;
                }
                return Err(unchanged(refused));
            }
        }
    }
    if ctx.json {
        return ctx.print_list("config", &rows);
    }
    for change in changes {
        ctx.print(&format!("{} {}\n", ctx.out.tick(), change.report()))?;
    }
    if homied.is_none() {
        warn_alone(ctx, changes);
        ctx.note(&format!("homied is not running; it reads {} when it starts (`homie up`)", path.display()));
    }
    show::warn(ctx, &rows);
    Ok(())
}

/// A refusal of what was typed is no broken file: it is as it was before.
fn unchanged(refused: CtlError) -> CtlError {
    match refused {
        CtlError::Refused(refusal) if refusal.kind == RefusalKind::Config => {
            CtlError::Refused(refusal.hint("nothing was changed; `homie config` shows what holds"))
        }
        other => other,
    }
}

/// What homied would say of a cap that this machine cannot give, as far as it is known without homied: its cores.
fn warn_alone(ctx: &Context, changes: &[Change]) {
    let cores = std::thread::available_parallelism().map_or(0, |n| u16::try_from(n.get()).unwrap_or(u16::MAX));
    for change in changes {
        if let Some(warning) = change.yaml.as_ref().and_then(|cap| beyond_machine(change.key.name, cap, cores, 0)) {
            ctx.note(&format!("{} {}: {warning}", ctx.err.yellow("warning:"), change.key.name));
        }
    }
}

fn edit(text: &str, changes: &[Change]) -> Result<String, EditError> {
    changes.iter().try_fold(text.to_owned(), |text, change| match &change.yaml {
        Some(yaml) => config_file::set(&text, change.key.name, yaml),
        None => config_file::unset(&text, change.key.name),
    })
}

/// The user's words for a file that cannot be read or written.
pub(super) fn store_error(error: StoreError) -> CtlError {
    match error {
        StoreError::Io { what, path, error } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            CtlError::usage_hint(
                format!("cannot {what} {}: {error}", path.display()),
                "the configuration of this machine belongs to root: try again with sudo",
            )
        }
        StoreError::Io { what, path, error } => CtlError::io(format!("cannot {what} {}", path.display()), error),
        other => CtlError::usage(other.to_string()),
    }
}

/// The same for one that cannot be edited.
pub(super) fn edit_error(path: &Path, error: &EditError) -> CtlError {
    CtlError::usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::config_file::find_key;

    #[test]
    fn the_flags_of_the_sources_change_three_lines_and_nothing_else() {
        let text = "# mine\nname: raj\ncontainer_cpu_limit: 4.0 # half\n\ncontainer_timeout: 60\n";
        let change = |key, value| Change::set(find_key(key).expect("key"), value).expect("value");
        let changes = [change("cpu", "2"), change("memory", "4g"), change("timeout", "600")];
        assert_eq!(
            edit(text, &changes).as_deref(),
            Ok(
                "# mine\nname: raj\ncontainer_cpu_limit: 2.0 # half\n\ncontainer_timeout: 600\ncontainer_memory_limit: 4g\n"
            )
        );
    }

    #[test]
    fn a_secret_is_never_reported() {
        let change = Change::set(find_key("secret").expect("key"), "k7qm-2x4p").expect("value");
        assert!(!change.report().contains("k7qm"), "{}", change.report());
    }
}

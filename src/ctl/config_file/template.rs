//! The file that `homie setup` writes when there is none.

use super::keys::KEYS;
use super::scalar::quote;

/// What a new file says; everything else is at its default.
#[derive(Debug, Clone)]
pub struct NewConfig<'a> {
    /// Name of this machine.
    pub name: &'a str,
    /// The secret.
    pub secret: &'a str,
    /// The group, if it is not the default one.
    pub group: Option<&'a str>,
}

/// How many keys the sources' file has; they are written out, the others are shown as comments.
const WRITTEN_OUT: usize = 7;

/// The text of a new config file: the seven keys of the manual with their defaults, the others as comments.
pub fn new_file(new: &NewConfig<'_>) -> String {
    let mut out = String::from(
        "# Homie: what this machine is called, who its friends are, and what it lends them.\n\
         # Change a line and run `homie config reload`, or let `homie config` do both.\n",
    );
    for (i, key) in KEYS.iter().enumerate() {
        if i == WRITTEN_OUT {
            out.push_str("\n# The rest, at its defaults: take the # away to change one.\n");
        }
        let value = match key.name {
            "name" => quote(new.name),
            "group_secret" => quote(new.secret),
            "group" if new.group.is_some() => quote(new.group.unwrap_or_default()),
            _ => key.example().to_owned(),
        };
        let shown = i < WRITTEN_OUT || (key.name == "group" && new.group.is_some());
        let mark = if shown { "" } else { "# " };
        out.push_str(&format!("\n# {}\n{mark}{}: {value}\n", key.about, key.name));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::config_file::{get, set};

    #[test]
    fn a_new_file_holds_the_keys_and_defaults_of_the_manual() {
        let text = new_file(&NewConfig { name: "raj", secret: "s3cret # 1", group: None });
        let live: Vec<&str> = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect();
        assert_eq!(
            live,
            [
                "name: raj",
                "group_secret: \"s3cret # 1\"",
                "discovery_port: 5555",
                "worker_port: 5556",
                "container_cpu_limit: 2.0",
                "container_memory_limit: 4g",
                "container_timeout: 600",
            ]
        );
        assert_eq!(get(&text, "group_secret"), Ok(Some("s3cret # 1".into())));
        assert_eq!(get(&text, "group"), Ok(None));
    }

    #[test]
    fn a_group_of_its_own_is_written_out_and_defaults_are_edited_where_they_stand() {
        let text = new_file(&NewConfig { name: "raj", secret: "x", group: Some("lab") });
        assert_eq!(get(&text, "group"), Ok(Some("lab".into())));
        let native = set(&text, "engine", "native").expect("editable");
        assert!(native.contains("# engine: auto\nengine: native\n"), "{native}");
    }
}

//! What the config file should say after `homie setup`: pure.

use crate::ctl::config_file::{self, EditError, NewConfig, find_key};

/// What the file says now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// Its name for this machine.
    pub(super) name: Option<String>,
    /// Its group.
    pub(super) group: Option<String>,
    /// Whether it holds a secret.
    pub(super) has_secret: bool,
}

/// What is to become of the secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum SecretChoice {
    /// The file's stays.
    Keep,
    /// This one was made now, so the user must see it once.
    Generated(String),
    /// This one was given by the user.
    Given(String),
}

/// What the file should say.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The machine's name.
    pub(super) name: String,
    /// The group, if one was asked for.
    pub(super) group: Option<String>,
    /// The secret.
    pub(super) secret: SecretChoice,
}

/// Reads what the file says; no file says nothing.
///
/// # Errors
/// A key is there twice, or the file is not made of lines.
pub(super) fn present(text: Option<&str>) -> Result<Present, EditError> {
    let text = text.unwrap_or_default();
    Ok(Present {
        name: config_file::get(text, "name")?,
        group: config_file::get(text, "group")?,
        has_secret: config_file::get(text, "group_secret")?.is_some_and(|s| !s.is_empty()),
    })
}

/// The text of the file afterwards. Only lines that must change do; no file becomes a commented one.
///
/// # Errors
/// A key is there twice, or the file is not made of lines.
pub(super) fn after(old: Option<&str>, wanted: &Wanted) -> Result<String, EditError> {
    let secret = match &wanted.secret {
        SecretChoice::Keep => None,
        SecretChoice::Generated(secret) | SecretChoice::Given(secret) => Some(secret.as_str()),
    };
    // An empty file is as good as none.
    let Some(old) = old.filter(|text| !text.trim().is_empty()) else {
        let group = wanted.group.as_deref().filter(|g| Some(*g) != find_key("group").ok().map(|k| k.default));
        return Ok(config_file::new_file(&NewConfig { name: &wanted.name, secret: secret.unwrap_or_default(), group }));
    };
    let mut text = old.to_owned();
    for (key, value) in
        [("name", Some(wanted.name.as_str())), ("group", wanted.group.as_deref()), ("group_secret", secret)]
    {
        if let Some(value) = value
            && config_file::get(&text, key)?.as_deref() != Some(value)
        {
            text = config_file::set(&text, key, &config_file::quote(value))?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, group: Option<&str>, secret: SecretChoice) -> Wanted {
        Wanted { name: name.into(), group: group.map(str::to_owned), secret }
    }

    #[test]
    fn running_it_again_changes_nothing() {
        let first = after(None, &wanted("raj", None, SecretChoice::Generated("k7qm-2x4p".into()))).expect("new");
        let now = present(Some(&first)).expect("readable");
        assert_eq!(now, Present { name: Some("raj".into()), group: None, has_secret: true });
        assert_eq!(after(Some(&first), &wanted("raj", None, SecretChoice::Keep)).as_deref(), Ok(first.as_str()));
        let joined = after(Some(&first), &wanted("raj", None, SecretChoice::Given("k7qm-2x4p".into())));
        assert_eq!(joined.as_deref(), Ok(first.as_str()));
    }

    #[test]
    fn only_what_is_asked_changes() {
        let old = "# mine\nname: raj\ngroup_secret: a # old\nworker_port: 7000\n";
        let new = after(Some(old), &wanted("mike", Some("lab"), SecretChoice::Given("b".into())));
        assert_eq!(new.as_deref(), Ok("# mine\nname: mike\ngroup_secret: b # old\nworker_port: 7000\ngroup: lab\n"));
    }

    #[test]
    fn an_empty_secret_counts_as_none() {
        assert!(!present(Some("group_secret: \"\"\n")).expect("readable").has_secret);
        assert!(!present(None).expect("nothing").has_secret);
    }
}

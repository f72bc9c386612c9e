//! Which file is meant: that of the homied one speaks to, else that of the homied one would start.

use std::path::{Path, PathBuf};

use crate::paths::{Places, PlacesError, Surroundings};

/// The config file of the homied that listens at `socket`; without one, of the homied that `homie up` would start.
///
/// # Errors
/// No home directory is known.
pub fn config_path(around: &Surroundings, socket: Option<&Path>) -> Result<PathBuf, PlacesError> {
    let system = Places::of(&Surroundings { system: true, homie_home: None, homie_socket: None, ..around.clone() })?;
    if socket == Some(system.socket.as_path()) {
        return Ok(system.config);
    }
    Ok(Places::of(around)?.config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_that_of_the_homied_one_speaks_to() {
        let around = Surroundings { home: Some("/home/raj".into()), uid: 1000, ..Surroundings::default() };
        let of = |socket: Option<&str>| config_path(&around, socket.map(Path::new)).expect("a home");
        assert_eq!(of(None), Path::new("/home/raj/.homie/config.yaml"));
        assert_eq!(of(Some("/home/raj/.homie/homied.sock")), Path::new("/home/raj/.homie/config.yaml"));
        assert_eq!(of(Some("/run/homie/homied.sock")), Path::new("/etc/homie/config.yaml"));
        let demo = Surroundings { homie_home: Some("/tmp/a".into()), ..around };
        assert_eq!(config_path(&demo, Some(Path::new("/tmp/a/homied.sock"))), Ok("/tmp/a/config.yaml".into()));
    }
}

//! Where socket, config and state live, as a function of a given environment (design §8).
//!
//! Three kinds of homied exist, and each keeps its three places together:
//!
//! | kind   | when                                                | config                     | state            | socket                  |
//! |--------|-----------------------------------------------------|----------------------------|------------------|-------------------------|
//! | home   | `HOMIE_HOME` is set (several on a machine, tests)   | `$HOMIE_HOME/config.yaml`  | `$HOMIE_HOME`    | `$HOMIE_HOME/homied.sock` |
//! | system | root, or `HOMIE_SYSTEM=1` (the packaged service)    | `/etc/homie/config.yaml`   | `/var/lib/homie` | `/run/homie/homied.sock`  |
//! | user   | everybody else                                      | `~/.homie/config.yaml`     | `~/.homie`       | `~/.homie/homied.sock`    |
//!
//! Root by hand: `homie setup` and `homie up` ask the same function, so both use the system places. One exception
//! keeps old installations alive: root with a `~/.homie/config.yaml` and without `/etc/homie/config.yaml` is a user
//! like any other. The packaged service sets `HOMIE_SYSTEM=1` and never looks into a home directory.

use std::path::{Path, PathBuf};

use crate::model::Digest;

/// Longest socket path in bytes. `sun_path` holds 104 on macOS and 108 on Linux, with its final zero; a little room
/// is left for the temporary name that a socket is bound under before it is renamed.
pub const MAX_SOCKET_PATH: usize = 100;

/// The file name of the config.
const CONFIG: &str = "config.yaml";
/// The file name of the socket.
const SOCKET: &str = "homied.sock";
/// The config of the system's homied.
const SYSTEM_CONFIG: &str = "/etc/homie/config.yaml";
/// The state of the system's homied.
const SYSTEM_STATE: &str = "/var/lib/homie";
/// The socket of the system's homied. macOS has no `/run`.
const SYSTEM_SOCKET: &str =
    if cfg!(target_os = "macos") { "/var/run/homie/homied.sock" } else { "/run/homie/homied.sock" };

/// What the places depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The home directory (`HOME`, else the user database).
    pub home: Option<PathBuf>,
    /// `HOMIE_HOME`, absolute.
    pub homie_home: Option<PathBuf>,
    /// `HOMIE_SOCKET`, absolute.
    pub homie_socket: Option<PathBuf>,
    /// `HOMIE_SYSTEM=1`: the system's places whoever runs it.
    pub system: bool,
    /// `XDG_RUNTIME_DIR`, if absolute.
    pub runtime_dir: Option<PathBuf>,
    /// Effective user id.
    pub uid: u32,
    /// Whether `/etc/homie/config.yaml` exists.
    pub has_system_config: bool,
    /// Whether `~/.homie/config.yaml` exists.
    pub has_user_config: bool,
}

/// Why there are no places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlacesError {
    /// No home directory is known.
    #[error("no home directory is known; set HOME, or HOMIE_HOME to a directory for Homie's files")]
    NoHome,
}

/// Which kind of homied it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Under `HOMIE_HOME`.
    Home,
    /// The system's.
    System,
    /// A user's own.
    User,
}

/// The places of one homied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The one config file it reads.
    pub config: PathBuf,
    /// Its state: keys, history, blobs, jobs.
    pub state: PathBuf,
    /// Its local socket.
    pub socket: PathBuf,
    /// Whose it is.
    pub kind: Kind,
}

impl Surroundings {
    /// The surroundings of this process: the only lines of this file that look at the world.
    pub fn current() -> Self {
        let path = |name: &str| {
            let value = std::env::var_os(name).filter(|v| !v.is_empty())?;
            // Absolute, because homied changes to `/` when it goes to the background.
            std::path::absolute(value).ok()
        };
        let uid = nix::unistd::geteuid();
        let home = path("HOME").or_else(|| nix::unistd::User::from_uid(uid).ok().flatten().map(|u| u.dir));
        Self {
            homie_home: path("HOMIE_HOME"),
            homie_socket: path("HOMIE_SOCKET"),
            system: std::env::var_os("HOMIE_SYSTEM").is_some_and(|v| v == "1"),
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute()),
            uid: uid.as_raw(),
            has_system_config: Path::new(SYSTEM_CONFIG).exists(),
            has_user_config: home.as_ref().is_some_and(|h| h.join(".homie").join(CONFIG).exists()),
            home,
        }
    }
}

impl Places {
    /// Where homied, started in these surroundings, keeps its things.
    ///
    /// # Errors
    /// Neither a home directory nor `HOMIE_HOME` is known.
    pub fn of(around: &Surroundings) -> Result<Self, PlacesError> {
        let (kind, root) = match (&around.homie_home, &around.home) {
            (Some(dir), _) => (Kind::Home, dir.clone()),
            (None, home) => {
                let old_user_file = around.has_user_config && !around.has_system_config;
                if around.system || (around.uid == 0 && !old_user_file) {
                    (Kind::System, PathBuf::from(SYSTEM_STATE))
                } else {
                    (Kind::User, home.as_ref().ok_or(PlacesError::NoHome)?.join(".homie"))
                }
            }
        };
        let (config, socket) = match kind {
            Kind::System => (PathBuf::from(SYSTEM_CONFIG), PathBuf::from(SYSTEM_SOCKET)),
            Kind::Home | Kind::User => {
                (root.join(CONFIG), short_enough(root.join(SOCKET), around.runtime_dir.as_deref(), around.uid))
            }
        };
        let socket = around.homie_socket.clone().unwrap_or(socket);
        Ok(Self { config, state: root, socket, kind })
    }
}

/// The sockets that a client tries, in this order: the first that answers is homied. An explicit `HOMIE_SOCKET` or
/// `HOMIE_HOME` is the only one tried, so that a command never reaches another homied than the one meant.
///
/// A client accepts a socket only after [`may_own_socket`] said yes to its owner.
pub fn client_sockets(around: &Surroundings) -> Vec<PathBuf> {
    if let Some(socket) = &around.homie_socket {
        return vec![socket.clone()];
    }
    let mut sockets = Vec::new();
    let own = match (&around.homie_home, &around.home) {
        (Some(dir), _) => Some(dir.clone()),
        (None, home) => home.as_ref().map(|h| h.join(".homie")),
    };
    if let Some(socket) = own.map(|dir| dir.join(SOCKET)) {
        // homied may have been started without XDG_RUNTIME_DIR (cron, su), so both stand-ins are tried.
        for runtime_dir in [around.runtime_dir.as_deref(), None] {
            let candidate = short_enough(socket.clone(), runtime_dir, around.uid);
            if !sockets.contains(&candidate) {
                sockets.push(candidate);
            }
        }
    }
    if around.homie_home.is_none() {
        sockets.push(PathBuf::from(SYSTEM_SOCKET));
    }
    sockets
}

/// Whether a client of user `me` may trust a socket that belongs to `owner`: root's, the service user's (`homie`, if
/// there is one) and its own. Anybody else could have put it there to read what is submitted.
pub fn may_own_socket(owner: u32, me: u32, homie: Option<u32>) -> bool {
    owner == 0 || owner == me || Some(owner) == homie
}

/// `path`, or a stand-in of fixed length for a path that does not fit into a socket address: in the user's runtime
/// directory, else below `/tmp/homie-UID`. Whoever binds there must make sure that the directory is its own and 0700.
fn short_enough(path: PathBuf, runtime_dir: Option<&Path>, uid: u32) -> PathBuf {
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return path;
    }
    let hash = &Digest::of(path.as_os_str().as_encoded_bytes()).to_string()[..16];
    runtime_dir
        .map(|dir| dir.join("homie").join(hash))
        .filter(|p| p.as_os_str().len() <= MAX_SOCKET_PATH)
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/homie-{uid}")).join(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(uid: u32) -> Surroundings {
        Surroundings { uid, home: Some(PathBuf::from("/home/raj")), ..Surroundings::default() }
    }

    fn dirs(around: &Surroundings) -> (String, String, String) {
        let p = Places::of(around).expect("places");
        let text = |p: PathBuf| p.to_str().expect("utf-8").to_owned();
        (text(p.config), text(p.state), text(p.socket))
    }

    fn system() -> (String, String, String) {
        (SYSTEM_CONFIG.to_owned(), SYSTEM_STATE.to_owned(), SYSTEM_SOCKET.to_owned())
    }

    fn below(dir: &str) -> (String, String, String) {
        (format!("{dir}/config.yaml"), dir.to_owned(), format!("{dir}/homied.sock"))
    }

    #[test]
    fn each_kind_of_homied_has_its_places() {
        let home = Some(PathBuf::from("/h"));
        let table = [
            (around(1000), below("/home/raj/.homie")),
            (around(0), system()),
            (Surroundings { homie_home: home.clone(), ..around(1000) }, below("/h")),
            (Surroundings { homie_home: home.clone(), ..around(0) }, below("/h")),
            (Surroundings { system: true, ..around(1000) }, system()),
            (Surroundings { system: true, homie_home: home, ..around(1000) }, below("/h")),
            // Root with an old file of its own and no system config is a user.
            (Surroundings { has_user_config: true, ..around(0) }, below("/home/raj/.homie")),
            (Surroundings { has_user_config: true, has_system_config: true, ..around(0) }, system()),
            (Surroundings { has_user_config: true, system: true, ..around(0) }, system()),
            (Surroundings { has_system_config: true, ..around(1000) }, below("/home/raj/.homie")),
            (Surroundings { home: None, ..around(0) }, system()),
        ];
        for (input, want) in table {
            assert_eq!(dirs(&input), want, "{input:?}");
        }
        assert_eq!(Places::of(&Surroundings { home: None, ..around(1000) }), Err(PlacesError::NoHome));
    }

    #[test]
    fn a_client_tries_its_own_homied_then_the_systems() {
        let list = |a: &Surroundings| -> Vec<String> {
            client_sockets(a).into_iter().map(|p| p.to_str().expect("utf-8").to_owned()).collect()
        };
        let own = "/home/raj/.homie/homied.sock".to_owned();
        assert_eq!(list(&around(1000)), [own.clone(), SYSTEM_SOCKET.to_owned()]);
        assert_eq!(list(&around(0)), [own, SYSTEM_SOCKET.to_owned()]);
        assert_eq!(list(&Surroundings { home: None, ..around(7) }), [SYSTEM_SOCKET]);
        let homie_home = Some(PathBuf::from("/h"));
        assert_eq!(list(&Surroundings { homie_home: homie_home.clone(), ..around(7) }), ["/h/homied.sock"]);
        let both = Surroundings { homie_home, homie_socket: Some(PathBuf::from("/s")), ..around(7) };
        assert_eq!(list(&both), ["/s"]);
    }

    #[test]
    fn whatever_homied_binds_its_client_tries() {
        let long = PathBuf::from(format!("/{}", "long/".repeat(30)));
        let very_long_runtime = PathBuf::from(format!("/run/{}", "x".repeat(90)));
        for uid in [0, 1000] {
            for homie_home in [None, Some(PathBuf::from("/h")), Some(long.clone())] {
                for homie_socket in [None, Some(PathBuf::from("/s"))] {
                    for daemon_runtime in [None, Some(PathBuf::from("/run/user/1")), Some(very_long_runtime.clone())] {
                        for home in [PathBuf::from("/home/raj"), long.clone()] {
                            let (homie_home, homie_socket) = (homie_home.clone(), homie_socket.clone());
                            let client = Surroundings {
                                homie_home,
                                homie_socket,
                                home: Some(home),
                                runtime_dir: Some(PathBuf::from("/run/user/1")),
                                ..around(uid)
                            };
                            let daemon = Surroundings { runtime_dir: daemon_runtime.clone(), ..client.clone() };
                            let socket = Places::of(&daemon).expect("places").socket;
                            assert!(socket.as_os_str().len() <= MAX_SOCKET_PATH, "{socket:?}");
                            assert!(client_sockets(&client).contains(&socket), "{daemon:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_over_long_path_moves_and_different_paths_stay_apart() {
        let long = |c: &str| PathBuf::from(format!("/{}", c.repeat(120)));
        let fit = PathBuf::from(format!("/{}", "f".repeat(MAX_SOCKET_PATH - 1)));
        assert_eq!(short_enough(fit.clone(), None, 7), fit);
        let one = short_enough(long("a"), Some(Path::new("/run/user/7")), 7);
        assert!(one.starts_with("/run/user/7/homie"), "{one:?}");
        let two = short_enough(long("b"), None, 7);
        assert!(two.starts_with("/tmp/homie-7"), "{two:?}");
        assert_ne!(one.file_name(), two.file_name());
    }

    #[test]
    fn only_root_the_service_and_oneself_may_own_the_socket() {
        for (owner, me, homie, want) in [
            (0, 1000, None, true),
            (1000, 1000, None, true),
            (1001, 1000, None, false),
            (990, 1000, Some(990), true),
            (990, 1000, None, false),
            (1000, 0, None, false),
        ] {
            assert_eq!(may_own_socket(owner, me, homie), want, "{owner} {me} {homie:?}");
        }
    }
}

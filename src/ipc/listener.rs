//! The socket file: bound so that nobody else's is taken over and nobody else gets in.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use interprocess::local_socket::tokio::{Listener, prelude::*};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, ToFsName};
use nix::unistd::{Gid, Group, Uid, chown, getegid, geteuid};

/// Whoever is in this group may use the system's homied.
const GROUP: &str = "homie";

/// A bound socket; its file is removed on drop.
#[derive(Debug)]
pub struct Socket {
    listener: Listener,
    path: PathBuf,
}

/// Why the socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another homied listens there.
    #[error("another homied already listens on {0}")]
    Taken(PathBuf),
    /// The directory belongs to somebody else, who could replace the socket.
    #[error("{path} belongs to user {owner}; a socket there would not be safe; remove it or set HOMIE_SOCKET")]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// The file system refused.
    #[error("cannot listen on {path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Binds the socket at `path`: 0600 for a user's own homied, 0660 and group `homie` for the system's.
///
/// # Errors
/// Another homied is there, the directory is not ours, or the system refuses.
pub async fn bind(path: &Path) -> Result<Socket, SocketError> {
    let fail = |source| SocketError::Io { path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        own_dir(dir).map_err(|e| match e {
            DirError::NotOurs(owner) => SocketError::NotOurs { path: dir.to_owned(), owner },
            DirError::Io(source) => SocketError::Io { path: dir.to_owned(), source },
        })?;
    }
    let name = || path.to_fs_name::<GenericFilePath>().map_err(fail);
    if path.exists() {
        // A file that nobody answers behind is what a killed homied leaves.
        if interprocess::local_socket::tokio::Stream::connect(name()?).await.is_ok() {
            return Err(SocketError::Taken(path.to_owned()));
        }
        fs::remove_file(path).map_err(fail)?;
    }
    // Bound under another name and renamed once its mode is right, so that it is never open to more people than meant.
    let hidden = path.with_extension("new");
    let _ = fs::remove_file(&hidden);
    let hidden_name = hidden.as_path().to_fs_name::<GenericFilePath>().map_err(fail)?;
    let listener = ListenerOptions::new().name(hidden_name).reclaim_name(false).create_tokio().map_err(fail)?;
    let group = Group::from_name(GROUP).ok().flatten().map(|group| group.gid);
    let group = group.filter(|group| is_shared(geteuid(), getegid(), *group));
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(&hidden, fs::Permissions::from_mode(mode)).map_err(fail)?;
    if group.is_some() {
        chown(&hidden, None::<Uid>, group).map_err(|e| fail(e.into()))?;
    }
    fs::rename(&hidden, path).map_err(fail)?;
    Ok(Socket { listener, path: path.to_owned() })
}

/// Whether the members of `group` may use the socket of a homied that runs as this user and group: the system's does as
/// root, or under systemd as the service user, whose own group it is.
fn is_shared(user: Uid, own: Gid, group: Gid) -> bool {
    user.is_root() || own == group
}

enum DirError {
    NotOurs(u32),
    Io(io::Error),
}

/// Makes the directory if need be and makes sure that nobody else can put files there.
fn own_dir(dir: &Path) -> Result<(), DirError> {
    if !dir.exists() {
        let mode = if geteuid().is_root() { 0o755 } else { 0o700 };
        fs::DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(DirError::Io)?;
    }
    let meta = fs::symlink_metadata(dir).map_err(DirError::Io)?;
    let own = geteuid().as_raw();
    if meta.is_symlink() || (meta.uid() != own && meta.uid() != 0) {
        return Err(DirError::NotOurs(meta.uid()));
    }
    Ok(())
}

impl Socket {
    /// The next client.
    ///
    /// # Errors
    /// The system refuses for a moment (too many open files).
    pub(super) async fn accept(&self) -> io::Result<interprocess::local_socket::tokio::Stream> {
        self.listener.accept().await
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_homied_is_shared_with_its_group_and_a_users_own_with_nobody() {
        let homie = Gid::from_raw(990);
        assert!(is_shared(Uid::from_raw(0), Gid::from_raw(0), homie), "started by root");
        assert!(is_shared(Uid::from_raw(990), homie, homie), "started by systemd as its service user");
        assert!(!is_shared(Uid::from_raw(1000), Gid::from_raw(1000), homie), "alice's own");
    }

    #[tokio::test]
    async fn a_socket_is_bound_once_and_a_dead_one_is_replaced() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("run/homied.sock");
        let first = bind(&path).await.expect("bind");
        let mode = fs::metadata(&path).expect("there").mode() & 0o007;
        assert_eq!(mode, 0, "others get nothing");
        assert!(matches!(bind(&path).await, Err(SocketError::Taken(_))));
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).expect("what a killed homied leaves"));
        assert!(path.exists());
        bind(&path).await.expect("replaced");
    }
}

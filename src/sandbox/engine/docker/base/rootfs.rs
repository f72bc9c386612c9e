//! A root file system from the distribution's packages, as a tarball.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::recipe::{Recipe, mirror};
use super::{BASE_REPOSITORY, BaseOrder};
use crate::sandbox::engine::EngineError;

/// Some 130 MB of packages over a slow line, unpacked on a slow disk.
const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(3600);

/// What no job needs: half of the size.
const DROPPED: [&str; 8] = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/lintian",
];

/// The tarball of `recipe`: from the cache, or built into it.
///
/// # Errors
/// debootstrap is missing or failed, or the rights to run it are.
pub(super) async fn tarball(
    recipe: &Recipe,
    order: &BaseOrder,
    progress: &mut impl FnMut(&str),
) -> Result<PathBuf, EngineError> {
    let tar = order.cache.join(format!("{BASE_REPOSITORY}-{}.tar", recipe.tag()));
    let exists = async || !order.again && tokio::fs::try_exists(&tar).await.unwrap_or_default();
    if exists().await {
        return Ok(tar);
    }
    let Recipe::Packages { distribution, suite, packages, arch, .. } = recipe else {
        return Err(EngineError::Failed("an image is no list of packages".to_owned()));
    };
    if !nix::unistd::geteuid().is_root() {
        return Err(EngineError::Failed(
            "building from packages needs root: run `sudo homie env build base`, or name an image to pull with --from"
                .to_owned(),
        ));
    }
    let shown = order.cache.display();
    tokio::fs::create_dir_all(&order.cache)
        .await
        .map_err(|e| EngineError::Failed(format!("{shown} cannot be made: {e}")))?;
    // One builder at a time; whoever waited finds the work done. What a killed one left is swept by the next.
    let _turn = turn(tar.with_extension("lock")).await?;
    if exists().await {
        return Ok(tar);
    }
    let scratch = tar.with_extension("rootfs");
    sweep(&scratch).await?;
    let source = order.mirror.clone().unwrap_or_else(|| mirror(distribution, arch).to_owned());
    let mut bootstrap = Command::new("debootstrap");
    bootstrap
        .args(["--variant=minbase", &format!("--include={}", packages.join(",")), suite])
        .arg(&scratch)
        .arg(&source);
    let made = async {
        run(bootstrap, progress).await?;
        progress("packing the root file system");
        furnish(&scratch).map_err(|e| EngineError::Failed(format!("{}: {e}", scratch.display())))?;
        pack(&scratch, &tar, progress).await
    }
    .await;
    made.and(sweep(&scratch).await).map(|()| tar)
}

/// Waits for the lock at `path`, held as long as the file is.
async fn turn(path: PathBuf) -> Result<std::fs::File, EngineError> {
    let locked = tokio::task::spawn_blocking(move || {
        let file = std::fs::File::create(&path)?;
        file.lock().map(|()| file)
    });
    let locked = locked.await.map_err(std::io::Error::other).flatten();
    locked.map_err(|e| EngineError::Failed(format!("the cache of images cannot be locked: {e}")))
}

/// Removes a root file system that was built, if there is one.
async fn sweep(scratch: &Path) -> Result<(), EngineError> {
    match tokio::fs::remove_dir_all(scratch).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::Failed(format!("{} cannot be removed: {e}", scratch.display())))
        }
        _ => Ok(()),
    }
}

/// Drops what is not needed, and what tells of the machine it was built on.
fn furnish(root: &Path) -> std::io::Result<()> {
    for path in DROPPED {
        match std::fs::remove_dir_all(root.join(path)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => std::fs::create_dir_all(root.join(path))?,
        }
    }
    std::fs::write(root.join("etc/hostname"), "homie\n")?;
    // debootstrap copies the builder's own; jobs have no network to ask.
    std::fs::write(root.join("etc/resolv.conf"), "")
}

/// Packs `root` into `tar`, whole or not at all. Device nodes are the engine's business.
async fn pack(root: &Path, tar: &Path, progress: &mut impl FnMut(&str)) -> Result<(), EngineError> {
    let half = tar.with_extension("tar.part");
    let mut command = Command::new("tar");
    command
        .arg("-C")
        .arg(root)
        .args(["--numeric-owner", "--sort=name", "--exclude=./dev/*", "-cf"])
        .arg(&half)
        .arg(".");
    run(command, progress).await?;
    tokio::fs::rename(&half, tar)
        .await
        .map_err(|e| EngineError::Failed(format!("{} cannot be named: {e}", tar.display())))
}

/// Runs a program of the system; its lines are progress, the last of them the error if it fails.
async fn run(mut command: Command, progress: &mut impl FnMut(&str)) -> Result<(), EngineError> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let spawned = command
        // Its messages are read, and sizes and names must sort the same everywhere.
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(EngineError::Failed(format!(
                "{program} is not installed: `apt install {program}`, or name an image to pull with --from"
            )));
        }
        other => other.map_err(|e| EngineError::Failed(format!("{program} cannot be started: {e}")))?,
    };
    let mut last = String::new();
    let all = async {
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await? {
                progress(&line);
                last = line;
            }
        }
        child.wait().await
    };
    let status = timeout(BOOTSTRAP_LIMIT, all)
        .await
        .map_err(|_| EngineError::Failed(format!("{program} did not end within an hour")))?
        .map_err(|e| EngineError::Failed(format!("{program}: {e}")))?;
    if status.success() { Ok(()) } else { Err(EngineError::Failed(format!("{program} failed ({status}): {last}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn programs_that_fail_or_are_missing_say_so() {
        let mut lines = Vec::new();
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo one; echo E: no such suite; exit 3"]);
        let error = run(sh, &mut |line: &str| lines.push(line.to_owned())).await.expect_err("exit 3").to_string();
        assert!(error.contains("E: no such suite"), "{error}");
        assert_eq!(lines, ["one", "E: no such suite"]);
        let missing = run(Command::new("no-such-bootstrap"), &mut |_: &str| ()).await.expect_err("missing");
        assert!(missing.to_string().contains("apt install no-such-bootstrap"), "{missing}");
    }

    #[test]
    fn a_root_file_system_does_not_know_its_builder() {
        let root = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir_all(root.path().join("etc")).expect("mkdir");
        std::fs::create_dir_all(root.path().join("usr/share/doc/x")).expect("mkdir");
        std::fs::write(root.path().join("etc/resolv.conf"), "nameserver 192.0.2.1").expect("write");
        furnish(root.path()).expect("furnished");
        assert_eq!(std::fs::read_to_string(root.path().join("etc/resolv.conf")).expect("read"), "");
        assert_eq!(std::fs::read_to_string(root.path().join("etc/hostname")).expect("read"), "homie\n");
        assert!(!root.path().join("usr/share/doc/x").exists());
    }
}

//! Whether a container engine answers here, and whether the embedded one can work: what `homie setup` says about it.
//! homied finds out for itself when it starts; this is a first look, so that a newcomer can mend things at once.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an engine may take to say its version: it does in milliseconds, unless its disk is being searched.
const PATIENCE: Duration = Duration::from_secs(3);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engines {
    /// Name and version of the container engine, and its socket; or why there is none.
    pub(super) container: Result<String, String>,
    /// Whether jobs can be put into Linux namespaces; or why not.
    pub(super) native: Result<(), String>,
}

/// Looks.
pub(super) fn look(docker_host: Option<&str>) -> Engines {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let runtime = var("XDG_RUNTIME_DIR");
    let sockets = sockets(docker_host.map(str::to_owned).or_else(|| var("DOCKER_HOST")).as_deref(), runtime.as_deref());
    Engines { container: container(&sockets), native: native() }
}

/// Where Docker and Podman listen, in the order in which they are tried. A place that was named is the only one.
fn sockets(named: Option<&str>, runtime_dir: Option<&str>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return named
            .strip_prefix("unix://")
            .or(named.starts_with('/').then_some(named))
            .map(PathBuf::from)
            .into_iter()
            .collect();
    }
    let mut all = vec![PathBuf::from("/var/run/docker.sock")];
    all.extend(runtime_dir.map(|d| Path::new(d).join("docker.sock")));
    all.push("/run/podman/podman.sock".into());
    all.extend(runtime_dir.map(|d| Path::new(d).join("podman/podman.sock")));
    all
}

fn container(sockets: &[PathBuf]) -> Result<String, String> {
    let mut denied = None;
    for socket in sockets {
        match version_at(socket) {
            Ok(version) => return Ok(format!("{version} at {}", socket.display())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                denied = Some(format!("you may not use {} (group docker?)", socket.display()));
            }
            Err(e) => denied = Some(format!("{}: {e}", socket.display())),
        }
    }
    Err(denied.unwrap_or_else(|| "neither Docker nor Podman answers".to_owned()))
}

fn version_at(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    // A version document has a few KiB.
    stream.take(64 << 10).read_to_end(&mut answer)?;
    engine_name(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("it does not answer like Docker"))
}

/// `Docker 28.5.2` or `Podman 5.4.2`, from an HTTP answer to /version.
fn engine_name(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1) != Some("200") {
        return None;
    }
    let document: serde_json::Value = serde_json::from_str(body.get(body.find('{')?..=body.rfind('}')?)?).ok()?;
    let version = document.get("Version")?.as_str()?;
    let podman = document.get("Components").is_some_and(|c| c.to_string().contains("Podman"));
    // It comes from another program and goes to a terminal.
    let version: String = version.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
    Some(format!("{} {version}", if podman { "Podman" } else { "Docker" }))
}

/// Whether this user may make namespaces here.
fn native() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("the embedded engine needs Linux".into());
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|t| t.trim().parse::<u64>().ok());
    // Three places where distributions forbid it to ordinary users; a file that is missing forbids nothing.
    for (path, forbidden, mend) in [
        ("/proc/sys/user/max_user_namespaces", 0, "sysctl user.max_user_namespaces=10000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", 0, "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            1,
            "Homie's AppArmor profile, which its package installs",
        ),
    ] {
        if number(path) == Some(forbidden) {
            return Err(format!("{path} is {forbidden}: ordinary users may not make namespaces; it takes {mend}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_engines_name_is_read_from_its_answer() {
        let answer = |body: &str| format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
        assert_eq!(engine_name(&answer(r#"{"Version":"28.5.2"}"#)).as_deref(), Some("Docker 28.5.2"));
        let podman = r#"{"Components":[{"Name":"Podman Engine"}],"Version":"5.4.2\u001b[2J"}"#;
        assert_eq!(engine_name(&answer(podman)).as_deref(), Some("Podman 5.4.2[2J"));
        for bad in ["", "HTTP/1.0 404 Not Found\r\n\r\n{}", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n}{"] {
            assert_eq!(engine_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_engine_is_found_by_its_answer_and_its_absence_is_said() {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = dir.path().join("d.sock");
        assert_eq!(container(std::slice::from_ref(&socket)), Err("neither Docker nor Podman answers".into()));
        let listener = UnixListener::bind(&socket).expect("bind");
        let engine = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("client");
            let mut request = [0; 64];
            let _ = stream.read(&mut request).expect("request");
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"1\"}").expect("answer");
        });
        assert_eq!(container(std::slice::from_ref(&socket)), Ok(format!("Docker 1 at {}", socket.display())));
        engine.join().expect("engine");
    }

    #[test]
    fn a_named_engine_is_the_only_one_tried() {
        assert_eq!(sockets(Some("unix:///x.sock"), Some("/run/user/1")), [PathBuf::from("/x.sock")]);
        assert_eq!(sockets(Some("tcp://h:1"), None), Vec::<PathBuf>::new());
        assert_eq!(sockets(None, Some("/run/user/1")).len(), 4);
    }
}

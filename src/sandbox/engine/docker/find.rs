//! Which engine to talk to: a search over the places where Docker and Podman listen, and one cheap question to each.
//!
//! Only Unix sockets count. A job's files are bind-mounted, so an engine on another machine (`tcp://`, `ssh://`) could
//! not see them.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::sandbox::engine::EngineError;

/// How long a socket may take to answer: an engine that is up needs under a millisecond, one that starts up or is
/// stuck must not hold homied's boot.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// Most bytes of an answer to `/_ping` that are read; real ones have about 300.
const PING_BYTES: u64 = 8 << 10;

/// What the search depends on; taken from the process once, so that tests can give their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `DOCKER_HOST`, or what the owner's configuration says instead: `unix:///…` or a path.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, else `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, else `/run/user/UID`: a service has no session that would set it.
    pub runtime_dir: PathBuf,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let text = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let path = |name| text(name).map(PathBuf::from);
        let home = path("HOME");
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config: path("DOCKER_CONFIG").or_else(|| home.as_ref().map(|h| h.join(".docker"))),
            runtime_dir: path("XDG_RUNTIME_DIR")
                .unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", nix::unistd::geteuid()))),
            home,
        }
    }
}

/// An engine that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its socket.
    pub(super) socket: PathBuf,
    /// What it said.
    pub(super) pong: Pong,
    /// It runs as an ordinary user (the socket is not root's): inside its containers that user is uid 0.
    pub(super) rootless: bool,
}

/// The answer to `/_ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pong {
    /// The newest API it speaks, (1, 41) and so on.
    pub(super) api: (usize, usize),
    /// It is Podman's imitation of the API.
    pub(super) podman: bool,
}

/// Finds the engine to use.
///
/// # Errors
/// [`EngineError::NotReady`] with every place that was tried and what to do.
pub(super) async fn find(env: &Surroundings) -> Result<Found, EngineError> {
    let context = current_context(env).await;
    let places = candidates(env, context.as_deref())?;
    let mut tried = Vec::new();
    for socket in places {
        match ping(&socket).await {
            Ok(pong) => {
                let rootless = tokio::fs::metadata(&socket).await.is_ok_and(|m| m.uid() != 0);
                return Ok(Found { socket, pong, rootless });
            }
            Err(e) => tried.push((socket, e)),
        }
    }
    Err(EngineError::NotReady(nobody_answers(&tried)))
}

/// Sockets to try, in order. `context` is the endpoint of the chosen Docker context, if there is one.
///
/// An owner who sets `DOCKER_HOST` has chosen; nothing else is tried then.
fn candidates(env: &Surroundings, context: Option<&str>) -> Result<Vec<PathBuf>, EngineError> {
    if let Some(host) = &env.docker_host {
        let path = host.strip_prefix("unix://").or_else(|| host.starts_with('/').then_some(host));
        return match path {
            Some(path) => Ok(vec![path.into()]),
            None => Err(EngineError::NotReady(format!(
                "DOCKER_HOST is {host}, but jobs need an engine on this machine: unset it or give unix:///path/to/docker.sock"
            ))),
        };
    }
    let mut places: Vec<PathBuf> = Vec::new();
    places.extend(context.and_then(|endpoint| endpoint.strip_prefix("unix://")).map(PathBuf::from));
    places.push("/var/run/docker.sock".into());
    places.push(env.runtime_dir.join("docker.sock"));
    places.push("/run/podman/podman.sock".into());
    places.push(env.runtime_dir.join("podman/podman.sock"));
    if let Some(home) = &env.home {
        // Docker Desktop, OrbStack, Rancher Desktop, Lima, Colima, Podman machine: all put theirs below the home.
        for place in [
            ".docker/run/docker.sock",
            ".orbstack/run/docker.sock",
            ".rd/docker.sock",
            ".lima/default/sock/docker.sock",
            ".lima/docker/sock/docker.sock",
            ".colima/default/docker.sock",
            ".colima/docker.sock",
            ".local/share/containers/podman/machine/podman.sock",
        ] {
            places.push(home.join(place));
        }
    }
    let mut seen = std::collections::HashSet::new();
    places.retain(|p| seen.insert(p.clone()));
    Ok(places)
}

/// The endpoint of the Docker context the owner uses, as the Docker CLI stores it. Anything unreadable is no context:
/// it is the CLI's business to complain.
async fn current_context(env: &Surroundings) -> Option<String> {
    let dir = env.docker_config.as_ref()?;
    let name = match &env.docker_context {
        Some(name) => name.clone(),
        None => context_name(&tokio::fs::read(dir.join("config.json")).await.ok()?)?,
    };
    if name == "default" {
        return None;
    }
    // The CLI names the directory of a context by the SHA-256 of its name.
    let folder = data_encoding::HEXLOWER.encode(digest::digest(&digest::SHA256, name.as_bytes()).as_ref());
    context_endpoint(&tokio::fs::read(dir.join("contexts/meta").join(folder).join("meta.json")).await.ok()?)
}

fn context_name(config: &[u8]) -> Option<String> {
    let config: serde_json::Value = serde_json::from_slice(config).ok()?;
    Some(config.get("currentContext")?.as_str()?.to_owned())
}

fn context_endpoint(meta: &[u8]) -> Option<String> {
    let meta: serde_json::Value = serde_json::from_slice(meta).ok()?;
    Some(meta.pointer("/Endpoints/docker/Host")?.as_str()?.to_owned())
}

/// Asks a socket who it is. `/_ping` costs a third of a millisecond where `/version`, which starts three programs to
/// learn their versions, costs five to nine; the Docker CLI negotiates by it too.
async fn ping(socket: &Path) -> io::Result<Pong> {
    let ask = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: homie\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(PING_BYTES).read_to_end(&mut answer).await?;
        parse_pong(&answer).ok_or_else(|| io::Error::other("what answers is neither Docker nor Podman"))
    };
    tokio::time::timeout(PING_LIMIT, ask).await.map_err(|_| io::Error::other("no answer within 2 s"))?
}

fn parse_pong(answer: &[u8]) -> Option<Pong> {
    let head = String::from_utf8_lossy(answer);
    let mut lines = head.split("\r\n").take_while(|line| !line.is_empty());
    if !lines.next()?.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    let (mut api, mut podman) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("api-version") {
            let (major, minor) = value.trim().split_once('.')?;
            api = Some((major.parse().ok()?, minor.parse().ok()?));
        } else if name.eq_ignore_ascii_case("libpod-api-version") {
            podman = true;
        }
    }
    api.map(|api| Pong { api, podman })
}

fn nobody_answers(tried: &[(PathBuf, io::Error)]) -> String {
    let there: Vec<_> = tried.iter().filter(|(_, e)| e.kind() != io::ErrorKind::NotFound).collect();
    if let Some((socket, _)) = there.iter().find(|(_, e)| e.kind() == io::ErrorKind::PermissionDenied) {
        return format!(
            "homied may not open {}: add its user to the socket's group (usermod -aG docker USER) and start it again; until \
             then only the native engine can run jobs",
            socket.display()
        );
    }
    if let Some((socket, e)) = there.first() {
        return format!(
            "nobody answers at {} ({e}): start the engine (systemctl start docker); until then only the native engine can run jobs",
            socket.display()
        );
    }
    match tried {
        [(socket, _)] => format!("there is no engine at {}, the place that DOCKER_HOST or docker_host names", socket.display()),
        _ => "no Docker or Podman is installed: install one (apt install docker.io) and start it (systemctl start docker); \
              until then only the native engine can run jobs"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env() -> Surroundings {
        Surroundings { home: Some("/home/a".into()), runtime_dir: "/run/user/7".into(), ..Surroundings::default() }
    }

    #[test]
    fn an_owner_who_set_docker_host_has_chosen() {
        let chosen = Surroundings { docker_host: Some("unix:///x.sock".into()), ..env() };
        assert_eq!(candidates(&chosen, Some("unix:///ctx")).expect("unix"), [PathBuf::from("/x.sock")]);
        let plain = Surroundings { docker_host: Some("/x.sock".into()), ..env() };
        assert_eq!(candidates(&plain, None).expect("a path"), [PathBuf::from("/x.sock")]);
        for remote in ["tcp://10.0.0.1:2375", "ssh://bob@gpu", "npipe:////./pipe/docker_engine"] {
            let env = Surroundings { docker_host: Some(remote.into()), ..env() };
            let error = candidates(&env, None).expect_err("not on this machine").to_string();
            assert!(error.contains(remote) && error.contains("unset it"), "{error}");
        }
    }

    #[test]
    fn contexts_come_first_then_docker_then_podman() {
        let places = candidates(&env(), Some("unix:///ctx.sock")).expect("places");
        let at = |p: &str| places.iter().position(|x| x == Path::new(p)).unwrap_or_else(|| panic!("{p} is missing"));
        let order = [
            "/ctx.sock",
            "/var/run/docker.sock",
            "/run/user/7/docker.sock",
            "/run/podman/podman.sock",
            "/run/user/7/podman/podman.sock",
            "/home/a/.docker/run/docker.sock",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])));
        let remote = candidates(&env(), Some("ssh://bob@gpu")).expect("places");
        assert_eq!(remote[0], Path::new("/var/run/docker.sock"));
        let twice = candidates(&env(), Some("unix:///var/run/docker.sock")).expect("places");
        assert_eq!(twice.iter().filter(|p| p.ends_with("docker.sock") && p.starts_with("/var")).count(), 1);
    }

    #[tokio::test]
    async fn the_current_context_is_read_as_the_docker_cli_stores_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let env = Surroundings { docker_config: Some(dir.path().into()), ..env() };
        assert_eq!(current_context(&env).await, None);
        std::fs::write(dir.path().join("config.json"), r#"{"auths":{},"currentContext":"lab"}"#).expect("write");
        assert_eq!(current_context(&env).await, None);
        // Where Docker CLI 28 put it for `docker context create lab`.
        let meta = "contexts/meta/a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7";
        let meta = dir.path().join(meta);
        std::fs::create_dir_all(&meta).expect("mkdir");
        let stored =
            r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///lab.sock","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), stored).expect("write");
        assert_eq!(current_context(&env).await.as_deref(), Some("unix:///lab.sock"));
        let other = Surroundings { docker_context: Some("default".into()), ..env };
        assert_eq!(current_context(&other).await, None);
    }

    #[test]
    fn pings_of_docker_and_podman_are_told_apart() {
        let docker = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\n\r\nOK";
        assert_eq!(parse_pong(docker.as_bytes()), Some(Pong { api: (1, 41), podman: false }));
        let podman = "HTTP/1.1 200 OK\r\nAPI-Version: 1.41\r\nLibpod-API-Version: 4.3.1\r\n\r\nOK";
        assert_eq!(parse_pong(podman.as_bytes()), Some(Pong { api: (1, 41), podman: true }));
        for other in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 404 Not Found\r\nApi-Version: 1.41\r\n\r\n", "SSH-2.0", ""] {
            assert_eq!(parse_pong(other.as_bytes()), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_serves_says_what_to_do() {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = dir.path().join("docker.sock");
        let chosen = |p: &Path| Surroundings { docker_host: Some(format!("unix://{}", p.display())), ..env() };
        let missing = find(&chosen(&socket)).await.expect_err("nothing there").to_string();
        assert!(missing.contains("there is no engine at"), "{missing}");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("bind"));
        let dead = find(&chosen(&socket)).await.expect_err("nobody listens").to_string();
        assert!(dead.contains("start the engine"), "{dead}");
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse_pong(&bytes);
        }
    }
}

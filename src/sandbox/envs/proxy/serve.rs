//! The proxy itself: a unix socket in the build's directory, one task for each connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::address::Net;
use super::request::{BadRequest, MAX_HEAD, Request, Target};
use super::rules::{Denied, Rules, dialable};
use super::upstream::Upstream;

/// Connections at once. pip opens one or two, uv up to 50.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take to say what it wants; it sits on the same machine.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a name may take to be resolved.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);
/// How long one address may take to answer: two lost SYN packets.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 6;
/// A connection on which nothing moves for so long is dead.
const IDLE_LIMIT: Duration = Duration::from_secs(120);
/// Bytes copied at once.
const PIECE: usize = 32 << 10;
/// Refusals that are remembered for the build's report.
const MAX_REMEMBERED: usize = 8;

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// How names become addresses.
pub type Resolve = Arc<dyn Fn(&Target) -> Found + Send + Sync>;

/// What one build may reach and how much.
#[derive(Clone)]
pub struct Egress {
    /// Which hosts.
    pub rules: Rules,
    /// Through which proxy, if not straight.
    pub upstream: Option<Upstream>,
    /// This machine's own networks.
    pub own: Vec<Net>,
    /// Bytes in both directions together.
    pub max_bytes: u64,
    /// The resolver.
    pub resolve: Resolve,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress")
            .field("rules", &self.rules)
            .field("upstream", &self.upstream)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// The system's resolver.
pub fn system_resolver() -> Resolve {
    Arc::new(|target| {
        let (host, port) = (target.host.clone(), target.port);
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    })
}

/// The networks of this machine's interfaces.
///
/// # Errors
/// They cannot be listed.
pub fn own_networks() -> io::Result<Vec<Net>> {
    let net = |i: if_addrs::Interface| match i.addr {
        if_addrs::IfAddr::V4(a) => Net { addr: a.ip.into(), prefix: a.prefixlen },
        if_addrs::IfAddr::V6(a) => Net { addr: a.ip.into(), prefix: a.prefixlen },
    };
    Ok(if_addrs::get_if_addrs()?.into_iter().map(net).collect())
}

/// A proxy at work; dropping it ends every connection.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    egress: Egress,
    moved: AtomicU64,
    refused: Mutex<Vec<String>>,
}

/// Why a connection ends with a status instead of an answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Bad(#[from] BadRequest),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("this build has moved all the bytes it may")]
    Spent,
    #[error("{0}")]
    Upstream(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Failure {
    fn status(&self) -> u16 {
        match self {
            Self::Bad(BadRequest(status, _)) => *status,
            Self::Denied(_) | Self::Spent => 403,
            Self::Upstream(_) | Self::Io(_) => 502,
        }
    }
}

impl Proxy {
    /// Listens at `socket`, which must not exist and lies in a directory that only the build and this user reach.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(socket: &Path, egress: Egress) -> io::Result<Self> {
        let listener = bind(socket)?;
        // The build runs as another user.
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        let shared = Arc::new(Shared { egress, moved: AtomicU64::new(0), refused: Mutex::default() });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, shared.clone()));
        Ok(Self { shared, _serving: serving })
    }

    /// Bytes that went through so far.
    pub fn moved(&self) -> u64 {
        self.shared.moved.load(Ordering::Relaxed)
    }

    /// What was refused, for the report of a build that failed.
    pub fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Binds a path of any length: a socket's name holds 108 bytes, but its directory can be named by a descriptor.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    use std::os::fd::AsRawFd;
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket has no directory"));
    };
    let dir = std::fs::File::open(dir)?;
    UnixListener::bind(Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    /// After a failed accept (out of descriptors): long enough not to spin.
    const PAUSE: Duration = Duration::from_millis(100);
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() >= MAX_CONNECTIONS {
            tasks.join_next().await;
        }
        while tasks.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => drop(tasks.spawn(serve(stream, shared.clone()))),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn serve(mut client: UnixStream, shared: Arc<Shared>) {
    let Err(failure) = shared.answer(&mut client).await else { return };
    if matches!(failure, Failure::Denied(_) | Failure::Bad(_) | Failure::Spent | Failure::Upstream(_)) {
        tracing::debug!(%failure, "a build was refused a connection");
        let mut refused = shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let text = failure.to_string();
        if refused.len() < MAX_REMEMBERED && !refused.contains(&text) {
            refused.push(text);
        }
    }
    let reply = format!(
        "HTTP/1.1 {} Refused\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{failure}\n",
        failure.status(),
        failure.to_string().len() + 1,
    );
    // A client that is gone needs no answer.
    let _ = timeout(HEAD_LIMIT, client.write_all(reply.as_bytes())).await;
}

impl Shared {
    /// One request. An error is told to the client only if nothing was answered yet; afterwards the connection ends.
    async fn answer(&self, client: &mut UnixStream) -> Result<(), Failure> {
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the client did not say what it wants");
        let (head, rest) = timeout(HEAD_LIMIT, read_head(client)).await.map_err(|_| slow())??;
        let request = Request::parse(&head)?;
        if self.spent() {
            return Err(Failure::Spent);
        }
        let near = self.egress.rules.permit(request.target())?;
        let mut server = match &self.egress.upstream {
            Some(upstream) if upstream.takes(request.target()) => self.through(upstream, &request).await?,
            _ => self.straight(&request, near).await?,
        };
        if matches!(request, Request::Connect(_)) {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            self.count(rest.len())?;
            server.write_all(&rest).await?;
        }
        // From here on the client hears nothing but the server.
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = self.copy(&mut from_client, &mut to_server);
        let down = self.copy(&mut from_server, &mut to_client);
        if matches!(request, Request::Connect(_)) {
            let _ = tokio::join!(up, down);
        } else {
            // One document each connection; what else the client sends is not passed on.
            let _ = down.await;
        }
        Ok(())
    }

    async fn straight(&self, request: &Request, near: bool) -> Result<TcpStream, Failure> {
        let target = request.target();
        let found = match target.ip {
            Some(ip) => vec![SocketAddr::new(ip, target.port)],
            None => resolve(&self.egress.resolve, target).await?,
        };
        // The very addresses that were judged are dialled: a name that changes its mind in between gains nothing.
        let addresses = dialable(target, found, near, &self.egress.own)?;
        let mut server = dial(target, &addresses).await?;
        if let Request::Plain { target, method, path, headers } = request {
            let head = document(method, path, &host_header(target), headers, None);
            self.count(head.len())?;
            server.write_all(head.as_bytes()).await?;
        }
        Ok(server)
    }

    /// Only names are asked of the owner's proxy: it resolves them, so their addresses cannot be judged here. An
    /// address must be one that the owner listed.
    async fn through(&self, upstream: &Upstream, request: &Request) -> Result<TcpStream, Failure> {
        let found = match upstream.at.ip {
            Some(ip) => vec![SocketAddr::new(ip, upstream.at.port)],
            None => resolve(&self.egress.resolve, &upstream.at).await?,
        };
        let found: Vec<_> = found.into_iter().map(|a| SocketAddr::new(a.ip(), upstream.at.port)).collect();
        let mut server = dial(&upstream.at, &found).await?;
        let login = upstream.login.as_ref().map(|l| format!("Proxy-Authorization: Basic {l}\r\n"));
        match request {
            Request::Connect(target) => {
                let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n", login.unwrap_or_default());
                server.write_all(head.as_bytes()).await?;
                let slow = |_| Failure::Upstream(format!("the proxy {} does not answer", upstream.at));
                let (answer, rest) = timeout(IDLE_LIMIT, read_head(&mut server)).await.map_err(slow)??;
                let status = String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned();
                // A tunnel's server speaks only when spoken to; bytes before that are not from it.
                if !status.starts_with('2') || !rest.is_empty() {
                    return Err(Failure::Upstream(format!("the proxy {} answers {status} for {target}", upstream.at)));
                }
            }
            Request::Plain { target, method, path, headers } => {
                let host = host_header(target);
                let head = document(method, &format!("http://{host}{path}"), &host, headers, login.as_deref());
                self.count(head.len())?;
                server.write_all(head.as_bytes()).await?;
            }
        }
        Ok(server)
    }

    fn spent(&self) -> bool {
        self.moved.load(Ordering::Relaxed) >= self.egress.max_bytes
    }

    fn count(&self, bytes: usize) -> Result<(), Failure> {
        let before = self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + bytes as u64 > self.egress.max_bytes { Err(Failure::Spent) } else { Ok(()) }
    }

    async fn copy(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Failure> {
        let mut piece = vec![0; PIECE];
        let idle = |_| io::Error::new(io::ErrorKind::TimedOut, "nothing moved");
        loop {
            let n = timeout(IDLE_LIMIT, from.read(&mut piece)).await.map_err(idle)??;
            if n == 0 {
                return Ok(to.shutdown().await?);
            }
            self.count(n)?;
            timeout(IDLE_LIMIT, to.write_all(&piece[..n])).await.map_err(idle)??;
        }
    }
}

/// Reads up to the empty line; what came after it is given back too.
async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::with_capacity(1024);
    loop {
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = head.split_off(end + 4);
            return Ok((head, rest));
        }
        if head.len() >= MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the head is longer than 16 KiB"));
        }
        if from.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn resolve(with: &Resolve, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    match timeout(RESOLVE_LIMIT, with(target)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(e)) => Err(Failure::Upstream(format!("{} cannot be resolved: {e}", target.host))),
        Err(_) => Err(Failure::Upstream(format!("{} cannot be resolved: nobody answered in time", target.host))),
    }
}

async fn dial(target: &Target, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut why = "it has no address".to_owned();
    for addr in addresses.iter().take(MAX_ADDRESSES) {
        match timeout(CONNECT_LIMIT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(e)) => why = e.to_string(),
            Err(_) => why = "no answer in time".to_owned(),
        }
    }
    Err(Failure::Upstream(format!("{target} cannot be reached: {why}")))
}

fn host_header(target: &Target) -> String {
    let text = target.to_string();
    text.strip_suffix(":80").map_or(text.clone(), str::to_owned)
}

/// The head of a request for one document, after which the server closes.
fn document(method: &str, uri: &str, host: &str, headers: &[(String, String)], own: Option<&str>) -> String {
    let mut head = format!("{method} {uri} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(own.unwrap_or_default());
    head.push_str("\r\n");
    head
}

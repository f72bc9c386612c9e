//! The proxy over real sockets: what an honest installer gets, and what an attacker in a build tries.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;

use super::*;

/// Ten times what a busy machine needs.
const LONG: Duration = Duration::from_secs(60);

/// A server on loopback that answers each connection with `reply` once it has read a head, and counts connections.
struct Server {
    addr: SocketAddr,
    seen: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(reply: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|n| n > 0) {}
                    let echoed = reply.replace("{head}", &String::from_utf8_lossy(&head));
                    let _ = stream.write_all(echoed.as_bytes()).await;
                });
            }
        });
        Self { addr, seen, _task: task }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

struct Jail {
    _dir: tempfile::TempDir,
    socket: PathBuf,
    proxy: Proxy,
}

impl Jail {
    /// A proxy for `hosts`; every name resolves to `to`.
    fn open(hosts: &[&str], to: Vec<SocketAddr>, change: impl FnOnce(&mut Egress)) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = dir.path().join("egress.sock");
        let resolve: Resolve = Arc::new(move |_| {
            let to = to.clone();
            Box::pin(async move { Ok(to) })
        });
        let rules = Rules::new(hosts.iter().map(|h| Allowed::parse(h).expect("an entry")).collect());
        let mut egress = Egress { rules, upstream: None, own: vec![], max_bytes: 1 << 20, resolve };
        change(&mut egress);
        let proxy = Proxy::start(&socket, egress).expect("started");
        Self { _dir: dir, socket, proxy }
    }

    async fn say(&self, text: &str) -> String {
        let mut stream = UnixStream::connect(&self.socket).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
const ECHO: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{head}";

#[tokio::test]
async fn an_allowed_host_is_reached_by_tunnel_and_by_document() {
    let server = Server::start(ECHO).await;
    let port = server.addr.port();
    let jail = Jail::open(&[&format!("local:index.lan:{port}")], vec![server.addr], |_| ());
    let answer = jail.say(&format!("CONNECT index.lan:{port} HTTP/1.1\r\n\r\nGET /inside HTTP/1.1\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("GET /inside HTTP/1.1\r\n\r\n"), "{answer}");
    let get =
        format!("GET http://index.lan:{port}/a?b HTTP/1.1\r\nHost: other\r\nX-A: 1\r\nProxy-Connection: x\r\n\r\n");
    let answer = jail.say(&get).await;
    let wanted = format!("GET /a?b HTTP/1.1\r\nHost: index.lan:{port}\r\nConnection: close\r\nX-A: 1\r\n\r\n");
    assert!(answer.ends_with(&wanted), "{answer}");
    assert!(jail.proxy.moved() > 0 && jail.proxy.refused().is_empty());
}

#[tokio::test]
async fn nothing_near_is_reached_however_it_is_named() {
    let server = Server::start(HELLO).await;
    let port = server.addr.port();
    // The owner allows the names, not that they lead home: the resolver here is the attacker's.
    let hosts =
        [format!("pypi.org:{port}"), format!("127.0.0.1:{port}"), format!("localhost:{port}"), "pypi.org".into()];
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mapped = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), port);
    for to in [vec![server.addr], vec![mapped], vec![mapped, server.addr]] {
        let jail = Jail::open(&hosts, to, |_| ());
        // Positive control: without the proxy the server is reached.
        let mut direct = tokio::net::TcpStream::connect(server.addr).await.expect("reachable");
        direct.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
        let mut answer = Vec::new();
        direct.read_to_end(&mut answer).await.expect("answered");
        assert_eq!(answer, HELLO.as_bytes());
        let before = server.seen();
        for attempt in [
            format!("CONNECT pypi.org:{port} HTTP/1.1\r\n\r\n"),
            format!("GET http://pypi.org:{port}/ HTTP/1.1\r\n\r\n"),
            format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n"),
            format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n"),
            format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: pypi.org\r\n\r\n"),
            format!("GET http://pypi.org:{port}@127.0.0.1:{port}/ HTTP/1.1\r\n\r\n"),
            format!("CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1\r\n\r\n"),
            format!("CONNECT 2130706433:{port} HTTP/1.1\r\n\r\n"),
            "CONNECT pypi.org:22 HTTP/1.1\r\n\r\n".to_owned(),
            format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
        ] {
            let answer = jail.say(&attempt).await;
            assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{attempt}: {answer}");
        }
        assert_eq!(server.seen(), before, "a connection got through");
        assert!(jail.proxy.refused().iter().any(|r| r.contains("internet only")), "{:?}", jail.proxy.refused());
    }
}

#[tokio::test]
async fn a_redirect_home_is_not_followed_and_its_target_is_refused() {
    let home = Server::start(HELLO).await;
    let index = Server::start("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\nConnection: close\r\n\r\n").await;
    let port = index.addr.port();
    let jail = Jail::open(&[&format!("local:index.lan:{port}")], vec![index.addr], |_| ());
    let answer = jail.say(&format!("GET http://index.lan:{port}/ HTTP/1.1\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 302"), "{answer}");
    let answer = jail.say(&format!("GET http://127.0.0.1:{}/x HTTP/1.1\r\n\r\n", home.addr.port())).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!((home.seen(), index.seen()), (0, 1));
}

#[tokio::test]
async fn a_second_request_on_the_connection_is_not_passed_on() {
    let server = Server::start(ECHO).await;
    let port = server.addr.port();
    let jail = Jail::open(&[&format!("local:index.lan:{port}")], vec![server.addr], |_| ());
    let one = format!("GET http://index.lan:{port}/one HTTP/1.1\r\n\r\n");
    let answer = jail.say(&format!("{one}{}", one.replace("/one", "/two"))).await;
    assert!(answer.contains("/one") && !answer.contains("/two"), "{answer}");
}

#[tokio::test]
async fn a_build_moves_only_so_many_bytes() {
    let server = Server::start(ECHO).await;
    let port = server.addr.port();
    let jail = Jail::open(&[&format!("local:index.lan:{port}")], vec![server.addr], |e| e.max_bytes = 1000);
    let get = format!("GET http://index.lan:{port}/{} HTTP/1.1\r\n\r\n", "x".repeat(600));
    let answer = jail.say(&get).await;
    assert!(!answer.contains("xxx"), "the document is over the cap: {answer}");
    let answer = jail.say(&get).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("all the bytes"), "{answer}");
}

#[tokio::test]
async fn an_endless_head_and_a_silent_client_end() {
    let jail = Jail::open(&["pypi.org"], vec![], |_| ());
    let mut stream = UnixStream::connect(&jail.socket).await.expect("connected");
    let flood = vec![b'a'; 64 << 10];
    let _ = stream.write_all(&flood).await;
    let mut answer = Vec::new();
    // Either the refusal or, with our bytes unread, a reset.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.expect("in time");
}

#[tokio::test]
async fn the_owners_own_proxy_is_used_for_what_is_allowed_only() {
    // It answers 200 to CONNECT and then echoes what it was asked: enough to see both requests.
    let upstream = Server::start("HTTP/1.1 200 OK\r\n\r\n").await;
    let vars = [("HTTPS_PROXY".to_owned(), format!("http://me:pw@proxy.corp:{}", upstream.addr.port()))].into();
    let proxy = Upstream::from_vars(&vars).expect("valid");
    let jail = Jail::open(&["pypi.org"], vec![upstream.addr], |e| e.upstream = proxy);
    let answer = jail.say("CONNECT pypi.org:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(upstream.seen(), 1);
    for denied in ["CONNECT evil.com:443 HTTP/1.1\r\n\r\n", "CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n"] {
        assert!(jail.say(denied).await.starts_with("HTTP/1.1 403"), "{denied}");
    }
    assert_eq!(upstream.seen(), 1);
}

#[tokio::test]
async fn dropping_it_ends_every_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let addr = listener.local_addr().expect("an address");
    let jail = Jail::open(&[&format!("local:index.lan:{}", addr.port())], vec![addr], |_| ());
    let mut stream = UnixStream::connect(&jail.socket).await.expect("connected");
    stream.write_all(format!("CONNECT index.lan:{} HTTP/1.1\r\n\r\n", addr.port()).as_bytes()).await.expect("written");
    let (mut server, _) = listener.accept().await.expect("dialled");
    drop(jail);
    let mut rest = Vec::new();
    tokio::time::timeout(LONG, server.read_to_end(&mut rest)).await.expect("in time").expect("closed");
}

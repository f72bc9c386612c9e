//! Through a proxy: SOCKS5 (RFC 1928) with names resolved there or here, or HTTP CONNECT (RFC 9110 §9.3.6).

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::{Dialled, NOWHERE, Target, direct, resolve, routes};
use crate::link::error::LinkError;

/// How long a proxy may take in all: it resolves and connects in its turn, and Tor-like ones take seconds.
const PROXY_LIMIT: Duration = Duration::from_secs(12);

/// Opens a stream to `target` through `proxy`.
pub(super) async fn dial(proxy: &Intercept, target: &Target) -> Result<Dialled, LinkError> {
    let at = format!(
        "{}://{}",
        proxy.uri().scheme_str().unwrap_or("http"),
        proxy.uri().authority().map_or("", |a| a.as_str())
    );
    match timeout(PROXY_LIMIT, dial_inner(proxy, &at, target)).await {
        Ok(dialled) => dialled,
        Err(_) => Err(LinkError::Slow(format!("{target} through the proxy {at}"))),
    }
}

async fn dial_inner(proxy: &Intercept, at: &str, target: &Target) -> Result<Dialled, LinkError> {
    let fail = |why: String| LinkError::Proxy { proxy: at.to_owned(), target: target.to_string(), why };
    let scheme = proxy.uri().scheme_str();
    let mut addr = match target {
        Target::Addr(addr) => Some(*addr),
        Target::Name(name) => name.parse().ok(),
        Target::Loopback => return Err(LinkError::Myself),
    };
    let asked = match (scheme, target) {
        // The library would resolve too, but with a call that blocks.
        (Some("socks5"), Target::Name(name)) if addr.is_none() => {
            addr = resolve(name).await?.first().copied();
            addr.map(Target::Addr).ok_or_else(|| fail("it has no address".into()))?
        }
        _ => target.clone(),
    };
    let asked = routes::uri(&asked).ok_or_else(|| fail("it is no address that a proxy understands".into()))?;
    let near = proxy
        .uri()
        .authority()
        .map(|a| Target::Name(a.as_str().to_owned()))
        .ok_or_else(|| fail("it has no host".into()))?;
    let (stream, ..) = direct(&near).await.map_err(|e| fail(e.to_string()))?;
    let from = stream.local_addr().ok().map(|at| at.ip().to_canonical());
    let near = Ready(Some(stream));
    let stream = match scheme {
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(proxy.uri().clone(), near);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            socks.call(asked).await.map_err(|e| fail(innermost(&e)))?
        }
        Some("http") => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), near);
            if let Some(login) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(login.clone());
            }
            tunnel.call(asked).await.map_err(|e| fail(innermost(&e)))?
        }
        other => return Err(fail(format!("{} proxies are not supported", other.unwrap_or("such")))),
    };
    Ok(Dialled { stream: Box::new(stream.into_inner()), addr: addr.unwrap_or(NOWHERE), from, rtt_us: None })
}

/// The whole chain of an error in one line: the libraries' outer words alone say little.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The connection to the proxy, already made: the libraries would make it, but hide why it fails.
struct Ready(Option<TcpStream>);

impl Service<Uri> for Ready {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let once = || io::Error::other("one connection serves one dial");
        std::future::ready(self.0.take().map(TokioIo::new).ok_or_else(once))
    }
}

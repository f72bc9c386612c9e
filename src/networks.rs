//! The networks of this machine, and when they change: one look for all who want to know.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::told::News;
use crate::net::{OwnAddress, own_addresses};

/// What belongs together (an interface, its addresses, its neighbours) changes together: it is looked at once.
const SETTLE: Duration = Duration::from_millis(50);
/// Where the kernel does not tell, it is asked as often as a heartbeat goes out.
const POLL: Duration = Duration::from_secs(2);
/// Where it does, a look so often finds what was lost on the way.
const ANYWAY: Duration = Duration::from_secs(60);

/// The addresses of this machine, followed.
#[derive(Debug, Clone)]
pub struct Networks(watch::Receiver<Vec<OwnAddress>>);

impl Networks {
    /// Follows them until nobody wants to know any more. Must be called on the runtime.
    pub fn follow() -> Self {
        let (tx, rx) = watch::channel(own_addresses().unwrap_or_default());
        tokio::spawn(async move {
            let mut news =
                News::open().inspect_err(|error| tracing::debug!(%error, "asking for addresses instead")).ok();
            loop {
                tokio::select! {
                    () = tx.closed() => return,
                    () = next(&mut news) => {}
                }
                match own_addresses() {
                    // Also if it is the same list: an address may have become usable.
                    Ok(own) => _ = tx.send_replace(own),
                    Err(error) => tracing::debug!(%error, "cannot list the addresses"),
                }
            }
        });
        Self(rx)
    }

    /// Networks that never change: for simulations and tests.
    pub fn still() -> Self {
        Self(watch::channel(Vec::new()).1)
    }

    /// The addresses as they were when they last changed.
    pub fn now(&self) -> Vec<OwnAddress> {
        self.0.borrow().clone()
    }

    /// Waits until something may have changed; gives the addresses.
    pub async fn changed(&mut self) -> Vec<OwnAddress> {
        match self.0.changed().await {
            Ok(()) => self.0.borrow_and_update().clone(),
            Err(_) => pending().await,
        }
    }
}

/// Waits until it is time for a look.
async fn next(news: &mut Option<News>) {
    let Some(told) = news else { return sleep(POLL).await };
    let outcome = timeout(ANYWAY, async {
        told.wait().await?;
        sleep(SETTLE).await;
        told.drain()
    });
    if let Ok(Err(error)) = outcome.await {
        tracing::debug!(%error, "the kernel tells no more of addresses; asking instead");
        *news = None;
    }
}

#[cfg(target_os = "linux")]
mod told {
    //! rtnetlink(7): the kernel says when an interface or an address changes. What it says is not read, only that it does.

    use std::io;
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::libc::{RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK};
    use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
    use tokio::net::UnixDatagram;

    /// The kernel's news. A type for datagrams of the local kind, which receives by the same call whatever the family is.
    #[derive(Debug)]
    pub(super) struct News(UnixDatagram);

    impl News {
        pub(super) fn open() -> io::Result<Self> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
            let groups = (RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR).unsigned_abs();
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
            UnixDatagram::from_std(fd.into()).map(Self)
        }

        /// Waits for the next.
        pub(super) async fn wait(&mut self) -> io::Result<()> {
            lost_is_news(self.0.recv(&mut [0; 8192]).await)
        }

        /// Takes all that has come.
        pub(super) fn drain(&mut self) -> io::Result<()> {
            loop {
                match self.0.try_recv(&mut [0; 8192]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    taken => lost_is_news(taken)?,
                }
            }
        }
    }

    /// When more came than there was room for, something has changed all the same.
    fn lost_is_news(taken: io::Result<usize>) -> io::Result<()> {
        match taken {
            Err(error) if error.raw_os_error() != Some(Errno::ENOBUFS as i32) => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod told {
    //! Elsewhere nothing tells.

    use std::io;

    /// Never there.
    #[derive(Debug)]
    pub(super) struct News(std::convert::Infallible);

    impl News {
        pub(super) fn open() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) async fn wait(&mut self) -> io::Result<()> {
            match self.0 {}
        }

        pub(super) fn drain(&mut self) -> io::Result<()> {
            match self.0 {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_are_known_from_the_start_and_still_ones_never_change() {
        let networks = Networks::follow();
        assert!(networks.now().iter().any(|own| own.ip.is_loopback()));
        let changed = timeout(Duration::from_millis(50), async { Networks::still().changed().await }).await;
        assert!(changed.is_err());
    }
}

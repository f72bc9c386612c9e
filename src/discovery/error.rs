//! What keeps discovery from working; shown by `homie status`, never fatal.

use std::io;

/// Why nobody hears us, or we hear nobody.
#[derive(Debug, thiserror::Error)]
pub(super) enum SilenceError {
    /// No group yet.
    #[error("no group secret yet; run `homie setup`")]
    NoGroup,
    /// Told not to.
    #[error("switched off by `broadcast: false`")]
    SwitchedOff,
    /// The port cannot be had.
    #[error("cannot open UDP port {port}: {source}")]
    Port {
        /// Which.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// No interface can be listed.
    #[error("cannot list the network interfaces: {0}")]
    Interfaces(io::Error),
    /// Nothing went out on any interface.
    #[error("no heartbeat could be sent to {to}: {source}")]
    Send {
        /// The last address tried.
        to: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No network.
    #[error("no network interface has an IPv4 broadcast address")]
    NoNetwork,
}

//! The heartbeat: one UDP datagram of at most 508 bytes, the largest that every IPv4 path carries unfragmented
//! (RFC 791: 576 bytes, less 60 of IP header and 8 of UDP).

use crate::model::{BootId, Facts, PeerId};

/// Largest datagram.
pub const MAX_BEAT: usize = 508;

/// What a heartbeat says. Its MAC is checked over the raw bytes before anything of it is parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// Who.
    pub peer: PeerId,
    /// Which run of it.
    pub boot: BootId,
    /// Grows by one with each beat of a run.
    pub seq: u64,
    /// Where its worker listens; the address is the datagram's source, never the body's.
    pub worker_port: u16,
    /// Its name.
    pub name: String,
    /// Its load: the part of [`Facts`] that fits.
    pub facts: Facts,
    /// The last beat of an orderly stop.
    pub goodbye: bool,
}

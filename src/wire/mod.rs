//! What crosses a process: frames and the messages in them.
//!
//! Layer L0, sans-IO: bytes in, words out. Both binaries and every version of them must agree on what stands here;
//! golden frames in `tests/fixtures` hold it fast.

pub mod doctor;
pub mod env;
pub mod frame;
pub mod group;
pub mod heartbeat;
pub mod ipc;
pub mod link;
pub mod output;
pub mod refusal;
pub mod rekey;
pub mod roster;
pub mod version;

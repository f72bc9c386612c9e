//! The clocks, read at the edge and handed to the pure files as numbers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 (UTC) by this machine's clock; for showing and recording. It may be wrong by years and leap: where
/// something old is to go by it, that waits for an hour of this run as well.
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

//! Changes that homied makes to its own file. They keep its comments, its order, its rights and its owner.
//! (Single values are set by the client, as the user: `homie config --cpu 2`.)

use super::direct::{self, Direct};
use super::error::ConfigError;
use super::file;
use crate::paths::Places;

/// `homie add`: one more peer by address (`HOST` or `HOST:PORT`). Adding a known one again changes its label.
///
/// # Errors
/// It is not an address, or the file cannot be read, edited or written.
pub fn add_direct(places: &Places, address: &str, name: Option<&str>) -> Result<Direct, ConfigError> {
    let peer = (direct::address(address).map_err(ConfigError::Edit)?, name.map(str::to_owned));
    let text = file::read(&places.config, &mut Vec::new())?;
    file::write(&places.config, &direct::add(&text, &peer)?)?;
    Ok(peer)
}

/// `homie remove`: takes the peer with this address or label out.
///
/// # Errors
/// There is none, or the file cannot be read, edited or written.
pub fn remove_direct(places: &Places, which: &str) -> Result<Direct, ConfigError> {
    let text = file::read(&places.config, &mut Vec::new())?;
    let (text, peer) = direct::remove(&text, which)?;
    file::write(&places.config, &text)?;
    Ok(peer)
}

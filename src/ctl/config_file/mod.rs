//! The user's config file, written the way a person would: line by line.
//!
//! `homie config --cpu 2` and `homie setup` change single lines of a file that somebody has commented and ordered, so
//! the file is never parsed and written anew. What a value means is homied's business; here it is only checked early,
//! so that a mistake is answered before anything is written. Pure: `keys`, `lines`, `scalar`, `secret`, `template`;
//! `store` does the IO.

mod keys;
mod lines;
mod place;
mod scalar;
mod secret;
mod store;
mod template;

pub use keys::{KEYS, Key, KeyError, Kind, check_name, find as find_key, name_from_hostname};
pub use lines::{EditError, get, set, unset};
pub use place::config_path;
pub use scalar::quote;
pub use secret::generate as generate_secret;
pub use store::{StoreError, read, write};
pub use template::{NewConfig, new_file};

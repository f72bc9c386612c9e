//! Configuration: file shape -> merged layers (origin kept) -> validated settings.

mod settings;

pub use settings::{EngineChoice, Settings};

//! homied as a process: where its program is, how it is started and stopped, and who looks after it (systemd or
//! nobody). The verbs `setup`, `up`, `down`, `env` and `demo` share this.

mod program;
mod service;
mod wait;

pub use program::{example_dirs, find_homied};
pub use service::Service;
pub use wait::{Finished, finish, until};

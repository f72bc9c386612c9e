//! The words of Homie: ids and values that both binaries share.
//!
//! Layer L0. Nothing here does IO, reads a clock or names an actor. Every type is plain data with a stable
//! serde form, because it crosses processes (ipc, link) and releases (history).

mod address;
mod env;
mod gpu;
mod hosted;
mod ids;
mod invite;
mod job;
mod limits;
mod manifest;
mod outcome;
mod passphrase;
mod path;
mod peer;
mod relimit;
mod resources;
mod roles;
mod skew;
mod text;

pub use address::{AddressError, DEFAULT_WORKER_PORT, parse_address};
pub use env::{
    AllowBuilds, BuildFailure, BuildOffer, BuildProgress, BuildStep, DEFAULT_BUILD_HOSTS, EnvBuilt, EnvDetail,
    EnvEvent, EnvOffer, EnvState, EnvView, FailedBuild, Lock, LockedPackage, RECIPE_FILE, Recipe, RecipeProblem,
    Target, WantedEnv, check_env_name,
};
pub use gpu::{GpuDevice, GpuProcess, SeenGpu};
pub use hosted::{HostedState, HostedStatus, Offer, ResultRef};
pub use ids::{BootId, Digest, Epoch, IdError, JobId, PeerId};
pub use invite::{TOKEN_ADDRESSES, TOKEN_SECRET_BYTES, TOKEN_START, Token, TokenError};
pub use job::{Attempt, Delivery, JobEvent, JobRecord, JobSpec, JobState, Placement, Role, Stage, Totals, Usage};
pub use limits::{
    LEAST_MEMORY, Limits, Needs, ParseAmountError, beyond_machine, format_bytes, format_duration, parse_count,
    parse_cpus, parse_disk, parse_duration, parse_memory, parse_size, parse_size_from,
};
pub use manifest::{
    CHUNK_BYTES, CleanPath, FileEntry, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Manifest, ManifestError, PathError,
};
pub use outcome::{FailKind, Outcome};
pub use passphrase::{generate_secret, weakness};
pub use path::{Learned, PathView, Way, is_clearly_shorter, is_tailnet};
pub use peer::{PeerStatus, PeerView, Via};
pub use relimit::{Amount, LimitChange, describe_change};
pub use resources::{EngineKind, EngineOffer, Facts, Gpu, GpuUse, Isolation, Lack};
pub use roles::Roles;
pub use skew::describe_skew;
pub use text::visible_controls;

//! Protocol versions: each side offers a list, the highest common one is spoken.

/// Versions of the local socket's protocol that this build speaks.
pub const IPC: &[u32] = &[1, 2];
/// From this version of the local socket's protocol on, a job without files is submitted without a transfer.
pub const IPC_NOTHING_TO_PUT: u32 = 2;
/// Versions of the peer link's protocol that this build speaks.
pub const LINK: &[u32] = &[1];
/// The release this build is.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// No common version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no common protocol version: this side ({ours_release}) speaks {ours:?}, the other ({theirs_release}) {theirs:?}; update {update}"
)]
pub struct VersionMismatch {
    ours: Vec<u32>,
    theirs: Vec<u32>,
    ours_release: &'static str,
    theirs_release: String,
    update: &'static str,
}

/// The highest version in both lists.
///
/// # Errors
/// There is none; the error says which side is older and so must be updated.
pub fn negotiate(ours: &[u32], theirs: &[u32], theirs_release: &str) -> Result<u32, VersionMismatch> {
    ours.iter().filter(|v| theirs.contains(v)).max().copied().ok_or_else(|| VersionMismatch {
        ours: ours.to_vec(),
        theirs: theirs.to_vec(),
        ours_release: RELEASE,
        theirs_release: theirs_release.chars().take(40).collect(),
        update: if ours.iter().max() < theirs.iter().max() { "this side" } else { "the other side" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_wins_and_a_mismatch_names_the_older_side() {
        assert_eq!(negotiate(&[1, 2, 3], &[2, 3, 9], "9"), Ok(3));
        let old = negotiate(&[1], &[2], "2.0").expect_err("nothing common").to_string();
        assert!(old.ends_with("update this side"), "{old}");
        let new = negotiate(&[2], &[1], "0.9").expect_err("nothing common").to_string();
        assert!(new.ends_with("update the other side"), "{new}");
    }
}

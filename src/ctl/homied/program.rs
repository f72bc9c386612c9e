//! Where Homie's programs and examples lie.

use std::env;
use std::path::{Path, PathBuf};

use crate::ctl::exit::CtlError;

/// The homied that belongs to this client: the one beside it, else the one in PATH.
///
/// # Errors
/// There is none.
pub fn find_homied() -> Result<PathBuf, CtlError> {
    let own_dir = own_dir();
    let path = env::var_os("PATH").unwrap_or_default();
    candidates(own_dir.as_deref(), env::split_paths(&path)).into_iter().find(|p| is_program(p)).ok_or_else(|| {
        CtlError::usage_hint(
            "homied was found neither beside homie-ctl nor in PATH",
            "install it beside homie-ctl (`make install` does)",
        )
    })
}

/// Where the examples may lie: beside a build, in an installation, in a checkout.
pub fn example_dirs() -> Vec<PathBuf> {
    let mut dirs = vec![PathBuf::from("examples")];
    if let Some(own) = own_dir() {
        // PREFIX/bin/homie-ctl -> PREFIX/share; target/release/homie-ctl -> the checkout.
        for up in ["../share/homie/examples", "../../examples", "../../../examples", "examples"] {
            dirs.push(own.join(up));
        }
    }
    dirs.push("/usr/share/homie/examples".into());
    dirs.push("/usr/local/share/homie/examples".into());
    dirs
}

/// The directory of this program, through links: `homie` is one.
fn own_dir() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let own = own.canonicalize().unwrap_or(own);
    own.parent().map(Path::to_owned)
}

fn candidates(own_dir: Option<&Path>, path: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    // An empty entry of PATH means the current directory, where nobody should start a daemon from.
    own_dir.map(Path::to_owned).into_iter().chain(path.filter(|d| d.is_absolute())).map(|d| d.join("homied")).collect()
}

fn is_program(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_neighbour_comes_first_and_the_current_directory_never() {
        let path = ["", ".", "/usr/bin"].map(PathBuf::from);
        assert_eq!(
            candidates(Some(Path::new("/opt/homie/bin")), path.into_iter()),
            [PathBuf::from("/opt/homie/bin/homied"), PathBuf::from("/usr/bin/homied")]
        );
    }
}

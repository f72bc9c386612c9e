//! What environment `base` is made of. Pure: the digest of the recipe names the image.

use serde::Serialize;

use crate::model::Digest;

/// Rises when the way of building changes what comes out.
const FORMAT: u32 = 1;

/// The packages of `base`: Python and a shell for scripts, a C compiler because the examples compile on the peer.
const PACKAGES: [&str; 3] = ["python3", "gcc", "libc6-dev"];

/// How a `base` image comes about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Recipe {
    /// The distribution's own packages, by debootstrap.
    Packages {
        /// See [`FORMAT`].
        format: u32,
        /// `debian` or `ubuntu`.
        distribution: String,
        /// Its release (`bookworm`).
        suite: String,
        /// What is installed beside the minimum.
        packages: Vec<String>,
        /// The machine's architecture as Rust names it.
        arch: String,
    },
    /// An image that the owner named, from a registry he chose. A digest in its name (`python@sha256:…`) pins it.
    Image {
        /// Its reference.
        reference: String,
    },
}

impl Recipe {
    /// Packages of the same release that this machine runs, if it runs Debian or Ubuntu (its debootstrap then has the
    /// right keys), else of Debian stable. `os_release` is the text of `/etc/os-release`.
    pub fn for_machine(os_release: &str) -> Self {
        let field = |name: &str| {
            let value = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"').to_owned()).filter(|v| is_word(v))
        };
        let (distribution, suite) = match (field("ID").as_deref(), field("VERSION_CODENAME")) {
            (Some(id @ ("debian" | "ubuntu")), Some(suite)) => (id.to_owned(), suite),
            _ => ("debian".to_owned(), "stable".to_owned()),
        };
        let packages = PACKAGES.map(str::to_owned).into();
        Self::Packages { format: FORMAT, distribution, suite, packages, arch: std::env::consts::ARCH.to_owned() }
    }

    /// The tag of its image: 16 hex digits of the recipe's digest.
    pub fn tag(&self) -> String {
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        Digest::of(&canonical).to_string()[..16].to_owned()
    }
}

/// Where packages of `distribution` come from, unless the owner names a mirror.
pub(super) fn mirror(distribution: &str, arch: &str) -> &'static str {
    match (distribution, arch) {
        ("ubuntu", "x86_64") => "http://archive.ubuntu.com/ubuntu",
        ("ubuntu", _) => "http://ports.ubuntu.com/ubuntu-ports",
        _ => "http://deb.debian.org/debian",
    }
}

/// Whether `text` can be an argument of debootstrap and nothing else (no option, no path).
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(os_release: &str) -> (String, String) {
        match Recipe::for_machine(os_release) {
            Recipe::Packages { distribution, suite, .. } => (distribution, suite),
            Recipe::Image { .. } => panic!("packages are the default"),
        }
    }

    #[test]
    fn the_machines_own_release_is_used_where_debootstrap_knows_it() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(suite("NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nID=debian\n"), pair("debian", "bookworm"));
        assert_eq!(suite("ID=ubuntu\nVERSION_CODENAME=\"noble\"\nID_LIKE=debian\n"), pair("ubuntu", "noble"));
        for other in ["", "ID=fedora\nVERSION_CODENAME=\"\"\n", "ID=debian\n", "ID=debian\nVERSION_CODENAME=--evil\n"] {
            assert_eq!(suite(other), pair("debian", "stable"), "{other}");
        }
    }

    #[test]
    fn the_tag_follows_the_recipe_and_nothing_else() {
        let debian = Recipe::for_machine("ID=debian\nVERSION_CODENAME=bookworm");
        assert_eq!(debian.tag(), Recipe::for_machine("VERSION_CODENAME=bookworm\nID=debian\nX=1").tag());
        assert_ne!(debian.tag(), Recipe::for_machine("ID=debian\nVERSION_CODENAME=trixie").tag());
        assert_eq!(debian.tag().len(), 16);
        // Golden: a change of this text orphans every image that was built before; raise FORMAT on purpose only.
        assert_eq!(Recipe::Image { reference: "python:3.13".to_owned() }.tag(), "62fe624218e6f4c6");
    }
}

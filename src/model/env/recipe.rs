//! Recipes and locks, as values. Reading their YAML is homied's affair (`sandbox::envs`).

use serde::{Deserialize, Serialize};

use crate::model::ids::Digest;
use crate::model::resources::EngineKind;

/// The name of the file a recipe is committed as.
pub const RECIPE_FILE: &str = "homie.env.yaml";

/// Longest name of an environment: what a Docker tag part and a file name carry with room to spare.
const MAX_NAME: usize = 63;
/// Most lines of requirements or packages: a lock of a large project has a few hundred.
const MAX_LINES: usize = 2_000;
/// Bytes of one requirement with all its hashes: a package with 60 wheels has 5 KB of them.
const MAX_LINE: usize = 16 << 10;
/// Bytes of a Dockerfile's text.
const MAX_DOCKERFILE: usize = 64 << 10;

/// What an environment is made of, as its owner wrote it. Exactly one of three kinds: Python requirements and
/// distribution packages on top of the machine's `base` (all lists may be empty), an image, or a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// What people call it.
    pub name: String,
    /// The Python it needs: `3`, `3.11`, or a lower bound `>=3.10` as PEP 723 headers have it.
    pub python: Option<String>,
    /// Requirements as pip reads them (PEP 508, with `--hash=` behind them where they are locked), one each.
    pub requirements: Vec<String>,
    /// Distribution packages.
    pub apt: Vec<String>,
    /// An image of a registry, instead of all that.
    pub image: Option<String>,
    /// The text of a Dockerfile, instead of all that.
    pub dockerfile: Option<String>,
}

/// Why a recipe cannot be used: what, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecipeProblem(pub String);

impl Recipe {
    /// Whether it says one thing, and all of it can be handed to the programs that carry it out.
    ///
    /// # Errors
    /// The first problem found.
    pub fn check(&self) -> Result<(), RecipeProblem> {
        let problem = |text: String| Err(RecipeProblem(text));
        check_env_name(&self.name)?;
        let listed = self.python.is_some() || !self.requirements.is_empty() || !self.apt.is_empty();
        let kinds = usize::from(listed) + usize::from(self.image.is_some()) + usize::from(self.dockerfile.is_some());
        if kinds > 1 {
            return problem("one of image, dockerfile, or python with requirements and apt; not several".into());
        }
        if let Some(python) = &self.python
            && !is_python(python)
        {
            return problem(format!("python: {python:?} is not a version; write 3.11, 3 or \">=3.10\""));
        }
        if self.requirements.len() > MAX_LINES || self.apt.len() > MAX_LINES {
            return problem(format!("more than {MAX_LINES} requirements"));
        }
        for line in &self.requirements {
            check_requirement(line)?;
        }
        if let Some(name) = self.apt.iter().find(|n| !is_apt(n)) {
            return problem(format!("apt: {name:?} is not the name of a package"));
        }
        if let Some(image) = &self.image
            && !is_image(image)
        {
            return problem(format!("image: {image:?} is not an image reference; write python:3.12-slim"));
        }
        if let Some(text) = &self.dockerfile
            && (text.trim().is_empty() || text.len() > MAX_DOCKERFILE || text.contains('\0'))
        {
            return problem(format!("dockerfile: a text of at most {} KiB is wanted", MAX_DOCKERFILE >> 10));
        }
        Ok(())
    }

    /// Names what was asked for, before any version is chosen. The name people gave it is not part of it.
    pub fn digest(&self) -> Digest {
        digest_of(&Self { name: String::new(), ..self.clone() })
    }

    /// Whether a Python of version `have` (`3.11`, `3.11.2`) is one it asks for.
    pub fn takes_python(&self, have: &str) -> bool {
        let numbers = |v: &str| -> Vec<u32> { v.split('.').map_while(|n| n.parse().ok()).collect() };
        let have = numbers(have);
        match self.python.as_deref() {
            None => true,
            Some(wanted) => match wanted.strip_prefix(">=") {
                // `3.11` stands for all of 3.11.x, so a bound below the minor version cannot be judged by it.
                Some(least) => {
                    let least = numbers(least.trim());
                    let length = least.len().min(have.len());
                    have[..length] >= least[..length]
                }
                None => {
                    let wanted = numbers(wanted);
                    let length = wanted.len().min(have.len());
                    have[..length] == wanted[..length]
                }
            },
        }
    }
}

/// Whether `name` can be the name of an environment: of a file, of an image's tag, of a flag's value. `base` is taken.
///
/// # Errors
/// What is wrong with it.
pub fn check_env_name(name: &str) -> Result<(), RecipeProblem> {
    let fits = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match name {
        "base" | "auto" => Err(RecipeProblem(format!("{name} is a name of Homie's own; choose another"))),
        _ if fits => Ok(()),
        _ => Err(RecipeProblem(format!(
            "{:?} is not a name; write at most {MAX_NAME} letters, digits, `-`, `_` or `.`, such as ml-demo",
            name.chars().take(MAX_NAME).collect::<String>()
        ))),
    }
}

/// `3`, `3.11`, `3.11.2` or `>=3.10`.
fn is_python(text: &str) -> bool {
    let version = text.strip_prefix(">=").unwrap_or(text).trim();
    let parts: Vec<&str> = version.split('.').collect();
    parts.len() <= 3
        && parts[0] == "3"
        && parts.iter().all(|p| (1..=3).contains(&p.len()) && p.chars().all(|c| c.is_ascii_digit()))
}

/// A requirement as PEP 508 writes it, maybe with hashes. Options of pip, paths and addresses are not requirements:
/// they would make the build fetch from places its owner did not allow.
fn check_requirement(line: &str) -> Result<(), RecipeProblem> {
    let problem = |why: &str| {
        let short: String = line.chars().take(60).collect();
        Err(RecipeProblem(format!("requirements: {short:?} {why}")))
    };
    if line.len() > MAX_LINE || line.chars().any(char::is_control) {
        return problem("is no requirement");
    }
    if !line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return problem("is no requirement; write a name with versions, such as numpy>=1.26,<3");
    }
    let name = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(line.len());
    if line[name..].contains('/') || line[name..].contains('@') {
        return problem("names an address; only packages of the index can be built");
    }
    let unknown = line.split_whitespace().skip(1).find(|w| w.starts_with('-') && !w.starts_with("--hash=sha256:"));
    match unknown {
        Some(_) => problem("has an option; only --hash=sha256:... is understood"),
        None => Ok(()),
    }
}

/// A Debian package name (policy 5.6.1), with an optional `=version`.
fn is_apt(text: &str) -> bool {
    let (name, version) = text.split_once('=').unwrap_or((text, "0"));
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(lower)
        && name.chars().all(|c| lower(c) || "+-.".contains(c))
        && !version.is_empty()
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".+-~:".contains(c))
}

/// What a registry reference is made of (`host:port/name:tag@sha256:…`).
fn is_image(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:@".contains(c))
}

/// What kind of machine a lock is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The processor, as Rust names it (`x86_64`, `aarch64`).
    pub arch: String,
    /// The Python's minor version (`3.11`); `None` where an image brings whatever it brings.
    pub python: Option<String>,
    /// What distribution packages are from (`debian-bookworm`); `None` when nothing in the lock depends on it.
    pub system: Option<String>,
}

/// One Python package, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockedPackage {
    /// Its name, normalised (PEP 503).
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the one file that is installed, in hex.
    pub sha256: String,
    /// Whether that file is source code, which runs its own code when it is built.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source: bool,
}

/// A recipe resolved for one kind of machine. No address stands in it: where the files come from is each builder's
/// affair, the hashes say that they are the right ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The recipe it came from.
    pub recipe: Digest,
    /// For what.
    pub target: Target,
    /// Python packages, sorted by name, dependencies included.
    #[serde(default)]
    pub packages: Vec<LockedPackage>,
    /// Distribution packages as the recipe has them, sorted.
    #[serde(default)]
    pub apt: Vec<String>,
    /// The image by digest.
    #[serde(default)]
    pub image: Option<String>,
    /// The Dockerfile's text.
    #[serde(default)]
    pub dockerfile: Option<String>,
}

impl Lock {
    /// The environment's identity: BLAKE3 of its canonical JSON (fields in the order above, no white space).
    pub fn digest(&self) -> Digest {
        let mut sorted = self.clone();
        sorted.packages.sort();
        sorted.apt.sort();
        digest_of(&sorted)
    }
}

fn digest_of<T: Serialize>(value: &T) -> Digest {
    // Strings and lists of them have a JSON form always.
    Digest::of(&serde_json::to_vec(value).unwrap_or_default())
}

/// What friends' builds may do on this machine. The owner's own builds may always do everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowBuilds {
    /// Nothing is built because a friend asked.
    None,
    /// Ready-made wheels are unpacked; no code of a package runs.
    #[default]
    Wheels,
    /// Source packages, distribution packages and Dockerfiles too: their code runs during the build, in a jail.
    All,
}

impl AllowBuilds {
    /// The word in config and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Wheels => "wheels",
            Self::All => "all",
        }
    }
}

impl std::str::FromStr for AllowBuilds {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::None, Self::Wheels, Self::All]
            .into_iter()
            .find(|a| a.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a kind of builds; write none, wheels or all"))
    }
}

/// An environment that stands ready on a machine, as it is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvOffer {
    /// What its owner calls it; several may share a digest.
    pub name: String,
    /// Its identity: the digest of its lock.
    pub digest: Digest,
    /// The recipe it was resolved from.
    pub recipe: Digest,
    /// The engine that can run it.
    pub engine: EngineKind,
    /// Its Python, exactly (`3.11.2`).
    pub python: Option<String>,
    /// What it takes on disk.
    pub bytes: u64,
}

/// What a machine can build, as it is announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOffer {
    /// With which engine.
    pub engine: EngineKind,
    /// On top of what.
    pub target: Target,
    /// For friends.
    pub allow: AllowBuilds,
}

/// The environment a job asks for, with what its worker needs to get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedEnv {
    /// Names the recipe; any environment built from it will do if no lock is given or none fits the machine.
    pub recipe_digest: Digest,
    /// The recipe, unless it was too long to travel.
    pub recipe: Option<Recipe>,
    /// What the submitter resolved it to, for machines of the same kind.
    pub lock: Option<Lock>,
}

impl WantedEnv {
    /// Bytes of it that travel: with the rest of an offer it has to fit into one frame of 64 KiB.
    pub const MAX_BYTES: usize = 40 << 10;

    /// A wish for the environment of `recipe`. What does not fit stays at home, the recipe first: its lock is what a
    /// machine of the same kind needs, and a machine that has the environment needs neither.
    pub fn new(recipe: &Recipe, lock: Option<&Lock>) -> Self {
        let mut wish = Self { recipe_digest: recipe.digest(), recipe: Some(recipe.clone()), lock: lock.cloned() };
        if !wish.travels() {
            wish.recipe = None;
        }
        if !wish.travels() {
            wish = Self { recipe: Some(recipe.clone()), lock: None, ..wish };
        }
        if !wish.travels() {
            wish.recipe = None;
        }
        wish
    }

    fn travels(&self) -> bool {
        serde_json::to_vec(self).is_ok_and(|json| json.len() <= Self::MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipe(requirements: &[&str]) -> Recipe {
        let requirements = requirements.iter().map(|r| (*r).to_owned()).collect();
        Recipe { name: "ml-demo".into(), requirements, ..Recipe::default() }
    }

    #[test]
    fn a_recipe_names_packages_and_nothing_that_steers_a_tool() {
        for good in [
            "scikit-learn",
            "numpy>=1.26,<3",
            "uvicorn[standard]==0.30.1",
            "tomli; python_version < \"3.11\"",
            "a==1 --hash=sha256:00 --hash=sha256:11",
            "Zope.Interface ~= 6.0",
        ] {
            assert_eq!(recipe(&[good]).check(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "-r other.txt",
            "--index-url=http://x",
            "numpy --config-settings=x",
            "./here",
            "git+https://x/y",
            "x @ https://evil/x.whl",
            "numpy\n-e .",
            "a/b",
            "a --hash=md5:0",
        ] {
            assert!(recipe(&[bad]).check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_kind_at_a_time_and_only_words_that_are_names() {
        let with = |change: fn(&mut Recipe)| {
            let mut r = Recipe { name: "x".into(), ..Recipe::default() };
            change(&mut r);
            r.check().is_ok()
        };
        assert!(with(|_| ()));
        assert!(with(|r| r.image = Some("ghcr.io/a/b:1@sha256:00".into())));
        assert!(with(|r| r.apt = vec!["libgomp1".into(), "g++".into(), "git=1:2.39-1".into()]));
        assert!(with(|r| r.python = Some(">=3.10".into())));
        assert!(with(|r| r.dockerfile = Some("FROM scratch".into())));
        assert!(!with(|r| {
            r.image = Some("a".into());
            r.python = Some("3.11".into())
        }));
        assert!(!with(|r| r.image = Some("--privileged".into())));
        assert!(!with(|r| r.apt = vec!["-o".into()]));
        assert!(!with(|r| r.apt = vec!["a;b".into()]));
        assert!(!with(|r| r.python = Some("2.7".into())));
        assert!(!with(|r| r.dockerfile = Some(" ".into())));
        for name in ["base", "auto", "", "-x", "a/b", "..", "a b"] {
            assert!(check_env_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_python_asked_for_is_told_from_others() {
        let takes =
            |wanted: &str, have: &str| Recipe { python: Some(wanted.into()), ..Recipe::default() }.takes_python(have);
        for (wanted, have, want) in [
            ("3", "3.11", true),
            ("3.11", "3.11", true),
            ("3.11", "3.11.2", true),
            ("3.11.2", "3.11", true),
            ("3.11", "3.1", false),
            ("3.12", "3.11", false),
            (">=3.10", "3.9", false),
            (">=3.10", "3.10", true),
            (">= 3.8", "3.11.2", true),
            (">=3.11.5", "3.11.2", false),
        ] {
            assert_eq!(takes(wanted, have), want, "{wanted} {have}");
        }
        assert!(Recipe::default().takes_python("3.4"));
    }

    #[test]
    fn the_name_is_no_part_of_what_a_recipe_is() {
        let other = Recipe { name: "other".into(), ..recipe(&["numpy"]) };
        assert_eq!(recipe(&["numpy"]).digest(), other.digest());
        assert_ne!(recipe(&["numpy"]).digest(), recipe(&["numpy>1"]).digest());
    }

    fn lock(packages: usize) -> Lock {
        let package =
            |n| LockedPackage { name: format!("p{n}"), version: "1".into(), sha256: "0".repeat(64), source: false };
        Lock {
            recipe: Digest([1; 32]),
            target: Target { arch: "x86_64".into(), python: Some("3.11".into()), system: None },
            packages: (0..packages).map(package).collect(),
            apt: vec![],
            image: None,
            dockerfile: None,
        }
    }

    #[test]
    fn a_wish_that_is_too_long_leaves_at_home_what_it_can_do_without() {
        let hashes = " --hash=sha256:0123456789abcdef".repeat(150);
        let long: Vec<String> = (0..20).map(|n| format!("p{n}==1{hashes}")).collect();
        let long = recipe(&long.iter().map(String::as_str).collect::<Vec<_>>());
        let kept = |r: &Recipe, l: usize| {
            let wish = WantedEnv::new(r, Some(&lock(l)));
            assert!(wish.travels());
            assert_eq!(wish.recipe_digest, r.digest());
            (wish.recipe.is_some(), wish.lock.is_some())
        };
        assert_eq!(kept(&recipe(&["numpy"]), 20), (true, true));
        assert_eq!(kept(&long, 20), (false, true));
        assert_eq!(kept(&recipe(&["numpy"]), 2000), (true, false));
        assert_eq!(kept(&long, 2000), (false, false));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_checks_panic(text in "\\PC*") {
            let _ = (check_env_name(&text), recipe(&[&text]).check(), recipe(&[]).takes_python(&text));
            let _ = Recipe { name: "x".into(), python: Some(text.clone()), ..Recipe::default() }.check();
            let _ = Recipe { name: "x".into(), apt: vec![text], ..Recipe::default() }.check();
        }

        #[test]
        fn the_order_of_packages_is_no_part_of_a_lock(n in 2usize..8, at in 0usize..8) {
            let mut turned = lock(n);
            turned.packages.rotate_left(at % n);
            prop_assert_eq!(turned.digest(), lock(n).digest());
        }
    }
}

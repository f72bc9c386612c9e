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
    /// The Python it needs: `3`, `3.11`, or specifiers as PEP 723 headers have them (`>=3.10,<3.13`).
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

    /// Whether a Python of version `have` (`3.11`, `3.11.2`) is one it asks for. What a minor version leaves open
    /// (`>=3.11.5` and a `3.11`) counts as yes.
    pub fn takes_python(&self, have: &str) -> bool {
        let have = numbers(have);
        let wanted = self.python.as_deref().unwrap_or_default();
        wanted.split(',').filter_map(specifier).all(|(op, wanted)| satisfies(&have, op, &wanted))
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|n| n.parse().ok()).collect()
}

/// Whether `have` is `op wanted`, as far as both have parts to compare (PEP 440).
fn satisfies(have: &[u32], op: &str, wanted: &[u32]) -> bool {
    let common = have.len().min(wanted.len());
    let order = have[..common].cmp(&wanted[..common]);
    match op {
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        ">" => order.is_ge(),
        "<" => order.is_lt() || (order.is_eq() && wanted.len() > common),
        "!=" => !order.is_eq() || wanted.len() > common,
        "~=" => order.is_ge() && have.iter().zip(&wanted[..wanted.len() - 1]).all(|(a, b)| a == b),
        _ => order.is_eq(),
    }
}

/// The operator and the version of one specifier, such as `>=3.10`, `==3.11.*` or a bare `3.11`.
fn specifier(text: &str) -> Option<(&str, Vec<u32>)> {
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let (op, version) = text.split_at(at);
    let op = op.trim();
    let version = numbers(version.strip_suffix(".*").unwrap_or(version));
    let known = ["", "==", ">=", "<=", ">", "<", "!=", "~="].contains(&op);
    (known && !version.is_empty() && (op != "~=" || version.len() > 1)).then_some((op, version))
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

/// `3`, `3.11`, or what a header's `requires-python` says: `>=3.10,<3.13`.
fn is_python(text: &str) -> bool {
    let known = |part: &str| {
        let version = part.trim().trim_start_matches(|c: char| !c.is_ascii_digit());
        let plain = version.strip_suffix(".*").unwrap_or(version);
        plain.split('.').all(|n| n.parse::<u32>().is_ok()) && specifier(part).is_some()
    };
    text.len() <= 100 && text.split(',').all(known) && !text.trim().starts_with('2')
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

impl Target {
    /// Whether what was locked for this can be built and run on `here`.
    pub fn runs_on(&self, here: &Self) -> bool {
        self.arch == here.arch
            && (self.python.is_none() || self.python == here.python)
            && (self.system.is_none() || self.system == here.system)
    }
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
    /// Whether everything in it can be handed to the programs that carry it out. Locks come from friends.
    ///
    /// # Errors
    /// The first problem found.
    pub fn check(&self) -> Result<(), RecipeProblem> {
        let problem = |what: &str, text: &str| {
            let short: String = text.chars().take(60).collect();
            Err(RecipeProblem(format!("lock: {short:?} is no {what}")))
        };
        let word = |text: &str, more: &str| {
            text.len() <= MAX_NAME * 2
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let target = [Some(&self.target.arch), self.target.python.as_ref(), self.target.system.as_ref()];
        if let Some(bad) = target.into_iter().flatten().find(|t| !word(t, "-_.")) {
            return problem("kind of machine", bad);
        }
        for package in &self.packages {
            if !word(&package.name, "-_.") || !word(&package.version, "-_.+!") {
                return problem("package", &format!("{} {}", package.name, package.version));
            }
            if package.sha256.len() != 64 || !package.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
                return problem("hash of SHA-256", &package.sha256);
            }
        }
        // The rest is held to the same as in a recipe.
        let rest = Recipe { name: "lock".into(), apt: self.apt.clone(), ..Recipe::default() };
        rest.check()?;
        Recipe { name: "lock".into(), image: self.image.clone(), ..Recipe::default() }.check()?;
        Recipe { name: "lock".into(), dockerfile: self.dockerfile.clone(), ..Recipe::default() }.check()
    }

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
    /// Whether its engine runs steps on top of an image: those of a Dockerfile, and the installation of distribution
    /// packages. Where nothing is said of it, it does.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub steps: bool,
}

fn yes() -> bool {
    true
}

impl BuildOffer {
    /// Why `wish` can be made there for nobody; `None` when its engine makes such environments.
    pub fn lacks(&self, wish: &WantedEnv) -> Option<&'static str> {
        let (image, dockerfile, apt) = match (&wish.recipe, &wish.lock) {
            (Some(recipe), _) => (recipe.image.is_some(), recipe.dockerfile.is_some(), !recipe.apt.is_empty()),
            (None, Some(lock)) => (lock.image.is_some(), lock.dockerfile.is_some(), !lock.apt.is_empty()),
            (None, None) => return None,
        };
        match self.engine {
            EngineKind::Native if image || dockerfile => Some("images and Dockerfiles need Docker or Podman"),
            EngineKind::Docker if !self.steps && (dockerfile || apt) => {
                Some("its engine (Podman) builds no Dockerfiles and installs no distribution packages")
            }
            _ => None,
        }
    }
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
    /// Bytes of it that travel, usually: with the rest of an offer it has to fit into one frame of 64 KiB.
    pub const MAX_BYTES: usize = 40 << 10;

    /// A wish for the environment of `recipe`.
    pub fn new(recipe: &Recipe, lock: Option<&Lock>) -> Self {
        Self { recipe_digest: recipe.digest(), recipe: Some(recipe.clone()), lock: lock.cloned() }
    }

    /// The same in at most `room` bytes. What does not fit stays at home, the recipe first: its lock is what a machine
    /// of the same kind needs, and a machine that has the environment needs neither.
    #[must_use]
    pub fn fit(self, room: usize) -> Self {
        let fits = |wish: &Self| serde_json::to_vec(wish).is_ok_and(|json| json.len() <= room);
        let with = |recipe: bool, lock: bool| Self {
            recipe_digest: self.recipe_digest,
            recipe: self.recipe.clone().filter(|_| recipe),
            lock: self.lock.clone().filter(|_| lock),
        };
        [with(true, true), with(false, true), with(true, false)].into_iter().find(fits).unwrap_or(with(false, false))
    }

    /// Whether it says of itself what is true, and all of it can be used. Wishes come from friends.
    ///
    /// # Errors
    /// The first problem found.
    pub fn check(&self) -> Result<(), RecipeProblem> {
        if let Some(recipe) = &self.recipe {
            recipe.check()?;
        }
        if let Some(lock) = &self.lock {
            lock.check()?;
        }
        let recipe_is = self.recipe.as_ref().is_none_or(|r| r.digest() == self.recipe_digest);
        let lock_is = self.lock.as_ref().is_none_or(|l| l.recipe == self.recipe_digest);
        match recipe_is && lock_is {
            true => Ok(()),
            false => Err(RecipeProblem("the environment's recipe and its digest do not belong together".into())),
        }
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
            (">=3.11.5", "3.11", true),
            (">=3.10,<3.13", "3.12", true),
            (">=3.10,<3.13", "3.13.1", false),
            ("==3.11.*", "3.11.9", true),
            ("~=3.10", "3.12", true),
            ("~=3.10.2", "3.11", false),
            ("!=3.12.*", "3.12", false),
            ("<4", "3.11", true),
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
    fn locks_and_wishes_of_friends_are_held_to_their_words() {
        assert_eq!(lock(3).check(), Ok(()));
        let bad = |change: fn(&mut Lock)| {
            let mut lock = lock(1);
            change(&mut lock);
            assert!(lock.check().is_err(), "{lock:?}");
        };
        bad(|l| l.packages[0].name = "--index-url".into());
        bad(|l| l.packages[0].name = "a b".into());
        bad(|l| l.packages[0].version = "1 --hash".into());
        bad(|l| l.packages[0].sha256 = "0".repeat(63));
        bad(|l| l.packages[0].sha256 = "A".repeat(64));
        bad(|l| l.apt = vec!["-o=x".into()]);
        bad(|l| l.image = Some("--x".into()));
        bad(|l| l.target.arch = "../..".into());
        let recipe = recipe(&["numpy"]);
        let own = Lock { recipe: recipe.digest(), ..lock(1) };
        assert_eq!(WantedEnv::new(&recipe, Some(&own)).check(), Ok(()));
        assert!(WantedEnv::new(&recipe, Some(&lock(1))).check().is_err(), "the lock of another recipe");
        let lie = WantedEnv { recipe_digest: Digest([9; 32]), ..WantedEnv::new(&recipe, None) };
        assert!(lie.check().is_err());
    }

    #[test]
    fn a_wish_that_is_too_long_leaves_at_home_what_it_can_do_without() {
        let hashes = " --hash=sha256:0123456789abcdef".repeat(150);
        let long: Vec<String> = (0..20).map(|n| format!("p{n}==1{hashes}")).collect();
        let long = recipe(&long.iter().map(String::as_str).collect::<Vec<_>>());
        let kept = |r: &Recipe, l: usize| {
            let wish = WantedEnv::new(r, Some(&lock(l))).fit(WantedEnv::MAX_BYTES);
            assert!(serde_json::to_vec(&wish).expect("JSON").len() <= WantedEnv::MAX_BYTES);
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

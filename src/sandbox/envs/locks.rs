//! Lock files of other tools, read as exact requirements with hashes: `pylock.toml` (PEP 751), `uv.lock`,
//! `poetry.lock`. Pure. What a project's own groups of developers or extras ask for is left out: a job runs what the
//! project runs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Deserialize;

use super::read::parse_toml;
use crate::model::{Recipe, RecipeProblem};

/// Ways by which a package is reached, each under conditions of its own, before a lock is too entangled to be told apart
/// by this reader.
const MOST_WAYS: usize = 32;

/// Reads a lock: its name, for complaints, and its text.
pub(super) type Reader = fn(&str, &str) -> Result<Recipe, RecipeProblem>;

/// Which lock a file is, by its name in lower case.
pub(super) fn reader(name: &str) -> Option<Reader> {
    match name {
        "uv.lock" => Some(uv),
        "poetry.lock" => Some(poetry),
        name if name.ends_with(".toml") => Some(pylock),
        _ => None,
    }
}

fn no_index(main: &str, name: &str) -> RecipeProblem {
    RecipeProblem(format!("{main}: {name} comes from no index; only packages of an index can be built"))
}

/// `name==version ; marker --hash=… --hash=…`
fn requirement<'a>(name: &str, version: &str, marker: Option<&str>, hashes: impl Iterator<Item = &'a str>) -> String {
    let mut line = format!("{name}=={version}");
    if let Some(marker) = marker {
        line.push_str(&format!(" ; {marker}"));
    }
    hashes.for_each(|hash| line.push_str(&format!(" --hash=sha256:{hash}")));
    line
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pylock {
    lock_version: String,
    requires_python: Option<String>,
    #[serde(default)]
    packages: Vec<PylockPackage>,
}

#[derive(Debug, Deserialize)]
struct PylockPackage {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    wheels: Vec<PylockFile>,
    sdist: Option<PylockFile>,
}

#[derive(Debug, Deserialize)]
struct PylockFile {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// A lock file of PEP 751.
fn pylock(main: &str, text: &str) -> Result<Recipe, RecipeProblem> {
    let lock: Pylock = parse_toml(main, 1, text)?;
    if !lock.lock_version.starts_with("1.") {
        return Err(RecipeProblem(format!("{main}: lock-version {} is not known here", lock.lock_version)));
    }
    let line = |package: PylockPackage| {
        let version = package.version.ok_or_else(|| no_index(main, &package.name))?;
        let files = package.wheels.iter().chain(&package.sdist);
        let hashes = files.filter_map(|f| f.hashes.get("sha256")).map(String::as_str);
        Ok(requirement(&package.name, &version, package.marker.as_deref(), hashes))
    };
    let requirements = lock.packages.into_iter().map(line).collect::<Result<_, _>>()?;
    Ok(Recipe { python: lock.requires_python, requirements, ..Recipe::default() })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvLock {
    version: u32,
    requires_python: Option<String>,
    #[serde(default)]
    package: Vec<UvPackage>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UvPackage {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: UvSource,
    #[serde(default)]
    dependencies: Vec<UvEdge>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<UvEdge>>,
    #[serde(default)]
    wheels: Vec<Hashed>,
    sdist: Option<Hashed>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UvSource {
    registry: Option<String>,
    editable: Option<String>,
    r#virtual: Option<String>,
}

impl UvSource {
    /// The project itself, or a part of it: its code is sent with the job, its packages are installed.
    fn place(&self) -> Option<&str> {
        self.editable.as_deref().or(self.r#virtual.as_deref())
    }
}

#[derive(Debug, Deserialize)]
struct UvEdge {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Hashed {
    hash: Option<String>,
}

fn sha256s<'a>(files: impl Iterator<Item = &'a Hashed>) -> impl Iterator<Item = &'a str> {
    files.filter_map(|f| f.hash.as_deref()?.strip_prefix("sha256:"))
}

/// Under which markers something is wanted: any of these lists, of which all must hold. One that is empty always does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ways(BTreeSet<BTreeSet<String>>);

impl Ways {
    /// Adds a way; whether that made a difference.
    fn add(&mut self, way: BTreeSet<String>) -> bool {
        if self.0.iter().any(|known| known.is_subset(&way)) {
            return false;
        }
        self.0.retain(|known| !way.is_subset(known));
        self.0.insert(way)
    }

    /// As one marker (PEP 508); none when it is always wanted.
    fn marker(&self) -> Option<String> {
        let all = |way: &BTreeSet<String>| way.iter().map(|m| format!("({m})")).collect::<Vec<_>>().join(" and ");
        match self.0.iter().any(BTreeSet::is_empty) {
            true => None,
            false => Some(self.0.iter().map(all).collect::<Vec<_>>().join(" or ")),
        }
    }
}

/// A lock of uv: what the project at `.` (or, without one, every member of the workspace) reaches.
fn uv(main: &str, text: &str) -> Result<Recipe, RecipeProblem> {
    let lock: UvLock = parse_toml(main, 1, text)?;
    if lock.version != 1 {
        return Err(RecipeProblem(format!(
            "{main}: version {} is not known here; `uv export --format requirements.txt` writes one that is",
            lock.version
        )));
    }
    let packages = &lock.package;
    let here = |p: &&UvPackage| p.source.place() == Some(".");
    let project = packages.iter().any(|p| here(&p));
    let roots = (0..packages.len()).filter(|n| {
        let package = &packages[*n];
        if project { here(&package) } else { package.source.place().is_some() }
    });
    // What was reached, and by which of its extras.
    let mut reached: BTreeMap<(usize, Option<String>), Ways> = BTreeMap::new();
    let mut queue: VecDeque<(usize, Option<String>)> = VecDeque::new();
    for root in roots {
        reached.entry((root, None)).or_default().add(BTreeSet::new());
        queue.push_back((root, None));
    }
    while let Some(at) = queue.pop_front() {
        let ways = reached.get(&at).cloned().unwrap_or_default();
        let package = &packages[at.0];
        let edges = match &at.1 {
            None => Some(&package.dependencies),
            Some(extra) => package.optional_dependencies.get(extra),
        };
        for edge in edges.into_iter().flatten() {
            let fits = |p: &UvPackage| p.name == edge.name && (edge.version.is_none() || p.version == edge.version);
            let to = packages.iter().position(fits).ok_or_else(|| {
                RecipeProblem(format!("{main}: {} wants {}, which the file does not have", package.name, edge.name))
            })?;
            let extras = edge.extra.iter().cloned().map(Some);
            for next in std::iter::once(None).chain(extras).map(|extra| (to, extra)) {
                let known = reached.entry(next.clone()).or_default();
                let mut news = false;
                for way in &ways.0 {
                    let mut way = way.clone();
                    way.extend(edge.marker.clone());
                    news |= known.add(way);
                }
                if known.0.len() > MOST_WAYS {
                    return Err(RecipeProblem(format!(
                        "{main}: {} is wanted under too many conditions; `uv export --format requirements.txt` sorts them out",
                        edge.name
                    )));
                }
                if news {
                    queue.push_back(next);
                }
            }
        }
    }
    let mut requirements = Vec::new();
    for ((n, _), ways) in reached.iter().filter(|((_, extra), _)| extra.is_none()) {
        let package = &packages[*n];
        if package.source.place().is_some() {
            continue;
        }
        let version = package.version.as_deref().filter(|_| package.source.registry.is_some());
        let version = version.ok_or_else(|| no_index(main, &package.name))?;
        let hashes = sha256s(package.wheels.iter().chain(&package.sdist));
        requirements.push(requirement(&package.name, version, ways.marker().as_deref(), hashes));
    }
    requirements.sort();
    Ok(Recipe { python: lock.requires_python, requirements, ..Recipe::default() })
}

#[derive(Debug, Deserialize)]
struct PoetryLock {
    #[serde(default)]
    package: Vec<PoetryPackage>,
    metadata: PoetryMeta,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PoetryMeta {
    lock_version: String,
    python_versions: Option<String>,
    /// Where files stood before lock version 2.
    #[serde(default)]
    files: BTreeMap<String, Vec<Hashed>>,
}

#[derive(Debug, Deserialize)]
struct PoetryPackage {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    groups: Option<Vec<String>>,
    category: Option<String>,
    markers: Option<toml::Value>,
    #[serde(default)]
    files: Vec<Hashed>,
    source: Option<PoetrySource>,
    #[serde(default)]
    dependencies: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
struct PoetrySource {
    r#type: String,
}

/// A lock of Poetry: the packages of its main group.
fn poetry(main: &str, text: &str) -> Result<Recipe, RecipeProblem> {
    let lock: PoetryLock = parse_toml(main, 1, text)?;
    let version = &lock.metadata.lock_version;
    if !version.starts_with("1.") && !version.starts_with("2.") {
        return Err(RecipeProblem(format!("{main}: lock-version {version} is not known here")));
    }
    let normal = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    let wanted = |p: &&PoetryPackage| {
        let group = p.groups.as_ref().is_none_or(|g| g.iter().any(|g| g == "main"));
        !p.optional && group && p.category.as_deref().is_none_or(|c| c == "main")
    };
    let packages: Vec<&PoetryPackage> = lock.package.iter().filter(wanted).collect();
    // Older locks only say on the edges that a package is for other systems.
    let mut edges: BTreeMap<String, Ways> = BTreeMap::new();
    for (name, how) in packages.iter().flat_map(|p| &p.dependencies) {
        let marker = how.get("markers").and_then(|m| m.as_str()).map(str::to_owned);
        edges.entry(normal(name)).or_default().add(marker.into_iter().collect());
    }
    let mut requirements = Vec::new();
    for package in packages {
        if package.source.as_ref().is_some_and(|s| s.r#type != "legacy") {
            return Err(no_index(main, &package.name));
        }
        let marker = match &package.markers {
            Some(toml::Value::String(marker)) => Some(marker.clone()),
            Some(by_group) => by_group.get("main").and_then(|m| m.as_str()).map(str::to_owned),
            None if package.groups.is_some() => None,
            None => edges.get(&normal(&package.name)).and_then(Ways::marker),
        };
        let old = lock.metadata.files.get(&package.name);
        let hashes = sha256s(package.files.iter().chain(old.into_iter().flatten()));
        requirements.push(requirement(&package.name, &package.version, marker.as_deref(), hashes));
    }
    let python = lock.metadata.python_versions.as_deref().map(|wanted| python(main, wanted)).transpose()?.flatten();
    Ok(Recipe { python, requirements, ..Recipe::default() })
}

/// Poetry's `^3.9` and `~3.9` as the specifiers that everybody else writes.
fn python(main: &str, wanted: &str) -> Result<Option<String>, RecipeProblem> {
    let part = |part: &str| -> Option<String> {
        let number = |text: &str| text.split('.').take(2).map(|n| n.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
        if let Some(from) = part.strip_prefix('^') {
            return Some(format!(">={from},<{}", number(from)?.first()?.checked_add(1)?));
        }
        if let Some(from) = part.strip_prefix('~').filter(|p| !p.starts_with('=')) {
            let numbers = number(from)?;
            let next = match numbers[..] {
                [major, minor] => format!("{major}.{}", minor.checked_add(1)?),
                [major] => major.checked_add(1)?.to_string(),
                _ => return None,
            };
            return Some(format!(">={from},<{next}"));
        }
        Some(part.to_owned())
    };
    if wanted.trim() == "*" {
        return Ok(None);
    }
    let parts: Option<Vec<String>> = wanted.split(',').map(|p| part(p.trim())).collect();
    let problem =
        || RecipeProblem(format!("{main}: python-versions {wanted:?} is not understood; lock it for one range"));
    parts.filter(|_| !wanted.contains('|')).map(|p| Some(p.join(","))).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(name: &str, text: &str) -> Vec<String> {
        let recipe = reader(name).expect("a lock")(name, text).expect(text);
        Recipe { name: "x".into(), ..recipe.clone() }.check().expect("usable");
        recipe.requirements
    }

    fn problem(name: &str, text: &str) -> String {
        reader(name).expect("a lock")(name, text).expect_err(text).to_string()
    }

    #[test]
    fn a_lock_of_pep_751_is_exact_requirements() {
        let text = "lock-version = \"1.0\"\nrequires-python = \">=3.9\"\n[[packages]]\nname = \"attrs\"\nversion = \"25.1.0\"\nmarker = \"python_version > '3'\"\n\
                    wheels = [{name = \"a.whl\", url = \"https://x/a.whl\", hashes = {sha256 = \"c7\"}}]\nsdist = {hashes = {sha256 = \"d8\"}}\n";
        assert_eq!(
            lines("pylock.toml", text),
            ["attrs==25.1.0 ; python_version > '3' --hash=sha256:c7 --hash=sha256:d8"]
        );
        assert_eq!(pylock("x", text).expect("read").python.as_deref(), Some(">=3.9"));
    }

    /// As uv 0.8 writes it, shortened: two versions of one package, an extra, a group, another system's package.
    const UV: &str = r#"
version = 1
revision = 3
requires-python = ">=3.10"
resolution-markers = ["python_full_version >= '3.11'", "python_full_version < '3.11'"]

[[package]]
name = "demo"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "numpy", version = "2.2.6", source = { registry = "https://pypi.org/simple" }, marker = "python_full_version < '3.11'" },
    { name = "numpy", version = "2.3.4", source = { registry = "https://pypi.org/simple" }, marker = "python_full_version >= '3.11'" },
    { name = "uvicorn", extra = ["standard"] },
    { name = "click" },
]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[package.metadata]
requires-dist = [{ name = "numpy" }]

[[package]]
name = "numpy"
version = "2.2.6"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://x/numpy-2.2.6.tar.gz", hash = "sha256:aa", size = 1 }
wheels = [{ url = "https://x/n.whl", hash = "sha256:ab" }]

[[package]]
name = "numpy"
version = "2.3.4"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/n.whl", hash = "sha256:ac" }]

[[package]]
name = "uvicorn"
version = "0.38.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "click" }]
wheels = [{ url = "https://x/u.whl", hash = "sha256:ba" }]

[package.optional-dependencies]
standard = [{ name = "uvloop", marker = "sys_platform != 'win32'" }, { name = "colorama", marker = "sys_platform == 'win32'" }]

[[package]]
name = "click"
version = "8.3.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }]
wheels = [{ url = "https://x/c.whl", hash = "sha256:ca" }]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/co.whl", hash = "sha256:cc" }]

[[package]]
name = "uvloop"
version = "0.22.1"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/uv.whl", hash = "sha256:da" }]

[[package]]
name = "pytest"
version = "8.4.2"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/p.whl", hash = "sha256:ea" }]
"#;

    #[test]
    fn a_lock_of_uv_gives_what_the_project_reaches_under_its_conditions() {
        assert_eq!(
            lines("uv.lock", UV),
            [
                "click==8.3.0 --hash=sha256:ca",
                "colorama==0.4.6 ; (sys_platform == 'win32') --hash=sha256:cc",
                "numpy==2.2.6 ; (python_full_version < '3.11') --hash=sha256:ab --hash=sha256:aa",
                "numpy==2.3.4 ; (python_full_version >= '3.11') --hash=sha256:ac",
                "uvicorn==0.38.0 --hash=sha256:ba",
                "uvloop==0.22.1 ; (sys_platform != 'win32') --hash=sha256:da",
            ]
        );
        assert_eq!(uv("x", UV).expect("read").python.as_deref(), Some(">=3.10"));
    }

    #[test]
    fn conditions_add_up_along_the_ways() {
        let package = |name: &str, to: &str| {
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"1\"\nsource = {{ registry = \"r\" }}\ndependencies = [{to}]\n"
            )
        };
        let text = format!(
            "version = 1\n[[package]]\nname = \"me\"\nsource = {{ editable = \".\" }}\ndependencies = [{{ name = \"a\", marker = \"x\" }}, {{ name = \"b\", marker = \"z\" }}]\n{}{}{}",
            // A circle, as packages have them.
            package("a", "{ name = \"c\", marker = \"y\" }"),
            package("b", "{ name = \"c\" }"),
            package("c", "{ name = \"a\" }, { name = \"b\" }"),
        );
        assert_eq!(
            lines("uv.lock", &text),
            ["a==1 ; (x) or (z)", "b==1 ; (x) and (y) or (z)", "c==1 ; (x) and (y) or (z)"]
        );
    }

    const POETRY: &str = r#"
[[package]]
name = "colorama"
version = "0.4.6"
optional = false
python-versions = ">=2.7"
files = [{file = "c.whl", hash = "sha256:cc"}]

[[package]]
name = "click"
version = "8.1.7"
optional = false
python-versions = ">=3.7"
files = [{file = "click.whl", hash = "sha256:ca"}, {file = "click.tar.gz", hash = "sha256:cb"}]

[package.dependencies]
colorama = {version = "*", markers = "platform_system == \"Windows\""}

[[package]]
name = "extra-only"
version = "1"
optional = true
files = []

[metadata]
lock-version = "2.0"
python-versions = "^3.9"
content-hash = "0"
"#;

    #[test]
    fn a_lock_of_poetry_gives_its_main_group() {
        let want = [
            "colorama==0.4.6 ; (platform_system == \"Windows\") --hash=sha256:cc",
            "click==8.1.7 --hash=sha256:ca --hash=sha256:cb",
        ];
        assert_eq!(lines("poetry.lock", POETRY), want);
        assert_eq!(poetry("x", POETRY).expect("read").python.as_deref(), Some(">=3.9,<4"));
        // Poetry 2 says groups and markers with each package.
        let newer = POETRY
            .replace("lock-version = \"2.0\"", "lock-version = \"2.1\"")
            .replace(
                "version = \"0.4.6\"",
                "version = \"0.4.6\"\ngroups = [\"main\", \"dev\"]\nmarkers = \"os_name == 'nt'\"",
            )
            .replace("version = \"8.1.7\"", "version = \"8.1.7\"\ngroups = [\"dev\"]");
        assert_eq!(lines("poetry.lock", &newer), ["colorama==0.4.6 ; os_name == 'nt' --hash=sha256:cc"]);
        // Poetry 1.1 had the files apart.
        let older = "[[package]]\nname = \"a\"\nversion = \"1\"\ncategory = \"main\"\n[[package]]\nname = \"b\"\nversion = \"1\"\ncategory = \"dev\"\n\
                     [metadata]\nlock-version = \"1.1\"\n[metadata.files]\na = [{file = \"a.whl\", hash = \"sha256:aa\"}]\n";
        assert_eq!(lines("poetry.lock", older), ["a==1 --hash=sha256:aa"]);
    }

    #[test]
    fn versions_of_python_are_translated() {
        let of = |text: &str| python("x", text).ok().flatten();
        for (text, want) in [
            ("^3.9", ">=3.9,<4"),
            ("~3.9", ">=3.9,<3.10"),
            (">=3.9,<3.13", ">=3.9,<3.13"),
            (">=3.9, <4.0", ">=3.9,<4.0"),
            ("~=3.9", "~=3.9"),
        ] {
            assert_eq!(of(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(python("x", "*"), Ok(None));
        assert!(python("x", ">=3.8 || >=3.10").is_err() && python("x", "^x").is_err());
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        let git = UV.replace(
            "source = { registry = \"https://pypi.org/simple\" }\ndependencies = [{ name = \"click\" }]",
            "source = { git = \"https://x/u\" }",
        );
        assert!(problem("uv.lock", &git).contains("uvicorn comes from no index"));
        assert!(problem("uv.lock", &UV.replace("version = 1\n", "version = 9\n")).contains("uv export"));
        assert!(
            problem("uv.lock", &UV.replace("name = \"colorama\"\nversion", "name = \"other\"\nversion"))
                .contains("does not have")
        );
        assert!(problem("uv.lock", "version = ").starts_with("uv.lock:1: "));
        let git = POETRY.replace(
            "[metadata]",
            "[[package]]\nname = \"g\"\nversion = \"1\"\n[package.source]\ntype = \"git\"\n[metadata]",
        );
        assert!(problem("poetry.lock", &git).contains("g comes from no index"));
        assert!(problem("poetry.lock", &POETRY.replace("\"2.0\"", "\"7\"")).contains("not known"));
        assert!(problem("pylock.toml", "lock-version = \"2.0\"").contains("not known"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_readers_panic(cut in 0usize..4000, text in "\\PC{0,40}", at in 0usize..4000) {
            for (name, sound) in [("uv.lock", UV), ("poetry.lock", POETRY)] {
                let read = reader(name).expect("a lock");
                let _ = read(name, &text);
                let head: String = sound.chars().take(cut).collect();
                let _ = read(name, &head);
                let spoilt: String = sound.chars().take(at).chain(text.chars()).chain(sound.chars().skip(at)).collect();
                let _ = read(name, &spoilt);
            }
        }

        #[test]
        fn any_web_of_packages_ends_and_names_each_once(edges in proptest::collection::vec((0usize..8, 0usize..8, 0usize..4), 0..30)) {
            let mut text = "version = 1\n[[package]]\nname = \"me\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"p0\" }]\n".to_owned();
            for n in 0..8 {
                let to: Vec<String> = edges.iter().filter(|e| e.0 == n).map(|(_, to, marker)| match marker {
                    0 => format!("{{ name = \"p{to}\" }}"),
                    m => format!("{{ name = \"p{to}\", marker = \"m{m}\" }}"),
                }).collect();
                text += &format!("[[package]]\nname = \"p{n}\"\nversion = \"1\"\nsource = {{ registry = \"r\" }}\ndependencies = [{}]\n", to.join(", "));
            }
            let recipe = uv("uv.lock", &text).expect("eight packages are not too entangled");
            let mut names: Vec<&str> = recipe.requirements.iter().filter_map(|r| r.split("==").next()).collect();
            names.dedup();
            prop_assert_eq!(names.len(), recipe.requirements.len());
            prop_assert!(recipe.requirements.iter().any(|r| r == "p0==1"));
        }
    }
}

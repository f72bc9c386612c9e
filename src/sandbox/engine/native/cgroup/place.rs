//! Where control groups of ours may be made, from what `/proc/self` says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// homied's own group in a version 2 tree: processes may only live in leaves, so it steps aside into this one before
/// it makes groups for jobs beside it.
const LEAF: &str = "homied";
/// Groups of root's homied that has no subtree of its own lie below this one at the top of a version 2 tree.
const TOP: &str = "homie";

/// A directory below which groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox::engine::native) struct Base {
    /// The directory.
    pub(super) dir: PathBuf,
    /// The controllers that work there.
    pub(super) controllers: Vec<&'static str>,
    /// Version 2.
    pub(super) unified: bool,
}

/// All directories below which groups can be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox::engine::native) struct Hierarchies {
    bases: Vec<Base>,
}

const KNOWN: [&str; 4] = ["memory", "cpu", "cpuacct", "pids"];

impl Hierarchies {
    /// Those of this process.
    pub(in crate::sandbox::engine::native) fn discover() -> Self {
        let read = |p: &str| fs::read_to_string(p).unwrap_or_default();
        let root = nix::unistd::Uid::effective().is_root();
        let mut found = parse(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), root);
        for base in found.bases.iter_mut().filter(|b| b.unified) {
            if base.dir.ends_with(TOP) && !base.dir.exists() {
                // Only root may; for others the directory stays missing and with it the limits.
                if let Some(top) = base.dir.parent() {
                    base.controllers = offered(top);
                    base.delegate(top);
                }
                let _ = fs::create_dir(&base.dir);
            }
            base.controllers = offered(&base.dir);
        }
        found.bases.retain(|b| !b.controllers.is_empty());
        found
    }

    pub(super) fn bases(&self) -> impl Iterator<Item = &Base> {
        self.bases.iter()
    }
}

impl Base {
    /// Makes the controllers of `dir` work in its children (version 2 only). One that cannot be switched on shows
    /// when its limit is written.
    pub(super) fn delegate(&self, dir: &Path) {
        if !self.unified {
            return;
        }
        let control = dir.join("cgroup.subtree_control");
        let on = fs::read_to_string(&control).unwrap_or_default();
        for c in self.controllers.iter().filter(|c| !on.split_whitespace().any(|o| o == **c)) {
            if let Err(e) = fs::write(&control, format!("+{c}")) {
                tracing::debug!(file = %control.display(), controller = c, error = %e, "not switched on");
            }
        }
    }
}

/// The controllers that the version 2 group `dir` has itself.
fn offered(dir: &Path) -> Vec<&'static str> {
    let offered = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    KNOWN.into_iter().filter(|k| offered.split_whitespace().any(|o| o == *k)).collect()
}

/// Moves homied into a leaf of its own version 2 group, if it is alone there, so that jobs may get groups beside it. A
/// machine without version 2, or a group shared with others (a login session), is left as it is.
///
/// systemd before 254 knows no DelegateSubgroup=, and could not start a service again in a group that has been divided
/// while jobs run on. So a service of root leaves its own as it is, its jobs get groups at the top; that of another user
/// is moved by root ([`adopt`]); and that of a user's own systemd moves beside its group, where this user may make some.
pub(in crate::sandbox::engine::native) fn settle() {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some(dir) = own_unified_dir(&mounts, &own) else { return };
    let contained = own_path(&own, str::is_empty) == Some("/");
    if nix::unistd::Uid::effective().is_root() && !contained {
        return;
    }
    if dir.file_name().is_some_and(|n| n == LEAF) || !dir.join("cgroup.type").exists() {
        return;
    }
    let pid = std::process::id().to_string();
    if fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().trim() == pid {
        let leaf = leaf_for(&dir);
        let moved = fs::create_dir_all(&leaf).and_then(|()| fs::write(leaf.join("cgroup.procs"), pid));
        if let Err(e) = moved {
            tracing::debug!(dir = %leaf.display(), error = %e, "this control group is not ours to divide");
        }
    }
}

/// Where a homied that is alone in `dir` steps aside to.
fn leaf_for(dir: &Path) -> PathBuf {
    let beside = dir.parent().filter(|_| dir.extension().is_some_and(|kind| kind == "service"));
    beside.map_or(dir.to_owned(), |above| above.join(TOP)).join(LEAF)
}

/// `homied __adopt PID`, for root: moves a service's main process, which runs as another user, into a leaf of a version 2
/// tree at the top which that user may divide. Does nothing where systemd has put it into a leaf itself
/// (DelegateSubgroup=), and where no controller is in version 2.
///
/// # Errors
/// There is no such process, or this is not root.
pub(in crate::sandbox::engine::native) fn adopt(pid: u32) -> io::Result<()> {
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let mounts_now = fs::read_to_string("/proc/self/mountinfo")?;
    let Some(dir) = own_unified_dir(&mounts_now, &own) else { return Ok(()) };
    let Some((point, ..)) = mounts(&mounts_now).find(|m| m.2 == "cgroup2") else { return Ok(()) };
    let mut base = Base { dir: Path::new(point).join(TOP), controllers: offered(Path::new(point)), unified: true };
    if dir.ends_with(LEAF) || base.controllers.is_empty() {
        return Ok(());
    }
    let user = fs::metadata(format!("/proc/{pid}"))?;
    let leaf = base.dir.join(LEAF);
    base.delegate(Path::new(point));
    fs::create_dir_all(&leaf)?;
    base.controllers = offered(&base.dir);
    // What cgroups(7), "Delegation", says is to be given away, and no more: the files of limits stay root's.
    for dir in [&base.dir, &leaf] {
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            std::os::unix::fs::chown(dir.join(file), Some(user.uid()), Some(user.gid()))?;
        }
    }
    fs::write(leaf.join("cgroup.procs"), pid.to_string())
}

/// (mount point, root of the mount, file system, options of it) of each control group mount.
fn mounts(mountinfo: &str) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    mountinfo.lines().filter_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, point) = (front.next()?, front.next()?);
        let mut back = back.split(' ');
        let kind = back.next()?;
        let options = back.nth(1)?;
        kind.starts_with("cgroup").then_some((point, root, kind, options))
    })
}

/// The directory of group `path` in a mount of `root` at `point`.
fn dir_of(point: &str, root: &str, path: &str) -> PathBuf {
    let below = if root == "/" { Some(path) } else { path.strip_prefix(root) };
    Path::new(point).join(below.unwrap_or_default().trim_start_matches('/'))
}

fn own_path(own: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    own.lines().find_map(|l| {
        let mut parts = l.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        wanted(controllers).then_some(parts.next()?)
    })
}

fn own_unified_dir(mountinfo: &str, own: &str) -> Option<PathBuf> {
    let path = own_path(own, str::is_empty)?;
    mounts(mountinfo).find(|m| m.2 == "cgroup2").map(|(point, root, ..)| dir_of(point, root, path))
}

/// Version 1 mounts give one base each, below homied's own group. In a version 2 tree the base is the group above
/// the leaf homied settled in, the top itself when homied lives there, or `homie` at the top (root without a subtree).
fn parse(mountinfo: &str, own: &str, root_user: bool) -> Hierarchies {
    let mut by_dir: BTreeMap<PathBuf, Base> = BTreeMap::new();
    for (point, root, kind, options) in mounts(mountinfo) {
        if kind == "cgroup2" {
            let Some(path) = own_path(own, str::is_empty) else { continue };
            let dir = match path {
                "/" => PathBuf::from(point),
                _ if path.ends_with(&format!("/{LEAF}")) => {
                    let above = dir_of(point, root, path);
                    above.parent().map_or(above.clone(), Path::to_path_buf)
                }
                // Another user may have been given that directory, but could move no process there from elsewhere.
                _ if !root_user => continue,
                _ => Path::new(point).join(TOP),
            };
            by_dir.insert(dir.clone(), Base { dir, controllers: vec![], unified: true });
            continue;
        }
        let here: Vec<&'static str> =
            KNOWN.into_iter().filter(|k| options.split(',').any(|option| option == *k)).collect();
        let Some(first) = here.first() else { continue };
        let Some(path) = own_path(own, |c| c.split(',').any(|c| c == *first)) else { continue };
        let dir = dir_of(point, root, path);
        by_dir.insert(dir.clone(), Base { dir, controllers: here, unified: false });
    }
    Hierarchies { bases: by_dir.into_values().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base<'a>(h: &'a Hierarchies, dir: &str) -> &'a Base {
        h.bases().find(|b| b.dir == Path::new(dir)).unwrap_or_else(|| panic!("{dir} in {h:?}"))
    }

    #[test]
    fn old_mounts_are_found_below_the_own_group() {
        let mounts = "\
31 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 25 0:28 /docker/ab /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 25 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
        let own = "9:name=systemd:/x\n8:pids:/docker/ab\n4:memory:/svc/homied\n2:cpu,cpuacct:/";
        let h = parse(mounts, own, true);
        assert_eq!(base(&h, "/sys/fs/cgroup/memory/svc/homied").controllers, ["memory"]);
        assert_eq!(base(&h, "/sys/fs/cgroup/cpu,cpuacct").controllers, ["cpu", "cpuacct"]);
        assert_eq!(base(&h, "/sys/fs/cgroup/pids").controllers, ["pids"]);
        assert_eq!(h.bases().count(), 3);
    }

    #[test]
    fn the_new_tree_is_used_beside_the_leaf_or_at_the_top() {
        let mounts = "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        for (own, dir) in [
            ("0::/system.slice/homied.service/homied", "/sys/fs/cgroup/system.slice/homied.service"),
            ("0::/homie/homied", "/sys/fs/cgroup/homie"),
            ("0::/", "/sys/fs/cgroup"),
            ("0::/user.slice/session-1.scope", "/sys/fs/cgroup/homie"),
        ] {
            assert!(base(&parse(mounts, own, true), dir).unified, "{own}");
        }
        let elsewhere = parse(mounts, "0::/user.slice/session-1.scope", false);
        assert_eq!(elsewhere, Hierarchies::default(), "an ordinary user may not go to the top");
    }

    #[test]
    fn a_users_service_steps_beside_its_group_and_others_into_it() {
        let beside = leaf_for(Path::new("/sys/fs/cgroup/user.slice/user@1000.service/app.slice/homied.service"));
        assert_eq!(beside, Path::new("/sys/fs/cgroup/user.slice/user@1000.service/app.slice/homie/homied"));
        assert_eq!(leaf_for(Path::new("/sys/fs/cgroup/box")), Path::new("/sys/fs/cgroup/box/homied"));
    }

    #[test]
    fn nonsense_gives_nothing() {
        assert_eq!(parse("x\n1 2 3 - cgroup", "::\n0", true), Hierarchies::default());
    }
}

//! The file system a job sees: a small read-only root made of the host's `/usr`, a few harmless files of `/etc`, its own
//! `/proc`, a handful of devices, a sized `/tmp` and its directory at `/work`, the only place on disk it can write.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{SFlag, fstat};

use super::sys;
use crate::model::GpuDevice;
use crate::sandbox::engine::{INSIDE_ENV, JobLaunch};

/// Top-level directories that hold programs and libraries: bound where they are directories, linked where they are
/// links into `/usr` (merged-usr systems).
const SYSTEM: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store"];

/// What programs need of `/etc` and what holds no secret of the host.
const ETC: [&str; 18] = [
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/tls/certs",
    "ca-certificates",
    "localtime",
    "timezone",
    "mime.types",
    "magic",
    "fonts",
    "python3",
    "perl",
    "java",
    "gai.conf",
    "terminfo",
];

/// Devices that give nothing away.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Files of `/proc` that tell about the host or act on it; hidden behind `/dev/null`, as container engines do. Most of
/// them need root anyway; the cost of making sure is a mount each.
const HIDDEN: [&str; 6] = ["kcore", "keys", "timer_list", "sched_debug", "sysrq-trigger", "latency_stats"];
/// Directories of `/proc` that a job may read at most.
const READ_ONLY: [&str; 4] = ["sys", "irq", "bus", "fs"];

/// The root itself holds directories, links and generated files of a few hundred bytes.
const ROOT_BYTES: u64 = 1 << 20;

const NO_SPECIALS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// What was being done when it failed.
fn at(what: impl AsRef<Path>) -> impl Fn(io::Error) -> io::Error {
    let what = what.as_ref().display().to_string();
    move |e| io::Error::new(e.kind(), format!("{what}: {e}"))
}

/// Builds the root and enters it. Afterwards `/` is the job's root, the host's is out of reach, and the working
/// directory is `/work`. To be called as the first process of new mount and pid namespaces.
///
/// # Errors
/// A mount is not permitted, a system directory is missing, or the kernel is too old (before 5.12).
pub(super) fn enter(launch: &JobLaunch) -> io::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(|e| at("/")(e.into()))?;
    let work = sys::open_tree(&c(launch.work_dir())?).map_err(at(launch.work_dir()))?;
    sys::mount_setattr(&work, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, true).map_err(at("work"))?;
    // Taken before the job's directory is covered: it may lie beside it.
    let env = launch.tree.as_ref().map(|tree| sys::open_tree(&c(tree)?).map_err(at(tree))).transpose()?;

    // The job's own directory is the one path that surely exists and is ours to cover, in this namespace only.
    tmpfs(&launch.job_dir, ROOT_BYTES, "0755")?;
    std::env::set_current_dir(&launch.job_dir)?;
    for name in SYSTEM {
        system_dir(name)?;
    }
    etc(launch)?;
    proc()?;
    dev(launch)?;
    // /dev/shm as large as /tmp, as in a container: data loaders of PyTorch need more than the usual 64 MiB.
    for name in ["tmp", "dev/shm"] {
        fs::create_dir_all(name)?;
        tmpfs(Path::new(name), launch.limits.tmp_bytes, "1777")?;
    }
    for name in ["run", "var", "work"] {
        fs::create_dir(name)?;
    }
    if !launch.gpus.is_empty() {
        driver_libraries()?;
    }
    symlink("/tmp", "var/tmp")?;
    sys::move_mount(&work, c"work").map_err(at("work"))?;
    if let Some(env) = env {
        let here = INSIDE_ENV.trim_start_matches('/');
        fs::create_dir(here)?;
        let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        sys::mount_setattr(&env, attributes, true).map_err(at(here))?;
        sys::move_mount(&env, &c(here)?).map_err(at(here))?;
    }
    sys::mount_setattr(fs::File::open(".")?, libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV, false)?;

    nix::unistd::pivot_root(".", ".")?;
    // Both roots now lie on one place, the old one on top.
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;
    std::env::set_current_dir(crate::sandbox::engine::INSIDE_WORK)
}

fn c(path: impl AsRef<Path>) -> io::Result<CString> {
    CString::new(path.as_ref().as_os_str().as_bytes()).map_err(io::Error::other)
}

/// Inodes cost kernel memory that the size does not count: one for each 4 KiB is what a full tmpfs of small files needs.
fn tmpfs(path: &Path, bytes: u64, mode: &str) -> io::Result<()> {
    let options = format!("size={bytes},nr_inodes={},mode={mode}", (bytes / 4096).max(64));
    mount(Some("tmpfs"), path, Some("tmpfs"), NO_SPECIALS, Some(options.as_str())).map_err(|e| at(path)(e.into()))
}

/// A read-only copy of the host's mounts at `/name`, attached at `name` below the new root.
fn bind_read_only(from: &CStr, to: &CStr) -> io::Result<()> {
    attach_read_only(sys::open_tree(from)?, to)
}

fn attach_read_only(tree: OwnedFd, to: &CStr) -> io::Result<()> {
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    sys::mount_setattr(&tree, attributes, true)?;
    sys::move_mount(&tree, to)
}

fn system_dir(name: &str) -> io::Result<()> {
    let host = Path::new("/").join(name);
    let Ok(meta) = fs::symlink_metadata(&host) else { return Ok(()) };
    if meta.is_symlink() {
        return symlink(fs::read_link(&host)?, name);
    }
    fs::create_dir_all(name)?;
    bind_read_only(&c(&host)?, &c(name)?).map_err(at(&host))
}

fn etc(launch: &JobLaunch) -> io::Result<()> {
    fs::create_dir("etc")?;
    let (uid, gid) = (launch.uid, launch.gid);
    let files = [
        ("passwd", format!("root:x:0:0:root:/work:/bin/sh\nhomie:x:{uid}:{gid}:homie:/work:/bin/sh\n")),
        ("group", format!("root:x:0:\nhomie:x:{gid}:\n")),
        ("hosts", "127.0.0.1 localhost homie\n::1 localhost\n".to_owned()),
        ("hostname", "homie\n".to_owned()),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n".to_owned()),
    ];
    for (name, text) in files {
        fs::write(Path::new("etc").join(name), text)?;
    }
    // Debian's interpreters keep their site configuration in versioned directories (/etc/python3.11).
    let versioned = fs::read_dir("/etc").into_iter().flatten().filter_map(|e| e.ok()?.file_name().into_string().ok());
    let versioned: Vec<String> = versioned.filter(|n| n.starts_with("python3.")).collect();
    for name in ETC.iter().copied().chain(versioned.iter().map(String::as_str)) {
        let (host, here) = (Path::new("/etc").join(name), Path::new("etc").join(name));
        // Follows links: /etc/localtime is one into /usr/share/zoneinfo on most systems. What this user cannot bind is what
        // its programs could not read either.
        let Ok(tree) = sys::open_tree(&c(&host)?) else { continue };
        place_for(&tree, &here)?;
        let _ = attach_read_only(tree, &c(&here)?);
    }
    Ok(())
}

/// An empty file or directory at `here`, after the kind of `tree`, to mount it on.
fn place_for(tree: &OwnedFd, here: &Path) -> io::Result<()> {
    let is_dir = SFlag::from_bits_truncate(fstat(tree)?.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR;
    let make = || match is_dir {
        // A directory of the host may lie in one that was made for another.
        true if here.is_dir() => Ok(()),
        true => fs::create_dir(here),
        false => fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o444).open(here).map(drop),
    };
    match make() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            here.parent().map_or(Ok(()), fs::create_dir_all)?;
            make()
        }
        made => made,
    }
}

fn proc() -> io::Result<()> {
    fs::create_dir("proc")?;
    mount(Some("proc"), "proc", Some("proc"), NO_SPECIALS | MsFlags::MS_NOEXEC, None::<&str>)
        .map_err(|e| at("/proc")(e.into()))?;
    for name in HIDDEN {
        let path = Path::new("proc").join(name);
        if path.exists() {
            sys::move_mount(sys::open_tree(c"/dev/null")?, &c(&path)?).map_err(at(&path))?;
        }
    }
    for name in READ_ONLY {
        let path = Path::new("proc").join(name);
        match sys::open_tree(&c(&path)?) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            tree => tree.and_then(|tree| attach_read_only(tree, &c(&path)?)).map_err(at(&path))?,
        }
    }
    Ok(())
}

fn dev(launch: &JobLaunch) -> io::Result<()> {
    fs::create_dir("dev")?;
    let gpus = gpu_devices(&launch.gpus)?;
    for name in DEVICES.iter().copied().chain(gpus.iter().map(String::as_str)) {
        let (host, here) = (Path::new("/dev").join(name), Path::new("dev").join(name));
        let tree = sys::open_tree(&c(&host)?).map_err(at(&host))?;
        place_for(&tree, &here)?;
        sys::move_mount(&tree, &c(&here)?).map_err(at(&host))?;
    }
    for (link, to) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
        symlink(format!("/proc/self/fd{to}"), Path::new("dev").join(link))?;
    }
    Ok(())
}

/// The device nodes of NVIDIA GPUs, and those of the driver they share as far as they exist. Others are not there for
/// the job, which cannot make any: that, and no device control group, is what keeps it from them.
fn gpu_devices(gpus: &[GpuDevice]) -> io::Result<Vec<String>> {
    if gpus.is_empty() {
        return Ok(vec![]);
    }
    for gpu in gpus {
        let node = format!("/dev/nvidia{}", gpu.minor);
        if !Path::new(&node).exists() {
            let text = format!("{node} is missing: load the driver's nodes (nvidia-modprobe -c {})", gpu.minor);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
    }
    let shared = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"].map(str::to_owned);
    let own = gpus.iter().map(|gpu| format!("nvidia{}", gpu.minor));
    Ok(own.chain(shared).filter(|n| Path::new("/dev").join(n).exists()).collect())
}

/// Binds the driver's libraries that lie outside of what every job sees anyway, at their own paths: the loader finds
/// them there by its cache.
fn driver_libraries() -> io::Result<()> {
    let cache = fs::read("/etc/ld.so.cache").unwrap_or_default();
    for library in libraries_elsewhere(&cache) {
        // A cache may be older than the files it names.
        let Ok(tree) = sys::open_tree(&c(&library)?) else { continue };
        let here = library.strip_prefix("/").unwrap_or(&library);
        place_for(&tree, here)?;
        attach_read_only(tree, &c(here)?).map_err(at(&library))?;
    }
    Ok(())
}

/// The paths of NVIDIA's libraries in the loader's cache that are not below [`SYSTEM`]. Its strings end with a NUL in
/// every version of the format; the rest of it does not matter here.
fn libraries_elsewhere(cache: &[u8]) -> Vec<PathBuf> {
    const NAMES: [&str; 5] = ["libcuda.", "libcudadebugger.", "libnvidia-", "libnvcuvid.", "libnvoptix."];
    let mut found: Vec<PathBuf> = cache
        .split(|byte| *byte == 0)
        .filter(|text| text.starts_with(b"/"))
        .filter_map(|text| std::str::from_utf8(text).ok().map(PathBuf::from))
        .filter(|path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let seen = SYSTEM.iter().any(|dir| path.starts_with(Path::new("/").join(dir)));
            let plain = path.components().all(|part| part != std::path::Component::ParentDir);
            plain && !seen && NAMES.iter().any(|start| name.starts_with(start))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a program called `name` would be found inside, along [`crate::sandbox::engine::INSIDE_PATH`].
pub(super) fn has_program(name: &str) -> bool {
    crate::sandbox::engine::INSIDE_PATH.split(':').any(|dir| {
        fs::metadata(Path::new(dir).join(name)).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    })
}

/// Makes `fd`'s file belong to the job, so that it may open `/dev/stdout` again.
pub(super) fn give(fd: impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
    Ok(nix::unistd::fchown(fd, Some(nix::unistd::Uid::from_raw(uid)), Some(nix::unistd::Gid::from_raw(gid)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_loaders_cache_only_the_drivers_libraries_elsewhere_count() {
        let cache = b"glibc-ld.so.cache1.1\0\x01\x02libcuda.so.1\0/opt/nvidia/lib/libcuda.so.1\0/usr/lib/libcuda.so.1\0\
            /opt/x/libcups.so\0/run/opengl-driver/lib/libnvidia-ml.so.1\0/opt/nvidia/lib/libcuda.so.1\0/opt/../libcuda.so.1\0\xff";
        let want = ["/opt/nvidia/lib/libcuda.so.1", "/run/opengl-driver/lib/libnvidia-ml.so.1"].map(PathBuf::from);
        assert_eq!(libraries_elsewhere(cache), want);
        assert_eq!(libraries_elsewhere(b""), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_gpu_without_its_node_is_no_gpu() {
        let gpu = GpuDevice { index: 0, minor: 9999, uuid: String::new() };
        let error = gpu_devices(&[gpu]).expect_err("there is none").to_string();
        assert!(error.contains("/dev/nvidia9999 is missing"), "{error}");
        assert_eq!(gpu_devices(&[]).expect("none wanted"), Vec::<String>::new());
    }
}

//! Builds the two programs that run inside jails and that homied carries in itself: homie-init, process 1 of a job's
//! container (`src/sandbox/engine/docker/init`), and the escape probes (`tests/escape/probes`).
//!
//! Each has to be one static file, whatever C library the image holds, while homied itself stays dynamic (NVML is found at
//! run time). Cargo has no stable way to build one binary of a package with flags of its own, so the compilers are called
//! here. They need what every build of homied needs: rustc, cc and the C library's own development files.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const INIT: &str = "src/sandbox/engine/docker/init";
const PROBES: &str = "tests/escape/probes";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={INIT}");
    println!("cargo::rerun-if-changed={PROBES}");
    // The client has no engines.
    if env::var_os("CARGO_FEATURE_DAEMON").is_none() || var("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
    let out = PathBuf::from(var("OUT_DIR"));
    run("homie-init", init(&out.join("homie-init")));
    #[cfg(feature = "daemon")]
    run("the escape probes", probes(&out.join("escape")));
}

fn init(program: &Path) -> Command {
    let mut rustc = Command::new(var("RUSTC"));
    rustc.args(["--edition", "2024", "--crate-name", "homie_init", "--target", &var("TARGET"), "--cap-lints", "allow"]);
    for option in
        ["opt-level=s", "panic=abort", "lto=fat", "codegen-units=1", "strip=symbols", "target-feature=+crt-static"]
    {
        rustc.args(["-C", option]);
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    rustc.arg("-o").arg(program).arg(format!("{INIT}/main.rs"));
    rustc
}

#[cfg(feature = "daemon")]
fn probes(program: &Path) -> Command {
    let sources = std::fs::read_dir(PROBES).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sources: Vec<PathBuf> = sources.filter(|path| path.extension().is_some_and(|e| e == "c")).collect();
    sources.sort();
    let mut cc = cc::Build::new().opt_level_str("s").debug(false).get_compiler().to_command();
    cc.args(["-std=gnu17", "-Wall", "-Wextra", "-fno-pie", "-no-pie", "-static", "-s", "-o"]);
    cc.arg(program).args(sources);
    cc
}

fn run(what: &str, mut command: Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        failed => {
            eprintln!("{what} cannot be built: {command:?}: {failed:?}");
            eprintln!("it is linked statically; Debian has what that needs in libc6-dev, Fedora in glibc-static");
            exit(1);
        }
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

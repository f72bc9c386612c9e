//! Builds homie-init, process 1 of a job's container (`src/sandbox/engine/docker/init/main.rs`), which homied carries
//! inside itself and lays out beside each container.
//!
//! It has to be one static file, whatever C library the image holds, while homied itself stays dynamic (NVML is found at
//! run time). Cargo has no stable way to build one binary of a package with flags of its own, so the compiler is called
//! here. It needs what every build of homied needs: rustc, cc and the C library's own development files.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

const SOURCE: &str = "src/sandbox/engine/docker/init";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    // The client has no engines.
    if env::var_os("CARGO_FEATURE_DAEMON").is_none() || var("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
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
    rustc.arg("-o").arg(PathBuf::from(var("OUT_DIR")).join("homie-init")).arg(format!("{SOURCE}/main.rs"));
    match rustc.status() {
        Ok(status) if status.success() => {}
        failed => {
            eprintln!("homie-init cannot be built: {rustc:?}: {failed:?}");
            eprintln!("it is linked statically; Debian has what that needs in libc6-dev, Fedora in glibc-static");
            exit(1);
        }
    }
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

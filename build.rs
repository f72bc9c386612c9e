//! Compiles the programs that run inside jails: C, linked statically, because a jail may hold no library at all. homied
//! carries them in itself, so an installed homied has them.
//!
//! Where no static C library is installed (Fedora's glibc-static, Debian's libc6-dev has it) the file is empty, and
//! what needs it says so. The client needs none of this.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "daemon")]
    programs::build();
}

#[cfg(feature = "daemon")]
mod programs {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// (name, the folder of its sources).
    const PROGRAMS: [(&str, &str); 1] = [("escape", "tests/escape/probes")];

    pub(super) fn build() {
        let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
        for (name, folder) in PROGRAMS {
            println!("cargo:rerun-if-changed={folder}");
            let program = out.join(name);
            let made = linux().then(|| compile(folder, &program)).unwrap_or(Err("made on Linux only".into()));
            if let Err(why) = made {
                println!("cargo:warning={name} was not built: {why}");
                if let Err(e) = std::fs::write(&program, []) {
                    println!("cargo:warning={}: {e}", program.display());
                }
            }
        }
    }

    fn linux() -> bool {
        std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
    }

    fn compile(folder: &str, program: &Path) -> Result<(), String> {
        let mut sources: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(|e| format!("{folder}: {e}"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "c"))
            .collect();
        sources.sort();
        let compiler =
            cc::Build::new().opt_level_str("s").debug(false).try_get_compiler().map_err(|e| e.to_string())?;
        let mut command: Command = compiler.to_command();
        command.args(["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fno-pie", "-no-pie", "-static", "-s", "-o"]);
        let output = command.arg(program).args(sources).output().map_err(|e| format!("{command:?}: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(said.lines().take(8).collect::<Vec<_>>().join(" | ")) }
    }
}

//! The files that systems read about Homie: units, service user, firewall services, launchd. Checked by the tools that
//! read them, where this machine has those tools.

// Test code: a failed expectation is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn has(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().expect("sh").status.success();
    if !found {
        let everything = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!everything, "{tool} is not on this machine, and with CI=true nothing is left out");
        eprintln!("{tool} is not on this machine: its check is left out");
    }
    found
}

fn run(tool: &str, args: &[&str]) -> (bool, String) {
    // systemd-analyze wants a runtime directory for user units; any will do.
    let out = Command::new(tool).args(args).env("XDG_RUNTIME_DIR", std::env::temp_dir()).output().expect(tool);
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// A copy of a unit that names a program which exists, as systemd-analyze demands.
fn unit(dir: &Path, path: &str) -> PathBuf {
    let unit = text(path);
    assert!(unit.contains("\nExecStart=/usr/bin/homied\n"), "{path}");
    let copy = dir.join("homied.service");
    fs::write(&copy, unit.replace("/usr/bin/homied", "/bin/true")).expect("copy");
    copy
}

#[test]
fn systemd_understands_the_units() {
    if !has("systemd-analyze") {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    for (path, who) in [("systemd/system/homied.service", "--system"), ("systemd/user/homied.service", "--user")] {
        let copy = unit(dir.path(), path);
        let copy = copy.to_str().expect("utf-8");
        let (good, said) = run("systemd-analyze", &["verify", who, "--man=no", copy]);
        // A key of systemd 254 that an older one passes over with a warning, which is meant to be so.
        let known = |line: &&str| line.contains("homied.service:") && !line.contains("'DelegateSubgroup'");
        assert!(good && !said.lines().any(|line| known(&line)), "{path}: {said}");
        // The check can fail: a misspelt key is told.
        fs::write(copy, fs::read_to_string(copy).expect("copy").replace("KillMode=", "KilMode=")).expect("copy");
        let (_, said) = run("systemd-analyze", &["verify", who, "--man=no", copy]);
        assert!(said.contains("KilMode"), "{path}: {said}");
    }
}

#[test]
fn the_service_is_as_locked_down_as_hosting_allows() {
    if !has("systemd-analyze") {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary directory");
    let copy = unit(dir.path(), "systemd/system/homied.service");
    let copy = copy.to_str().expect("utf-8");
    // In tenths of systemd's score: 0 is locked down, 100 is exposed.
    let (good, said) = run("systemd-analyze", &["security", "--offline=yes", "--threshold=40", "--no-pager", copy]);
    assert!(good, "{said}");
    let (good, _) = run("systemd-analyze", &["security", "--offline=yes", "--threshold=10", "--no-pager", copy]);
    assert!(!good, "the threshold means something");
}

#[test]
fn jobs_outlive_the_service_and_find_their_cgroups() {
    for path in ["systemd/system/homied.service", "systemd/user/homied.service"] {
        let unit = text(path);
        for line in ["KillMode=process", "Delegate=yes", "DelegateSubgroup=homied", "Type=notify", "WatchdogSec=60"] {
            assert!(unit.lines().any(|l| l == line), "{path}: {line}");
        }
        // Each of these covers a part of /proc, and then no jail of the native engine can mount its own.
        for ban in
            ["ProtectKernelTunables=", "ProtectKernelLogs=", "ProtectProc=", "ProcSubset=", "MemoryDenyWriteExecute="]
        {
            assert!(!unit.lines().any(|l| l.starts_with(ban)), "{path}: {ban}");
        }
    }
    assert!(text("systemd/system/homied.service").contains("\nEnvironment=HOMIE_SYSTEM=1\n"));
    assert!(text("launchd/io.github.homie-compute.homied.plist").contains("<key>AbandonProcessGroup</key>\n\t<true/>"));
}

#[test]
fn firewalls_open_the_ports_that_homied_uses() {
    let (udp, tcp) = (homie::config::DEFAULT_DISCOVERY_PORT, homie::model::DEFAULT_WORKER_PORT);
    assert!(text("packaging/ufw/homie").contains(&format!("\nports={udp}/udp|{tcp}/tcp\n")));
    let firewalld = text("packaging/firewalld/homie.xml");
    assert!(firewalld.contains(&format!("protocol=\"udp\" port=\"{udp}\"")), "{firewalld}");
    assert!(firewalld.contains(&format!("protocol=\"tcp\" port=\"{tcp}\"")), "{firewalld}");
}

#[test]
fn the_files_of_other_formats_parse() {
    if has("python3") {
        let code = "import plistlib,sys,xml.dom.minidom as x\n\
                    p=plistlib.load(open(sys.argv[1],'rb'))\n\
                    assert p['ProgramArguments']==['/usr/local/bin/homied'] and p['KeepAlive']=={'SuccessfulExit':False}\n\
                    x.parse(sys.argv[2])";
        let file = |path: &str| root().join(path).to_str().expect("utf-8").to_owned();
        let plist = file("launchd/io.github.homie-compute.homied.plist");
        let (good, said) = run("python3", &["-c", code, &plist, &file("packaging/firewalld/homie.xml")]);
        assert!(good, "{said}");
    }
}

#[test]
fn installing_puts_each_file_in_its_place_and_removing_leaves_none() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script = |args: &[&str]| {
        let out = Command::new(root().join("packaging/install-files.sh"))
            .args(args)
            .env("DESTDIR", dir.path())
            .env("PREFIX", "/opt/homie")
            .output()
            .expect("script");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    script(&[]);
    let at = |path: &str| dir.path().join(path);
    let unit = fs::read_to_string(at("opt/homie/lib/systemd/system/homied.service")).expect("unit");
    assert!(unit.contains("\nExecStart=/opt/homie/bin/homied\n"), "{unit}");
    let places = [
        "opt/homie/lib/systemd/user/homied.service",
        "opt/homie/lib/sysusers.d/homie.conf",
        "opt/homie/lib/tmpfiles.d/homie.conf",
        "opt/homie/lib/firewalld/services/homie.xml",
        "etc/ufw/applications.d/homie",
        "etc/apparmor.d/homied",
    ];
    for place in places {
        assert!(at(place).is_file(), "{place}");
    }
    script(&["remove"]);
    for place in places {
        assert!(!at(place).exists(), "{place}");
    }
    if has("systemd-sysusers") {
        let conf = root().join("systemd/sysusers.d/homie.conf");
        fs::create_dir_all(at("etc")).expect("mkdir");
        let root_flag = format!("--root={}", dir.path().display());
        let (good, said) = run("systemd-sysusers", &[&root_flag, conf.to_str().expect("utf-8")]);
        assert!(good, "{said}");
        let passwd = fs::read_to_string(at("etc/passwd")).expect("passwd");
        assert!(passwd.lines().any(|l| l.starts_with("homie:") && l.contains(":/var/lib/homie:")), "{passwd}");
    }
}

//! homie-init: process 1 of a job's container.
//!
//! A program of its own, static and without any crate, because it is bind-mounted into images that may hold no C library
//! or another one. It waits for its order (see `protocol`), starts the job's program, reaps orphans, and ends with it.
//! Whoever waits too long ends, too: a container that was started ahead must not outlive a homied that was killed.
//!
//! `homie-init SECONDS`: how long to wait for an order.
//!
//! It runs as the job's user in the job's jail and trusts nobody: it is not dumpable, so the job cannot look into it or
//! at its descriptors (proc(5)), and the kernel keeps signals of the job away from process 1 (pid_namespaces(7)).

mod protocol;
mod sys;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};

use protocol::{ERR, GO, IN, MAX_ORDER, OUT, Order, PLACE, STATUS, Said};

/// Nobody came with an order.
const UNUSED: i32 = 0;
/// Whatever goes wrong here; nobody reads it but a person with `docker ps -a`.
const BROKEN: i32 = 125;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(60);
    exit(serve(Path::new(PLACE), seconds).unwrap_or(BROKEN));
}

/// Serves one order and returns the code to end with.
fn serve(place: &Path, seconds: u32) -> io::Result<i32> {
    sys::be_opaque()?;
    let children = sys::children()?;
    // Without O_NONBLOCK the open would wait for the supervisor, for ever.
    let mut orders = OpenOptions::new().read(true).custom_flags(sys::O_NONBLOCK).open(place.join(IN))?;
    let first = sys::wait_readable(&[orders.as_raw_fd()], Some(seconds))?;
    let mut go = [0];
    if !first[0] || orders.read(&mut go)? != 1 || go[0] != GO {
        return Ok(UNUSED);
    }
    let write = |name: &str| OpenOptions::new().write(true).open(place.join(name));
    let (mut status, out, err) = (write(STATUS)?, write(OUT)?, write(ERR)?);
    status.write_all(&Said::Ready.encode())?;
    let Some(order) = read_order(&mut orders, seconds)? else { return Ok(UNUSED) };
    let main = match start(&order, out, err) {
        Ok(pid) => pid,
        Err(e) => {
            status.write_all(&Said::Failed(e.raw_os_error().unwrap_or_default()).encode())?;
            return Ok(BROKEN);
        }
    };
    drop(order);
    status.write_all(&Said::Started.encode())?;
    loop {
        let [child, supervisor] = sys::wait_readable(&[children.as_raw_fd(), orders.as_raw_fd()], None)?;
        if child {
            sys::drain(&children);
            while let Some((pid, ended)) = sys::reap() {
                if pid == main {
                    status.write_all(&Said::Ended(ended).encode())?;
                    return Ok(code_of(ended));
                }
            }
        }
        if supervisor {
            // Nothing more is ever said on it: the supervisor is gone, or wants the job to be.
            return Ok(128 + 9);
        }
    }
}

fn read_order(orders: &mut File, seconds: u32) -> io::Result<Option<Order>> {
    let mut fill = |buffer: &mut [u8]| -> io::Result<bool> {
        let mut at = 0;
        while at < buffer.len() {
            if !sys::wait_readable(&[orders.as_raw_fd()], Some(seconds))?[0] {
                return Ok(false);
            }
            match orders.read(&mut buffer[at..]) {
                Ok(0) => return Ok(false),
                Ok(n) => at += n,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    };
    let mut len = [0; 4];
    if !fill(&mut len)? || u32::from_le_bytes(len) as usize > MAX_ORDER {
        return Ok(None);
    }
    let mut body = vec![0; u32::from_le_bytes(len) as usize];
    Ok(if fill(&mut body)? { Order::decode(&body) } else { None })
}

/// Starts the program; its process id. The standard library undoes our signal mask in the child and reports what
/// execve(2) says.
fn start(order: &Order, out: File, err: File) -> io::Result<i32> {
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let Some((program, args)) = order.command.split_first() else { return Err(io::ErrorKind::NotFound.into()) };
    let mut command = Command::new(text(program));
    command.args(args.iter().map(|a| text(a))).current_dir(text(&order.dir));
    command.envs(order.vars.iter().map(|(name, value)| (text(name), text(value))));
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    Ok(command.spawn()?.id() as i32)
}

/// As a shell says it.
fn code_of(status: i32) -> i32 {
    let signal = status & 0x7f;
    if signal == 0 { (status >> 8) & 0xff } else { 128 + signal }
}

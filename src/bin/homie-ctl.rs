//! `homie-ctl`, installed also as `homie`: the client of homied.

use std::process::ExitCode;

fn main() -> ExitCode {
    homie::ctl::main(std::env::args_os())
}

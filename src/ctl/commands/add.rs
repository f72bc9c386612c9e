//! `homie add`: a machine that broadcasts do not reach, by its address.

use super::list_direct;
use crate::ctl::args::AddArgs;
use crate::ctl::config_file::check_name;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::wire::ipc::{AddPeer, DirectPeer, method};
use std::process::ExitCode;

/// Runs it.
///
/// # Errors
/// The address or name is none, no homied answers, or it refuses.
pub async fn run(ctx: &Context, args: AddArgs) -> Result<ExitCode, CtlError> {
    check_address(&args.address).map_err(|why| {
        CtlError::usage_hint(
            format!("{:?} is not an address: {why}", args.address),
            "write 100.64.1.2, 100.64.1.2:5556, bob.example or [fd7a::1]:5556",
        )
    })?;
    if let Some(name) = &args.name {
        check_name(name).map_err(CtlError::usage)?;
    }
    let mut homied = ctx.connect().await?;
    let request = AddPeer { address: args.address.clone(), name: args.name.clone() };
    let peer: DirectPeer = homied.call(method::PEERS_ADD, &request).await?;
    if ctx.json {
        return ctx.print_list("peers", &[list_direct::json_row(&peer)]).map(|()| ExitCode::SUCCESS);
    }
    let name = peer.name.as_deref().map(|n| format!(" as {n}")).unwrap_or_default();
    ctx.print(&format!("{} Added {}{name}\n", ctx.out.tick(), peer.address))?;
    if !peer.linked {
        ctx.note("It is dialled from now on; `homie list-direct` shows whether it answers.");
    }
    ctx.note("The machines it knows appear in `homie peers` by themselves: members introduce each other.");
    Ok(ExitCode::SUCCESS)
}

/// What can be seen of an address without asking anybody.
fn check_address(text: &str) -> Result<(), &'static str> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').ok_or("a bracket is open")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| "only an IPv6 address goes into brackets")?;
        (
            host,
            tail.strip_prefix(':')
                .or(tail.is_empty().then_some("5556"))
                .ok_or("what follows the bracket is no port")?,
        )
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        (text, "5556")
    } else {
        text.split_once(':').unwrap_or((text, "5556"))
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.starts_with('-') || !host.chars().all(is_name) {
        return Err("a host has letters, digits, dots and dashes");
    }
    match port.parse::<u16>() {
        Ok(p) if p > 0 => Ok(()),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_told_from_mistakes() {
        for good in ["100.64.1.2", "100.64.1.2:5556", "bob", "bob.example:80", "fd7a::1", "[fd7a::1]", "[fd7a::1]:5556"]
        {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in
            ["", ":5556", "bob:", "bob:0", "bob:70000", "bob:x", "[fd7a::1", "[bob]:1", "a b", "http://bob", "-x"]
        {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(text in "\\PC*|[\\[\\]:a0.]{0,9}") {
            let _ = check_address(&text);
        }
    }
}

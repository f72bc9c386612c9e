//! What to do about an address at which nobody answered (pure).

use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::model::{DEFAULT_WORKER_PORT, is_tailnet};

/// The next step when a dial of `target` (`HOST:PORT`) ended with an error of this kind.
pub(super) fn unreached(target: &str, kind: ErrorKind) -> String {
    let port = target.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(DEFAULT_WORKER_PORT);
    let silent = matches!(kind, ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable);
    if silent && on_tailnet(target) {
        // What blocks a tailnet is seldom a firewall: its packets come in by a connection that Tailscale made.
        return format!(
            "that is an address of a tailnet: look at `tailscale status` on both machines, and where the other one is not \
active, restart Tailscale (`sudo systemctl restart tailscaled`); then whether homied is up there and TCP {port} is open"
        );
    }
    match kind {
        ErrorKind::ConnectionRefused => format!(
            "the machine is there, but nobody listens on TCP {port}: is `homie up` running there, and is {port} its \
`worker_port`? a firewall that rejects looks the same"
        ),
        ErrorKind::TimedOut => format!(
            "nothing came back: is the machine on, is the address right, and does its firewall let UDP 5555 and TCP {port} \
through? there: `sudo ufw allow Homie`, or `sudo firewall-cmd --permanent --add-service=homie` and `--reload`"
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => format!(
            "no way leads there: is the machine on, is the VPN up on both, is the address in a network that this machine \
has? firewalld looks the same where it keeps TCP {port} shut: there `sudo firewall-cmd --permanent --add-service=homie` and `--reload`"
        ),
        _ => format!("is homied running there, and do both firewalls let TCP {port} through?"),
    }
}

/// Whether a target is an address of a tailnet, or a name that only a tailnet has.
fn on_tailnet(target: &str) -> bool {
    match target.parse::<SocketAddr>() {
        Ok(addr) => is_tailnet(addr.ip().to_canonical()),
        Err(_) => target.rsplit_once(':').map_or(target, |(host, _)| host).to_ascii_lowercase().ends_with(".ts.net"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_silent_and_out_of_reach_are_three_different_things() {
        for (kind, part) in [
            (ErrorKind::ConnectionRefused, "nobody listens on TCP 7000: is `homie up` running there"),
            (ErrorKind::TimedOut, "UDP 5555 and TCP 7000 through? there: `sudo ufw allow Homie`"),
            (ErrorKind::HostUnreachable, "is the VPN up on both"),
            (ErrorKind::NetworkUnreachable, "is the VPN up on both"),
            (ErrorKind::PermissionDenied, "both firewalls let TCP 7000 through"),
        ] {
            let hint = unreached("192.168.1.7:7000", kind);
            assert!(hint.contains(part) && !hint.contains("tailscale"), "{kind}: {hint}");
        }
    }

    #[test]
    fn an_address_of_a_tailnet_that_is_silent_is_a_matter_for_tailscale() {
        let addresses =
            ["100.64.0.7:5556", "[fd7a:115c:a1e0::7]:5556", "[::ffff:100.100.1.2]:5556", "raj.tail12.ts.net:5556"];
        for at in addresses {
            for kind in [ErrorKind::TimedOut, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable] {
                let hint = unreached(at, kind);
                assert!(hint.contains("`tailscale status` on both") && hint.contains("tailscaled`"), "{at}: {hint}");
            }
            // Whoever refuses is there, so the tailnet works.
            assert!(!unreached(at, ErrorKind::ConnectionRefused).contains("tailscale"), "{at}");
        }
        for at in ["100.128.0.7:5556", "[fd7a::7]:5556", "10.0.0.1:5556", "ts.net.example:5556"] {
            assert!(!unreached(at, ErrorKind::TimedOut).contains("tailscale"), "{at}");
        }
    }
}

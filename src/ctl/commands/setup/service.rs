//! The offer to start homied with the machine.

use std::fs;
use std::path::PathBuf;

use super::ask;
use crate::ctl::args::SetupArgs;
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::ctl::homied::{Service, find_homied};
use crate::paths::{Places, Surroundings};

/// Offers or does it, as the flags say; says why not where that was asked for and cannot be done.
///
/// # Errors
/// It was asked for, and systemd is not there or refuses.
pub(super) async fn offer(
    ctx: &Context,
    args: &SetupArgs,
    around: &Surroundings,
    places: &Places,
    asking: bool,
) -> Result<(), CtlError> {
    if args.no_service || !(args.service || asking) {
        return Ok(());
    }
    let Some(service) = Service::fitting(places.kind) else {
        if args.service {
            return Err(CtlError::usage_hint(
                "systemd does not look after this machine's services (or HOMIE_HOME is set)",
                "`homie up` starts homied without it",
            ));
        }
        return Ok(());
    };
    let wanted = args.service
        || ask::choose(&format!("Start Homie whenever {}", service.when()), &["yes", "no"], "yes")? == "yes";
    if !wanted {
        return Ok(());
    }
    if !service.is_installed().await {
        install(service, around)?;
    }
    service.enable().await?;
    let done = format!("Homie starts whenever {}", service.when());
    if ctx.json {
        // Standard output is for the document.
        ctx.note(&done);
        return Ok(());
    }
    ctx.print(&format!("{} {done}\n", ctx.out.tick()))
}

/// Puts a unit for this very homied where systemd looks. Packages bring their own, hardened further.
fn install(service: Service, around: &Surroundings) -> Result<(), CtlError> {
    let dir = service
        .unit_dir(around.home.as_deref())
        .ok_or_else(|| CtlError::usage("no home directory is known; set HOME"))?;
    let homied = find_homied()?;
    fs::create_dir_all(&dir).map_err(|e| CtlError::io(format!("cannot create {}", dir.display()), e))?;
    let path: PathBuf = dir.join("homied.service");
    fs::write(&path, unit(service, &homied.display().to_string()))
        .map_err(|e| CtlError::io(format!("cannot write {}", path.display()), e))
}

/// A plain unit. Jobs outlive homied under their supervisors, so only homied itself is stopped with the unit.
fn unit(service: Service, homied: &str) -> String {
    let (environment, target) = match service {
        Service::System => ("Environment=HOMIE_SYSTEM=1\n", "multi-user.target"),
        Service::User => ("", "default.target"),
    };
    // systemd reads specifiers and variables in ExecStart.
    let homied = homied.replace('%', "%%").replace('$', "$$").replace('"', "\\\"");
    format!(
        "[Unit]\nDescription=Homie: lend and borrow idle machines\nAfter=network.target\n\n\
         [Service]\nType=notify\nExecStart=\"{homied}\"\nExecReload=kill -HUP $MAINPID\n{environment}\
         Restart=on-failure\nKillMode=process\nDelegate=yes\n\n[Install]\nWantedBy={target}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_names_this_very_homied() {
        let text = unit(Service::System, "/opt/ho mie/100%/homied");
        assert!(text.contains("ExecStart=\"/opt/ho mie/100%%/homied\"\n"), "{text}");
        assert!(text.contains("HOMIE_SYSTEM=1") && text.contains("multi-user.target"), "{text}");
        assert!(!unit(Service::User, "/h").contains("HOMIE_SYSTEM"));
    }
}

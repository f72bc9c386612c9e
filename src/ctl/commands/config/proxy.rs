//! The proxy in force, login and all. homied shows its settings without the login, which stands in the file alone.

use std::path::Path;

use super::change::{edit_error, store_error};
use super::connect_if_up;
use crate::ctl::config_file::{self, config_path};
use crate::ctl::context::Context;
use crate::ctl::exit::CtlError;
use crate::paths::Surroundings;
use crate::wire::ipc::{ConfigRow, method};

/// `auto`, `direct` or the URL of the proxy: what homied runs with; without homied, what its file says.
///
/// # Errors
/// homied refuses; without it, its file cannot be read.
pub async fn proxy(ctx: &Context) -> Result<String, CtlError> {
    let Some(mut homied) = connect_if_up(ctx).await? else {
        let path = config_path(&Surroundings::current(), None).map_err(|e| CtlError::usage(e.to_string()))?;
        return Ok(written(&path)?.unwrap_or_else(|| "auto".into()));
    };
    let rows: Vec<ConfigRow> = homied.call_rows(method::CONFIG, &()).await?;
    let row = rows.iter().find(|row| row.key == "proxy");
    let Some((shown, origin)) = row.and_then(|row| Some((row.value.as_str()?, row.origin.as_str()))) else {
        return Ok("auto".into());
    };
    if !shown.contains("://") {
        return Ok(shown.to_owned());
    }
    // FILE:LINE; whatever else it is names no file.
    let path = origin.rsplit_once(':').map_or("", |(path, _)| path);
    match written(Path::new(path)) {
        Ok(Some(url)) if without_login(&url) == shown => Ok(url),
        _ => {
            ctx.note(&format!("{shown} comes from {origin}, which cannot be read from here: it has no login now"));
            Ok(shown.to_owned())
        }
    }
}

fn written(path: &Path) -> Result<Option<String>, CtlError> {
    let text = config_file::read(path).map_err(store_error)?.unwrap_or_default();
    config_file::get(&text, "proxy").map_err(|e| edit_error(path, &e))
}

/// As homied shows the URL of a proxy: without login and without a slash at its end.
pub(super) fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let at = rest.rsplit_once('@').map_or(rest, |(_, at)| at);
    format!("{scheme}://{}", at.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_of_a_proxy_is_left_out_as_homied_leaves_it_out() {
        for url in ["auto", "direct", "socks5h://localhost:1055", "http://[fd00::1]:3128"] {
            assert_eq!(without_login(url), url);
        }
        for url in ["http://me:hunter2@proxy:8888", "http://me:p%40@proxy:8888/", "http://me:p@ss@proxy:8888"] {
            assert_eq!(without_login(url), "http://proxy:8888", "{url}");
        }
    }
}

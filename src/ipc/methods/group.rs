//! Who comes into the group, who must go, and who may do what here.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::Value;

use super::value;
use crate::ipc::session::{Session, answer, params};
use crate::link::messages::{JoinGroup, KickPeer, OpenInvite};
use crate::mailbox::ask_outlet;
use crate::model::Token;
use crate::registry::messages::SetRoles;
use crate::wire::group::{InviteParams, InviteView, Invited, JoinParams, KickParams, RoleParams};
use crate::wire::ipc::Request;
use crate::wire::refusal::{Refusal, RefusalKind};

/// Who is put out is so at once, and then every member that is there is told, each with its own limit. Joining dials every address of a token at once: resolve, connect, handshake and one answer, each with its own limit.
const GROUP: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) async fn invite(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let InviteParams { at, qr } = params(request)?;
    let Invited { token, addresses, good_for_ms } =
        session.ask(&session.shared.parts.outlets.invite, OpenInvite { at }).await??;
    // In capitals, which a QR code packs closer; a token is read in either case.
    let qr = qr.then(|| QrCode::new(token.to_ascii_uppercase()).ok()).flatten().map(|code| picture(&code));
    value(&InviteView { token, addresses, good_for_ms, qr })
}

/// Two modules in each character, with the margin that readers want.
fn picture(code: &QrCode) -> String {
    code.render::<Dense1x2>().quiet_zone(true).build()
}

pub(super) async fn join(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let JoinParams { token } = params(request)?;
    let token: Token = token.parse().map_err(|e: crate::model::TokenError| {
        Refusal::new(RefusalKind::BadRequest, e.to_string()).hint("`homie invite` on a friend's machine makes one")
    })?;
    let joined = answer(ask_outlet(&session.shared.parts.outlets.join, JoinGroup { token }, GROUP).await)??;
    value(&joined)
}

pub(super) async fn kick(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let KickParams { name } = params(request)?;
    value(&answer(ask_outlet(&session.shared.parts.outlets.kick, KickPeer { name }, GROUP).await)??)
}

pub(super) async fn role(session: &Session, request: &Request) -> Result<Value, Refusal> {
    let RoleParams { name, roles } = params(request)?;
    value(&session.ask(&session.shared.parts.outlets.set_roles, SetRoles { name, roles }).await??)
}

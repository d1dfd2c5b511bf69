//! What can be asked of a running instance, whoever asks: the process that has the home open, or another one through
//! the control socket.

mod chat;
mod contacts;
mod debug;
mod invitations;
pub(crate) mod invite;
mod join;
pub(crate) mod objects;
pub(crate) mod sync;

use std::sync::Arc;

use crate::control::Request;
use crate::event::Event;
use crate::failure::Failure;
use crate::peer::Peer;

/// Where the events of an operation go.
pub(crate) type Emit = Arc<dyn Fn(Event) + Send + Sync>;

/// Does what is asked.
///
/// # Errors
/// Why it could not be done.
pub(crate) async fn perform(peer: &Peer, request: Request, emit: &Emit) -> Result<(), Failure> {
    match request {
        Request::Whoami => {
            emit(
                peer.with(|node, _| Event::identity(node.identity()))
                    .await?,
            );
            Ok(())
        }
        Request::Contacts => contacts::list(peer, emit).await,
        Request::Merge { one, other } => contacts::merge(peer, &one, &other, emit).await,
        Request::Split { contact, persons } => {
            contacts::split(peer, &contact, &persons, emit).await
        }
        Request::Forget {
            person,
            delete_history,
        } => contacts::forget(peer, &person, delete_history, emit).await,
        Request::Invitations => invitations::list(peer, emit).await,
        Request::Revoke { id } => invitations::revoke(peer, &id, emit).await,
        Request::RevokeAll => invitations::revoke_all(peer, emit).await,
        Request::Invite(how) => invite::invite(peer, how, emit).await,
        Request::Join { invitation } => join::join(peer, &invitation, emit).await,
        Request::Put(put) => objects::put(peer, put, emit).await,
        Request::Share { hash, person } => objects::share(peer, &hash, &person, emit).await,
        Request::Unshare { hash, person } => objects::unshare(peer, &hash, &person, emit).await,
        Request::Get { hash } => objects::get(peer, &hash, emit),
        Request::Chat(what) => chat::chat(peer, what, emit).await,
        Request::Debug { person } => debug::debug(peer, &person, emit).await,
        Request::List => objects::list(peer, emit).await,
    }
}

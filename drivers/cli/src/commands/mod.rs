//! The commands, as processes: what each starts, and what ends it.

mod at_home;
mod chat;
mod demo;
mod explain;
mod get;
mod init;
mod relay;
mod run;
mod sim;
mod tls;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use self::at_home::at_home;
use crate::args::{Cli, Command, Contacts, ContactsChange, Use};
use crate::control::{Invite, Put, Request};
use crate::failure::Failure;
use crate::operations::Emit;
use crate::output::Output;
use crate::secret_text::SecretText;

/// An invitation is shorter than this, in whatever form.
const LONGEST_INVITATION: u64 = 32 * 1024;

/// Does what the command line says.
///
/// # Errors
/// Why it could not be done.
pub(crate) async fn execute(cli: Cli, output: Output) -> Result<(), Failure> {
    let (home, how, request) = match cli.command {
        Command::Relay(args) => return relay::relay(args, output).await,
        Command::Init(args) => return init::init(args, output),
        Command::Run(args) => return run::run(args, output).await,
        Command::Demo => return demo::demo(output).await,
        Command::Explain { traces } => return explain::explain(&traces, output),
        Command::Sim { command } => return sim::sim(command, output),
        Command::Whoami(home) => (home, Use::default(), Request::Whoami),
        Command::Contacts(Contacts { home, change }) => {
            let (home, request) = match (home, change) {
                (Some(home), None) => (home, Request::Contacts),
                (_, Some(ContactsChange::Merge { home, one, other })) => {
                    (home, Request::Merge { one, other })
                }
                (
                    _,
                    Some(ContactsChange::Split {
                        home,
                        contact,
                        persons,
                    }),
                ) => (home, Request::Split { contact, persons }),
                (None, None) => return Err(Failure::usage("which home? Give --home DIR")),
            };
            (home, Use::default(), request)
        }
        Command::Forget(args) => (
            args.home,
            Use::default(),
            Request::Forget {
                person: args.person,
                delete_history: args.delete_history,
            },
        ),
        Command::Invitations(args) => {
            let request = match args.revoke {
                Some(id) => Request::Revoke { id },
                None if args.revoke_all => Request::RevokeAll,
                None => Request::Invitations,
            };
            (args.home, Use::default(), request)
        }
        Command::Invite(args) => {
            let invite = Invite {
                relay: args.relay,
                listen: args.listen,
                url: args.url,
                expires: args.expires,
                linger: args.linger,
            };
            (args.home, args.how, Request::Invite(invite))
        }
        Command::Chat(args) => return chat::chat(args, output).await,
        Command::Get(args) => return get::get(args, output).await,
        Command::Debug(args) => {
            let person = args.person;
            (args.home, args.how, Request::Debug { person })
        }
        Command::Ls(home) => (home, Use::default(), Request::List),
        Command::Put(args) => {
            let put = Put {
                paths: absolute(&args.paths)?,
                text: args.text,
                share: args.share,
            };
            (args.home, Use::default(), Request::Put(put))
        }
        Command::Share(args) => {
            let (hash, person) = (args.hash, args.person);
            (args.home, Use::default(), Request::Share { hash, person })
        }
        Command::Unshare(args) => {
            let (hash, person) = (args.hash, args.person);
            (args.home, Use::default(), Request::Unshare { hash, person })
        }
        Command::Join(args) => {
            let invitation = match args.invitation.as_str() {
                "-" => from_stdin()?,
                _ => args.invitation.into(),
            };
            (args.home, args.how, Request::Join { invitation })
        }
    };
    let emit: Emit = Arc::new(move |event| output.event(&event));
    at_home(&home.home, how, request, emit).await
}

/// Paths that mean the same in the process that has the home open.
fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    paths
        .iter()
        .map(|path| {
            path.canonicalize().map_err(|error| {
                let path = path.display();
                Failure::new("unreadable", format_args!("{path} cannot be read: {error}"))
            })
        })
        .collect()
}

fn from_stdin() -> Result<SecretText, Failure> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(LONGEST_INVITATION)
        .read_to_string(&mut text)
        .map_err(|error| {
            Failure::new(
                "bad_invitation",
                format_args!("the standard input cannot be read: {error}"),
            )
        })?;
    Ok(std::mem::take(&mut *text).into())
}

//! The commands, as processes: what each starts, and what ends it.

mod at_home;
mod demo;
mod explain;
mod init;
mod relay;
mod run;
mod sim;
mod tls;

use std::io::Read as _;

use zeroize::Zeroizing;

use self::at_home::at_home;
use crate::args::{Cli, Command, Use};
use crate::control::{Invite, Request};
use crate::failure::Failure;
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
        Command::Contacts(home) => (home, Use::default(), Request::Contacts),
        Command::Forget(args) => (
            args.home,
            Use::default(),
            Request::Forget {
                person: args.person,
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
        Command::Join(args) => {
            let invitation = match args.invitation.as_str() {
                "-" => from_stdin()?,
                _ => args.invitation.into(),
            };
            (args.home, args.how, Request::Join { invitation })
        }
    };
    at_home(&home.home, how, request, output).await
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

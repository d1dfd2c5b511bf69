//! The command line.

use std::ops::Range;
use std::path::PathBuf;

use chumwire::limits;
use chumwire::time::Micros;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

use crate::traces::Traces;

/// A relay, pairing, and a headless instance for the ONE platform.
#[derive(Parser)]
#[command(name = "chumwire", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Print one JSON object a line, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more on stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a relay (CommServer)
    Relay(Relay),
    /// Make a home: an identity with new keys
    Init(Init),
    /// Show who a home is
    Whoami(Home),
    /// Invite somebody, and wait until they have joined
    Invite(Invite),
    /// Use an invitation
    Join(Join),
    /// List the contacts, or make several one, or one several
    Contacts(Contacts),
    /// Remove a contact, with all its persons
    Forget(Forget),
    /// List the open invitations, or take them back
    Invitations(Invitations),
    /// Put files in, each as a blob with a descriptor
    Put(Put),
    /// Let a contact have an object
    Share(Share),
    /// Take an object back from a contact; what it has already, it keeps
    Unshare(Share),
    /// Take a file or an object out
    Get(Get),
    /// List the files
    Ls(Home),
    /// Talk with a contact: history first, then line by line
    Chat(Chat),
    /// Look at what a contact lets this home see; the contact has to run with --serve-debug
    Debug(Debug),
    /// Stay online, in step with all contacts, until SIGINT or SIGTERM
    Run(Run),
    /// Pair two instances through a relay on this machine, let them exchange a file, and show every message
    Demo,
    /// Simulate relay races, and look at traces
    Sim {
        #[command(subcommand)]
        command: Sim,
    },
    /// Say what went wrong in a trace, whose fault it is, and what to do
    Explain {
        /// A trace, simulated or of --trace; several of one event, of both sides and the relay, tell more
        #[arg(value_name = "FILE", required = true)]
        traces: Vec<PathBuf>,
    },
}

/// What to do with the simulator.
#[derive(Subcommand)]
pub(crate) enum Sim {
    /// List the scenarios, and what can be explored
    List,
    /// Run a scenario, or all
    Run(SimRun),
    /// Walk every order and up to K faults of a small scenario, breadth first
    Explore(SimExplore),
    /// Make a failing run as short as it gets, and write it down: the fewest choices that fail in the same way
    Shrink(SimShrink),
    /// Run a trace again, and see whether the same happens: a simulated one, or one of --trace-secrets
    Replay {
        /// The trace
        #[arg(value_name = "FILE")]
        trace: PathBuf,
    },
    /// Draw a trace as a sequence diagram, or as a page to step through
    Draw {
        /// The trace, or those of several machines
        #[arg(value_name = "FILE", required = true)]
        traces: Vec<PathBuf>,
        /// Write an HTML page with the picture and the diagnosis here, for a browser
        #[arg(long, value_name = "OUT")]
        html: Option<PathBuf>,
    },
    /// Show where two traces part
    Diff {
        /// The one
        #[arg(value_name = "A")]
        one: PathBuf,
        /// The other
        #[arg(value_name = "B")]
        other: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct SimRun {
    /// The scenario's name, or `all`
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Run this seed
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
    /// Run these seeds, the last one excluded [default: 0..1]
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(crate) seeds: Option<Range<u64>>,
    /// A fault that all links have besides, with its rate from 0 to 1; then only the invariants are checked
    #[arg(long, value_name = "NAME=RATE", num_args = 1..)]
    pub(crate) fault: Vec<String>,
    /// The reorder window of all nodes [default: what each scenario is about]
    #[arg(long, value_name = "W", value_parser = window())]
    pub(crate) reorder_window: Option<usize>,
    /// Where choices come from
    #[arg(long, value_enum, default_value_t = Source::Seeded)]
    pub(crate) chooser: Source,
    /// Write down the run, or the first one that fails
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Run only the I-th of N parts of the seeds; I counts from 0, and N stands for 0
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<(u64, u64)>,
}

/// What is explored, and how far.
#[derive(Args)]
pub(crate) struct SimExplore {
    /// What is explored, or `all`; `chumwire sim list` names what can be
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How many faults may strike in one history
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=8))]
    pub(crate) faults: u32,
    /// How many moves a history may have [default: any number]
    #[arg(long, value_name = "D")]
    pub(crate) depth: Option<u32>,
    /// How many states are looked at [default: any number]
    #[arg(long, value_name = "N")]
    pub(crate) states: Option<usize>,
    /// How long it may take, in seconds [default: any time]
    #[arg(long, value_name = "S")]
    pub(crate) seconds: Option<u64>,
    /// How much memory it may take, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 4096)]
    pub(crate) memory: u64,
    /// Walk only the I-th of N parts, which differ by the first fault; I counts from 0, and N stands for 0
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<(u64, u64)>,
    /// Where it is put away every minute and at the end; what is there is gone on with
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Where the shortest run that breaks a rule goes: a trace, to be replayed, explained, drawn
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

/// Which run is made short. A scenario needs a seed or bytes; a trace has everything that its run needs.
#[derive(Args)]
pub(crate) struct SimShrink {
    /// The name of a scenario, with --seed or --bytes; or a trace of `sim run`, `sim explore` or `sim shrink`, alone
    #[arg(value_name = "NAME|FILE")]
    pub(crate) source: String,
    /// The run of this seed
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The run of these bytes, each of which is a choice, as a fuzzer has them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "chooser"])]
    pub(crate) bytes: Option<PathBuf>,
    /// A fault that all links have besides, as the run had it
    #[arg(long, value_name = "NAME=RATE", num_args = 1..)]
    pub(crate) fault: Vec<String>,
    /// The reorder window of all nodes, as the run had it
    #[arg(long, value_name = "W", value_parser = window())]
    pub(crate) reorder_window: Option<usize>,
    /// Where the choices of the seed come from, as the run had it [default: seeded]
    #[arg(long, value_enum)]
    pub(crate) chooser: Option<Source>,
    /// Where the short run goes: a trace, to be replayed, explained, drawn
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Runs that are tried at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) tries: usize,
}

/// Where the choices of a simulated run come from.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// Each from the seed
    Seeded,
    /// By the seed, some kinds of faults never happen and others often
    Swarm,
    /// By priorities that the seed draws, with three changes: who comes first, comes first for long
    Pct,
}

fn seeds(text: &str) -> Result<Range<u64>, &'static str> {
    let form = "two numbers are due, as in 0..1000";
    let (from, to) = text.split_once("..").ok_or(form)?;
    let (from, to) = (
        from.parse().map_err(|_| form)?,
        to.parse().map_err(|_| form)?,
    );
    if from < to {
        Ok(from..to)
    } else {
        Err("the second number has to be greater than the first")
    }
}

fn shard(text: &str) -> Result<(u64, u64), &'static str> {
    let form = "two numbers are due, as in 0/4";
    let (part, parts) = text.split_once('/').ok_or(form)?;
    let (part, parts): (u64, u64) = (
        part.parse().map_err(|_| form)?,
        parts.parse().map_err(|_| form)?,
    );
    if parts == 0 || part > parts {
        return Err("there is no such part");
    }
    Ok((part % parts, parts))
}

/// The directory of an instance.
#[derive(Args)]
pub(crate) struct Home {
    /// The directory with the identity, the contacts and the invitations
    #[arg(long, value_name = "DIR")]
    pub(crate) home: PathBuf,
}

/// How an instance that uses the network is run.
#[derive(Args, Clone, Default)]
pub(crate) struct Use {
    /// Trust the certificate authorities in this file alone
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Bear frames that are up to W places out of order; 0 is strict order
    #[arg(long, value_name = "W", default_value_t = 0, value_parser = window())]
    pub(crate) reorder_window: usize,
    #[command(flatten)]
    pub(crate) traces: Traces,
}

impl Use {
    /// The first option that was given: they are for a process that has the home to itself.
    pub(crate) const fn first_option(&self) -> Option<&'static str> {
        if self.tls_ca.is_some() {
            Some("--tls-ca")
        } else if self.reorder_window > 0 {
            Some("--reorder-window")
        } else if self.traces.trace.is_some() {
            Some("--trace")
        } else if self.traces.trace_secrets.is_some() {
            Some("--trace-secrets")
        } else {
            None
        }
    }
}

/// A reorder window within its bounds.
pub(crate) fn window() -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser as _;
    clap::value_parser!(u64)
        .range(0..=limits::REORDER_WINDOW as u64)
        .map(|window| usize::try_from(window).unwrap_or(limits::REORDER_WINDOW))
}

#[derive(Args)]
pub(crate) struct Relay {
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: String,
    /// The certificate chain, for wss://
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Connections in all
    #[arg(long, value_name = "N", default_value_t = chumwire::limits::RELAY_CONNECTIONS)]
    pub(crate) max_connections: usize,
    /// Connections from one address, 0 for any number [default: 256; any number on a loopback address]
    #[arg(long, value_name = "N")]
    pub(crate) per_address: Option<usize>,
    /// New connections from one address in a second, 0 for any number [default: 10; any number on a loopback
    /// address]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// Spare connections of one listener
    #[arg(long, value_name = "N", default_value_t = chumwire::limits::RELAY_SPARES_PER_KEY)]
    pub(crate) spares_per_key: usize,
    /// Seconds between pings of a spare connection
    #[arg(long, value_name = "S", default_value_t = seconds(limits::RELAY_PING), value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) ping_interval: u64,
    /// Seconds after which a pair that is silent is closed
    #[arg(long, value_name = "S", default_value_t = seconds(limits::RELAY_IDLE), value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) idle: u64,
    #[command(flatten)]
    pub(crate) traces: Traces,
}

#[derive(Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The email that the person is known by; another email is another person
    #[arg(long)]
    pub(crate) email: String,
    /// The name of this device [default: the name of the machine]
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Args)]
#[command(group = ArgGroup::new("way").args(["relay", "listen"]))]
pub(crate) struct Invite {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The relay at which to wait
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
    /// Wait here for a direct connection; port 0 picks one
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// What the invitation says instead of the address of --listen or --relay
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Seconds for which the invitation can be used
    #[arg(long, value_name = "S", default_value_t = seconds(limits::INVITATION_LIFE), value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(crate) expires: u64,
    /// Seconds to stay after the invitation was used or has expired, so that latecomers are told
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) linger: u64,
    #[command(flatten)]
    pub(crate) how: Use,
}

#[derive(Args)]
pub(crate) struct Join {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The invitation: its JSON or its link; `-` reads it from the standard input
    #[arg(value_name = "INVITATION")]
    pub(crate) invitation: String,
    #[command(flatten)]
    pub(crate) how: Use,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Contacts {
    #[command(flatten)]
    pub(crate) home: Option<Home>,
    #[command(subcommand)]
    pub(crate) change: Option<ContactsChange>,
}

#[derive(Subcommand)]
pub(crate) enum ContactsChange {
    /// Make two contacts one: one conversation, several persons
    Merge {
        #[command(flatten)]
        home: Home,
        /// A contact: an email, or an id, or 8 or more of its first digits
        #[arg(value_name = "PERSON")]
        one: String,
        /// The other one
        #[arg(value_name = "PERSON")]
        other: String,
    },
    /// Make persons of a contact a contact of their own
    Split {
        #[command(flatten)]
        home: Home,
        /// The contact: an email, or an id, or 8 or more of its first digits
        #[arg(value_name = "CONTACT")]
        contact: String,
        /// Who leaves it
        #[arg(value_name = "PERSON", required = true)]
        persons: Vec<String>,
    },
}

#[derive(Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The person id, 8 or more of its first digits, or the email
    pub(crate) person: String,
    /// Do not show what was said up to now any more, even if it comes back after another pairing
    #[arg(long)]
    pub(crate) delete_history: bool,
}

#[derive(Args)]
pub(crate) struct Invitations {
    #[command(flatten)]
    pub(crate) home: Home,
    /// Take this one back
    #[arg(long, value_name = "ID", conflicts_with = "revoke_all")]
    pub(crate) revoke: Option<String>,
    /// Take all of them back
    #[arg(long)]
    pub(crate) revoke_all: bool,
}

#[derive(Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) home: Home,
    /// Files, and directories with all that is in them
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// As texts: UTF-8 alone, each as a clob
    #[arg(long)]
    pub(crate) text: bool,
    /// Let these contacts have it: emails, or ids, or 8 or more of their first digits
    #[arg(long, value_name = "PERSON", num_args = 1..)]
    pub(crate) share: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Share {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The object, as `put` or `ls` shows it
    #[arg(value_name = "HASH")]
    pub(crate) hash: String,
    /// The contact: an email, or an id, or 8 or more of its first digits
    #[arg(value_name = "PERSON")]
    pub(crate) person: String,
}

#[derive(Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The contact: an email, or an id, or 8 or more of its first digits
    #[arg(value_name = "PERSON")]
    pub(crate) person: String,
    /// Say this, and end
    #[arg(long, value_name = "TEXT")]
    pub(crate) send: Option<String>,
    /// Show what was said, and end
    #[arg(long, conflicts_with = "send")]
    pub(crate) history: bool,
    #[command(flatten)]
    pub(crate) how: Use,
}

#[derive(Args)]
pub(crate) struct Debug {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The contact: an email, or an id, or 8 or more of its first digits
    #[arg(value_name = "PERSON")]
    pub(crate) person: String,
    #[command(flatten)]
    pub(crate) how: Use,
}

#[derive(Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The blob, or the object
    #[arg(value_name = "HASH")]
    pub(crate) hash: String,
    /// Write it to this file instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) home: Home,
    /// The relay at which to wait
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
    /// Take direct connections here; port 0 picks one
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// Where peers reach this instance directly, if not at the address of --listen
    #[arg(long, requires = "listen")]
    pub(crate) url: Option<String>,
    /// End after everything was exchanged once with each contact that can be reached
    #[arg(long)]
    pub(crate) once: bool,
    /// Let contacts look at what they may see (`chumwire debug`)
    #[arg(long)]
    pub(crate) serve_debug: bool,
    /// Seconds that --once may take for it
    #[arg(long, value_name = "S", requires = "once", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) how: Use,
}

/// A default of the library in whole seconds, as options have it.
const fn seconds(time: Micros) -> u64 {
    time.as_millis() / 1000
}

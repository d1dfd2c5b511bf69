//! How events reach the user: a line of JSON each, or sentences. Every line is flushed at once.

use std::io::{self, Write};
use std::sync::OnceLock;

use chumwire::time::Millis;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use zeroize::Zeroizing;

use crate::event::Event;
use crate::failure::Failure;
use crate::progress;
use crate::text::printable;
use crate::time;

/// Where events go.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Lines of JSON, or sentences.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads this.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// Prints an event.
    pub(crate) fn event(self, event: &Event) {
        if let Event::Progress { objects, bytes } = event {
            if !self.json {
                progress::show(*objects, *bytes);
            }
            return;
        }
        progress::hide();
        if self.json {
            // Strings, numbers and lists of them always become JSON.
            let line = Zeroizing::new(serde_json::to_string(event).unwrap_or_default());
            print(std::io::stdout().lock(), &line);
        } else if let Event::Offline { message, .. } = event {
            let retry = "It is tried again every 10 seconds.";
            print(
                std::io::stderr().lock(),
                &printable(format_args!("{message} {retry}")),
            );
        } else {
            print(std::io::stdout().lock(), &sentence(event));
        }
    }

    /// Prints text for people.
    pub(crate) fn text(self, text: &str) {
        print(std::io::stdout().lock(), text);
    }

    /// Prints why it failed.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            self.event(&Event::Error {
                failure: failure.clone(),
            });
        } else {
            let message = format!("chumwire: {}", printable(&failure.message));
            print(std::io::stderr().lock(), &message);
        }
    }
}

/// The first line that was not taken, by anything but a reader that is gone.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Fails if a line of what was told is lost: a disk was full.
///
/// # Errors
/// `not_written`
pub(crate) fn all_told() -> Result<(), Failure> {
    LOST.get().map_or(Ok(()), |error| {
        Err(Failure::new(
            "not_written",
            format_args!("it is done, but not all of it could be told: {error}"),
        ))
    })
}

/// A reader that is gone, or a full disk, is no reason to stop serving peers.
fn print(mut to: impl Write, line: &str) {
    match writeln!(to, "{line}").and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => drop(LOST.set(error)),
        _ => {}
    }
}

fn sentence(event: &Event) -> String {
    match event {
        Event::Listening { url } => format!("The relay listens at {url}."),
        Event::Identity { person_id, instance_id, instance_key_public, email, name, .. } => {
            format!(
                "This is {email} on {name}.\n  person       {person_id}\n  instance     {instance_id}\n  \
                 instance key {instance_key_public}"
            )
        }
        Event::Online { url } => format!("This instance can be reached at {url}."),
        Event::Offline { message, .. } => message.clone(),
        Event::Invitation { link, expires, .. } => format!(
            "Hand this invitation to the other person, by a way that nobody else reads. It works once, {}:\n\n\
             {}\n\n{}\nThe other person types: chumwire join --home DIR -   and pastes it.",
            within(*expires),
            &**link,
            qr(link)
        ),
        Event::Paired { email, name, person_id, .. } => {
            format!("You are paired with {email} on {name}, person {person_id}.")
        }
        Event::Contact { person_id, email, instances, online, synced_at, someone_id, main, trusted, .. } => {
            let mut text = format!("{email}, person {person_id}");
            match (online, synced_at) {
                (true, _) => text += ", online",
                (false, Some(at)) => text += &format!(", in step {}", ago(*at)),
                (false, None) => text += ", never synchronised",
            }
            if !trusted {
                text += ", its signing key is not trusted";
            }
            if let (false, Some(id)) = (main, someone_id) {
                text += &format!("\n  one contact with the one above, {id}");
            }
            for device in instances {
                let key = if device.key_proven { "proven" } else { "not proven yet" };
                let place = device.url.as_deref().unwrap_or("no address");
                text += &format!("\n  on {}, {place}, key {key}", device.name);
            }
            text
        }
        Event::Someone { someone_id, emails, .. } => format!("{} is one contact: {someone_id}.", emails.join(" and ")),
        Event::Contacts { count: 0 } => "There is no contact yet.".into(),
        Event::Contacts { count: 1 } => "That is one contact.".into(),
        Event::Contacts { count } => format!("These are {count} contacts."),
        Event::Forgotten { email, .. } => format!("{email} is no contact any more."),
        Event::OpenInvitation { id, expires } => format!("{id}, open {}", within(*expires)),
        Event::Invitations { count: 0 } => "No invitation is open.".into(),
        Event::Invitations { count: 1 } => "One invitation is open.".into(),
        Event::Invitations { count } => format!("{count} invitations are open."),
        Event::Revoked { count: 1 } => "One invitation was taken back.".into(),
        Event::Revoked { count } => format!("{count} invitations were taken back."),
        Event::Stored { object, path, size, .. } => format!("{object}  {path}, {size} bytes"),
        Event::Shared { object, person_id } => format!("{object} is shared with {person_id} from now on."),
        Event::Unshared { object, person_id } => {
            format!("{object} is not shared with {person_id} any more. What that person has already stays there.")
        }
        Event::File { object, blob, name, size, kind, shared_with } => {
            let with = match shared_with.len() {
                0 => "not shared".into(),
                1 => "shared with one contact".into(),
                count => format!("shared with {count} contacts"),
            };
            format!("{object}  {name}, {size} bytes, {kind}, {with}\n  blob {blob}")
        }
        Event::Files { count: 0 } => "There is no file here yet.".into(),
        Event::Files { count: 1 } => "That is one file.".into(),
        Event::Files { count } => format!("These are {count} files."),
        Event::Chat { own, text, timestamp, affirmed, email, .. } => {
            let who = if *own { "you" } else { email };
            let doubt = if *affirmed { "" } else { " (not signed)" };
            format!("{}  {who}{doubt}: {text}", clock(*timestamp))
        }
        Event::History { count: 0 } => "Nothing was said yet.".into(),
        Event::History { .. } => String::new(),
        Event::Accessible { shape, hash, kind } => format!("{hash}  {kind} ({shape})"),
        Event::AccessibleObjects { person_id, count } => {
            format!("{person_id} lets this home see {count} roots, each with all that it refers to.")
        }
        Event::Got { path, size, .. } => format!("{path}, {size} bytes"),
        Event::Found { .. } | Event::Progress { .. } => String::new(),
        Event::Synced { person_id, received, sent, failed } => {
            let mut text = format!("In step with {person_id}: {received} received, {sent} sent.");
            if *failed > 0 {
                text += &format!(" {failed} could not be taken; -v tells why.");
            }
            text
        }
        Event::Unreachable { email, .. } => format!("{email} could not be reached in time."),
        Event::Message { from, to, layer, message, bytes, .. } => {
            format!("{from} to {to}: {layer} {message}, {bytes} bytes")
        }
        Event::Explanation { first, paired, connected, others } => {
            let mut text = first.sentence.clone();
            for other in others {
                text += &format!("\n\nAlso {}", other.sentence);
            }
            for (count, what) in [(paired, "A pairing has succeeded"), (connected, "A connection was established")] {
                match count {
                    0 => {}
                    1 => text += &format!("\n{what}."),
                    count => text += &format!("\n{what}, as {count} sides tell."),
                }
            }
            text
        }
        Event::Scenario { name, happens, required } => {
            format!("{name}\n    {happens}\n    Required: {required}")
        }
        Event::Play { play, happens } => format!("{play} (explored)\n    {happens}"),
        Event::Sim { scenario, runs, failed: 0, trace_hash, .. } => {
            format!("{scenario}: {runs} runs, none failed, {}", trace_hash.get(..16).unwrap_or_default())
        }
        Event::Sim { scenario, runs, failed, first_failing_seed, failure, .. } => {
            let mut text = format!("{scenario}: {runs} runs, {failed} FAILED");
            if let Some(seed) = first_failing_seed {
                text += &format!(", the first with seed {seed}");
            }
            if let Some(failure) = failure {
                text += &format!("\n{failure}");
            }
            text
        }
        Event::Replayed { inputs, effects, failure, .. } => {
            let mut text = format!("The run is the same: {inputs} inputs, {effects} effects.");
            if let Some(failure) = failure {
                text += &format!("\nIt fails: {failure}");
            }
            text
        }
        Event::Explore { violation: Some(violation), scenario, states, faults, .. } => {
            let path = violation.path.as_deref();
            let mut text = format!(
                "{scenario} breaks a rule: {}\n{states} states with up to {faults} faults; {} moves, {} of them chosen",
                violation.message, violation.moves, violation.steps
            );
            if let Some(path) = path {
                text += &format!("\nTo look at it: chumwire explain {path}, or chumwire sim draw {path}");
            }
            text
        }
        Event::Explore { scenario, faults, states, moves, seen_again, commuted, finals, depth, waiting, bound, part, alphabet, seconds, states_per_second, .. } => {
            let part = part.as_ref().map_or_else(String::new, |part| format!(", part {part}"));
            let end = match bound {
                None => "complete: nothing that must not be, in any order, over the alphabet below".into(),
                Some(bound) => format!("not complete: {bound} ended it, {waiting} states wait"),
            };
            format!(
                "{scenario} with up to {faults} faults{part}: {end}\n  {states} states, the longest history {depth} moves, {finals} ends\n  \
                 {moves} moves made, {seen_again} of them to states seen before; {commuted} left out that commute\n  \
                 {seconds:.1} s, {states_per_second} states a second\n  {}",
                alphabet.join("; ")
            )
        }
        Event::Shrunk { scenario, steps, tries, choices, failure, path, finished, .. } => {
            let steps = match steps {
                0 => "without any step".into(),
                1 => "in one step".into(),
                steps => format!("in {steps} steps"),
            };
            let count = choices.len();
            let mut text = format!("{scenario} fails {steps}: {failure}\n{count} choices, found in {tries} runs");
            if !finished {
                text += "; more --tries may find less";
            }
            text + &format!("\nTo look at it: chumwire explain {path}, or chumwire sim draw {path}")
        }
        Event::Drawing { text } => text.clone(),
        Event::Page { path, cause } => format!("The page is {path}; it tells of {cause}. Open it in a browser."),
        Event::Difference { same: true, .. } => "The two runs are the same.".into(),
        Event::Difference { line, before, one, other, .. } => {
            let mut text = format!("The two runs part at line {}:\n", line.unwrap_or_default());
            let parts = [("  ", before), ("A ", one), ("B ", other)];
            for (mark, lines) in parts {
                for line in lines {
                    text += &format!("{mark}{line}\n");
                }
            }
            text
        }
        Event::Demo { acceptor, initiator, ms, messages, .. } => format!(
            "{acceptor} and {initiator} are paired and in step: {messages} messages in {ms} ms, over real WebSockets."
        ),
        Event::Error { failure } => failure.message.clone(),
    }
    .lines()
    .map(printable)
    .collect::<Vec<_>>()
    .join("\n")
}

/// The time of the day, as far as it is known without a calendar: UTC.
fn clock(at: Millis) -> String {
    let minutes = at.0 / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

fn ago(at: Millis) -> String {
    let seconds = time::wall().0.saturating_sub(at.0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn within(expires: Millis) -> String {
    let seconds = expires.0.saturating_sub(time::wall().0).div_ceil(1000);
    format!("within {seconds} s")
}

/// The link as a QR code, if it is not too long for one. Drawn is what is light: terminals are mostly dark.
fn qr(link: &str) -> String {
    let draw = |code: QrCode| {
        let mut renderer = code.render::<Dense1x2>();
        renderer
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build()
    };
    QrCode::new(link).map(draw).unwrap_or_default()
}

//! `chumwire chat`.

use std::io::BufRead as _;
use std::pin::pin;
use std::sync::Arc;

use async_channel::{Receiver, bounded};
use futures_util::future::{Either, select};

use super::at_home::at_home;
use crate::args::{Chat as Args, Use};
use crate::control::{Chat, Request};
use crate::event::Event;
use crate::failure::Failure;
use crate::operations::Emit;
use crate::output::Output;

/// Shows what was said, then what is being said; lines of the standard input are said.
///
/// # Errors
/// Why something cannot be said.
pub(super) async fn chat(args: Args, output: Output) -> Result<(), Failure> {
    let emit: Emit = Arc::new(move |event| output.event(&event));
    let request = |send: Option<String>, follow| {
        Request::Chat(Chat {
            person: args.person.clone(),
            send,
            follow,
        })
    };
    if args.history || args.send.is_some() {
        let request = request(args.send.clone(), false);
        return at_home(&args.home.home, args.how, request, emit).await;
    }
    let (shown, history) = bounded(1);
    let telling: Emit = Arc::new(move |event| {
        let is_history = matches!(event, Event::History { .. });
        emit(event);
        if is_history {
            let _ = shown.try_send(());
        }
    });
    let listening = at_home(&args.home.home, args.how, request(None, true), telling);
    let talking = async {
        // History comes first, also for who says something at once.
        let _ = history.recv().await;
        let lines = lines();
        while let Ok(line) = lines.recv().await {
            if line.trim().is_empty() {
                continue;
            }
            // Whoever has the home open tells it, the part above as well; it is shown there.
            let quiet: Emit = Arc::new(|event: Event| drop(event));
            let request = request(Some(line), false);
            at_home(&args.home.home, Use::default(), request, quiet).await?;
        }
        Ok(())
    };
    match select(pin!(listening), pin!(talking)).await {
        Either::Left((result, _)) | Either::Right((result, _)) => result,
    }
}

/// The lines of the standard input, until its end.
fn lines() -> Receiver<String> {
    let (tell, lines) = bounded(1);
    // Reading cannot be given up; the thread ends with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send_blocking(line).is_err() {
                return;
            }
        }
    });
    lines
}

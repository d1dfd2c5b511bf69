//! One open connection: a task that moves messages between its socket and the loop.
//!
//! ```text
//!   open ──Close of the machine──> flush, say close ──> await the answer ──> gone
//!    ├──the other side closes──> told ──> answer the close ──────────────────> gone
//!    └──anything fails──────────> told ──> say why, if it can be said ───────> gone
//! ```
//! Reading is on credit: one batch, then none until the loop has had all of it accepted. So the back-pressure
//! of a machine reaches the socket of whoever sends too much.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_channel::{Receiver, Sender};
use async_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use chumwire::io::{Closed, ConnId, Kind};
use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use futures_util::{Sink, SinkExt, Stream};

use crate::config::Limits;
use crate::dial::plain;
use crate::driver::Input;
use crate::runtime::{Runtime, within};
use crate::transport::Socket;

/// The code for a close frame without one.
const NO_CODE: u16 = 1005;
/// The longest close reason: a control frame has at most 125 bytes, two of them are the code.
const MAX_REASON: usize = 123;
/// How much of a faulty peer's input is thrown away while it is told why.
const MAX_DISCARD: usize = 1 << 20;

/// What the loop tells a connection.
pub(crate) enum Command {
    /// Send these.
    Send(Batch),
    /// One more batch may be read.
    Read,
    /// Close when all is sent.
    Close { code: u16, reason: String },
}

/// Messages back to back, so that a burst costs one allocation.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    messages: Vec<(Kind, usize)>,
}

impl Batch {
    pub(crate) fn push(&mut self, kind: Kind, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.messages.push((kind, bytes.len()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// How the first phase of a connection ended.
enum End {
    Asked { code: u16, reason: String },
    Told(Closed),
    Failed(Error),
    Abandoned,
}

pub(crate) struct Connection<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) limits: Limits,
    conn: ConnId,
    socket: Socket<R::Stream>,
    commands: Pin<Box<Receiver<Command>>>,
    inputs: Sender<Input<R::Stream>>,
    queue: VecDeque<Message>,
    may_read: bool,
    /// Something was written since the last complete flush.
    dirty: bool,
    /// Messages given to the socket so far, and how many the loop knows to have left.
    written: u64,
    reported: u64,
}

impl<R: Runtime> Connection<R> {
    pub(crate) fn new(
        runtime: R,
        limits: Limits,
        conn: ConnId,
        socket: Socket<R::Stream>,
        commands: Receiver<Command>,
        inputs: Sender<Input<R::Stream>>,
    ) -> Self {
        Self {
            runtime,
            limits,
            conn,
            socket,
            commands: Box::pin(commands),
            inputs,
            queue: VecDeque::new(),
            may_read: false,
            dirty: false,
            written: 0,
            reported: 0,
        }
    }

    /// The whole life of an open connection.
    pub(crate) async fn run(mut self) {
        match poll_fn(|cx| self.poll_open(cx)).await {
            End::Asked { code, reason } => {
                let how = self.close(code, reason).await;
                let answered = matches!(how, Closed::ByPeer { .. });
                self.tell(how);
                if answered {
                    self.leave().await;
                }
            }
            End::Told(how) => {
                self.tell(how);
                self.leave().await;
            }
            End::Failed(error) => {
                self.tell(lost(&error));
                self.say_why(&error).await;
            }
            End::Abandoned => {}
        }
    }

    fn tell(&self, how: Closed) {
        let _ = self.inputs.try_send(Input::Closed {
            conn: self.conn,
            how,
        });
    }

    /// Says close after all that is queued, and waits for the answer.
    async fn close(&mut self, code: u16, reason: String) -> Closed {
        self.queue
            .push_back(Message::Close(Some(frame(code, &reason))));
        let (runtime, limits) = (self.runtime.clone(), self.limits);
        let said = poll_fn(|cx| self.poll_closing(cx, true));
        match within(&runtime, limits.flush, said).await {
            Some(Some(how)) => return how,
            Some(None) => {}
            None => {
                return Closed::Lost("the other side did not take what was left to send".into());
            }
        }
        let answered = poll_fn(|cx| self.poll_closing(cx, false));
        match within(&runtime, limits.close, answered).await {
            Some(Some(how)) => how,
            _ => Closed::Lost("the other side did not answer the close".into()),
        }
    }

    /// The close is agreed on: sends the answer if it is still owed, and lets the server's side end the TCP
    /// connection first, as RFC 6455 wants it.
    async fn leave(&mut self) {
        let ended = async {
            let _ = self.socket.flush().await;
            poll_fn(|cx| {
                while ready!(Pin::new(&mut self.socket).poll_next(cx)).is_some_and(|m| m.is_ok()) {}
                Poll::Ready(())
            })
            .await;
            let _ = AsyncWriteExt::close(self.socket.get_mut()).await;
        };
        let _ = within(&self.runtime, self.limits.close, ended).await;
    }

    /// After a fault of the other side: tells it by a close code, as far as it still listens.
    async fn say_why(&mut self, error: &Error) {
        let (code, reason) = match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => (CloseCode::Size, "too long"),
            Error::Utf8(_) => (CloseCode::Invalid, "not UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return,
            Error::Protocol(_) => (CloseCode::Protocol, "protocol error"),
            _ => return,
        };
        let saying = async {
            self.socket
                .close(Some(CloseFrame {
                    code,
                    reason: reason.into(),
                }))
                .await
                .ok()?;
            let stream = self.socket.get_mut();
            AsyncWriteExt::close(stream).await.ok()?;
            // A socket that is dropped with unread input is reset, and what was said is lost with it.
            let mut sink = vec![0; self.limits.read_buffer.max(1024)];
            let mut rest = MAX_DISCARD;
            while rest > 0 {
                match stream.read(&mut sink).await {
                    Ok(n) if n > 0 => rest = rest.saturating_sub(n),
                    _ => break,
                }
            }
            Some(())
        };
        let _ = within(&self.runtime, self.limits.close, saying).await;
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.commands.as_mut().poll_next(cx) {
                Poll::Ready(Some(Command::Send(batch))) => {
                    if !self.enqueue(batch) {
                        let why = "the machine called something text that is not UTF-8";
                        return Poll::Ready(End::Told(Closed::Lost(why.into())));
                    }
                }
                Poll::Ready(Some(Command::Read)) => self.may_read = true,
                Poll::Ready(Some(Command::Close { code, reason })) => {
                    return Poll::Ready(End::Asked { code, reason });
                }
                Poll::Ready(None) => return Poll::Ready(End::Abandoned),
                Poll::Pending => break,
            }
        }
        // Reading comes first: what it finds (a ping) may want an answer, which writing then flushes.
        if self.may_read
            && let Poll::Ready(end) = self.poll_read(cx)
        {
            return Poll::Ready(end);
        }
        match self.poll_write(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(End::Failed(error)),
            _ => Poll::Pending,
        }
    }

    /// Cuts a batch into messages; false if the machine's promise about text does not hold.
    fn enqueue(&mut self, batch: Batch) -> bool {
        let mut bytes = Bytes::from(batch.bytes);
        for (kind, length) in batch.messages {
            let content = bytes.split_to(length);
            self.queue.push_back(match kind {
                Kind::Binary => Message::Binary(content),
                Kind::Text => match Utf8Bytes::try_from(content) {
                    Ok(text) => Message::Text(text),
                    Err(_) => return false,
                },
            });
        }
        true
    }

    /// Reads until the socket has no more or the batch is full, then hands the batch over. Ready only at the
    /// connection's end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let end = loop {
            if batch.len() >= self.limits.batch_messages || bytes >= self.limits.batch_bytes {
                break None;
            }
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => {
                    bytes += message.len();
                    batch.push(message);
                }
                Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                    break Some(End::Told(by_peer(frame)));
                }
                Poll::Ready(Some(Ok(_))) => self.dirty = true,
                Poll::Ready(Some(Err(error))) => break Some(End::Failed(error)),
                Poll::Ready(None) => break Some(End::Told(gone())),
                Poll::Pending => break None,
            }
        };
        if !batch.is_empty() {
            self.may_read = false;
            let _ = self.inputs.try_send(Input::Batch {
                conn: self.conn,
                messages: batch,
            });
        }
        end.map_or(Poll::Pending, Poll::Ready)
    }

    /// Writes all that is queued, then flushes once, then says so.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.queue.is_empty() {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            if let Some(message) = self.queue.pop_front() {
                self.written += u64::from(!message.is_close());
                self.dirty = true;
                Pin::new(&mut self.socket).start_send(message)?;
            }
        }
        if self.dirty {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.dirty = false;
            if self.written > self.reported {
                self.reported = self.written;
                let drained = Input::Drained {
                    conn: self.conn,
                    count: self.written,
                };
                let _ = self.inputs.try_send(drained);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on writing, and throws away what still comes in (a peer that is not read from might not read
    /// either). Ready with the end, or with `None` once all is sent if that is enough.
    fn poll_closing(&mut self, cx: &mut Context<'_>, sent: bool) -> Poll<Option<Closed>> {
        let write = self.poll_write(cx);
        for _ in 0..self.limits.batch_messages.max(1) {
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(Message::Close(frame)))) => {
                    return Poll::Ready(Some(by_peer(frame)));
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(lost(&error))),
                Poll::Ready(None) => return Poll::Ready(Some(gone())),
                Poll::Pending => {
                    return match write {
                        Poll::Ready(Err(error)) => Poll::Ready(Some(lost(&error))),
                        Poll::Ready(Ok(())) if sent => Poll::Ready(None),
                        _ => Poll::Pending,
                    };
                }
            }
        }
        // There is more to throw away, but others want to run too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn frame(code: u16, reason: &str) -> CloseFrame {
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    }
}

fn by_peer(frame: Option<CloseFrame>) -> Closed {
    match frame {
        Some(frame) => Closed::ByPeer {
            code: frame.code.into(),
            reason: frame.reason.as_str().into(),
        },
        None => Closed::ByPeer {
            code: NO_CODE,
            reason: String::new(),
        },
    }
}

fn gone() -> Closed {
    Closed::Lost("the other side ended the connection without closing it".into())
}

fn lost(error: &Error) -> Closed {
    Closed::Lost(match error {
        Error::Io(error) => plain(error),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            format!("a message of {size} bytes came, and {max_size} are allowed")
        }
        Error::Utf8(_) => "a text message came that is not UTF-8".into(),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => return gone(),
        other => other.to_string(),
    })
}

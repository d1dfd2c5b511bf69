//! The machine of a channel (spec 04).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::diagnosis::{self, Diagnosis, PostMortem, Sibling};
use super::escape::{self, KEEPALIVE, START_TEXT};
use super::fragment::{self, Assembled, Assembler, FragmentFault};
use super::frame::{Exhausted, Opened, Opener, Sealer};
use super::keepalive::{Due, Keepalive};
use super::order::{OrderStats, Place, Window};
use super::padding::MAX_PADDING;
use crate::canon::{Ignored, compare_rebased};
use crate::chum::name_of;
use crate::crypto::{KEY, Random, RawKey, Secret, Suite, Wiped};
use crate::fault::{Fault, Why};
use crate::io::{Full, Kind, Message, Output};
use crate::limits;
use crate::note::{Layer, Note};
use crate::role::Role;
use crate::step::Step;
use crate::time::{Deadline, Micros, Now};

/// The bounds of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// The longest message that is assembled from fragments, and the longest that can be sent, in bytes.
    pub max_message: usize,
    /// Sealed bytes that may wait to be polled before `send` answers `Full`. One message is always taken.
    pub max_queued: usize,
    /// How many frames ahead of the next one a frame may come: 0 for the strict order of deployed peers, up to
    /// [`limits::REORDER_WINDOW`] for the tolerant one (spec 04). It changes what is accepted, not what is sent.
    pub reorder_window: usize,
    /// Bytes of frames that may wait behind a gap, with a reorder window.
    pub max_held: usize,
    /// Whether passing frames are told as notes, by [`Channel::poll`].
    pub notes: bool,
}

impl ChannelConfig {
    /// The reorder window within its bound; 0 for the strict order.
    pub(crate) fn window(&self) -> usize {
        self.reorder_window.min(limits::REORDER_WINDOW)
    }
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            max_message: limits::ASSEMBLED,
            max_queued: limits::WINDOW,
            reorder_window: 0,
            max_held: limits::HELD,
            notes: false,
        }
    }
}

/// Why a message is not sent. In each case nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too much waits to be polled.
    #[error(transparent)]
    Full(#[from] Full),
    /// The message is longer than [`ChannelConfig::max_message`].
    #[error("a message of {0} bytes is over the limit")]
    TooLong(usize),
    /// The channel has ended.
    #[error("the channel has ended")]
    Ended,
}

/// One end of an encrypted channel. Frames have to come in order, unless
/// [`reorder_window`](ChannelConfig::reorder_window) lets some overtake others.
///
/// *Handle*: [`message`](Self::message), [`send`](Self::send), [`tick`](Self::tick). *Poll*:
/// [`received`](Self::received) for messages from the other side, [`poll`](Self::poll) for frames to it and for the
/// end. *Look*: [`deadline`](Self::deadline). Any number of inputs may come between two polls, up to its bounds.
#[derive(Clone, Debug)]
pub struct Channel<S: Suite> {
    role: Role,
    config: ChannelConfig,
    sealer: Sealer<S::Pair>,
    opener: Opener<S::Pair>,
    /// `None` in strict order.
    window: Option<Window>,
    keepalive: Keepalive,
    assembler: Assembler,
    latest: Micros,
    frames: VecDeque<Vec<u8>>,
    frame_bytes: usize,
    inbox: VecDeque<Delivery>,
    inbox_bytes: usize,
    fault: Option<Fault>,
    told: bool,
    post_mortem: Option<PostMortem>,
    /// The buffer of the message that was handed out last, and others for use again. Wiped when they go.
    current: Ignored<Delivery>,
    plain_buffers: Ignored<Vec<Wiped>>,
    frame_buffers: Ignored<Vec<Vec<u8>>>,
    last_frame: Ignored<Frame>,
    notes: VecDeque<Note>,
}

/// Length in bytes and counter of a frame.
type Frame = (usize, u64);

compare_rebased!(Channel {
    role,
    config,
    sealer,
    opener,
    window,
    keepalive,
    assembler,
    frames,
    frame_bytes,
    inbox,
    inbox_bytes,
    fault,
    told,
    post_mortem,
    current,
    plain_buffers,
    frame_buffers,
    last_frame,
    notes,
});

/// A message on its way to the application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Delivery {
    /// Part of the plaintext of one frame.
    Frame {
        kind: Kind,
        frame: Frame,
        plain: Wiped,
        start: usize,
        end: usize,
    },
    Assembled {
        kind: Kind,
        /// The one that ended it.
        frame: Frame,
        bytes: Wiped,
    },
}

/// What a frame carries, for its note.
const PULSE: (Layer, &str) = (Layer::Keepalive, KEEPALIVE);
const PIECE: (Layer, &str) = (Layer::Fragmentation, "fragment");
const END: (Layer, &str) = (Layer::Fragmentation, escape::END);

/// A message of the group that is one frame. Named only for who asked for notes.
fn whole(kind: Kind, bytes: &[u8]) -> (Layer, &'static str) {
    (
        Layer::Group,
        Message::of(kind, bytes).map_or("message", name_of),
    )
}

const fn start(kind: Kind) -> (Layer, &'static str) {
    (Layer::Fragmentation, fragment::start_word(kind))
}

impl Default for Delivery {
    fn default() -> Self {
        Self::Assembled {
            kind: Kind::Binary,
            frame: (0, 0),
            bytes: Wiped::default(),
        }
    }
}

impl Delivery {
    fn len(&self) -> usize {
        match self {
            Self::Frame { plain, .. } => plain.len(),
            Self::Assembled { bytes, .. } => bytes.len(),
        }
    }

    fn message(&self) -> Message<'_> {
        let (kind, bytes) = match self {
            Self::Frame {
                kind,
                plain,
                start,
                end,
                ..
            } => (kind, plain.get(*start..*end).unwrap_or_default()),
            Self::Assembled { kind, bytes, .. } => (kind, bytes.as_slice()),
        };
        match kind {
            Kind::Binary => Message::Binary(bytes),
            // It was checked when it came.
            Kind::Text => Message::Text(core::str::from_utf8(bytes).unwrap_or_default()),
        }
    }
}

/// Buffers that are kept for use again.
const KEPT_BUFFERS: usize = 8;
/// Messages that may wait for `received`, however short.
const INBOX_MESSAGES: usize = 64;

impl<S: Suite> Channel<S> {
    /// A channel after a handshake.
    pub(crate) fn new(
        now: Now,
        key: S::Pair,
        role: Role,
        random: Random,
        config: ChannelConfig,
    ) -> Self {
        Self {
            role,
            sealer: Sealer::new(key.clone(), role, random),
            opener: Opener::new(key, role.peer()),
            window: Window::new(config.reorder_window, config.max_held),
            keepalive: Keepalive::start(now.mono),
            assembler: Assembler::new(config.max_message),
            config,
            latest: now.mono,
            frames: VecDeque::new(),
            frame_bytes: 0,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            fault: None,
            told: false,
            post_mortem: None,
            current: Ignored::default(),
            plain_buffers: Ignored::default(),
            frame_buffers: Ignored::default(),
            last_frame: Ignored::default(),
            notes: VecDeque::new(),
        }
    }

    /// A channel without a handshake, from a key that was established elsewhere (spec 03, "direct flow"). The key
    /// must be fresh: two channels of one key and role repeat nonces.
    #[must_use]
    pub fn from_session_key(
        now: Now,
        key: Secret<KEY>,
        role: Role,
        random: Random,
        config: ChannelConfig,
    ) -> Self
    where
        S::Pair: RawKey,
    {
        Self::new(now, S::Pair::from_raw(key), role, random, config)
    }

    /// This side's role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Takes a WebSocket message.
    ///
    /// # Errors
    /// [`Full`]: pull what has been [`received`](Self::received), then offer it again.
    pub fn message(&mut self, now: Now, message: Message<'_>) -> Result<(), Full> {
        if self.fault.is_some() {
            return Ok(());
        }
        if self.inbox.len() >= INBOX_MESSAGES || self.inbox_bytes > self.config.max_queued {
            return Err(Full);
        }
        self.take(now, message);
        Ok(())
    }

    /// Takes a frame that came behind the key message, before this channel was there. There are few.
    pub(crate) fn early(&mut self, now: Now, frame: &[u8]) {
        if self.fault.is_none() {
            self.take(now, Message::Binary(frame));
        }
    }

    fn take(&mut self, now: Now, message: Message<'_>) {
        let now = now.not_before(&mut self.latest);
        // A message at the very deadline is in time; a later one is not.
        if self.is_lost(now, false) {
            return self.lost();
        }
        if self.keepalive.is_overdue(now.mono) {
            return self.fail(Why::Silent);
        }
        match message {
            Message::Text(_) => self.fail(Why::PlainText),
            Message::Binary(frame) => self.frame(now, frame),
        }
        self.timers(now);
    }

    fn frame(&mut self, now: Now, frame: &[u8]) {
        let mut plain = self.plain_buffers.pop().unwrap_or_default();
        // The next one with as long a message may have more padding.
        plain.make_room(frame.len().min(limits::FRAME), MAX_PADDING);
        let place = match &mut self.window {
            None => self
                .opener
                .open(frame, &mut plain)
                .map(Place::Due)
                .map_err(Why::from),
            Some(window) => window.place(now.mono, &mut self.opener, frame, &mut plain),
        };
        let done = match place {
            Ok(Place::Due(opened)) => {
                self.keepalive.received(now.mono);
                self.opened(opened, frame.len(), plain)
                    .and_then(|()| self.release())
            }
            Ok(Place::Held) => {
                self.keepalive.received(now.mono);
                self.recycle(plain);
                Ok(())
            }
            // Anybody on the way can make one: it is no sign of life.
            Ok(Place::Duplicate) => {
                self.recycle(plain);
                Ok(())
            }
            Err(why) => {
                self.post_mortem = Some(PostMortem::new(frame));
                Err(why)
            }
        };
        if let Err(why) = done {
            self.fail(why);
        }
    }

    /// Held frames whose turn has come.
    fn release(&mut self) -> Result<(), Why> {
        while let Some(window) = &mut self.window
            && let Some(released) = window.release(&mut self.opener)
        {
            let opened = released.opened()?;
            self.opened(opened, released.wire_len, released.plain)?;
        }
        Ok(())
    }

    /// The plaintext of a frame goes up through keepalive and assembly.
    fn opened(&mut self, opened: Opened, wire_len: usize, plain: Wiped) -> Result<(), Why> {
        let frame = (wire_len, opened.counter);
        let first = opened.start;
        let bytes = plain.get(first..).unwrap_or_default();
        let (assembled, piece) = if opened.text {
            let text = core::str::from_utf8(bytes).map_err(|_| Why::NotUtf8)?;
            if text == KEEPALIVE {
                self.note(false, PULSE, frame);
                self.recycle(plain);
                return Ok(());
            }
            let text = escape::unescape(text, &[KEEPALIVE]).map_err(|_| Why::BadEscape)?;
            let kind = if text == START_TEXT {
                Kind::Text
            } else {
                Kind::Binary
            };
            (self.assembler.text(text), start(kind))
        } else {
            (self.assembler.binary(bytes), PIECE)
        };
        let delivery = match assembled.map_err(|fault| self.why(fault))? {
            Assembled::Nothing => {
                self.note(false, piece, frame);
                self.recycle(plain);
                return Ok(());
            }
            Assembled::Text(text) => Delivery::Frame {
                kind: Kind::Text,
                frame,
                end: first + text.len(),
                plain,
                start: first,
            },
            Assembled::Binary(bytes) => Delivery::Frame {
                kind: Kind::Binary,
                frame,
                end: first + bytes.len(),
                plain,
                start: first,
            },
            Assembled::LongText(text) => {
                self.note(false, END, frame);
                Delivery::Assembled {
                    kind: Kind::Text,
                    frame,
                    bytes: text.into_bytes().into(),
                }
            }
            Assembled::LongBinary(bytes) => {
                self.note(false, END, frame);
                Delivery::Assembled {
                    kind: Kind::Binary,
                    frame,
                    bytes: bytes.into(),
                }
            }
        };
        self.inbox_bytes += delivery.len();
        self.inbox.push_back(delivery);
        Ok(())
    }

    fn why(&self, fault: FragmentFault) -> Why {
        match fault {
            FragmentFault::StartInside => Why::Fragments {
                what: "a start inside a message",
            },
            FragmentFault::EndOutside => Why::Fragments {
                what: "an end without a start",
            },
            FragmentFault::TextInside => Why::Fragments {
                what: "a text inside a message",
            },
            FragmentFault::TooLong => Why::Limit {
                what: "bytes of an assembled message",
                limit: self.config.max_message,
            },
            FragmentFault::NotUtf8 => Why::NotUtf8,
            FragmentFault::BadEscape => Why::BadEscape,
        }
    }

    /// Sends a message to the other side's application. Its frames are sealed at once, and polled later.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then.
    pub fn send(&mut self, now: Now, message: Message<'_>) -> Result<(), SendError> {
        if self.fault.is_some() {
            return Err(SendError::Ended);
        }
        let (kind, bytes) = (message.kind(), message.bytes());
        if bytes.len() > self.config.max_message {
            return Err(SendError::TooLong(bytes.len()));
        }
        if self.frame_bytes > self.config.max_queued {
            return Err(Full.into());
        }
        let now = now.not_before(&mut self.latest);
        let sealed = if fragment::is_fragmented(kind, bytes) {
            self.seal_fragments(kind, bytes)
        } else {
            let marks = match message {
                Message::Binary(_) => 0,
                Message::Text(text) => {
                    escape::marks(text, &escape::FRAGMENTATION) + escape::marks(text, &[KEEPALIVE])
                }
            };
            let what = match self.config.notes {
                true => whole(kind, bytes),
                false => (Layer::Group, "message"),
            };
            self.seal(kind, bytes, marks, what)
        };
        self.keepalive.sent(now.mono);
        if let Err(Exhausted) = sealed {
            self.fail(Why::NonceExhausted);
            return Err(SendError::Ended);
        }
        self.timers(now);
        Ok(())
    }

    fn seal_fragments(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), Exhausted> {
        let word = fragment::start_word(kind);
        self.seal(Kind::Text, word.as_bytes(), 0, start(kind))?;
        for fragment in bytes.chunks(limits::FRAGMENT) {
            self.seal(Kind::Binary, fragment, 0, PIECE)?;
        }
        self.seal(Kind::Text, escape::END.as_bytes(), 0, END)
    }

    fn seal(
        &mut self,
        kind: Kind,
        message: &[u8],
        marks: usize,
        what: (Layer, &'static str),
    ) -> Result<(), Exhausted> {
        let mut frame = self.frame_buffers.pop().unwrap_or_default();
        let counter = self
            .sealer
            .seal(kind == Kind::Text, message, marks, &mut frame)?;
        *self.last_frame = (frame.len(), counter);
        self.note(true, what, (frame.len(), counter));
        self.frame_bytes += frame.len();
        self.frames.push_back(frame);
        Ok(())
    }

    fn note(&mut self, sent: bool, (layer, name): (Layer, &'static str), (bytes, counter): Frame) {
        if self.config.notes {
            self.notes.push_back(Note {
                sent,
                layer,
                name,
                bytes,
                nonce: Some(counter),
            });
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        let now = now.not_before(&mut self.latest);
        self.timers(now);
    }

    fn timers(&mut self, now: Now) {
        if self.fault.is_some() {
            return;
        }
        if self.is_lost(now, true) {
            return self.lost();
        }
        match self.keepalive.due(now.mono) {
            Due::Nothing => {}
            Due::GiveUp => self.fail(Why::Silent),
            Due::Send => {
                let sealed = self.seal(Kind::Text, KEEPALIVE.as_bytes(), 0, PULSE);
                self.keepalive.sent(now.mono);
                if let Err(Exhausted) = sealed {
                    self.fail(Why::NonceExhausted);
                }
            }
        }
    }

    fn is_lost(&self, now: Now, also_at: bool) -> bool {
        let window = self.window.as_ref();
        window.is_some_and(|window| window.is_lost(now.mono, also_at))
    }

    fn lost(&mut self) {
        let counter = self.opener.counter().raw();
        self.fail(Why::LostFrame { counter });
    }

    fn fail(&mut self, why: Why) {
        self.fault.get_or_insert(why.at(Step::Connected));
        if let Some(window) = &mut self.window {
            window.close();
        }
    }

    /// The next message from the other side, in its order. It stays readable until the next call.
    pub fn received(&mut self) -> Option<Message<'_>> {
        let delivery = self.inbox.pop_front()?;
        self.inbox_bytes -= delivery.len();
        match delivery {
            Delivery::Frame { frame, .. } => {
                *self.last_frame = frame;
                if self.config.notes {
                    let message = delivery.message();
                    let what = whole(message.kind(), message.bytes());
                    self.note(false, what, frame);
                }
            }
            Delivery::Assembled { frame, .. } => *self.last_frame = frame,
        }
        if let Delivery::Frame { plain, .. } = core::mem::replace(&mut *self.current, delivery) {
            self.recycle(plain);
        }
        Some(self.current.message())
    }

    /// The next frame to send (all are binary), or, once, the end. Frames that were sealed before the end are still
    /// given. Notes, if they are asked for, come first.
    pub fn poll<E>(&mut self, bytes: &mut Vec<u8>) -> Option<Output<E>> {
        if let Some(note) = self.take_note() {
            return Some(Output::Note(note));
        }
        if let Some(frame) = self.frames.pop_front() {
            self.frame_bytes -= frame.len();
            let old = core::mem::replace(bytes, frame);
            if self.frame_buffers.len() < KEPT_BUFFERS {
                self.frame_buffers.push(old);
            }
            return Some(Output::Send(Kind::Binary));
        }
        self.take_fault().map(Output::Fault)
    }

    /// When `tick` is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let gap = self.window.as_ref().and_then(Window::deadline);
        let keepalive = self.fault.is_none().then(|| self.keepalive.deadline());
        Deadline::earlier(gap, keepalive)
    }

    /// What the reorder window holds and has seen; nothing at all in strict order.
    #[must_use]
    pub fn order(&self) -> OrderStats {
        let window = self.window.as_ref();
        window.map(Window::stats).unwrap_or_default()
    }

    /// Whether frames wait to be polled.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    pub(crate) fn take_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// The end, once, ahead of the frames that still wait.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        if self.told {
            return None;
        }
        self.told = self.fault.is_some();
        self.fault.clone()
    }

    /// Whether a failed frame waits to be diagnosed.
    pub(crate) const fn has_post_mortem(&self) -> bool {
        self.post_mortem.is_some()
    }

    /// Length in bytes and counter of the frame that was sealed last, or that brought what was
    /// [`received`](Self::received) last.
    #[must_use]
    pub fn last_frame(&self) -> (usize, u64) {
        *self.last_frame
    }

    /// The same channel, seen by the diagnosis of a failure elsewhere.
    #[must_use]
    pub fn sibling(&self) -> Sibling<'_, S::Pair> {
        Sibling {
            key: self.opener.key(),
            next: self.opener.counter().raw(),
        }
    }

    /// Why the frame failed that ended this channel (spec 07): to be asked once, after the close has been queued,
    /// for the local log alone. Its keys are wiped with it. The static key is that of the handshake; siblings are other channels of this node.
    #[must_use]
    pub fn diagnose(
        mut self,
        static_key: Option<&S::Pair>,
        siblings: &[Sibling<'_, S::Pair>],
    ) -> Option<Diagnosis> {
        let frame = self.post_mortem.take()?;
        Some(diagnosis::diagnose(
            frame.bytes(),
            self.role,
            self.window.as_ref().map_or(0, Window::size),
            &self.sealer,
            &self.opener,
            static_key,
            siblings,
        ))
    }

    fn recycle(&mut self, plain: Wiped) {
        if self.plain_buffers.len() < KEPT_BUFFERS {
            self.plain_buffers.push(plain);
        }
    }

    /// Whether its counters are what its queues hold, within their bounds.
    pub(crate) fn self_check(&self) -> Result<(), &'static str> {
        let (frames, inbox) = (self.frames.iter(), self.inbox.iter());
        if self.frame_bytes != frames.map(Vec::len).sum::<usize>() {
            return Err("bytes of sealed frames are counted");
        }
        if self.inbox_bytes != inbox.map(Delivery::len).sum::<usize>() {
            return Err("bytes of received messages are counted");
        }
        // A gap that closes lets all at once in that waited behind it.
        if self.inbox.len() > INBOX_MESSAGES + limits::REORDER_WINDOW {
            return Err("received messages are bounded");
        }
        let next = self.opener.counter().raw();
        let window = self.window.as_ref();
        window.map_or(Ok(()), |window| window.self_check(next))
    }

    pub(crate) fn rebase(&mut self, now: Micros) {
        self.keepalive.rebase(now);
        if let Some(window) = &mut self.window {
            window.rebase(now);
        }
        self.latest = Micros::ZERO;
    }
}

#[cfg(test)]
mod tests;

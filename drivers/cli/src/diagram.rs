//! A sequence diagram of messages that really passed, drawn from what the machines noted.

use chumwire::note::Note;

/// Who takes part, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Acceptor,
    Relay,
    Initiator,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Acceptor, Self::Relay, Self::Initiator];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Acceptor => "acceptor",
            Self::Relay => "relay",
            Self::Initiator => "initiator",
        }
    }

    const fn column(self) -> usize {
        match self {
            Self::Acceptor => MARGIN,
            Self::Relay => MARGIN + APART,
            Self::Initiator => MARGIN + 2 * APART,
        }
    }
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) from: Lane,
    pub(crate) to: Lane,
    pub(crate) note: Note,
}

/// Room on the left, for the names of the layers.
const MARGIN: usize = 15;
/// Columns between two lanes.
const APART: usize = 37;
const WIDTH: usize = MARGIN + 2 * APART + 1;

/// Draws the messages in their order, one in a line. Sealed ones have a double line, and `#` is their nonce.
pub(crate) fn draw(passages: &[Passage]) -> String {
    let mut heading = vec![' '; WIDTH + Lane::Initiator.name().len()];
    for lane in Lane::ALL {
        let name = lane.name();
        write_at(
            &mut heading,
            lane.column().saturating_sub(name.len() / 2),
            name,
        );
    }
    let mut text = line(&heading);
    for passage in passages {
        text += &line(&arrow(passage));
    }
    text
}

fn arrow(passage: &Passage) -> Vec<char> {
    let Passage { from, to, note } = passage;
    let mut row = vec![' '; WIDTH];
    write_at(&mut row, 0, note.layer.name());
    for lane in Lane::ALL {
        write_at(&mut row, lane.column(), "|");
    }
    let (left, right) = (
        from.column().min(to.column()),
        from.column().max(to.column()),
    );
    let stroke = if note.nonce.is_some() { "=" } else { "-" };
    for column in left + 1..right {
        // What goes through the relay's lane is copied by it, unread.
        if column != Lane::Relay.column() {
            write_at(&mut row, column, stroke);
        }
    }
    if left == from.column() {
        write_at(&mut row, right - 1, ">");
    } else {
        write_at(&mut row, left + 1, "<");
    }
    let nonce = note
        .nonce
        .map(|nonce| format!(", #{nonce}"))
        .unwrap_or_default();
    let label = format!(" {}, {} B{nonce} ", note.name, note.bytes);
    // Beside the sender, and on one side of the relay's lane.
    let start = if left == from.column() {
        left + 3
    } else {
        right - 2 - label.chars().count()
    };
    write_at(&mut row, start, &label);
    row
}

fn write_at(row: &mut [char], column: usize, text: &str) {
    for (cell, c) in row.iter_mut().skip(column).zip(text.chars()) {
        *cell = c;
    }
}

fn line(row: &[char]) -> String {
    let text: String = row.iter().collect();
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use chumwire::note::Layer;

    use super::*;

    #[test]
    fn arrows_lead_from_lane_to_lane_and_sealed_ones_are_double() {
        let note = |name, nonce| Note {
            sent: true,
            layer: Layer::Relay,
            name,
            bytes: 9,
            nonce,
        };
        let passages = [
            Passage {
                from: Lane::Acceptor,
                to: Lane::Relay,
                note: note("register", None),
            },
            Passage {
                from: Lane::Relay,
                to: Lane::Acceptor,
                note: note("ping", None),
            },
            Passage {
                from: Lane::Initiator,
                to: Lane::Acceptor,
                note: note("sync", Some(1)),
            },
        ];
        let drawn = draw(&passages);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 4, "{drawn}");
        assert!(
            lines[0].contains("acceptor") && lines[0].ends_with("initiator"),
            "{drawn}"
        );
        assert!(
            lines[1].contains("|-- register, 9 B ---") && lines[1].contains("->|"),
            "{drawn}"
        );
        assert!(
            lines[2].contains("|<--") && lines[2].contains("- ping, 9 B --|"),
            "{drawn}"
        );
        assert!(
            lines[3].contains("|<==") && lines[3].ends_with("= sync, 9 B, #1 ==|"),
            "{drawn}"
        );
        assert!(lines.iter().all(|line| line.len() <= WIDTH + 9), "{drawn}");
    }
}

//! A sequence diagram in text: a lane for each party, a row for each message.

/// How an arrow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// A message in clear.
    Plain,
    /// A sealed frame: a double line.
    Sealed,
    /// A message that never arrived.
    Lost,
}

/// A diagram that grows row by row.
#[derive(Clone, Debug)]
pub struct Diagram {
    columns: Vec<usize>,
    text: String,
}

/// Columns between two lanes.
const APART: usize = 37;

impl Diagram {
    /// A diagram with these lanes, from left to right, and so much room on the left for words on each row.
    #[must_use]
    pub fn new<'a>(margin: usize, lanes: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = lanes.into_iter().collect();
        let columns: Vec<usize> = (0..names.len()).map(|i| margin + i * APART).collect();
        let longest = names.iter().map(|name| name.chars().count()).max();
        let mut heading = Row(vec![
            ' ';
            margin + names.len() * APART + longest.unwrap_or(0)
        ]);
        for (name, column) in names.iter().zip(&columns) {
            heading.write(column.saturating_sub(name.chars().count() / 2), name);
        }
        Self {
            columns,
            text: heading.line(),
        }
    }

    /// A message from one lane to another, with words at the left and on the arrow.
    pub fn arrow(&mut self, left: &str, from: usize, to: usize, label: &str, stroke: Stroke) {
        let (Some(&start), Some(&end)) = (self.columns.get(from), self.columns.get(to)) else {
            return;
        };
        let mut row = self.row(left);
        let (low, high) = (start.min(end), start.max(end));
        let dash = if stroke == Stroke::Sealed { "=" } else { "-" };
        for column in low + 1..high {
            // What passes a lane between is copied there, unread.
            if !self.columns.contains(&column) {
                row.write(column, dash);
            }
        }
        let right = start < end;
        let (tip, at) = match (stroke, right) {
            (Stroke::Lost, true) => ("x", high - 4),
            (Stroke::Lost, false) => ("x", low + 4),
            (_, true) => (">", high - 1),
            (_, false) => ("<", low + 1),
        };
        if stroke == Stroke::Lost {
            let (from, until) = if right { (at + 1, high) } else { (low + 1, at) };
            (from..until).for_each(|column| row.write(column, " "));
        }
        row.write(at, tip);
        let label = format!(" {label} ");
        // Beside the sender.
        let room = if right {
            low + 3
        } else {
            high.saturating_sub(2 + label.chars().count()).max(low + 3)
        };
        row.write(room, &label);
        self.text += &row.line();
    }

    /// Words about one lane.
    pub fn remark(&mut self, left: &str, lane: usize, words: &str) {
        let Some(&column) = self.columns.get(lane) else {
            return;
        };
        let mut row = self.row(left);
        row.write(column, &format!("* {words}"));
        self.text += &row.line();
    }

    /// The diagram so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn row(&self, left: &str) -> Row {
        let width = self.columns.last().map_or(0, |last| last + 1);
        let mut row = Row(vec![' '; width]);
        for column in &self.columns {
            row.write(*column, "|");
        }
        row.write(0, left);
        row
    }
}

/// One row, by characters.
struct Row(Vec<char>);

impl Row {
    fn write(&mut self, column: usize, text: &str) {
        for (offset, c) in text.chars().enumerate() {
            match self.0.get_mut(column + offset) {
                Some(cell) => *cell = c,
                None => self.0.push(c),
            }
        }
    }

    fn line(self) -> String {
        let text: String = self.0.into_iter().collect();
        format!("{}\n", text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_lead_from_lane_to_lane_and_show_what_they_are() {
        let mut diagram = Diagram::new(8, ["left", "middle", "right"]);
        diagram.arrow("one", 0, 1, "register, 9 B", Stroke::Plain);
        diagram.arrow("two", 1, 0, "ping, 9 B", Stroke::Plain);
        diagram.arrow("three", 2, 0, "sync, 9 B, #1", Stroke::Sealed);
        diagram.arrow("four", 0, 2, "gone, 9 B", Stroke::Lost);
        diagram.remark("five", 1, "crashes");
        let drawn = diagram.text();
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), 6, "{drawn}");
        assert!(
            lines[0].contains("left") && lines[0].ends_with("right"),
            "{drawn}"
        );
        assert!(
            lines[1].starts_with("one") && lines[1].contains("|-- register, 9 B ---"),
            "{drawn}"
        );
        assert!(lines[1].contains("->|"), "{drawn}");
        assert!(
            lines[2].contains("|<--") && lines[2].contains("- ping, 9 B --|"),
            "{drawn}"
        );
        assert!(
            lines[3].contains("|<==") && lines[3].ends_with("= sync, 9 B, #1 ==|"),
            "{drawn}"
        );
        assert!(
            lines[4].contains("-- gone, 9 B --") && lines[4].ends_with("-x   |"),
            "{drawn}"
        );
        assert!(lines[5].contains("* crashes"), "{drawn}");
    }
}

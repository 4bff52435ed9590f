//! One row of text: cells of fixed width, styles, and foreign text made safe.

use paceline_wire::terminal;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As it is.
    Plain,
    /// A heading.
    Title,
    /// The heading of where the arrow keys act.
    Focus,
    /// Well.
    Good,
    /// Wants to be seen.
    Warn,
    /// Wants to be dealt with.
    Bad,
    /// Of less weight.
    Dim,
}

/// How looks show. Color only repeats what the words say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// Color is wanted.
    pub(super) color: bool,
}

impl Palette {
    pub(super) fn style(self, look: Look) -> Style {
        let style = Style::new();
        let colored = |color: Color| if self.color { style.fg(color) } else { style };
        match look {
            Look::Plain => style,
            Look::Title => colored(Color::Cyan).add_modifier(Modifier::BOLD),
            Look::Focus => style.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Look::Good => colored(Color::Green),
            Look::Warn => colored(Color::Yellow),
            Look::Bad => colored(Color::Red).add_modifier(Modifier::BOLD),
            Look::Dim => colored(Color::DarkGray),
        }
    }
}

/// A row that is put together from left to right.
pub(super) struct Row {
    palette: Palette,
    spans: Vec<Span<'static>>,
    left: usize,
}

impl Row {
    /// An empty row of that width.
    pub(super) fn new(palette: Palette, width: u16) -> Self {
        Self { palette, spans: Vec::new(), left: width.into() }
    }

    /// Adds text of exactly that width, cut or filled up on the right, and a space.
    pub(super) fn cell(self, text: &str, width: usize, look: Look) -> Self {
        let text = fit(text, width);
        let fill = width - text.width();
        self.push(format!("{text}{}", " ".repeat(fill + 1)), look)
    }

    /// The same with text that stands on the right.
    pub(super) fn right(self, text: &str, width: usize, look: Look) -> Self {
        let text = fit(text, width);
        let fill = width - text.width();
        self.push(format!("{}{text} ", " ".repeat(fill)), look)
    }

    /// Adds text as it is, as far as there is room.
    pub(super) fn text(self, text: &str, look: Look) -> Self {
        let text = fit(text, self.left);
        self.push(text, look)
    }

    /// Adds text at the right edge, if there is room.
    pub(super) fn at_the_end(self, text: &str, look: Look) -> Self {
        match self.left.checked_sub(text.width()) {
            Some(gap) if gap > 0 => self.push(" ".repeat(gap), Look::Plain).push(text.to_owned(), look),
            _ => self,
        }
    }

    /// What is left of the width.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The finished line.
    pub(super) fn line(self) -> Line<'static> {
        Line::from(self.spans)
    }

    fn push(mut self, text: String, look: Look) -> Self {
        self.left = self.left.saturating_sub(text.width());
        self.spans.push(Span::styled(text, self.palette.style(look)));
        self
    }
}

/// Text without anything that a terminal would obey, cut to a width: `~` says that there is more.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = terminal::line(text);
    if text.width() <= width {
        return text.into_owned();
    }
    let mut cut = String::new();
    let mut taken = 1; // For the mark.
    for c in text.chars() {
        taken += c.width().unwrap_or(0);
        if taken > width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push('~');
    }
    cut
}

/// `[####....]`: so much of it is used.
pub(super) fn bar(used: u64, limit: u64, width: usize) -> String {
    let Some(inside) = width.checked_sub(2).filter(|inside| *inside > 0) else { return String::new() };
    let share = if limit == 0 { 0.0 } else { (used as f64 / limit as f64).min(1.0) };
    let full = (share * inside as f64).round() as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(inside - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_what_it_takes_on_the_screen() {
        for (text, width, cut) in [
            ("short", 5, "short"),
            ("longer", 5, "long~"),
            ("日本語です", 6, "日本~"),
            ("a\u{1b}[31m", 20, "a\\u{1b}[31m"),
            ("anything", 0, ""),
        ] {
            assert_eq!(fit(text, width), cut, "{text}");
        }
    }

    #[test]
    fn bars_are_full_when_the_limit_is_reached() {
        for (used, limit, text) in
            [(0, 10, "[....]"), (5, 10, "[##..]"), (10, 10, "[####]"), (99, 10, "[####]"), (1, 0, "[....]")]
        {
            assert_eq!(bar(used, limit, 6), text);
        }
        assert_eq!(bar(1, 2, 2), "");
    }
}

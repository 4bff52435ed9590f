//! How many attempts went out, second by second.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::row::{Look, Palette, Row};
use crate::top::history::History;

/// The chart, with its heading.
pub(super) fn chart(history: &History, palette: Palette, area: Rect) -> Vec<Line<'static>> {
    let row = || Row::new(palette, area.width);
    let bars: Vec<u64> = history.sent(area.width.into()).collect();
    let top = bars.iter().copied().max().unwrap_or(0).max(1);
    let heading = format!(" Sent each second, {top} at most ");
    let heading = row().text(&heading, Look::Title);
    let rule = "-".repeat(heading.left());
    let height = u64::from(area.height.saturating_sub(1));
    let line = |level: u64| {
        // A bar is drawn from half of a line on, and whatever was sent is seen on the lowest.
        let is_full = |sent: u64| sent > 0 && (level == 0 || sent * height * 2 >= top * (level * 2 + 1));
        let text: String = bars.iter().map(|sent| if is_full(*sent) { '#' } else { ' ' }).collect();
        row().text(&text, Look::Good).line()
    };
    let levels = (0..height).rev().map(line);
    std::iter::once(heading.text(&rule, Look::Dim).line()).chain(levels).collect()
}

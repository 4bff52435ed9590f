//! Who gets how much of the screen.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::panels;
use super::row::Palette;
use crate::top::screen::{Panel, Screen};

/// From this width on there are two columns.
const WIDE: u16 = 120;
/// Between them.
const GAP: u16 = 2;
/// Lines of the chart, where there is room for one: at least, and at most.
const CHART: [u16; 2] = [5, 12];

/// What is on the left and on the right then.
const LEFT: [Panel; 2] = [Panel::Limits, Panel::Flights];
const RIGHT: [Panel; 4] = [Panel::Upstreams, Panel::Queue, Panel::Money, Panel::Throttled];

/// Something, and where.
pub(super) enum Placed {
    /// A panel with all its rows.
    Panel(Panel, Rect, Vec<Line<'static>>),
    /// The chart.
    Chart(Rect),
}

/// Gives each panel its place.
pub(super) fn place(screen: &Screen, palette: Palette, area: Rect) -> Vec<Placed> {
    if area.width < WIDE {
        return column(screen, palette, area, &Panel::ALL).0;
    }
    let left = (area.width - GAP) / 2;
    let right = area.width - GAP - left;
    let (mut placed, used) = column(screen, palette, Rect { width: left, ..area }, &LEFT);
    let room = area.height.saturating_sub(used + 1);
    if room >= CHART[0] {
        let (y, height) = (area.y + used + 1, room.min(CHART[1]));
        placed.push(Placed::Chart(Rect { y, width: left, height, ..area }));
    }
    let right = Rect { x: area.right() - right, width: right, ..area };
    placed.extend(column(screen, palette, right, &RIGHT).0);
    placed
}

/// Puts panels below each other. Says how many lines they take.
fn column(screen: &Screen, palette: Palette, area: Rect, panels: &[Panel]) -> (Vec<Placed>, u16) {
    let rows: Vec<_> =
        panels.iter().map(|panel| panels::rows(*panel, &screen.status, palette, area.width)).collect();
    let wanted: Vec<u16> =
        rows.iter().map(|rows| u16::try_from(rows.len() + 1).unwrap_or(u16::MAX)).collect();
    let focus = panels.iter().position(|panel| *panel == screen.focus);
    let mut y = area.y;
    let mut placed = Vec::new();
    for ((panel, rows), height) in panels.iter().zip(rows).zip(heights(&wanted, area.height, focus)) {
        // A heading alone says nothing.
        if height > 1 {
            placed.push(Placed::Panel(*panel, Rect { y, height, ..area }, rows));
        }
        y += height;
    }
    (placed, y - area.y)
}

/// Shares lines out: two for each as far as they go, then one at a time to whoever wants more, the focused one first.
fn heights(wanted: &[u16], total: u16, focus: Option<usize>) -> Vec<u16> {
    let mut heights = vec![0; wanted.len()];
    let mut left = total;
    let order = focus.into_iter().chain((0..wanted.len()).filter(|index| Some(*index) != focus));
    let order: Vec<usize> = order.collect();
    for index in &order {
        heights[*index] = wanted[*index].min(2).min(left);
        left -= heights[*index];
    }
    if let Some(focus) = focus {
        let more = (wanted[focus] - heights[focus]).min(left / 2);
        heights[focus] += more;
        left -= more;
    }
    while left > 0 && order.iter().any(|index| heights[*index] < wanted[*index]) {
        for index in &order {
            if left > 0 && heights[*index] < wanted[*index] {
                heights[*index] += 1;
                left -= 1;
            }
        }
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_those_who_need_them() {
        for (wanted, total, focus, given) in [
            (&[3, 4, 2][..], 20, None, &[3, 4, 2][..]),
            (&[30, 4, 2], 10, None, &[4, 4, 2]),
            (&[30, 30, 30], 12, Some(2), &[3, 3, 6]),
            (&[5, 5, 5], 4, Some(2), &[2, 0, 2]),
            (&[5], 0, Some(0), &[0]),
        ] {
            assert_eq!(heights(wanted, total, focus), given, "{wanted:?} of {total}");
        }
    }
}

//! Draws the screen. Pure: the same screen at the same size gives the same picture.

mod chart;
mod panels;
mod place;
mod row;

use std::time::Duration;

use paceline_control::name;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use self::place::{Placed, place};
use self::row::{Look, Palette, Row, bar};
use super::screen::{Mode, Panel, Screen};
use crate::ctl::eta;
use crate::progress::{grouped, short, span};

const HELP: [&str; 12] = [
    "tab, right, left    go to another panel",
    "down, up            scroll it; page down, page up, home",
    "p                   pause sending, or go on; asks first",
    "q, Ctrl-C           leave; what is shown goes on working",
    "",
    "Limits: what was used of each limit within its window, and what binds.",
    "  typed     by you      reported  by the provider      learned  from refusals",
    "Upstreams: well, open (failed too often), half open (a probe is under way),",
    "  out (its credential is refused, or out of money), taken out (by an operator).",
    "",
    "Change limits with `paceline ctl limit rpm=50`; `paceline ctl --help` says more.",
    "any key closes this",
];

/// Draws the screen. Says how far each panel can be scrolled.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &Screen) -> [usize; Panel::ALL.len()] {
    let palette = Palette { color: screen.color };
    let area = frame.area();
    let mut most = [0; Panel::ALL.len()];
    let head = head(screen, palette, area.width);
    let [above, panels, below] = rows_of(area, head.len() as u16);
    lines(frame, above, head);
    if screen.mode == Mode::Help {
        lines(frame, panels, HELP.map(Line::from).into());
    } else {
        for placed in place(screen, palette, panels) {
            match placed {
                Placed::Panel(panel, area, rows) => {
                    most[panel as usize] = draw_panel(frame, screen, panel, area, rows);
                }
                Placed::Chart(area) => lines(frame, area, chart::chart(&screen.history, palette, area)),
            }
        }
    }
    lines(frame, below, vec![foot(screen, palette, area.width)]);
    most
}

/// The head, the panels, and the last line.
fn rows_of(area: Rect, head: u16) -> [Rect; 3] {
    let head = head.min(area.height);
    let foot = u16::from(head < area.height);
    let panels = area.height - head - foot;
    let at = |y: u16, height: u16| Rect { y: area.y + y, height, ..area };
    [at(0, head), at(head, panels), at(head + panels, foot)]
}

fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    for (y, line) in (area.top()..area.bottom()).zip(lines) {
        frame.buffer_mut().set_line(area.x, y, &line, area.width);
    }
}

/// Draws a panel: its heading and the rows that fit. Says how many don't.
fn draw_panel(
    frame: &mut Frame<'_>,
    screen: &Screen,
    panel: Panel,
    area: Rect,
    rows: Vec<Line<'static>>,
) -> usize {
    let room = usize::from(area.height.saturating_sub(1));
    let hidden = rows.len().saturating_sub(room);
    let from = screen.scrolled[panel as usize].min(hidden);
    let look = if screen.focus == panel { Look::Focus } else { Look::Title };
    let mut heading =
        Row::new(Palette { color: screen.color }, area.width).text(&format!(" {} ", panel.title()), look);
    let more = match hidden {
        0 => String::new(),
        _ => format!(" {}-{} of {}", from + 1, from + room, rows.len()),
    };
    let rule = "-".repeat(heading.left().saturating_sub(more.len()));
    heading = heading.text(&rule, Look::Dim).text(&more, Look::Dim);
    let shown = std::iter::once(heading.line()).chain(rows.into_iter().skip(from));
    lines(frame, area, shown.collect());
    hidden
}

fn head(screen: &Screen, palette: Palette, width: u16) -> Vec<Line<'static>> {
    let status = &screen.status;
    let (state, look) = match (status.paused, status.ready) {
        (true, _) => ("PAUSED", Look::Bad),
        (false, true) => ("sending", Look::Good),
        (false, false) => ("draining", Look::Warn),
    };
    let up = format!("up {}", span(Duration::from_secs(status.up_seconds)));
    let rate = screen.history.per_minute().map(|rate| format!(", {} requests/min", short(rate)));
    let traffic = format!(
        "  {} in flight, {} waiting{}, {} throttled",
        short(status.in_flight),
        short(status.waiting_in_all()),
        rate.unwrap_or_default(),
        short(status.throttled),
    );
    let title = Row::new(palette, width)
        .text(&format!("paceline {} {}  ", name(status.kind), status.pid), Look::Title);
    let mut lines = vec![title.text(what(screen), Look::Plain).at_the_end(&up, Look::Dim).line()];
    lines.push(Row::new(palette, width).text(state, look).text(&traffic, Look::Plain).line());
    if let Some(batch) = &status.batch {
        let over = batch.done + batch.failed;
        let percent = (over * 100).checked_div(batch.total).unwrap_or(0);
        let row = Row::new(palette, width);
        let row =
            row.cell(&bar(over, batch.total, usize::from(width) / 3), usize::from(width) / 3, Look::Good);
        let jobs = format!("{} of {} ({percent}%)", grouped(over), grouped(batch.total));
        let row = row.text(&jobs, Look::Plain);
        let row = match batch.failed {
            0 => row,
            failed => row.text(&format!(", {} failed", grouped(failed)), Look::Bad),
        };
        let left = eta(batch).map(|left| format!(", {left} left")).unwrap_or_default();
        lines.push(row.text(&left, Look::Plain).line());
        let binds = batch.binds.as_deref().unwrap_or("nothing but the speed of the answers");
        let tokens = format!("{} tokens/min, held by ", short(batch.tokens_per_minute));
        lines.push(Row::new(palette, width).text(&tokens, Look::Plain).text(binds, Look::Warn).line());
    }
    lines
}

/// What it works on: its output, or how it is called.
fn what(screen: &Screen) -> &str {
    let output = screen.status.batch.as_ref().map(|batch| batch.output.as_str());
    output.filter(|output| !output.is_empty()).unwrap_or(&screen.what)
}

fn foot(screen: &Screen, palette: Palette, width: u16) -> Line<'static> {
    let row = Row::new(palette, width);
    let row = match (screen.mode, &screen.trouble) {
        (Mode::Printed, _) => row,
        (Mode::Asking(true), _) => {
            row.text("Pause? What is in flight ends, nothing more is sent. y: yes, else no", Look::Focus)
        }
        (Mode::Asking(false), _) => row.text("Go on sending? y: yes, else no", Look::Focus),
        (_, Some(trouble)) => row.text(trouble, Look::Bad).text("  q: leave", Look::Plain),
        (_, None) if screen.status.paused => {
            row.text("q leave  p go on  tab panel  up/down scroll  ? help", Look::Dim)
        }
        (_, None) => row.text("q leave  p pause  tab panel  up/down scroll  ? help", Look::Dim),
    };
    row.line()
}

#[cfg(test)]
mod tests;

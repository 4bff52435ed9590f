//! One picture as plain text: for pipes, scripts and tests.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::draw::draw;
use super::screen::Screen;
use crate::args::Size;

/// The width of a picture that goes nowhere in particular.
const WIDTH: u16 = 80;
/// More lines than a picture of natural size has.
const MOST_LINES: u16 = 2_000;

/// The picture, with its empty lines left out where no size was asked for.
pub(super) fn text(screen: &Screen, size: Option<Size>) -> String {
    let Size { columns, lines } = size.unwrap_or_else(|| Size { columns: WIDTH, lines: natural(screen) });
    let mut text = String::new();
    for line in picture(screen, columns, lines) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if size.is_none() {
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Lines that hold everything.
fn natural(screen: &Screen) -> u16 {
    let status = &screen.status;
    let allowances = status.callers.iter().map(|caller| caller.allowances.len()).sum::<usize>();
    let limits: usize = status.limiters.iter().map(|limiter| limiter.limits.len() + 2).sum();
    let lists = [status.upstreams.len(), status.tenants.len(), status.flights.len(), status.throttles.len()];
    let rows = limits + allowances + lists.iter().sum::<usize>() + status.budgets.len() + 24;
    u16::try_from(rows).unwrap_or(u16::MAX).min(MOST_LINES)
}

fn picture(screen: &Screen, columns: u16, lines: u16) -> Vec<String> {
    let mut terminal = match Terminal::new(TestBackend::new(columns, lines)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    let drawn = terminal.draw(|frame| {
        draw(frame, screen);
    });
    match drawn {
        Ok(_) => rows(terminal.backend().buffer()),
        Err(never) => match never {},
    }
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width).max(1);
    buffer.content.chunks(width).map(|row| row.iter().map(|cell| cell.symbol()).collect()).collect()
}

//! Shows a run while it goes: a bar on a terminal, a line now and then elsewhere, JSON for programs. All on stderr.

mod closeness;
mod numbers;
mod view;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use paceline_wire::terminal;

pub(crate) use closeness::{Charges, Closeness, closeness};
pub(crate) use numbers::{count, grouped, limit_name, short, span};
pub(crate) use view::View;

use crate::args::ProgressStyle;
use crate::messages;

/// Between two lines of plain progress.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Between two lines for programs.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// Shows views in the style that was asked for.
pub(crate) enum Reporter {
    /// On a terminal.
    Bar(ProgressBar),
    /// Lines, the last one at that time.
    Plain(Duration),
    /// JSON lines, the last one at that time.
    Json(Option<Duration>),
    /// Nothing.
    Silent,
}

impl Reporter {
    /// A reporter of that style.
    pub(crate) fn new(style: ProgressStyle) -> Self {
        match style {
            ProgressStyle::Auto if std::io::stderr().is_terminal() => Reporter::Bar(bar()),
            ProgressStyle::Auto | ProgressStyle::Plain => Reporter::Plain(Duration::ZERO),
            ProgressStyle::Json => Reporter::Json(None),
            ProgressStyle::None => Reporter::Silent,
        }
    }

    /// Shows a view, if it is time to.
    pub(crate) fn show(&mut self, view: &View) {
        match self {
            Reporter::Bar(bar) => {
                bar.set_length(view.run.jobs);
                bar.set_position(view.run.jobs - view.run.left());
                bar.set_message(terminal::line(&view.details()).into_owned());
            }
            Reporter::Plain(last) if view.run.elapsed.saturating_sub(*last) >= PLAIN_EVERY => {
                *last = view.run.elapsed;
                messages::say(&view.line());
            }
            Reporter::Json(last)
                if last.is_none_or(|last| view.run.elapsed.saturating_sub(last) >= JSON_EVERY) =>
            {
                *last = Some(view.run.elapsed);
                messages::say_json(&view.json("progress"));
            }
            Reporter::Plain(_) | Reporter::Json(_) | Reporter::Silent => {}
        }
    }

    /// Lets something be said without tearing the bar.
    pub(crate) fn aside(&self, say: impl FnOnce()) {
        match self {
            Reporter::Bar(bar) => bar.suspend(say),
            _ => say(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Reporter::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let style = BarStyle::with_template("[{wide_bar}] {human_pos} of {human_len}  {elapsed}\n{wide_msg}");
    let style = style.expect("the template is a constant that a test draws").progress_chars("=> ");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_can_be_drawn() {
        bar().tick();
    }
}

//! `paceline top`: a running process on a terminal, over SSH as well.

mod draw;
mod history;
mod once;
mod screen;
mod terminal;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, anyhow};
use paceline_control::Place;
use paceline_status::Status;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::screen::{Mode, Screen, Wish};
use self::terminal::{Input, Terminal};
use crate::args::TopArgs;
use crate::ctl::{self, Chosen};
use crate::exit::{Exit, Failure};
use crate::signals::{Signal, Signals};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Answers that wait to be shown.
const MOST_ANSWERS: usize = 8;

/// Shows what was asked for.
pub(crate) fn top(args: &TopArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start").map_err(Failure::stopped)?;
    let ended = runtime.block_on(show(args));
    // Not waited for: a look at a process that hangs may be under way.
    runtime.shutdown_background();
    ended
}

async fn show(args: &TopArgs) -> Result<Exit, Failure> {
    let chosen = ctl::choose(&args.whom).await?;
    let status: Status = chosen.place.get("/v1/status").await.map_err(ctl::failure)?;
    let mut screen = Screen::new(chosen.what.clone(), status, wants_color());
    if args.once {
        screen.mode = Mode::Printed;
        // A reader who has closed the pipe has seen enough.
        let _ = io::stdout().write_all(once::text(&screen, args.size).as_bytes());
        return Ok(Exit::Done);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::usage(anyhow!("`paceline top` needs a terminal"))
            .hint("`--once` prints one picture as text; `paceline ctl status --json` is for programs"));
    }
    let mut signals = Signals::install().context("cannot take signals over").map_err(Failure::stopped)?;
    let mut terminal = Terminal::take().context("cannot use the terminal").map_err(Failure::stopped)?;
    let ended = watch(&chosen, screen, &mut terminal, &mut signals).await;
    drop(terminal); // Before anything is said.
    let signal = ended.context("the terminal is gone").map_err(Failure::stopped)?;
    Ok(match signal {
        Some(Signal::Interrupt) => Exit::Interrupted,
        Some(Signal::Terminate) => Exit::Terminated,
        // Its terminal was closed: there is nobody to look.
        Some(Signal::Hangup) | None => Exit::Done,
    })
}

/// Looks and draws until the user leaves or a signal ends it.
async fn watch(
    chosen: &Chosen,
    mut screen: Screen,
    terminal: &mut Terminal,
    signals: &mut Signals,
) -> io::Result<Option<Signal>> {
    let mut inputs = terminal::inputs()?;
    let (tell, mut answers) = mpsc::channel(MOST_ANSWERS);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.tick().await; // The first look is done.
    let mut looking = false;
    loop {
        terminal.draw(&mut screen)?;
        tokio::select! {
            _ = looks.tick() => {
                if !std::mem::replace(&mut looking, true) {
                    ask(&chosen.place, None, &tell);
                }
            }
            Some(answer) = answers.recv() => {
                looking = false;
                screen.handle_look(answer);
            }
            input = inputs.recv() => match input {
                Some(Input::Key(key)) => match screen.handle_key(key) {
                    Some(Wish::Quit) => return Ok(None),
                    Some(Wish::Pause(pause)) => {
                        looking = true;
                        ask(&chosen.place, Some(pause), &tell);
                    }
                    None => {}
                },
                Some(Input::Resized) => {}
                Some(Input::Lost(error)) => return Err(error),
                None => return Ok(None),
            },
            signal = signals.any() => return Ok(Some(signal)),
        }
    }
}

/// Has the process asked how it stands, after it was paused or resumed where that is wanted. Keys are not held up by it.
fn ask(place: &Place, pause: Option<bool>, tell: &mpsc::Sender<Result<Status, String>>) {
    let (place, tell) = (place.clone(), tell.clone());
    tokio::spawn(async move {
        let look = async {
            if let Some(pause) = pause {
                place.post(if pause { "/pause" } else { "/resume" }, None).await?;
            }
            place.get::<Status>("/v1/status").await
        };
        let answer = look.await.map_err(|error| match error {
            paceline_control::AskError::Unreachable { .. } => {
                "nobody answers any more: it has ended".to_owned()
            }
            error => format!("{:#}", anyhow::Error::from(error)),
        });
        // The user may have left.
        let _ = tell.send(answer).await;
    });
}

/// Whether color is wanted: see <https://no-color.org>.
fn wants_color() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

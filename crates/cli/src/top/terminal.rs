//! The terminal: taken, drawn on, and given back as it was, whatever happens.

use std::io;
use std::thread;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use tokio::sync::mpsc;

use super::draw::draw;
use super::screen::Screen;

/// Keys that wait to be dealt with.
const MOST_KEYS: usize = 64;

/// A terminal that is ours until this is dropped. A panic gives it back, too.
pub(super) struct Terminal(DefaultTerminal);

/// What comes from the terminal.
pub(super) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// It has another size.
    Resized,
    /// It is gone.
    Lost(io::Error),
}

impl Terminal {
    /// Takes the terminal: its own screen, and keys as they come.
    pub(super) fn take() -> io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }

    /// Shows the screen.
    pub(super) fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        let mut most = Default::default();
        self.0.draw(|frame| most = draw(frame, screen))?;
        screen.bound(most);
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What comes from the terminal, read by a thread of its own: reading blocks, and is given up with the process.
pub(super) fn inputs() -> io::Result<mpsc::Receiver<Input>> {
    let (tell, inputs) = mpsc::channel(MOST_KEYS);
    thread::Builder::new().name("paceline-keys".to_owned()).spawn(move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
                Ok(Event::Resize(..)) => Input::Resized,
                Ok(_) => continue,
                Err(error) => Input::Lost(error),
            };
            let is_last = matches!(input, Input::Lost(_));
            if tell.blocking_send(input).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(inputs)
}

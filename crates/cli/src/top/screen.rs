//! What is on the screen, and what keys do to it.

use paceline_status::Status;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::history::History;

/// The parts of the screen that can be moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    /// Limits and how much of them is used.
    Limits,
    /// Upstreams and how they do.
    Upstreams,
    /// Who waits.
    Queue,
    /// Attempts under way.
    Flights,
    /// What is spent, and what may be.
    Money,
    /// Attempts that were throttled.
    Throttled,
}

impl Panel {
    /// All of them, in the order of the tab key.
    pub(crate) const ALL: [Panel; 6] =
        [Panel::Limits, Panel::Upstreams, Panel::Queue, Panel::Flights, Panel::Money, Panel::Throttled];

    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Panel::Limits => "Limits",
            Panel::Upstreams => "Upstreams",
            Panel::Queue => "Queue",
            Panel::Flights => "In flight",
            Panel::Money => "Money",
            Panel::Throttled => "Throttled",
        }
    }
}

/// What the keys mean at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Looking.
    #[default]
    Looking,
    /// The help is shown.
    Help,
    /// Nothing: it is a picture that is printed.
    Printed,
    /// Whether to pause (or, if false, to resume) is asked.
    Asking(bool),
}

/// What the user wants of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To leave.
    Quit,
    /// To have sending paused, or resumed.
    Pause(bool),
}

/// All that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    /// What tells the process from others of its kind.
    pub(crate) what: String,
    /// The last standing that was told.
    pub(crate) status: Status,
    /// What was told before.
    pub(crate) history: History,
    /// Why it is not told any more, or what could not be done.
    pub(crate) trouble: Option<String>,
    /// Where the arrow keys act.
    pub(crate) focus: Panel,
    /// How many rows of each panel are scrolled out.
    pub(crate) scrolled: [usize; Panel::ALL.len()],
    /// What the keys mean.
    pub(crate) mode: Mode,
    /// Color is wanted.
    pub(crate) color: bool,
}

impl Screen {
    /// A screen with this standing.
    pub(crate) fn new(what: String, status: Status, color: bool) -> Self {
        let mut history = History::default();
        history.add(&status);
        Self {
            what,
            status,
            history,
            trouble: None,
            focus: Panel::Limits,
            scrolled: [0; Panel::ALL.len()],
            mode: Mode::default(),
            color,
        }
    }

    /// The process told its standing, or why it did not.
    pub(crate) fn handle_look(&mut self, look: Result<Status, String>) {
        match look {
            Ok(status) => {
                self.history.add(&status);
                self.status = status;
                self.trouble = None;
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// A key was pressed.
    pub(crate) fn handle_key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Some(Wish::Quit);
        }
        match (self.mode, key.code) {
            (Mode::Asking(pause), code) => {
                self.mode = Mode::Looking;
                let yes = matches!(code, KeyCode::Char('y' | 'Y') | KeyCode::Enter);
                yes.then_some(Wish::Pause(pause))
            }
            (Mode::Help, _) => {
                self.mode = Mode::Looking;
                None
            }
            (Mode::Printed, _) => None,
            (Mode::Looking, KeyCode::Char('q')) => Some(Wish::Quit),
            (Mode::Looking, KeyCode::Char('p')) => {
                self.mode = Mode::Asking(!self.status.paused);
                None
            }
            (Mode::Looking, KeyCode::Char('?' | 'h')) => {
                self.mode = Mode::Help;
                None
            }
            (Mode::Looking, code) => {
                self.handle_move(code);
                None
            }
        }
    }

    fn handle_move(&mut self, code: KeyCode) {
        let rows = &mut self.scrolled[self.focus as usize];
        let count = Panel::ALL.len();
        match code {
            KeyCode::Tab | KeyCode::Right => self.focus = Panel::ALL[(self.focus as usize + 1) % count],
            KeyCode::BackTab | KeyCode::Left => {
                self.focus = Panel::ALL[(self.focus as usize + count - 1) % count];
            }
            // How far it goes only the drawing knows: it shows the last rows when this is too much.
            KeyCode::Down => *rows = rows.saturating_add(1).min(MOST_ROWS),
            KeyCode::PageDown => *rows = rows.saturating_add(PAGE).min(MOST_ROWS),
            KeyCode::Up => *rows = rows.saturating_sub(1),
            KeyCode::PageUp => *rows = rows.saturating_sub(PAGE),
            KeyCode::Home => *rows = 0,
            _ => {}
        }
    }

    /// The panels have so many rows more than are shown: nothing is scrolled further than that.
    pub(crate) fn bound(&mut self, most: [usize; Panel::ALL.len()]) {
        for (rows, most) in self.scrolled.iter_mut().zip(most) {
            *rows = (*rows).min(most);
        }
    }
}

/// Rows of a page.
const PAGE: usize = 10;
/// More rows than any panel has.
const MOST_ROWS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        Screen::new("out.jsonl".to_owned(), Status::default(), false)
    }

    fn press(screen: &mut Screen, code: KeyCode) -> Option<Wish> {
        screen.handle_key(KeyEvent::from(code))
    }

    #[test]
    fn a_pause_wants_to_be_confirmed() {
        let mut screen = screen();
        assert_eq!(press(&mut screen, KeyCode::Char('p')), None);
        assert_eq!(screen.mode, Mode::Asking(true));
        assert_eq!(press(&mut screen, KeyCode::Char('n')), None);
        press(&mut screen, KeyCode::Char('p'));
        assert_eq!(press(&mut screen, KeyCode::Char('y')), Some(Wish::Pause(true)));
        screen.handle_look(Ok(Status { paused: true, ..Status::default() }));
        press(&mut screen, KeyCode::Char('p'));
        assert_eq!(press(&mut screen, KeyCode::Enter), Some(Wish::Pause(false)));
    }

    #[test]
    fn keys_move_scroll_and_leave() {
        let mut screen = screen();
        press(&mut screen, KeyCode::BackTab);
        assert_eq!(screen.focus, Panel::Throttled);
        press(&mut screen, KeyCode::Tab);
        press(&mut screen, KeyCode::Down);
        press(&mut screen, KeyCode::PageDown);
        assert_eq!((screen.focus, screen.scrolled[0]), (Panel::Limits, 11));
        screen.bound([3; Panel::ALL.len()]);
        press(&mut screen, KeyCode::Up);
        assert_eq!(screen.scrolled[0], 2);
        press(&mut screen, KeyCode::Char('?'));
        assert_eq!(press(&mut screen, KeyCode::Char('q')), None, "any key closes the help");
        assert_eq!(press(&mut screen, KeyCode::Char('q')), Some(Wish::Quit));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(screen.handle_key(interrupt), Some(Wish::Quit));
    }

    #[test]
    fn an_old_picture_says_that_it_is() {
        let mut screen = screen();
        screen.handle_look(Err("gone".to_owned()));
        assert_eq!(screen.trouble.as_deref(), Some("gone"));
        screen.handle_look(Ok(Status::default()));
        assert_eq!(screen.trouble, None);
    }
}

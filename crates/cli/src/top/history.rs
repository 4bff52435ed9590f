//! What was seen so far: a look a second, for rates and the chart.

use std::collections::VecDeque;

use paceline_status::Status;

/// Looks that are kept: as many as the widest chart shows.
const MOST_LOOKS: usize = 500;
/// Looks over which the present rate is taken.
const RATE_LOOKS: usize = 15;

/// The looks so far, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    sent: VecDeque<u64>, // Attempts sent between two looks.
    last: Option<(u32, u64)>,
}

impl History {
    /// Adds a look.
    pub(crate) fn add(&mut self, status: &Status) {
        let sent = match self.last {
            Some((pid, sent)) if pid == status.pid => Some(status.sent.saturating_sub(sent)),
            // Another process answers there by now, or this is the first look.
            _ => {
                self.sent.clear();
                None
            }
        };
        self.last = Some((status.pid, status.sent));
        self.sent.extend(sent);
        if self.sent.len() > MOST_LOOKS {
            self.sent.pop_front();
        }
    }

    /// Attempts sent in each of the last `count` seconds, oldest first.
    pub(crate) fn sent(&self, count: usize) -> impl Iterator<Item = u64> {
        self.sent.iter().copied().skip(self.sent.len().saturating_sub(count))
    }

    /// Attempts a minute, of late; `None` until there were two looks.
    pub(crate) fn per_minute(&self) -> Option<u64> {
        let looks = self.sent.len().min(RATE_LOOKS) as u64;
        let sum: u64 = self.sent(RATE_LOOKS).sum();
        (sum * 60).checked_div(looks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_between_looks_of_one_process() {
        let mut history = History::default();
        let look = |pid, sent| Status { pid, sent, ..Status::default() };
        history.add(&look(1, 100));
        assert_eq!(history.per_minute(), None);
        history.add(&look(1, 102));
        history.add(&look(1, 102));
        assert_eq!((history.per_minute(), history.sent(9).collect()), (Some(60), vec![2, 0]));
        history.add(&look(2, 5));
        assert_eq!(history.per_minute(), None);
        for sent in 0..1_000 {
            history.add(&look(2, 5 + sent));
        }
        assert_eq!(history.sent(usize::MAX).count(), MOST_LOOKS);
    }
}

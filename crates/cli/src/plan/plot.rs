//! Draws a run over time: how much of each limit is used, and how many jobs wait. Plain SVG, readable in light and dark.

mod axis;

use std::fmt::Write;
use std::time::Duration;

use paceline_core::quota::Dimension;
use paceline_sim::plan::Frame;

use self::axis::{Axis, count_axis, share_axis, time_axis};
use crate::progress::{count, limit_name, span};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
/// Where the two panels begin and end.
const USE: (f64, f64) = (96.0, 306.0);
const QUEUE: (f64, f64) = (356.0, 446.0);
/// Limits that have a look of their own; there are never more than four dimensions with a window or two.
const LOOKS: usize = 6;

/// How things look; the system's preference decides between light and dark.
const STYLE: &str = "
  svg { --paper: #ffffff; --ink: #1f2328; --dim: #59636e; --grid: #d9dee3;
        --c0: #0969da; --c1: #bc4c00; --c2: #1a7f37; --c3: #8250df; --c4: #bf3989; --c5: #7d6608; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --dim: #9198a1; --grid: #2b3138;
          --c0: #58a6ff; --c1: #f0883e; --c2: #3fb950; --c3: #bc8cff; --c4: #f778ba; --c5: #d4a72c; }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 17px; font-weight: 600; }
  .dim { fill: var(--dim); }
  .grid { stroke: var(--grid); }
  .full { stroke: var(--dim); stroke-dasharray: 2 3; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .l0 { stroke: var(--c0); } .l1 { stroke: var(--c1); stroke-dasharray: 7 3; }
  .l2 { stroke: var(--c2); stroke-dasharray: 2 3; } .l3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; }
  .l4 { stroke: var(--c4); } .l5 { stroke: var(--c5); stroke-dasharray: 4 4; }
  .queue { fill: var(--c0); fill-opacity: 0.22; stroke: var(--c0); stroke-width: 1.5; }
";

/// A run, and what it stands for.
pub(super) struct Drawing<'a> {
    pub(super) frames: &'a [Frame],
    /// When the whole batch is done.
    pub(super) finish: Duration,
    /// How many jobs the batch has.
    pub(super) jobs: u64,
    /// What holds it up.
    pub(super) binds: Option<String>,
}

impl Drawing<'_> {
    /// The whole picture.
    pub(super) fn svg(&self) -> String {
        let time = time_axis(self.finish);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n"
        );
        let binds = self.binds.as_ref().map(|binds| format!("; {binds} binds")).unwrap_or_default();
        let title = escaped(&format!("{} in {}{binds}", count(self.jobs, "job"), span(self.finish)));
        let _ = write!(
            out,
            "<title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"var(--paper)\"/>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"32\">{title}</text>\n"
        );
        self.draw_use(&mut out, &time);
        self.draw_queue(&mut out, &time);
        out.push_str("</svg>\n");
        out
    }

    fn draw_use(&self, out: &mut String, time: &Axis) {
        let limits = self.limits();
        let most = self.frames.iter().flat_map(|frame| &frame.used).map(|used| used.2).fold(1.0, f64::max);
        let share = share_axis(most);
        grid(out, USE, time, &share, "use of each limit, over its window or since the start");
        let full = y(USE, &share, 1.0);
        let _ = writeln!(out, "<path class=\"full\" d=\"M{LEFT} {full:.1}H{:.1}\"/>", WIDTH - RIGHT);
        let mut legend = LEFT;
        for (look, (dimension, window)) in limits.iter().enumerate().take(LOOKS) {
            let used = |frame: &Frame| {
                let of = frame.used.iter().find(|used| (used.0, used.1) == (*dimension, *window));
                of.map_or(0.0, |used| used.2)
            };
            let path = self.path(time, |frame| y(USE, &share, used(frame)));
            let _ = writeln!(out, "<path class=\"line l{look}\" d=\"{path}\"/>");
            let name = limit_name(*dimension, *window);
            let _ = writeln!(
                out,
                "<path class=\"line l{look}\" d=\"M{legend:.1} 56h26\"/><text x=\"{:.1}\" y=\"60\">{}</text>",
                legend + 32.0,
                escaped(&name)
            );
            legend += 56.0 + 7.2 * name.len() as f64;
        }
    }

    fn draw_queue(&self, out: &mut String, time: &Axis) {
        let jobs = count_axis(self.jobs);
        grid(out, QUEUE, time, &jobs, "jobs waiting");
        // What was played in part is shown for the whole.
        let played = self.frames.first().map_or(1, |frame| (frame.waiting + frame.in_flight).max(1));
        let scale = self.jobs as f64 / played as f64;
        let path = self.path(time, |frame| y(QUEUE, &jobs, frame.waiting as f64 * scale));
        let (end, floor) = (self.frames.last().map_or(LEFT, |frame| self.x(time, frame)), QUEUE.1);
        let _ = writeln!(out, "<path class=\"queue\" d=\"{path}L{end:.1} {floor}L{LEFT} {floor}Z\"/>");
        for tick in &time.ticks {
            let at = LEFT + tick.at / time.most * (WIDTH - LEFT - RIGHT);
            let _ = writeln!(
                out,
                "<text class=\"dim\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                QUEUE.1 + 20.0,
                tick.label
            );
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = writeln!(
            out,
            "<text class=\"dim\" x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">time since the start</text>",
            QUEUE.1 + 42.0
        );
    }

    /// The limits that are shown, in the order people read them.
    fn limits(&self) -> Vec<(Dimension, Duration)> {
        let mut limits: Vec<_> =
            self.frames.iter().flat_map(|frame| &frame.used).map(|used| (used.0, used.1)).collect();
        limits.sort_unstable();
        limits.dedup();
        limits
    }

    fn path(&self, time: &Axis, y: impl Fn(&Frame) -> f64) -> String {
        let mut path = String::new();
        for (at, frame) in self.frames.iter().enumerate() {
            let _ =
                write!(path, "{}{:.1} {:.1}", if at == 0 { 'M' } else { 'L' }, self.x(time, frame), y(frame));
        }
        path
    }

    fn x(&self, time: &Axis, frame: &Frame) -> f64 {
        let last = self.frames.last().map_or(1.0, |last| last.at.as_secs_f64().max(1e-9));
        let share = frame.at.as_secs_f64() / last * self.finish.as_secs_f64() / time.most;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}

fn y(panel: (f64, f64), axis: &Axis, value: f64) -> f64 {
    panel.1 - (value / axis.most).clamp(0.0, 1.0) * (panel.1 - panel.0)
}

/// Lines and labels of a panel.
fn grid(out: &mut String, panel: (f64, f64), time: &Axis, values: &Axis, title: &str) {
    let _ = writeln!(out, "<text class=\"dim\" x=\"{LEFT}\" y=\"{:.1}\">{title}</text>", panel.0 - 10.0);
    for tick in &values.ticks {
        let at = y(panel, values, tick.at);
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.5,
            tick.label
        );
    }
    for tick in &time.ticks {
        let at = LEFT + tick.at / time.most * (WIDTH - LEFT - RIGHT);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{at:.1} {}V{}\"/>", panel.0, panel.1);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_axes_its_legend_and_its_units() {
        let minute = Duration::from_secs(60);
        let frame = |second: u64, waiting, share| Frame {
            at: Duration::from_secs(second),
            waiting,
            in_flight: 100 - waiting,
            used: vec![(Dimension::Requests, minute, share), (Dimension::InputTokens, minute, share / 2.0)],
        };
        let frames = [frame(0, 100, 0.0), frame(10, 60, 0.5), frame(20, 0, 0.9)];
        let binds = Some("requests/min".to_owned());
        let drawing = Drawing { frames: &frames, finish: Duration::from_secs(20), jobs: 100, binds };
        insta::assert_snapshot!("plot", drawing.svg());
    }
}

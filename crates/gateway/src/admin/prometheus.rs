//! Writes metrics as Prometheus reads them: the text format, version 0.0.4.

use std::fmt::{Display, Write};

use paceline_wire::terminal;

/// What the answer's `content-type` says.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics under construction.
#[derive(Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let opening = if n == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{opening}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// The format's own escapes. Names of models come from callers: control characters are spelled out first.
fn escaped(text: &str) -> String {
    terminal::line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_inside_its_label() {
        let mut page = Page::default();
        page.family("x_total", "counter", "Things.");
        page.sample("x_total", &[("a", "b\"} 1\nevil 2"), ("c", "\\")], 3);
        page.sample("x_total", &[], 4);
        assert_eq!(
            page.finish(),
            "# HELP x_total Things.\n# TYPE x_total counter\nx_total{a=\"b\\\"} 1\\\\nevil 2\",c=\"\\\\\"} 3\nx_total 4\n"
        );
    }
}

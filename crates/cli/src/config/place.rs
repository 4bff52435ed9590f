//! Turns a fault's position in a TOML text into words: line, section, key, and what was probably meant.

use std::ops::Range;

/// What is wrong with a configuration, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong.
    pub(super) message: String,
    /// Which bytes of the file are to blame.
    pub(super) span: Option<Range<usize>>,
    /// What helps.
    pub(super) hint: Option<String>,
}

impl Problem {
    /// A problem at these bytes.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), hint: None }
    }

    /// The same, saying what helps.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, proposing the candidate that `word` was probably meant to be, or else naming them all.
    pub(super) fn meant(self, word: &str, candidates: &[&str]) -> Self {
        match closest(word, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if candidates.is_empty() => self,
            None => self.hint(format!("known: `{}`", candidates.join("`, `"))),
        }
    }

    /// Reads the parser's own error. Its wording for unknown words is serde's, and stable.
    pub(super) fn from_parser(error: &toml::de::Error) -> Self {
        let message = error.message().lines().next().unwrap_or("not valid TOML").trim_end_matches('.');
        let problem = |message: String| Problem { message, span: error.span(), hint: None };
        let (what, rest) =
            match (message.strip_prefix("unknown field `"), message.strip_prefix("unknown variant `")) {
                (Some(rest), _) => ("unknown key", rest),
                (_, Some(rest)) => ("unknown value", rest),
                _ => return problem(message.replace("expected u32", "expected a whole number")),
            };
        let mut words = rest.split('`').step_by(2);
        let unknown = words.next().unwrap_or_default().to_owned();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        problem(format!("{what} `{unknown}`")).meant(&unknown, &known)
    }

    /// The message as people read it: `config.toml:7: unknown key `x` in [[upstream]]`.
    pub(super) fn describe(&self, file: &str, text: &str) -> String {
        let Some(span) = &self.span else { return format!("{file}: {}", self.message) };
        let at = span.start.min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or_default().trim();
        let section = before.lines().chain([line]).filter_map(header).next_back();
        let named = |word: &&str| !self.message.contains(&format!("`{}`", word.trim_matches(['[', ']'])));
        let key = line.split_once('=').map(|(key, _)| key.trim()).filter(named);
        let section = section.filter(named);
        let place = match (key, section) {
            (Some(key), Some(section)) => format!(" (`{key}` in {section})"),
            (Some(key), None) => format!(" (`{key}`)"),
            (None, Some(section)) => format!(" in {section}"),
            (None, None) => String::new(),
        };
        format!("{file}:{number}: {}{place}", self.message)
    }
}

/// The section a line opens, such as `[[upstream]]`.
fn header(line: &str) -> Option<&str> {
    let line = line.trim();
    let end = if line.starts_with("[[") { line.find("]]")? + 2 } else { line.find(']')? + 1 };
    line.starts_with('[').then(|| &line[..end])
}

/// The candidate that differs from `word` in a third of its letters at most, when one does.
pub(crate) fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let allowed = word.chars().count() / 3;
    let near = candidates.iter().map(|candidate| (edits(word, candidate), *candidate)).min()?;
    (near.0 <= allowed).then_some(near.1)
}

/// How many single-character edits (a swap of neighbors counts as one) lead from `a` to `b`.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitute.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("max_wiat", "max_wait", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn proposes_only_what_is_near() {
        let known = ["listen", "admin"];
        assert_eq!(closest("lisen", &known), Some("listen"));
        assert_eq!(closest("verbosity", &known), None);
        assert_eq!(closest("x", &[]), None);
    }
}

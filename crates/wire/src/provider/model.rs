//! Names of models, and patterns that match them.

use std::fmt;

/// A model's name in which each `*` stands for any run of characters, such as `claude-sonnet-4-5*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    /// Where its first star is: most models differ before that, and a request looks at a hundred patterns.
    plain: usize,
}

impl Pattern {
    /// The pattern `text`. Every text is one.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let plain = text.find('*').unwrap_or(text.len());
        Pattern { text, plain }
    }

    /// Whether `model` matches, in time linear in its length for each `*`.
    pub fn matches(&self, model: &str) -> bool {
        let (plain, starred) = self.text.split_at(self.plain);
        let Some(mut rest) = model.strip_prefix(plain) else { return false };
        let Some(starred) = starred.strip_prefix('*') else { return rest.is_empty() };
        let mut parts = starred.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }

    /// How many characters are spelled out: the more, the more telling a match is.
    pub fn weight(&self) -> usize {
        self.text.bytes().filter(|byte| *byte != b'*').count()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run() {
        let cases = [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("gpt-4o*", "gpt-4o", true),
            ("*", "", true),
            ("*", "anything", true),
            ("*:free", "meta/llama:free", true),
            ("*:free", "meta/llama:free-ish", false),
            ("claude-*-haiku-*", "claude-3-5-haiku-20241022", true),
            ("claude-*-haiku-*", "claude-haiku-4-5", false),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, model, want) in cases {
            assert_eq!(Pattern::new(pattern).matches(model), want, "{pattern} on {model}");
        }
    }
}

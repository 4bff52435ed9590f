//! A response's headers as a grammar looks at them.

use http::{HeaderMap, HeaderValue};

/// The headers as a list. Answers have a dozen, and a grammar asks for as many names, most of them in parts: to look through a
/// list is faster than to put each name together and hash it.
pub(super) struct Headers<'a>(Vec<(&'a str, &'a HeaderValue)>);

impl<'a> Headers<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut list = Vec::with_capacity(headers.len());
        list.extend(headers.iter().map(|(name, value)| (name.as_str(), value)));
        Self(list)
    }

    /// All names, one with several values as often.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// The text of the header `name`.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.joined(&[name])
    }

    /// The text of the header whose name is these parts joined; of several values the first.
    pub(super) fn joined(&self, parts: &[&str]) -> Option<&'a str> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let is_it = |name: &str| {
            // Most differ in length already.
            name.len() == length
                && parts
                    .iter()
                    .try_fold(name, |rest, part| rest.strip_prefix(part))
                    .is_some_and(str::is_empty)
        };
        let (_, value) = self.0.iter().find(|(name, _)| is_it(name))?;
        readable(value)
    }
}

/// The text of the header `name`, for those who ask for one or two.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // Looking at each is faster than hashing the name.
    let (_, value) = headers.iter().find(|(own, _)| own.as_str() == name)?;
    readable(value)
}

fn readable(value: &HeaderValue) -> Option<&str> {
    Some(std::str::from_utf8(value.as_bytes()).ok()?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_parts() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-limit-requests", HeaderValue::from_static(" 50 "));
        headers.append("x-ratelimit-limit-requests", HeaderValue::from_static("60"));
        let cases: [(&[&str], Option<&str>); 5] = [
            (&["x-ratelimit-limit-requests"], Some("50")),
            (&["x-ratelimit-", "limit", "-", "requests"], Some("50")),
            (&["x-ratelimit-", "limit"], None),
            (&["x-ratelimit-", "limit", "-", "requests", "-day"], None),
            (&["limit-requests"], None),
        ];
        for (parts, want) in cases {
            assert_eq!(Headers::of(&headers).joined(parts), want, "{parts:?}");
            assert_eq!(text(&headers, &parts.concat()), want, "{parts:?}");
        }
    }
}

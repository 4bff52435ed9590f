//! What is asked: the bytes of one request, made once.

use crate::address::Base;

/// What callers present. It opens nothing: the upstream takes any.
const KEY: &str = "sk-5bc0e7d1f24a4e0c93";

/// What kind of answer is wanted, of how many words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A whole answer.
    Chat,
    /// A stream of so many chunks, so many milliseconds apart.
    Stream {
        /// Chunks.
        count: usize,
        /// Milliseconds between two.
        millis: u64,
    },
}

impl Wanted {
    /// How many words a right answer has.
    pub fn words(self) -> usize {
        match self {
            Self::Chat => 1,
            Self::Stream { count, .. } => count,
        }
    }

    fn model(self) -> String {
        match self {
            Self::Chat => "bench-chat".into(),
            Self::Stream { count, millis } => format!("bench-stream-{count}-{millis}"),
        }
    }
}

/// A chat completion request with a body of `body_bytes`, or more if that is too few for its frame.
pub fn bytes(base: &Base, headers: &[String], wanted: Wanted, body_bytes: usize) -> Vec<u8> {
    let body = body(wanted, body_bytes);
    let mut head = format!(
        "POST {}/v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\naccept: */*\r\ncontent-length: {}\r\n",
        base.prefix,
        base.authority,
        body.len()
    );
    for header in headers {
        head += header;
        head += "\r\n";
    }
    (head + "\r\n" + &body).into_bytes()
}

fn body(wanted: Wanted, bytes: usize) -> String {
    let stream = if wanted == Wanted::Chat { "" } else { ",\"stream\":true" };
    let model = wanted.model();
    let begin = format!(
        "{{\"model\":\"{model}\",\"max_tokens\":200{stream},\"messages\":[{{\"role\":\"user\",\"content\":\""
    );
    let end = "\"}]}";
    let text = "The quick brown fox jumps over the lazy dog, and then it rests in the shade for a while. ";
    let room = bytes.saturating_sub(begin.len() + end.len());
    let text: String = text.chars().cycle().take(room).collect();
    begin + &text + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_the_size_that_was_asked_for_and_are_json() {
        for wanted in [Wanted::Chat, Wanted::Stream { count: 50, millis: 5 }] {
            for bytes in [1_024, 32 << 10] {
                let body = body(wanted, bytes);
                assert_eq!(body.len(), bytes);
                let read: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(read["model"], wanted.model());
                assert_eq!(read["stream"].as_bool().unwrap_or(false), wanted != Wanted::Chat);
            }
        }
    }
}

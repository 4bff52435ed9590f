//! What answers are made of.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Why a body ended before its end. The connection is cut, so that nobody takes what came for the whole.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// An answer's body: whole, or as it comes.
pub enum Body {
    /// Nothing, or nothing more.
    Empty,
    /// All of it.
    Whole(Bytes),
    /// Piece by piece.
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl Body {
    /// A body that comes piece by piece.
    pub fn stream(body: impl http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self::Stream(Box::pin(body))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Whole(bytes) }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Self::Stream(body) = &mut *self {
            return body.as_mut().poll_frame(cx);
        }
        match std::mem::replace(&mut *self, Self::Empty) {
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Self::Empty | Self::Stream(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl std::fmt::Debug for Body {
    /// Leaves the content out: it is what people ask a model.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

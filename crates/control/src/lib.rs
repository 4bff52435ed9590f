//! The control socket of a running paceline: a Unix socket by which its owner looks at it and steers it.
//!
//! A process [opens](Socket::open) one and answers as its [`Desk`] says. Others of the same user [find](find()) it in a folder that
//! nobody else can enter, and [ask](Place). The socket's mode keeps others out, and so does a look at who calls: there is
//! no token to steal, and no port that a web page could reach.
//!
//! Nothing here is needed for the work itself. Where no socket can be opened, the work goes on without one.

mod answer;
mod find;
mod folder;
mod place;
mod socket;
mod words;

pub use answer::{Desk, MOST_BODY};
pub use find::{Found, find};
pub use folder::{Folder, FolderError};
pub use place::{AskError, Place};
pub use socket::{Socket, SocketError};
pub use words::{Counted, LimitChange, Who, name};

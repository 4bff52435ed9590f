//! What would happen to a batch that is still to be run, or to requests of another day: the engine against a model of the
//! provider, in virtual time, fed as `paceline run` or the gateway feeds it.
//!
//! [`Setting`] says what is planned. [`needs()`] is the time that each limit takes at its own speed; [`forecast()`] plays a
//! batch under several seeds, and [`timeline()`] shows one of these runs; [`replay()`] plays requests as they came once.

mod answers;
mod forecast;
mod needs;
mod replay;
mod setting;
mod world;

pub use answers::{Answers, Lengths};
pub use forecast::{Forecast, forecast, timeline};
pub use needs::{Limited, Need, Totals, needs};
pub use replay::{Replay, replay};
pub use setting::{Ahead, Coming, Kind, KindLane, MeterSetting, NO_MOST, Recorded, Setting, Sketch};
pub use world::{Frame, Watched};

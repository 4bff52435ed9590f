//! A batch that is still to be run: the engine against a model of the provider, in virtual time, fed as `paceline run`
//! feeds it.
//!
//! [`Setting`] says what is planned. [`needs()`] is the time that each limit takes at its own speed; [`forecast()`] plays the
//! batch under several seeds, and [`timeline()`] shows one of these runs.

mod answers;
mod forecast;
mod needs;
mod setting;
mod world;

pub use answers::{Answers, Lengths};
pub use forecast::{Forecast, forecast, timeline};
pub use needs::{Limited, Need, Totals, needs};
pub use setting::{Ahead, Kind, KindLane, MeterSetting, NO_MOST, Setting, Sketch};
pub use world::Frame;

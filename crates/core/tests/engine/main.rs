//! The engine, driven as a shell drives it: events in, actions out, time in the hand of the test.

mod absurd;
mod cancel;
mod ceilings;
mod changing;
mod deadlines;
mod gate;
mod health;
mod laws;
mod learning;
mod meaning;
mod memory;
mod operating;
mod retrying;
mod routing;
mod scheduling;
mod support;
mod world;

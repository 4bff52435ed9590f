//! The engine against a model of the provider, in virtual time.
//!
//! [`run::run`] plays one [`scenario::Scenario`] under one seed: a single thread, no sockets, no waiting. [`laws`] are
//! checked in every run; [`figures`] measure it; [`matrix`] lists the settings that matter; [`command`] runs them and
//! prints a table. [`plan`] plays a batch that is still to be run.

pub mod baseline;
pub mod bench;
mod caller;
pub mod command;
pub mod draw;
pub mod figures;
pub mod laws;
pub mod matrix;
pub mod plan;
pub mod policy;
pub mod possible;
pub mod provider;
pub mod record;
pub mod run;
pub mod scenario;
pub mod table;
pub mod timeline;
pub mod told;
mod trace;
pub mod window;
pub mod workload;

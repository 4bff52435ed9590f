//! Measures the gateway beside others. `bench/run` puts these parts together, each in a process of its own.
//!
//! An upstream that answers at once (`upstream`), the least that any gateway must do (`floor`), and a load generator (`load`)
//! that reads whole answers and believes none that is not exactly what the upstream said.

pub mod address;
pub mod floor;
pub mod load;
pub mod sockets;
pub mod tokens;
pub mod upstream;

//! What tools usually do, for comparison. Each is written as its users would: short, and without hindsight.

mod full_bucket;
mod unpaced;

pub use full_bucket::FullBucket;
pub use unpaced::Unpaced;

//! Seeded chance: the distributions that a run draws from.

use std::time::Duration;

/// A stream of random numbers. Forks are independent of each other, so that drawing more of one thing never
/// changes another: two policies under one seed meet the same jobs.
#[derive(Clone, Debug)]
pub struct Draw {
    rng: fastrand::Rng,
}

impl Draw {
    /// The stream named `salt` of a seed.
    pub fn new(seed: u64, salt: u64) -> Self {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self { rng: fastrand::Rng::with_seed(mixed) }
    }

    /// Uniform in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        self.rng.f64()
    }

    /// Uniform in `0..bound`; zero when the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.rng.u64(..bound) }
    }

    /// True in this share of the draws.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal with this median.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Log-normal with this mean.
    pub fn lognormal_by_mean(&mut self, mean: f64, sigma: f64) -> f64 {
        self.lognormal(mean * (-sigma * sigma / 2.0).exp(), sigma)
    }

    /// The gap to the next arrival of a Poisson stream.
    pub fn gap(&mut self, per_second: f64) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.unit()).ln() / per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_the_means_they_name() {
        let mut draw = Draw::new(7, 1);
        let count = 40_000;
        let lognormal: f64 = (0..count).map(|_| draw.lognormal_by_mean(2_000.0, 0.6)).sum();
        let gaps: f64 = (0..count).map(|_| draw.gap(0.5).as_secs_f64()).sum();
        let normal: f64 = (0..count).map(|_| draw.normal()).sum();
        let count = f64::from(count);
        assert!((lognormal / count - 2_000.0).abs() < 40.0, "{}", lognormal / count);
        assert!((gaps / count - 2.0).abs() < 0.05, "{}", gaps / count);
        assert!((normal / count).abs() < 0.02, "{}", normal / count);
    }

    #[test]
    fn forks_of_one_seed_differ_and_repeat() {
        let take = |seed, salt| Draw::new(seed, salt).below(u64::MAX);
        assert_eq!(take(1, 1), take(1, 1));
        assert_ne!(take(1, 1), take(1, 2));
        assert_ne!(take(1, 1), take(2, 1));
    }
}

//! Quantities that vary: log-normal, drawn from a seeded generator.

use std::f64::consts::TAU;

use fastrand::Rng;
use serde::Deserialize;

/// A log-normal distribution by its median and the sigma of its logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Half of the draws lie below.
    pub median: f64,
    /// 0.25 is narrow, 1 is wide; 0 is always the median.
    pub sigma: f64,
}

/// Draws end this many sigmas from the median, so that nothing takes for ever.
const FARTHEST: f64 = 4.0;

impl Spread {
    /// Always nothing.
    pub const ZERO: Spread = Spread { median: 0.0, sigma: 0.0 };

    /// One draw.
    pub fn draw(&self, rng: &mut Rng) -> f64 {
        // Box-Muller; `1 - f64()` is never zero.
        let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos();
        let drawn = self.median * (self.sigma * normal.clamp(-FARTHEST, FARTHEST)).exp();
        if drawn.is_finite() { drawn.max(0.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_draws_lie_below_the_median() {
        let spread = Spread { median: 300.0, sigma: 0.7 };
        let mut rng = Rng::with_seed(7);
        let draws: Vec<f64> = (0..10_000).map(|_| spread.draw(&mut rng)).collect();
        let below = draws.iter().filter(|&&draw| draw < 300.0).count();
        assert!((4_800..5_200).contains(&below), "{below}");
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        let expected = 300.0 * (0.7f64 * 0.7 / 2.0).exp();
        assert!((mean / expected - 1.0).abs() < 0.05, "{mean} against {expected}");
        assert_eq!(Spread::ZERO.draw(&mut rng), 0.0);
    }
}

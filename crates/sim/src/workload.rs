//! What is asked for: a batch of mixed sizes, and people who ask in between.

use std::time::Duration;

use paceline_core::engine::Priority;
use paceline_core::quota::Demand;
use paceline_core::time::Time;

use crate::draw::Draw;

/// One request: what we believe about it, and what will turn out.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// When it is submitted.
    pub arrives: Time,
    /// Its class. Interactive requests stream.
    pub priority: Priority,
    /// What is known before it is sent.
    pub demand: Demand,
    /// Input tokens the provider will count.
    pub input_tokens: u64,
    /// Tokens it will produce.
    pub output_tokens: u64,
    /// From its arrival at the provider to its first token.
    pub first_token_after: Duration,
    /// From one token to the next.
    pub token_every: Duration,
    /// One of the few that ask for a large part of the limit.
    pub huge: bool,
}

impl Job {
    /// From its arrival at the provider to its last token.
    pub fn duration(&self) -> Duration {
        let tokens = u32::try_from(self.output_tokens).unwrap_or(u32::MAX);
        self.first_token_after + self.token_every * tokens
    }
}

/// Sizes of one kind of request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Mean input tokens (log-normal).
    pub input_mean: f64,
    /// Spread of the input.
    pub input_sigma: f64,
    /// No input is larger.
    pub input_cap: f64,
    /// Mean output tokens (log-normal).
    pub output_mean: f64,
    /// Spread of the output.
    pub output_sigma: f64,
    /// What the request names as its maximum; production ends there.
    pub max_tokens: u64,
}

/// A job of mixed sizes: reports, mails, summaries.
pub const BATCH: Sizes = Sizes {
    input_mean: 2_000.0,
    input_sigma: 0.6,
    input_cap: 12_000.0,
    output_mean: 340.0,
    output_sigma: 0.7,
    max_tokens: 1_024,
};

/// Somebody chats.
pub const INTERACTIVE: Sizes = Sizes {
    input_mean: 700.0,
    input_sigma: 0.5,
    input_cap: 6_000.0,
    output_mean: 150.0,
    output_sigma: 0.5,
    max_tokens: 1_024,
};

/// A few very large requests among the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Huge {
    /// How many.
    pub count: usize,
    /// Input tokens of each.
    pub input_tokens: u64,
}

/// What to draw jobs from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Jobs in the batch, submitted at the start.
    pub batch: usize,
    /// Their sizes.
    pub sizes: Sizes,
    /// Interactive requests per second while the batch lasts.
    pub interactive_per_second: f64,
    /// Large ones among the batch.
    pub huge: Option<Huge>,
    /// Spread of the input estimate around the truth, as a share.
    pub estimate_noise: f64,
}

impl Default for Mix {
    fn default() -> Self {
        Self { batch: 5_000, sizes: BATCH, interactive_per_second: 0.5, huge: None, estimate_noise: 0.08 }
    }
}

/// Jobs of one seed.
#[derive(Debug)]
pub struct Workload {
    mix: Mix,
    batch: Draw,
    interactive: Draw,
}

impl Workload {
    /// Draws from `mix`.
    pub fn new(mix: Mix, seed: u64) -> Self {
        Self { mix, batch: Draw::new(seed, 1), interactive: Draw::new(seed, 2) }
    }

    /// The whole batch.
    pub fn batch(&mut self) -> Vec<Job> {
        let mix = self.mix;
        let mut jobs: Vec<Job> = (0..mix.batch)
            .map(|_| job(&mut self.batch, &mix.sizes, mix.estimate_noise, Priority::Batch))
            .collect();
        let Some(huge) = mix.huge else { return jobs };
        // Evenly spread with some jitter, so that each of them meets a running batch.
        let stride = (jobs.len() / huge.count.max(1)).max(1);
        for index in 0..huge.count.min(jobs.len()) {
            let within = usize::try_from(self.batch.below(stride as u64)).unwrap_or(0);
            let Some(job) = jobs.get_mut(index * stride + within) else { continue };
            job.huge = true;
            job.input_tokens = huge.input_tokens;
            job.demand.input_tokens = noisy(&mut self.batch, huge.input_tokens, mix.estimate_noise);
        }
        jobs
    }

    /// The next interactive request after `now`; none when the mix has none.
    pub fn next_interactive(&mut self, now: Time) -> Option<Job> {
        if self.mix.interactive_per_second <= 0.0 {
            return None;
        }
        let arrives = now + self.interactive.gap(self.mix.interactive_per_second);
        let noise = self.mix.estimate_noise;
        Some(Job { arrives, ..job(&mut self.interactive, &INTERACTIVE, noise, Priority::Interactive) })
    }
}

/// Draws one request.
pub fn job(draw: &mut Draw, sizes: &Sizes, noise: f64, priority: Priority) -> Job {
    let input = draw.lognormal_by_mean(sizes.input_mean, sizes.input_sigma).clamp(16.0, sizes.input_cap);
    let output = draw.lognormal_by_mean(sizes.output_mean, sizes.output_sigma).max(1.0);
    let speed = 150.0 * (1.0 + 0.2 * (2.0 * draw.unit() - 1.0));
    let input_tokens = input as u64;
    Job {
        arrives: Time::ZERO,
        priority,
        demand: Demand {
            input_tokens: noisy(draw, input_tokens, noise),
            max_output_tokens: Some(sizes.max_tokens),
        },
        input_tokens,
        output_tokens: (output as u64).min(sizes.max_tokens),
        first_token_after: Duration::from_secs_f64(draw.lognormal(0.4, 0.4)),
        token_every: Duration::from_secs_f64(1.0 / speed),
        huge: false,
    }
}

fn noisy(draw: &mut Draw, truth: u64, noise: f64) -> u64 {
    let factor = 1.0 + noise * draw.normal().clamp(-3.0, 3.0);
    (truth as f64 * factor).round().max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_has_the_sizes_it_promises() {
        let jobs = Workload::new(Mix::default(), 3).batch();
        let mean = |of: fn(&Job) -> u64| jobs.iter().map(of).sum::<u64>() as f64 / jobs.len() as f64;
        assert_eq!(jobs.len(), 5_000);
        assert!((mean(|j| j.input_tokens) - 1_990.0).abs() < 60.0);
        assert!((mean(|j| j.output_tokens) - 330.0).abs() < 20.0);
        let bias = mean(|j| j.demand.input_tokens) / mean(|j| j.input_tokens);
        assert!((bias - 1.0).abs() < 0.01, "estimates are unbiased: {bias}");
    }

    #[test]
    fn huge_requests_are_spread_over_the_batch() {
        let mix =
            Mix { batch: 4_000, huge: Some(Huge { count: 20, input_tokens: 200_000 }), ..Mix::default() };
        let jobs = Workload::new(mix, 3).batch();
        let places: Vec<usize> = (0..jobs.len()).filter(|&i| jobs[i].huge).collect();
        assert_eq!(places.len(), 20);
        assert!(places[0] < 200 && places[19] >= 3_800);
    }
}

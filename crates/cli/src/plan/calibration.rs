//! What results that are there already tell of those to come: how long answers are, and how many tokens a text has.

use std::collections::BTreeMap;

use paceline_sim::plan::Lengths;
use paceline_wire::estimate::Size;
use paceline_wire::usage::FullUsage;

/// Results from which lengths are taken; fewer tell too little.
const LEAST: usize = 10;

/// What results so far have used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calibration {
    lengths: Vec<u32>,
    by_most: BTreeMap<u64, Vec<u32>>,
    text_bytes: u64,
    text_tokens: u64,
}

impl Calibration {
    /// Adds what a job of this size used that named this most.
    pub(crate) fn add(&mut self, size: Size, most: Option<u64>, generates: bool, used: &FullUsage) {
        if size.bytes > 0 && used.prompt_tokens() > size.fixed_tokens {
            self.text_bytes += size.bytes;
            self.text_tokens += used.prompt_tokens() - size.fixed_tokens;
        }
        if generates {
            let length = u32::try_from(used.output_tokens).unwrap_or(u32::MAX);
            self.lengths.push(length);
            if let Some(most) = most {
                self.by_most.entry(most).or_default().push(length);
            }
        }
    }

    /// How many answers' lengths there are.
    pub(crate) fn answers(&self) -> usize {
        self.lengths.len()
    }

    /// The lengths of answers, in all and by the most that was named; `None` when there are too few.
    pub(crate) fn lengths(&self) -> Option<(Lengths, Vec<(u64, Lengths)>)> {
        if self.lengths.len() < LEAST {
            return None;
        }
        let apart = self.by_most.iter().filter(|(_, lengths)| lengths.len() >= LEAST);
        let apart = apart.map(|(most, lengths)| (*most, Lengths::seen(lengths.clone()))).collect();
        Some((Lengths::seen(self.lengths.clone()), apart))
    }

    /// Tokens per byte of text, when any result told.
    pub(crate) fn tokens_per_byte(&self) -> Option<f64> {
        (self.text_bytes > 0).then(|| self.text_tokens as f64 / self.text_bytes as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_kept_apart_by_what_they_were_cut_at() {
        let mut seen = Calibration::default();
        assert!(seen.lengths().is_none() && seen.tokens_per_byte().is_none());
        for number in 0..40 {
            let (most, output_tokens) = if number % 2 == 0 { (64, 64) } else { (1_000, 500) };
            let used = FullUsage { input_tokens: 110, output_tokens, ..FullUsage::default() };
            seen.add(Size { bytes: 400, fixed_tokens: 10 }, Some(most), true, &used);
        }
        let (all, apart) = seen.lengths().unwrap();
        assert_eq!((seen.answers(), all.mean(None)), (40, 282.0));
        let means: Vec<_> = apart.iter().map(|(most, lengths)| (*most, lengths.mean(None))).collect();
        assert_eq!(means, [(64, 64.0), (1_000, 500.0)]);
        assert_eq!(seen.tokens_per_byte(), Some(0.25));
    }
}

//! Whether what stands between the steps that are asked for and those that are made takes most of them.
//!
//! An account, like the incidents: it decides nothing, and a rewind does not take it back.

use crate::stat::Ema;

/// How little is left of steps, and how many are left at all, over the last hundred or so.
#[derive(Debug)]
pub(super) struct Strain {
    /// The logarithm of what the clips leave of the gradients of applied steps.
    left: Ema<f64>,
    /// 1 of steps that were applied, and 0 of others.
    applied: Ema<f64>,
    /// The share of elements in half precision that the last update looked at has left where they were.
    stuck: f64,
}

/// The weight of the step before in the means: as long a memory as a hundred steps.
const DECAY: f64 = 0.98;
/// How many steps it looks at before it says anything.
const OVER: u64 = 100;
/// Below this, the clips are the rate.
const LITTLE: f64 = 0.01;

impl Default for Strain {
    fn default() -> Self {
        Self { left: Ema::new(DECAY), applied: Ema::new(DECAY), stuck: 0.0 }
    }
}

impl Strain {
    /// A step was applied, with so much of its gradient.
    pub(super) fn applied(&mut self, factor: f64) {
        // A factor of 0 asks for nothing; a mean of logarithms would never forget it.
        self.left.push(factor.max(1e-30).ln());
        self.applied.push(1.0);
    }

    pub(super) fn rejected(&mut self) {
        self.applied.push(0.0);
    }

    /// An update has left this share of the elements in half precision where they were, though they had a gradient.
    pub(super) fn stuck(&mut self, share: f64) {
        self.stuck = share;
    }

    /// What a user should know of it, once in a run each.
    pub(super) fn notices(&self) -> impl Iterator<Item = String> {
        [self.clipped(), self.skipped(), self.rounded()].into_iter().flatten()
    }

    fn rounded(&self) -> Option<String> {
        (self.stuck > 0.5).then(|| {
            format!(
                "updates are lost in the rounding of half precision: {:.0} % of the elements that had a gradient were left \
                 as they are, because what was to be added is less than half of their last digit. Keep weights in f32 \
                 behind them, by `optim::MasterWeights` around the optimizer",
                100.0 * self.stuck
            )
        })
    }

    fn clipped(&self) -> Option<String> {
        let left = self.left.mean().filter(|_| self.left.count() >= OVER)?.exp();
        (left < LITTLE).then(|| {
            // Two digits are enough, and the text is the same for as long as it is the same thing.
            format!(
                "the clips leave less than {} % of each step: gradients are too long for the threshold by a \
                 factor of {:.0e}. Unless the optimizer divides by their size, as Adam does, that is a rate \
                 as many times lower. Standardize features and targets (`standardize::Standardize`), or put \
                 `curvature::Governor` in the place of the clip, for descent and momentum",
                100.0 * LITTLE,
                1.0 / left
            )
        })
    }

    fn skipped(&self) -> Option<String> {
        let share = self.applied.mean().filter(|_| self.applied.count() >= OVER)?;
        (share < 0.5).then(|| {
            "more than half of the last hundred steps were not applied: the incidents say by whom. Look at \
             the batches, or at the guard's threshold"
                .to_string()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(strain: &Strain) -> usize {
        strain.notices().count()
    }

    #[test]
    fn it_speaks_of_what_lasts_and_of_nothing_else() {
        let mut strain = Strain::default();
        (0..99).for_each(|_| strain.applied(1e-5));
        assert_eq!(said(&strain), 0, "too soon");
        strain.applied(1e-5);
        assert!(strain.notices().all(|text| text.contains("a factor of 1e5")));
        assert_eq!(said(&strain), 1);

        let mut strain = Strain::default();
        (0..500).for_each(|t| strain.applied(if t % 10 == 0 { 1e-5 } else { 1.0 }));
        assert_eq!(said(&strain), 0, "now and then");

        let mut strain = Strain::default();
        for t in 0..500 {
            if t % 3 == 0 { strain.applied(1.0) } else { strain.rejected() }
        }
        assert!(strain.notices().all(|text| text.contains("more than half")));
        assert_eq!(said(&strain), 1);
    }
}

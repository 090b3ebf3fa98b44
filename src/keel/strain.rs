//! Checks whether clips and rejections take away most of the requested steps.
//!
//! Like the incidents, this is only a record: it decides nothing, and a rewind does not take it back.

use crate::stat::Ema;

/// How much is left of the steps, and how many are applied at all, over the last hundred or so.
#[derive(Debug)]
pub(super) struct Strain {
    /// Logarithm of the factor that the clips leave on the gradients of applied steps.
    left: Ema<f64>,
    /// 1 for steps that were applied, and 0 for others.
    applied: Ema<f64>,
    /// Share of half-precision elements that the last checked update left unchanged.
    stuck: f64,
}

/// Weight of the previous step in the means: a memory of about a hundred steps.
const DECAY: f64 = 0.98;
/// Number of steps seen before any notice.
const OVER: u64 = 100;
/// Below this, the clips determine the step size.
const LITTLE: f64 = 0.01;

impl Default for Strain {
    fn default() -> Self {
        Self { left: Ema::new(DECAY), applied: Ema::new(DECAY), stuck: 0.0 }
    }
}

impl Strain {
    /// Records an applied step and the factor on its gradient.
    pub(super) fn applied(&mut self, factor: f64) {
        // A factor of 0 asks for no step at all; the mean would never forget its logarithm.
        self.left.push(factor.max(1e-30).ln());
        self.applied.push(1.0);
    }

    pub(super) fn rejected(&mut self) {
        self.applied.push(0.0);
    }

    /// Records the share of half-precision elements that an update left unchanged although they had a gradient.
    pub(super) fn stuck(&mut self, share: f64) {
        self.stuck = share;
    }

    /// Returns the messages that the user should see, each once per run.
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
            // Two digits are enough, and keep the text the same while the situation is the same.
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

    #[test]
    fn a_half_is_not_more_than_a_half() {
        let mut strain = Strain::default();
        strain.stuck(0.5);
        assert_eq!(said(&strain), 0);
        strain.stuck(0.51);
        assert_eq!(said(&strain), 1);

        let mut strain = Strain::default();
        (0..OVER - 1).for_each(|_| strain.rejected());
        assert_eq!(said(&strain), 0);
        strain.rejected();
        assert_eq!(said(&strain), 1);
    }
}

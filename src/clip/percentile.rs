//! Gradient clipping at a percentile of past norms.

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::Window;
use crate::{Error, Reading, Verdict};

/// Clips the norm of the whole gradient at a percentile of the norms of accepted steps: AutoClip.
///
/// ```text
/// c = the p-th percentile of the last norms, this one included
/// factor = min(1, c/‖g‖)
/// ```
///
/// The percentile is interpolated linearly between two norms, as in numpy. With the default `p` = 10, nine steps
/// in ten are clipped: the bound is far below the usual norm, and every step has nearly the same length, set by
/// the rate. `p` = 90 only trims the tail.
///
/// Edges: the first step is never clipped. A gradient of norm 0 is left unchanged and not remembered, because a
/// bound of 0 would never let anything through again. Rejected steps are not remembered.
///
/// # Cost
/// The window is sorted at each step: about 20 µs for 1000 norms.
///
/// Source: Seetharaman et al. 2020 (arXiv 2007.14469), which remembers every norm since the start; this type
/// forgets the oldest.
///
/// ```
/// use evenkeel::Reading;
/// use evenkeel::Verdict;
/// use evenkeel::clip::{Clip, Percentile};
///
/// let mut clip = Percentile::new(50.0)?;
/// for norm in [1.0, 2.0, 3.0] {
///     clip.record(&Reading::new(0).with_grad_norm(norm), Verdict::Apply);
/// }
/// // The median of 1, 2, 3 and 10 is 2.5.
/// assert_eq!(clip.factor(&Reading::new(3).with_grad_norm(10.0)), 0.25);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "AutoClip")]
pub struct Percentile {
    part: f64,
    norms: Window<f64>,
}

const NAME: &str = "Percentile";

impl Default for Percentile {
    /// Creates a clip at the tenth percentile of the last 1000 norms.
    fn default() -> Self {
        Self { part: 0.1, norms: Window::new(1000) }
    }
}

impl Percentile {
    /// Clips at the `p`-th percentile of the last 1000 norms.
    ///
    /// # Errors
    /// If `p` is not above 0 and at most 100.
    pub fn new(p: f64) -> Result<Self, Error> {
        let part = Param(NAME, "p").must(p > 0.0 && p <= 100.0, "above 0 and at most 100", p)?;
        Ok(Self { part: part / 100.0, ..Self::default() })
    }

    /// Sets how many norms are remembered. Norms remembered so far are forgotten.
    ///
    /// # Errors
    /// If it is below 2: a single norm would be its own bound.
    pub fn window(mut self, norms: u64) -> Result<Self, Error> {
        let norms = Param(NAME, "window").at_least(2, norms)?;
        self.norms = Window::new(usize::try_from(norms).unwrap_or(usize::MAX));
        Ok(self)
    }

    /// Returns the bound for a step of this norm.
    fn bound(&self, norm: f64) -> f64 {
        let kept = self.norms.len() + 1;
        // The window will have dropped its oldest norm by the time this one is in it.
        let skipped = kept.saturating_sub(self.norms.capacity());
        let mut norms: Vec<f64> = self.norms.values().skip(skipped).chain([norm]).collect();
        norms.sort_by(f64::total_cmp);
        let at = self.part * (norms.len() - 1) as f64;
        let (below, above) = (norms[at.floor() as usize], norms[at.ceil() as usize]);
        below + (above - below) * at.fract()
    }
}

impl Clip for Percentile {
    fn factor(&self, now: &Reading) -> f64 {
        let bound = self.bound(now.grad_norm);
        match now.grad_norm <= bound {
            true => 1.0,
            false => bound / now.grad_norm,
        }
    }

    fn record(&mut self, now: &Reading, ruling: Verdict) {
        if ruling == Verdict::Apply && now.grad_norm > 0.0 {
            self.norms.push(now.grad_norm);
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        State::new().with_list("norms", self.norms.values().collect())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["norms"])?;
        let norms = state.list("norms")?;
        if !norms.iter().all(|&norm| norm > 0.0) {
            return Err(Error::record("a norm in the memory of a Percentile is not above 0"));
        }
        self.norms = self.norms.refilled(norms)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(norm: f64) -> Reading {
        Reading::new(0).with_grad_norm(norm)
    }

    /// `numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], p)` for p = 10, 25, 50, 90 and 100.
    #[test]
    fn the_bound_is_numpys_percentile() {
        for (p, expected) in [(10.0, 1.0), (25.0, 1.75), (50.0, 3.5), (90.0, 6.9), (100.0, 9.0)] {
            let mut clip = Percentile::new(p).unwrap();
            for norm in [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0] {
                clip.record(&at(norm), Verdict::Apply);
            }
            assert!((clip.bound(6.0) - expected).abs() < 1e-12, "{p}: {}", clip.bound(6.0));
            assert_eq!(clip.factor(&at(6.0)), (expected / 6.0).min(1.0));
        }
    }

    #[test]
    fn only_the_last_accepted_norms_count() {
        let mut clip = Percentile::new(100.0).unwrap().window(3).unwrap();
        for (norm, ruling) in [
            (100.0, Verdict::Apply),
            (1.0, Verdict::Apply),
            (500.0, Verdict::Skip),
            (2.0, Verdict::Apply),
            (f64::NAN, Verdict::Apply),
        ] {
            clip.record(&at(norm), ruling);
        }
        assert_eq!(clip.norms.values().collect::<Vec<_>>(), [100.0, 1.0, 2.0]);
        // The step under test pushes the first norm out of the window.
        assert_eq!(clip.bound(1.5), 2.0);
        assert_eq!(Percentile::default().factor(&at(7.0)), 1.0);
        assert_eq!(clip.factor(&at(0.0)), 1.0);
    }

    #[test]
    fn its_state_resumes_it_and_what_is_wrong_is_named() {
        let mut clip = Percentile::default().window(4).unwrap();
        (1..9).for_each(|k| clip.record(&at(f64::from(k)), Verdict::Apply));
        let mut fresh = Percentile::default().window(4).unwrap();
        fresh.restore(&clip.state()).unwrap();
        assert_eq!(fresh, clip);
        assert!(fresh.restore(&State::new().with_list("norms", vec![f64::NAN])).is_err());
        assert_eq!(fresh, clip);

        for p in [0.0, -1.0, 100.1, f64::NAN] {
            let error = Percentile::new(p).unwrap_err().to_string();
            assert!(error.starts_with("`p` of Percentile must be above 0"), "{error}");
        }
        assert!(Percentile::default().window(1).is_err());
        assert!(Percentile::default().window(u64::MAX).is_ok());
        assert!(fresh.restore(&State::new().with_list("norms", vec![0.0])).is_err());

        // Zero gradients at the start would make every bound 0.
        let mut clip = Percentile::default();
        (0..9).for_each(|_| clip.record(&at(0.0), Verdict::Apply));
        assert_eq!(clip.factor(&at(3.0)), 1.0);
    }
}

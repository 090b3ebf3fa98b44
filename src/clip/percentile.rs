//! A bound that is a percentile of the norms seen so far.

use super::Clip;
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::Window;
use crate::{Error, Reading, Verdict};

/// Scales the gradient down to a percentile of the norms of the accepted gradients: AutoClip.
///
/// With `W` the norms of the last `window` accepted steps, this one's among them,
///
/// ```text
/// c = the p-th percentile of W         factor = min(1, c/‖g‖)
/// ```
///
/// between two values in proportion, as NumPy does. It has no unit and no threshold in units of the
/// gradient, so it needs no tuning when the model changes. At a low `p` it clips nearly every update,
/// which is meant: 90 of 100 at `p` 10, so that training goes at a nearly constant norm, and the rate
/// must be chosen with it. A high `p` cuts only the tail: at 99, one of a hundred.
///
/// Defaults: `p` 10, window 1000.
///
/// Only accepted norms, from before any clipping, enter the window. A norm of 0 is not clipped and does
/// not enter: a bound of 0 would never let anything through again. The first gradient is its own
/// percentile, and is not clipped: put a [`GlobalNorm`](super::GlobalNorm) or a guard beside it.
///
/// # Cost
/// The window is sorted at each update: some tens of microseconds at 1000.
///
/// Source: Seetharaman et al. 2020 (arXiv 2007.14469). Theirs never forgets, so it slows down with the
/// square of the run's length and follows a change of scale ever more slowly, and it takes in a NaN,
/// after which every percentile is NaN.
///
/// ```
/// use evenkeel::{Reading, Verdict};
/// use evenkeel::clip::{Clip, Percentile};
///
/// let mut clip = Percentile::at(50.0)?;
/// for (update, norm) in [1.0, 2.0, 3.0].into_iter().enumerate() {
///     clip.record(&Reading::new(update as u64).with_grad_norm(norm), Verdict::Apply);
/// }
/// // The median of 1, 2, 3 and 10 is 2.5.
/// assert_eq!(clip.factor(&Reading::new(3).with_grad_norm(10.0)), 0.25);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Percentile {
    p: f64,
    norms: Window<f64>,
}

const NAME: &str = "Percentile";

impl Default for Percentile {
    fn default() -> Self {
        Self { p: 10.0, norms: Window::new(1000) }
    }
}

impl Percentile {
    /// The `p`-th percentile.
    ///
    /// # Errors
    /// If `p` is not above 0 and at most 100.
    pub fn at(p: f64) -> Result<Self, Error> {
        let p = Param(NAME, "at").must(p > 0.0 && p <= 100.0, "above 0 and at most 100", p)?;
        Ok(Self { p, ..Self::default() })
    }

    /// How many accepted norms are remembered. Forgets those seen so far.
    ///
    /// # Errors
    /// If `window` is below 2: the only norm would be its own bound.
    pub fn window(self, window: usize) -> Result<Self, Error> {
        Param(NAME, "window").at_least(2, window as u64)?;
        Ok(Self { norms: Window::new(window), ..self })
    }

    /// The norm that a gradient of this norm is scaled down to, if it is above.
    pub fn bound(&self, grad_norm: f64) -> f64 {
        match grad_norm > 0.0 {
            true => self.norms.quantile_with(grad_norm, self.p / 100.0),
            false => f64::INFINITY,
        }
    }
}

impl Clip for Percentile {
    fn factor(&self, now: &Reading) -> f64 {
        match self.bound(now.grad_norm) {
            bound if now.grad_norm > bound => bound / now.grad_norm,
            _ => 1.0,
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
        State::new().with_list("accepted", self.norms.values().collect())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let norms = state.list("accepted")?;
        if !norms.iter().all(|&norm| norm > 0.0) {
            return Err(Error::record("a norm in the memory of a Percentile is not above 0"));
        }
        self.norms = self.norms.refilled(norms)?;
        Ok(())
    }
}

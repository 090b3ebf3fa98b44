//! The learning rate range test, in plain numbers.

use super::sweep::{POINTS, Smoothed};
use super::{LossCurve, LrRange, Sweep};
use crate::Error;
use crate::error::check::Param;

/// The learning rate range test: raises the rate from update to update while watching the loss, several times
/// from the same start with different batches.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::finder::{LrFinder, Suggestion, short_sweep};
/// use evenkeel::optim::Adam;
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(4, 1).init(&device);
/// let batch = |_: u64| Tensor::<2>::random([16, 4], Distribution::Default, &device);
/// let loss = |model: &Linear, x: Tensor<2>| {
///     (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
/// };
///
/// let found = LrFinder::new(1e-5, 100.0)?
///     .find(|sweep| short_sweep(&model, Adam::new(), sweep, batch, loss))?;
/// match found.refusal() {
///     None => println!("{}", found.suggestion(Suggestion::Valley).unwrap()),
///     Some(why) => println!("no rate: {why}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// In the middle of training, pass the optimizer with its state: a clone of a Burn optimizer, or
/// [`Keel::optimizer`](crate::Keel::optimizer).
///
/// # How far to trust it
/// It is quick: 300 updates. It is also a sweep, in which every rate gets a single update, and its results depend
/// on the range and the number of points; the rules sometimes disagree with one another by orders of magnitude.
/// [`StableRate`](super::StableRate) costs ten times as much and measures the stable rate itself.
///
/// # Differences from fastai
/// The last update is at the highest rate, not one below it. The range must be stated, because none fits every
/// model. There are several sweeps, and therefore intervals, and a curve that says nothing is
/// [refused](super::Refusal). A sweep ends as described for [`Sweep`], for example where the network died, and a
/// loss that is not finite before any update is [reported](super::Refusal::NotFinite) as such. The model, the
/// optimizer, the BatchNorm statistics and the order of the data are never touched, rather than written to a file
/// and read back.
///
/// Source: Smith 2017 (arXiv 1506.01186).
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "LearningRateFinder")]
#[doc(alias = "lr_find")]
pub struct LrFinder {
    from: f64,
    to: f64,
    over: u64,
    repeats: u64,
    smoothing: f64,
}

/// The parameters of one sweep.
///
/// ```
/// use evenkeel::finder::LrFinder;
///
/// let found = LrFinder::new(1e-3, 100.0)?.over(50)?.repeats(1)?.find(|sweep| {
///     let (mut w, mut losses) = (1.0_f64, Vec::new());
///     for k in 0..sweep.over {
///         losses.push(w * w);
///         if sweep.is_lost(&losses) {
///             break;
///         }
///         w -= sweep.rate(k) * 2.0 * w;
///     }
///     Ok::<_, evenkeel::Error>(losses)
/// })?;
/// assert!(found.sweeps()[0].diverged());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ShortSweep {
    /// The rate of the first update.
    pub from: f64,
    /// The rate of the last one.
    pub to: f64,
    /// The number of updates.
    pub over: u64,
    /// The index of the repeat.
    pub repeat: u64,
    /// The index of its first batch. Repeats use different batches.
    pub first: u64,
    /// The smoothing factor `β` of the smoothed loss.
    pub smoothing: f64,
}

impl ShortSweep {
    /// Returns the rate of update `k`: `from·(to/from)^(k/(over − 1))`.
    #[must_use]
    pub fn rate(&self, k: u64) -> f64 {
        let part = k as f64 / self.over.saturating_sub(1).max(1) as f64;
        // Both ends are exactly as given.
        match k.saturating_add(1) == self.over {
            true => self.to,
            false => self.from * (self.to / self.from).powf(part),
        }
    }

    /// Returns whether the loss is lost, so that the sweep can be ended; see [`Sweep`].
    #[must_use]
    pub fn is_lost(&self, losses: &[f64]) -> bool {
        let mut watch = self.watch();
        losses.iter().any(|loss| watch(*loss))
    }

    /// Returns the same check as a function of one loss after another.
    pub(super) fn watch(&self) -> impl FnMut(f64) -> bool {
        let mut smoothed = Smoothed::new(self.smoothing);
        move |loss| {
            smoothed.push(loss);
            !loss.is_finite() || smoothed.is_lost()
        }
    }
}

const NAME: &str = "LrFinder";

impl LrFinder {
    /// Creates a range test from one rate to a higher one, in equal steps of the logarithm: 3 sweeps of 100
    /// updates, smoothed with 0.98.
    ///
    /// fastai's range is 10⁻⁷ to 10.
    ///
    /// # Errors
    /// If the rates are not positive and finite, or not in order.
    pub fn new(from: f64, to: f64) -> Result<Self, Error> {
        let from = Param(NAME, "from").positive(from)?;
        let fits = to.is_finite() && to > from;
        let to = Param(NAME, "to").must(fits, "a finite number above `from`", to)?;
        Ok(Self { from, to, over: 100, repeats: 3, smoothing: 0.98 })
    }

    /// Sets the number of updates per sweep.
    ///
    /// # Errors
    /// If it is below 30.
    pub fn over(mut self, updates: u64) -> Result<Self, Error> {
        // The points that the rules need, and those that they leave out.
        self.over = Param(NAME, "over").at_least(POINTS as u64 + 10, updates)?;
        Ok(self)
    }

    /// Sets the number of sweeps.
    ///
    /// # Errors
    /// If it is 0.
    pub fn repeats(mut self, n: u64) -> Result<Self, Error> {
        self.repeats = Param(NAME, "repeats").at_least(1, n)?;
        Ok(self)
    }

    /// Sets the smoothing factor `β` of the smoothed loss. The smoothed loss remembers about `1/(1 − β)` updates,
    /// and the rules lag by that many.
    ///
    /// # Errors
    /// If it is not in `[0, 1)`.
    pub fn smoothing(mut self, beta: f64) -> Result<Self, Error> {
        self.smoothing = Param(NAME, "smoothing").below_one(beta)?;
        Ok(self)
    }

    /// Runs the sweeps and returns what was found. `run` returns the losses, one before each update, and fewer if
    /// the sweep [was lost](ShortSweep::is_lost): as a [`LossCurve`], or as a `Vec<f64>` if it cannot detect
    /// whether the network died.
    ///
    /// # Errors
    /// Any error that `run` returns.
    pub fn find<E, R: Into<LossCurve>>(
        &self,
        mut run: impl FnMut(&ShortSweep) -> Result<R, E>,
    ) -> Result<LrRange, E> {
        let Self { from, to, over, smoothing, .. } = *self;
        let mut sweeps = Vec::new();
        let mut updates = 0;
        for repeat in 0..self.repeats {
            let first = repeat.wrapping_mul(over);
            let asked = ShortSweep { from, to, over, repeat, first, smoothing };
            let curve: LossCurve = run(&asked)?.into();
            updates += over.min(curve.losses.len() as u64);
            let rates: Vec<f64> = (0..over).map(|k| asked.rate(k)).collect();
            sweeps.push(Sweep::read(&rates, &curve, smoothing));
        }
        Ok(LrRange::new(sweeps, updates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_lost_with_one_loss_that_is_not_finite() {
        let sweep =
            ShortSweep { from: 1e-3, to: 1.0, over: 30, repeat: 0, first: 0, smoothing: 0.0 };
        assert!(sweep.is_lost(&[1.0, f64::NAN]) && sweep.is_lost(&[f64::INFINITY]));
        let risen = |to: f64| sweep.is_lost(&[1.0, 1.0, 1.0, 1.0, 1.0, to]);
        // Above four times the best.
        assert!(risen(4.1) && !risen(4.0));
    }

    #[test]
    fn updates_that_were_not_asked_for_are_not_counted() {
        let finder = LrFinder::new(1e-3, 1.0).unwrap().over(30).unwrap().repeats(2).unwrap();
        let updates =
            |made: usize| finder.find(|_| Ok::<_, Error>(vec![1.0; made])).unwrap().updates();
        assert_eq!([20, 30, 40].map(updates), [40, 60, 60]);
    }
}

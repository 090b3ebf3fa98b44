//! Sweeps of the rate, in plain numbers.

use super::sweep::{POINTS, Smoothed};
use super::{LossCurve, LrRange, Sweep};
use crate::Error;
use crate::error::check::Param;

/// The learning rate range test: the rate rises from update to update while the loss is watched, again and
/// again from the same start with other batches.
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
/// In the middle of training, hand in the optimizer with its state: a clone of a Burn optimizer, or
/// [`Keel::optimizer`](crate::Keel::optimizer).
///
/// # What it is worth
/// It is quick: 300 updates. It is also a sweep, in which every rate has one update, and its answers depend
/// on the range and the number of points; the rules disagree with one another by orders of magnitude at
/// times. [`StableRate`](super::StableRate) costs ten times as much and measures what is asked.
///
/// # How it differs from fastai's
/// The last update is at the highest rate, not one below it. The range is stated, as none fits every model.
/// There are several sweeps, and so intervals; and a curve that says nothing is [refused](super::Refusal).
/// A sweep ends as a [`Sweep`] does, where the network died for one, and a loss that is not finite before any
/// update is [told](super::Refusal::NotFinite) as that. Model, optimizer, BatchNorm's statistics and the data's order are
/// never touched, instead of written to a file and read back.
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

/// What a sweep is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ShortSweep {
    /// The rate of the first update.
    pub from: f64,
    /// The rate of the last one.
    pub to: f64,
    /// How many updates.
    pub over: u64,
    /// Which of the repeats.
    pub repeat: u64,
    /// The number of its first batch. Repeats have different batches.
    pub first: u64,
    /// `β` of the smoothed loss.
    pub smoothing: f64,
}

impl ShortSweep {
    /// The rate of update `k`: `from·(to/from)^(k/(over − 1))`.
    pub fn rate(&self, k: u64) -> f64 {
        let part = k as f64 / self.over.saturating_sub(1).max(1) as f64;
        // Both ends as they were given.
        match k.saturating_add(1) == self.over {
            true => self.to,
            false => self.from * (self.to / self.from).powf(part),
        }
    }

    /// Whether the loss is lost, and the sweep may be ended; see [`Sweep`].
    pub fn is_lost(&self, losses: &[f64]) -> bool {
        let mut watch = self.watch();
        losses.iter().any(|loss| watch(*loss))
    }

    /// The same, from one loss after another.
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
    /// Sweeps from one rate to a higher one, evenly in the logarithm: 3 of 100 updates, smoothed with 0.98.
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

    /// How many updates a sweep has.
    ///
    /// # Errors
    /// If it is below 30.
    pub fn over(mut self, updates: u64) -> Result<Self, Error> {
        // What the rules need, and what they leave out.
        self.over = Param(NAME, "over").at_least(POINTS as u64 + 10, updates)?;
        Ok(self)
    }

    /// How many sweeps.
    ///
    /// # Errors
    /// If it is 0.
    pub fn repeats(mut self, n: u64) -> Result<Self, Error> {
        self.repeats = Param(NAME, "repeats").at_least(1, n)?;
        Ok(self)
    }

    /// `β` of the smoothed loss. It remembers some `1/(1 − β)` updates, by which the rules lag.
    ///
    /// # Errors
    /// If it is not in `[0, 1)`.
    pub fn smoothing(mut self, beta: f64) -> Result<Self, Error> {
        self.smoothing = Param(NAME, "smoothing").below_one(beta)?;
        Ok(self)
    }

    /// Sweeps, and says what was found. `run` gives the losses, one before each update, fewer if the sweep
    /// [was lost](ShortSweep::is_lost): as a [`LossCurve`], or as a `Vec<f64>` if it cannot tell whether the
    /// network died.
    ///
    /// # Errors
    /// What `run` returns.
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

//! The critical rate, above which a step makes the loss worse.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::space::{gradient, moved};
use crate::Error;
use crate::error::check::Param;
use crate::monitor::{any_gradient, one_number, scalars};
use crate::tied::apart;

/// The critical rate of the first step: below it, one step of plain descent lowers the loss of the batch that it
/// was computed from.
///
/// A run may well start at a higher rate and recover, which is called a catapult: the loss rises, the curvature
/// falls, and then the loss falls too. On five small networks the highest constant rate was 0.4 to 16 times the
/// critical one, so a third of it was always safe. It is the natural starting point of a warmup.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::curvature::CriticalRate;
/// use evenkeel::schedule::Ramp;
///
/// // ½w²: a step of rate γ leaves (1 − γ)²/2·w², which is worse from 2 on.
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// let loss = |model: &Linear| model.weight.val().powi_scalar(2).mean() * 0.5;
///
/// let critical = CriticalRate::measure(&model, loss)?;
/// assert!((critical.rate().unwrap() - 2.0).abs() < 0.01);
/// // A rate of 8 wants a warmup that begins at the critical rate, and may be that much shorter.
/// let over = critical.warmup(8.0, 1000)?;
/// assert_eq!(over, 750);
/// let warmup = Ramp::new(critical.rate().unwrap_or(0.0).min(8.0), 8.0, over)?;
/// # let _ = warmup;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// Source: Kalra & Barkeshli 2024 (arXiv 2406.09405), the search of their warmup, with a finer end: the rate is
/// accurate to a thousandth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CriticalRate {
    rate: Option<f64>,
    forwards: u64,
}

/// The range of rates that is searched.
const RANGE: (f64, f64) = (1e-20, 1e20);

impl CriticalRate {
    /// Measures the critical rate: doubles or halves a rate of 10⁻³ until the loss begins to rise, then bisects.
    ///
    /// # Errors
    /// If the loss does not have exactly one element, if no parameter of `model` has a gradient, if the loss or
    /// gradient is not finite at `model` itself, or if the device cannot be read.
    ///
    /// # Cost
    /// One gradient, and about 20 forward passes with a readback each.
    pub fn measure<M: Module>(model: &M, loss: impl Fn(&M) -> Tensor<1>) -> Result<Self, Error> {
        let own = apart(model);
        let grads = gradient(&own, &loss)?;
        Self::along(model, &grads, loss)
    }

    /// Measures the critical rate along an existing gradient; the loss must be computed on the batch of that
    /// gradient.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    ///
    /// # Cost
    /// About 20 forward passes with a readback each.
    pub fn along<M: Module>(
        model: &M,
        grads: &GradientsParams,
        loss: impl Fn(&M) -> Tensor<1>,
    ) -> Result<Self, Error> {
        any_gradient(model, grads).map_err(|why| why.of("CriticalRate"))?;
        let at = |rate: f64| -> Result<f64, Error> {
            let loss = loss(&moved(model, grads, -rate));
            one_number("loss", &loss).map_err(|why| why.of("CriticalRate"))?;
            Ok(scalars(vec![loss])?[0])
        };
        let start = at(0.0)?;
        if !start.is_finite() {
            return Err(Error::model("its loss is not finite"));
        }
        search(start, at)
    }

    /// Returns the critical rate. `None` if no rate up to 10²⁰ made the loss worse, as for a loss without
    /// curvature or a gradient of zero.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Returns the number of forward passes that it took.
    #[must_use]
    pub fn forwards(&self) -> u64 {
        self.forwards
    }

    /// Returns how many updates of a warmup to `target` are left if it starts at the critical rate and would have
    /// taken `over` from 0: `over·(target − γ)/target`, and 0 if the target is lower.
    ///
    /// # Errors
    /// If `target` is not positive and finite.
    pub fn warmup(&self, target: f64, over: u64) -> Result<u64, Error> {
        let target = Param("CriticalRate", "target").positive(target)?;
        let from = self.rate.unwrap_or(f64::INFINITY).min(target);
        Ok((over as f64 * (target - from) / target).round() as u64)
    }
}

/// Finds where `at` begins to exceed `start` or becomes non-finite, to a thousandth.
fn search(start: f64, at: impl Fn(f64) -> Result<f64, Error>) -> Result<CriticalRate, Error> {
    let mut forwards = 1;
    let mut is_worse = |rate: f64| -> Result<bool, Error> {
        forwards += 1;
        // NaN counts as worse.
        Ok(!matches!(at(rate)?.partial_cmp(&start), Some(order) if order.is_le()))
    };
    let (mut low, mut high) = (1e-3, 1e-3);
    if is_worse(low)? {
        while is_worse(low)? {
            (high, low) = (low, low / 2.0);
            if low < RANGE.0 {
                // Worse however small the step: the gradient does not belong to this loss.
                return Ok(CriticalRate { rate: Some(0.0), forwards });
            }
        }
    } else {
        while !is_worse(high)? {
            (low, high) = (high, high * 2.0);
            if high > RANGE.1 {
                return Ok(CriticalRate { rate: None, forwards });
            }
        }
    }
    while high / low > 1.001 {
        let middle = (low * high).sqrt();
        match is_worse(middle)? {
            true => high = middle,
            false => low = middle,
        }
    }
    Ok(CriticalRate { rate: Some(low), forwards })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(loss: impl Fn(f64) -> f64) -> Option<f64> {
        search(loss(0.0), |rate| Ok(loss(rate))).unwrap().rate()
    }

    #[test]
    fn it_is_where_the_loss_crosses_its_start() {
        for edge in [1e-12, 3e-4, 1e-3, 0.7, 5e8] {
            let found = of(|rate| rate * (rate - edge)).unwrap();
            assert!((found / edge - 1.0).abs() < 2e-3, "{found} is not {edge}");
        }
    }

    #[test]
    fn what_is_not_finite_is_worse() {
        let edge = 40.0;
        for bad in [f64::NAN, f64::INFINITY] {
            let found = of(|rate| if rate > edge { bad } else { -rate }).unwrap();
            assert!((found / edge - 1.0).abs() < 2e-3, "{found}");
        }
    }

    #[test]
    fn without_an_edge_there_is_none() {
        assert_eq!(of(|rate| -rate), None);
        assert_eq!(of(|_| 1.0), None);
        assert_eq!(of(|rate| rate), Some(0.0));
    }
}

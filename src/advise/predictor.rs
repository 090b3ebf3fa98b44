//! Models that predict numbers.

use std::fmt;

use burn::module::Module;
use burn::tensor::Tensor;

use super::advisor::{Fit, Runner};
use super::trial::{self, Cost};
use crate::error::check::Param;
use crate::standardize::{Quantiles, Standardize};

type Build<'a, M> = Box<dyn Fn(u64) -> M + 'a>;
type OfBatch<'a, M, B, const D: usize> = Box<dyn Fn(&M, &B) -> Tensor<D> + 'a>;
type Target<'a, B, const D: usize> = Box<dyn Fn(&B) -> Tensor<D> + 'a>;
type Distance<'a, const D: usize> = Box<dyn Fn(Tensor<D>, Tensor<D>) -> Tensor<1> + 'a>;

/// A model whose loss is a distance between its predictions and its targets, for
/// [`Advisor::predicting`](super::Advisor::predicting), which can standardize the targets and turn predictions back.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::advise::{Advisor, Predictor};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let device = Device::default().autodiff();
/// let x = |k: u64| Tensor::<2>::from_floats([[(k % 7) as f32], [(k % 5) as f32]], &device);
/// let model = Predictor::new(
///     |seed| {
///         device.seed(seed);
///         LinearConfig::new(1, 1).init(&device)
///     },
///     |model: &Linear, (x, _): &(Tensor<2>, Tensor<2>)| model.forward(x.clone()),
///     |(_, y)| y.clone(),
/// );
/// let batch = |k| (x(k), x(k) * 30.0 + 150.0);
/// let advisor = Advisor::predicting(model, batch).held_out(2, |k| batch(k + 100))?;
/// # let advice = advisor.over(20)?.seeds(1)?.between(1e-3, 0.1)?.confirm(2, 2).run()?;
/// # assert!(advice.outcomes().iter().any(|o| o.recipe.standardized_targets));
/// # Ok(())
/// # }
/// ```
pub struct Predictor<'a, M, B, const D: usize> {
    build: Build<'a, M>,
    predict: OfBatch<'a, M, B, D>,
    target: Target<'a, B, D>,
    distance: Distance<'a, D>,
}

impl<M, B, const D: usize> fmt::Debug for Predictor<'_, M, B, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor").finish_non_exhaustive()
    }
}

impl<'a, M: Module + 'static, B: 'a, const D: usize> Predictor<'a, M, B, D> {
    /// Creates a predictor from the model that `build` makes from a seed, its predictions for a batch, and the targets
    /// of a batch. Both have two or more axes, with columns along the last one. The default loss is the mean squared
    /// error.
    pub fn new(
        build: impl Fn(u64) -> M + 'a,
        predict: impl Fn(&M, &B) -> Tensor<D> + 'a,
        target: impl Fn(&B) -> Tensor<D> + 'a,
    ) -> Self {
        let squares = |said: Tensor<D>, is: Tensor<D>| (said - is).powi_scalar(2).mean();
        Self {
            build: Box::new(build),
            predict: Box::new(predict),
            target: Box::new(target),
            distance: Box::new(squares),
        }
    }

    /// Sets the mean loss of predictions, given first, against targets.
    #[must_use]
    pub fn loss(mut self, distance: impl Fn(Tensor<D>, Tensor<D>) -> Tensor<1> + 'a) -> Self {
        self.distance = Box::new(distance);
        self
    }

    /// Splits the predictor into the training of the model and the fit of the target standardization.
    pub(super) fn parted(self) -> (Runner<'a, B>, Fit<'a, B>) {
        let target = std::rc::Rc::new(self.target);
        let targets = target.clone();
        let fit: Fit<'a, B> = Box::new(move |n, batch| {
            Param("Predictor", "target").must(D > 1, "of two axes or more", D)?;
            let mut quantiles = Quantiles::new();
            (0..n).try_for_each(|k| quantiles.push(targets(&batch(k))))?;
            quantiles.standardize()
        });
        let (build, predict, distance) = (self.build, self.predict, self.distance);
        let costs = move |model: &M, batch: B, by: Option<&Standardize>| {
            let (said, is) = (predict(model, &batch), target(&batch));
            match by {
                None => Cost { trained: distance(said, is), own: None },
                Some(by) => Cost {
                    trained: distance(said.clone(), by.forward(is.clone())),
                    own: Some(distance(by.inverse(said.detach()), is.detach())),
                },
            }
        };
        (Box::new(move |order| trial::run(&*build, &costs, order)), fit)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use burn::module::Param as Weight;
    use burn::nn::Linear;
    use burn::tensor::Device;

    use super::super::trial::Order;
    use super::super::{Advisor, Recipe};
    use super::*;
    use crate::Error;

    type Batch = (Tensor<2>, Tensor<2>);

    /// Fits the standardization of two batches of targets, of which the second is ten times the first.
    fn fitted<const D: usize>(shape: [usize; D]) -> Result<Standardize, Error> {
        let device = Device::flex();
        let ones =
            move |k: u64| Tensor::<D>::ones(shape, &device) * if k == 0 { 1.0 } else { 10.0 };
        let build = |_| -> Linear { unreachable!("nothing is trained") };
        let predictor =
            Predictor::new(build, |_, _| unreachable!("nothing is predicted"), move |k| ones(*k));
        predictor.parted().1(2, &|k| k)
    }

    /// A model of one weight, 2, whose targets are five times its inputs.
    fn doubles<'a>(
        asked: &'a Cell<u64>,
    ) -> (Predictor<'a, Linear, Batch, 2>, impl Fn(u64) -> Batch + 'a) {
        let device = Device::flex().autodiff();
        let weight = Tensor::<2>::from_floats([[2.0]], &device);
        let build = move |_| Linear { weight: Weight::from_tensor(weight.clone()), bias: None };
        let predict = |model: &Linear, (x, _): &Batch| model.forward(x.clone());
        let batch = move |k: u64| {
            asked.set(asked.get().max(k));
            let x = Tensor::<2>::from_floats([[1.0], [k as f32]], &device);
            (x.clone(), x * 5.0)
        };
        (Predictor::new(build, predict, |(_, y)| y.clone()), batch)
    }

    #[test]
    fn the_loss_is_the_mean_squared_error_unless_another_is_given() {
        let (asked, plain) = (Cell::new(0), Recipe::plain());
        let begun = |predictor: Predictor<'_, Linear, Batch, 2>, batch: &dyn Fn(u64) -> Batch| {
            let order = Order {
                recipe: &plain,
                rate: 0.1,
                seed: 0,
                over: 10,
                batch: &|_| batch(3),
                held_out: None,
                targets: None,
                go_on: &mut || false,
            };
            predictor.parted().0(order).unwrap().begun()
        };
        // Predictions of 2 and 6 for targets of 5 and 15.
        let (predictor, batch) = doubles(&asked);
        assert_eq!(begun(predictor, &batch), 45.0);
        let absolute = |said: Tensor<2>, is: Tensor<2>| (said - is).abs().mean();
        let (predictor, batch) = doubles(&asked);
        assert_eq!(begun(predictor.loss(absolute), &batch), 6.0);
    }

    #[test]
    fn targets_are_fitted_on_the_first_run_or_64_batches_of_it() {
        for (over, last) in [(10, 9), (64, 63), (100, 63)] {
            let asked = Cell::new(0);
            let (predictor, batch) = doubles(&asked);
            let advisor = Advisor::predicting(predictor, batch).by_training_loss();
            let advice = advisor.over(over).unwrap().budget(0).run().unwrap();
            assert_eq!(advice.updates(), 0);
            assert_eq!(asked.get(), last, "runs of {over}");
        }
    }

    #[test]
    fn targets_of_one_axis_cannot_be_standardized() {
        let error = fitted([4]).unwrap_err().to_string();
        assert_eq!(error, "`target` of Predictor must be of two axes or more, got 1");
        assert!(fitted([4, 1]).is_ok());
        assert!(fitted([2, 2, 1]).is_ok());
    }
}

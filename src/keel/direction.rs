//! Finding out how an optimizer's step depends on the gradient, by trying a copy of it.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};

use crate::Error;
use crate::bound::Direction;
use crate::monitor::Monitor;
use crate::optim::{ModelOptimizer, StepArgs};

/// The two gradient sizes to try, and the rate: large enough to show in half-precision weights.
const SMALL: f64 = 0.1;
const LARGE: f64 = 1.0;
const RATE: f64 = 0.1;

/// A step of at least this share of the one before it, for the opposite gradient, doesn't fade. Adam's is 0.05, and that
/// of a sum of squares, as in AdaGrad, 0.7.
const FULL: f64 = 0.9;

/// Returns how each parameter that requires a gradient is stepped, by applying `update` to gradients of two sizes, and
/// then once more to the second size, or to its opposite. Nothing of the caller's is changed. A parameter whose step
/// depends on the gradient's size in another way is left out.
///
/// # Cost
/// Three or four updates of copies, with a readback each.
pub(super) fn of<M: Module>(
    update: &dyn ModelOptimizer<M>,
    model: &M,
) -> Result<HashMap<ParamId, Direction>, Error> {
    let small = Tried::of(update.boxed(), model, SMALL)?;
    let large = Tried::of(update.boxed(), model, LARGE)?;
    let all = Growth::of(small.all(), large.all());
    let growths: Vec<Growth> = std::iter::zip(&small.moved, &large.moved)
        .map(|(&small, &large)| match Growth::of(small, large) {
            // The small step is lost in the rounding of the weights; it is assumed to be like the others.
            Growth::Other if small == 0.0 => all,
            own => own,
        })
        .collect();
    let ids = large.ids.clone();
    let first = large.moved.clone();
    let then = |growth, size| match growths.contains(&growth) {
        true => Ok(Tried::of(large.optimizer.boxed(), &large.after, size)?.moved),
        false => Ok::<_, Error>(first.clone()),
    };
    let (again, back) = (then(Growth::Proportional, LARGE)?, then(Growth::None, -LARGE)?);
    let seconds = std::iter::zip(again, back);
    let steps = growths.iter().zip(std::iter::zip(&first, seconds));
    let directions = steps.map(|(growth, (first, (second, back)))| match growth {
        Growth::None => {
            Some(Direction::Normalized { size: first / RATE, fades: back < FULL * first })
        }
        Growth::Proportional => {
            let momentum = (second / first - 1.0).clamp(0.0, 0.9999);
            // Below a twentieth it is rounding, or weight decay.
            let momentum = if momentum < 0.05 { 0.0 } else { momentum };
            Some(Direction::Gradient { size: first / (RATE * LARGE), momentum })
        }
        Growth::Other => None,
    });
    let known = ids.into_iter().zip(directions);
    Ok(known.filter_map(|(id, direction)| Some((id, direction?))).collect())
}

/// How a step changes when its gradient grows from [`SMALL`] to [`LARGE`].
#[derive(Debug, Clone, Copy, PartialEq)]
enum Growth {
    /// It stays the same, or there is no step.
    None,
    /// It grows as much as the gradient.
    Proportional,
    Other,
}

impl Growth {
    fn of(small: f64, large: f64) -> Self {
        let by = large / small;
        // Decay of the weights is in all of them, and a little in the rest.
        let near = |expected: f64| (0.5..2.0).contains(&(by / expected));
        match () {
            () if near(1.0) || large == 0.0 => Self::None,
            () if near(LARGE / SMALL) => Self::Proportional,
            () => Self::Other,
        }
    }
}

/// The result of an optimizer's step for one gradient.
struct Tried<M: Module> {
    ids: Vec<ParamId>,
    /// Root mean square of the change in each of them.
    moved: Vec<f64>,
    elements: Vec<usize>,
    optimizer: Box<dyn ModelOptimizer<M>>,
    after: M,
}

impl<M: Module> Tried<M> {
    fn of(mut optimizer: Box<dyn ModelOptimizer<M>>, model: &M, size: f64) -> Result<Self, Error> {
        let (grads, ids, elements) = (GradientsParams::new(), Vec::new(), Vec::new());
        let mut fill = Fill { size, grads, seen: HashSet::new(), ids, elements };
        model.visit(&mut fill);
        let Fill { grads, seen, ids, elements, .. } = fill;
        let norm = size.abs() * 1.001 * (elements.iter().sum::<usize>() as f64).sqrt();
        let after = optimizer.update(StepArgs::new(RATE, 1.0, norm), model.clone(), grads);
        let squares = Monitor::distances(model, &after, seen)?;
        let mean = |(square, &n): (f64, &usize)| (square / n.max(1) as f64).sqrt();
        let moved = squares.into_iter().zip(&elements).map(mean).collect();
        Ok(Self { ids, moved, elements, optimizer, after })
    }

    /// Returns the root mean square of the change over all elements.
    fn all(&self) -> f64 {
        let squares = self.moved.iter().zip(&self.elements).map(|(rms, &n)| rms * rms * n as f64);
        (squares.sum::<f64>() / self.elements.iter().sum::<usize>().max(1) as f64).sqrt()
    }
}

/// Gradients of `size` and of both signs for all parameters that require one, without a pattern that a rule looks for.
/// They don't use the device's random number generator, which belongs to the caller.
struct Fill {
    size: f64,
    grads: GradientsParams,
    seen: HashSet<ParamId>,
    /// In the order of the model, with their numbers of elements.
    ids: Vec<ParamId>,
    elements: Vec<usize>,
}

impl ModuleVisitor for Fill {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() || !self.seen.insert(param.id) {
            return;
        }
        let tensor = param.base().without_autodiff();
        let n = tensor.shape().num_elements();
        self.ids.push(param.id);
        self.elements.push(n);
        if n == 0 {
            return;
        }
        let places = Tensor::<1, Int>::arange(0..n as i64, &tensor.device()).float();
        let waves = (places.clone() * 2.3 + 0.7).sin() + (places.powi_scalar(2) * 0.37).sin();
        let grad: Tensor<D> = waves.sign().reshape(tensor.shape());
        let grad = (grad * self.size).cast(tensor.dtype());
        self.grads.register(param.id, grad);
    }
}

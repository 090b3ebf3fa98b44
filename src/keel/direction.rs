//! How an optimizer's step depends on the gradient: found by trying a copy of it.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};

use crate::Error;
use crate::bound::Direction;
use crate::monitor::Monitor;
use crate::optim::{Pace, Update};

/// The sizes of gradient that are tried, and the rate: large enough that weights in half precision show it.
const SMALL: f64 = 0.1;
const LARGE: f64 = 1.0;
const RATE: f64 = 0.1;

/// What `update` makes of gradients of two sizes, one after another of the second. Nothing of the caller's is
/// changed. `None` if the step depends on the gradient's size in another way than these.
///
/// # Cost
/// Two updates of copies, or three, with a readback each.
pub(super) fn of<M: Module>(update: &dyn Update<M>, model: &M) -> Result<Option<Direction>, Error> {
    let small = Tried::of(update.boxed(), model, SMALL)?;
    let large = Tried::of(update.boxed(), model, LARGE)?;
    let (first, step) = (large.moved, large.moved / small.moved);
    // Decay of the weights is in all of them, and a little in the rest.
    let near = |expected: f64| (0.5..2.0).contains(&(step / expected));
    if near(1.0) {
        return Ok(Some(Direction::Normalized { size: first / RATE }));
    }
    if !near(LARGE / SMALL) {
        return Ok(None);
    }
    let second = Tried::of(large.optimizer, &large.after, LARGE)?;
    let momentum = (second.moved / first - 1.0).clamp(0.0, 0.9999);
    // Below a twentieth it is rounding, or decay.
    let momentum = if momentum < 0.05 { 0.0 } else { momentum };
    Ok(Some(Direction::Gradient { size: first / (RATE * LARGE), momentum }))
}

/// What an optimizer made of one gradient.
struct Tried<M: Module> {
    /// The root mean square of what it changed, over all elements that have a gradient.
    moved: f64,
    optimizer: Box<dyn Update<M>>,
    after: M,
}

impl<M: Module> Tried<M> {
    fn of(mut optimizer: Box<dyn Update<M>>, model: &M, size: f64) -> Result<Self, Error> {
        let (grads, seen) = (GradientsParams::new(), HashSet::new());
        let mut fill = Fill { size, grads, seen, elements: 0 };
        model.visit(&mut fill);
        let Fill { grads, seen, elements, .. } = fill;
        let norm = size * 1.001 * (elements as f64).sqrt();
        let after = optimizer.update(Pace::new(RATE, 1.0, norm), model.clone(), grads);
        let squares = Monitor::distance(model, &after, seen)?;
        Ok(Self { moved: (squares / elements.max(1) as f64).sqrt(), optimizer, after })
    }
}

/// Gradients of `size` and of both signs for all parameters that ask for one, without a pattern that a rule
/// looks for. Not from the device's generator, which is the caller's.
struct Fill {
    size: f64,
    grads: GradientsParams,
    seen: HashSet<ParamId>,
    elements: usize,
}

impl ModuleVisitor for Fill {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() || !self.seen.insert(param.id) {
            return;
        }
        let tensor = param.base().without_autodiff();
        let n = tensor.shape().num_elements();
        if n == 0 {
            return;
        }
        let places = Tensor::<1, Int>::arange(0..n as i64, &tensor.device()).float();
        let waves = (places.clone() * 2.3 + 0.7).sin() + (places.powi_scalar(2) * 0.37).sin();
        let grad: Tensor<D> = waves.sign().reshape(tensor.shape());
        let grad = (grad * self.size).cast(tensor.dtype());
        self.elements += n;
        self.grads.register(param.id, grad);
    }
}

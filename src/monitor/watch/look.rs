//! One look at gradients and parameters, on its way.

use std::collections::HashSet;

use burn::module::{ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::monitor::activation::{Facts, Taken};
use crate::monitor::sums::{Squares, Sums};
use crate::optim::SecondMoments;
use crate::shelf::Shelf;
use crate::wide::widened;

/// What one of the sums is, of the parameter with this index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Gradient(usize),
    Parameter(usize),
    Update(usize),
    Zeros(usize),
    Broken(usize),
    /// The product with the gradient before.
    Product(usize),
    /// The square of the sum over a window.
    Window(usize),
    /// What the ratio to the second moment comes to, and the second moment.
    Ratio(usize),
    Moment(usize),
    /// A value that the user passed.
    Value(usize),
    /// A number of an activation; of each there are several in a row.
    Activation,
}

/// What was put together before the update, and is read after it.
#[derive(Default)]
pub(super) struct Look {
    pub(super) sums: Sums,
    pub(super) what: Vec<What>,
    pub(super) ids: Vec<ParamId>,
    pub(super) elements: Vec<usize>,
    /// The names of the user's values.
    pub(super) values: Vec<String>,
    /// The activations that the probe has seen.
    pub(super) activations: Vec<Facts>,
    /// The parameters before the update.
    pub(super) before: Shelf,
    /// The gradients as they are: on Flex the sums hold them anyway.
    pub(super) raw: Shelf,
    /// These gradients, and the sum of the window with them: the next memory, if they prove good.
    pub(super) gradients: Shelf,
    pub(super) window: Shelf,
}

impl Look {
    fn square<const D: usize>(&mut self, what: What, tensor: Tensor<D>) {
        self.what.push(what);
        self.sums.square(tensor);
    }

    pub(super) fn value(&mut self, what: What, tensor: Tensor<1>) {
        self.what.push(what);
        self.sums.value(tensor);
    }

    pub(super) fn activation(&mut self, taken: Taken) {
        let (waiting, facts) = taken.split();
        waiting.into_iter().for_each(|one| self.value(What::Activation, one));
        self.activations.push(facts);
    }
}

/// The memory that directions are compared with.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// The gradients of the last sample.
    pub(super) gradients: Shelf,
    /// The sum of those of the window so far.
    pub(super) window: Shelf,
}

/// Visits the model before the update.
pub(super) struct Before<'a> {
    pub(super) grads: &'a GradientsParams,
    /// Where directions are compared, and whether the window is full with this sample.
    pub(super) past: Option<(&'a Past, bool)>,
    pub(super) look: Look,
    /// A parameter used in two places is visited twice, and has one gradient.
    pub(super) seen: HashSet<ParamId>,
}

impl ModuleVisitor for Before<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        if !self.seen.insert(param.id) {
            return;
        }
        let (at, id) = (self.look.ids.len(), param.id);
        let look = &mut self.look;
        look.ids.push(id);
        look.elements.push(grad.shape().num_elements());
        let value = param.base().without_autodiff();
        look.before.put(id, value);
        look.what.extend([What::Gradient(at), What::Zeros(at), What::Broken(at)]);
        look.sums.counted(grad.clone());
        look.raw.put(id, grad.clone());

        let Some((past, full)) = self.past else { return };
        let wide = widened(grad);
        if let Some(before) = past.gradients.get::<D>(id) {
            look.what.push(What::Product(at));
            look.sums.product(wide.clone(), before);
        }
        let sum = match past.window.get::<D>(id) {
            Some(sum) => sum + wide.clone(),
            None => wide.clone(),
        };
        if full {
            look.square(What::Window(at), sum.clone());
        }
        look.gradients.put(id, wide);
        look.window.put(id, sum);
    }
}

/// Visits the model after it, for what is read of a parameter before and after together.
pub(super) struct After {
    pub(super) look: Look,
    /// Whether there was an update.
    pub(super) updated: bool,
    /// What the optimizer divides by, after the update.
    pub(super) moments: SecondMoments,
}

impl ModuleVisitor for After {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(at) = self.look.ids.iter().position(|&id| id == param.id) else { return };
        if let Some(old) = self.look.before.take::<D>(param.id) {
            self.look.what.push(What::Parameter(at));
            if !self.updated {
                return self.look.sums.square(old);
            }
            self.look.what.push(What::Update(at));
            self.look.sums.moved(old, param.base().without_autodiff());
        }
        if let Some((v, correction, epsilon)) = self.moments.get::<D>(param.id)
            && let Some(grad) = self.look.raw.take::<D>(param.id)
        {
            self.look.what.extend([What::Ratio(at), What::Moment(at)]);
            self.look.sums.ratio(grad, v, [correction, epsilon]);
        }
    }
}

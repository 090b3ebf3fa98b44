//! One look at gradients and parameters, on its way.

use std::collections::{HashMap, HashSet};

use burn::module::{ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::monitor::activation::{Facts, Taken};
use crate::monitor::sums::{Squares, Sums};
use crate::optim::SecondMoments;
use crate::shelf::Shelf;

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
    /// What is known already: on a host that needs no readback, so that nothing is held for it.
    pub(super) known: Vec<(What, f64)>,
    pub(super) sums: Sums,
    pub(super) what: Vec<What>,
    pub(super) ids: Vec<ParamId>,
    pub(super) elements: Vec<usize>,
    /// The names of the user's values.
    pub(super) values: Vec<String>,
    /// The activations that the probe has seen.
    pub(super) activations: Vec<Facts>,
    /// The parameters before the update, and the gradients, as far as they are needed after it.
    pub(super) parameters: Kept,
    pub(super) gradients: Kept,
}

/// Tensors of a sample: themselves, or copies.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) themselves: Shelf,
    pub(super) copies: Shelf,
}

impl Kept {
    fn get<const D: usize>(&self, id: ParamId) -> Option<Tensor<D>> {
        self.themselves.get::<D>(id).or_else(|| self.copies.get::<D>(id))
    }
}

impl Look {
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
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The gradients of the last sample.
    pub(super) gradients: Kept,
    /// The sum of those of the window so far.
    pub(super) window: Shelf,
}

/// Buffers for copies. An optimizer that is not alone with a tensor has to allocate another one in its place,
/// which costs more than a copy does.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) parameters: Shelf,
    pub(super) gradients: Shelf,
}

/// What becomes of the gradients until after the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Keep {
    Nothing,
    /// Copies, where those can be made on the host.
    Copies,
    Them,
}

/// Visits the model before the update.
pub(super) struct Before<'a> {
    pub(super) grads: &'a GradientsParams,
    pub(super) keep: Keep,
    pub(super) look: Look,
    /// A parameter used in two places is visited twice, and has one gradient.
    pub(super) seen: HashSet<ParamId>,
    pub(super) room: Room,
    pub(super) host: Host,
}

/// What is done on the host, before the update.
#[derive(Default)]
pub(super) struct Host {
    pub(super) sums: Sums,
    pub(super) what: Vec<What>,
    pub(super) parameters: Sums,
    pub(super) gradients: Sums,
}

impl Before<'_> {
    /// What is to be read after the update.
    pub(super) fn end(self) -> Look {
        let Self { mut look, host, .. } = self;
        let (numbers, _) = host.sums.on_the_host();
        look.known = host.what.into_iter().zip(numbers).collect();
        look.parameters.copies = host.parameters.on_the_host().1;
        look.gradients.copies = host.gradients.on_the_host().1;
        look
    }
}

impl ModuleVisitor for Before<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        if !self.seen.insert(param.id) {
            return;
        }
        let (at, id) = (self.look.ids.len(), param.id);
        let (look, host) = (&mut self.look, &mut self.host);
        look.ids.push(id);
        look.elements.push(grad.shape().num_elements());

        let value = param.base().without_autodiff();
        match Sums::is_on_the_host(&value) {
            true => {
                host.parameters.copy(id, self.room.parameters.take::<D>(id), value);
            }
            false => look.parameters.themselves.put(id, value),
        }
        let is_here = Sums::is_on_the_host(&grad);
        // What is held anyway is read once, with what is asked of it after the update.
        let (sums, what) = match is_here && self.keep != Keep::Them {
            true => (&mut host.sums, &mut host.what),
            false => (&mut look.sums, &mut look.what),
        };
        what.extend([What::Gradient(at), What::Zeros(at), What::Broken(at)]);
        sums.counted(grad.clone());
        match self.keep {
            Keep::Nothing => {}
            Keep::Copies if is_here => {
                host.gradients.copy(id, self.room.gradients.take::<D>(id), grad);
            }
            Keep::Copies | Keep::Them => look.gradients.themselves.put(id, grad),
        }
    }
}

/// Visits the model after it, for what is read of a parameter before and after together.
pub(super) struct After<'a> {
    pub(super) look: Look,
    /// Whether there was an update.
    pub(super) updated: bool,
    /// What the optimizer divides by, after the update.
    pub(super) moments: SecondMoments,
    /// Where directions are compared.
    pub(super) past: Option<Compared<'a>>,
    /// The indices of the parameters that it has not met yet: one used in two places is met twice.
    pub(super) places: HashMap<ParamId, usize>,
}

/// What gradients are compared with, and go into.
pub(super) struct Compared<'a> {
    pub(super) past: &'a mut Past,
    /// Those whose window has begun.
    pub(super) begun: HashSet<ParamId>,
    /// Whether the window is full with this sample.
    pub(super) full: bool,
}

impl ModuleVisitor for After<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(at) = self.places.remove(&param.id) else { return };
        let (look, id) = (&mut self.look, param.id);
        let Some(old) = look.parameters.get::<D>(id) else { return };
        look.what.push(What::Parameter(at));
        match self.updated {
            true => {
                look.what.push(What::Update(at));
                look.sums.moved(old, param.base().without_autodiff());
            }
            false => look.sums.square(old),
        }
        let Some(grad) = look.gradients.get::<D>(id) else { return };
        if let Some((v, correction, epsilon)) = self.moments.get::<D>(id) {
            look.what.extend([What::Ratio(at), What::Moment(at)]);
            look.sums.ratio(grad.clone(), v, [correction, epsilon]);
        }
        let Some(Compared { past, begun, full }) = &mut self.past else { return };
        if let Some(before) = past.gradients.get::<D>(id) {
            look.what.push(What::Product(at));
            look.sums.product(grad.clone(), before);
        }
        if self.updated {
            if *full {
                look.what.push(What::Window(at));
            }
            let sum = past.window.take::<D>(id);
            look.sums.fold(id, sum, !begun.contains(&id), *full, grad);
        }
    }
}

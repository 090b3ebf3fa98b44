//! The measurements of one sample, gathered before the update and read after it.

use std::collections::{HashMap, HashSet};

use burn::module::{ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::monitor::activation::{Facts, Taken};
use crate::monitor::sums::{Squares, Sums};
use crate::optim::SecondMoments;
use crate::tensor_shelf::Shelf;

/// What a sum measures, for the parameter with this index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Gradient(usize),
    Parameter(usize),
    Update(usize),
    Zeros(usize),
    Broken(usize),
    /// The product with the previous gradient.
    Product(usize),
    /// The square of the sum over a window.
    Window(usize),
    /// The ratio to the second moment, and the second moment itself.
    Ratio(usize),
    Moment(usize),
    /// A value passed by the user.
    Value(usize),
    /// A number of an activation; each activation has several in a row.
    Activation,
}

/// The part of a sample that is gathered before the update and read after it.
#[derive(Default)]
pub(super) struct Look {
    /// Numbers already known: on a host that needs no readback, so that no tensors are held for them.
    pub(super) known: Vec<(What, f64)>,
    pub(super) sums: Sums,
    pub(super) what: Vec<What>,
    pub(super) ids: Vec<ParamId>,
    pub(super) elements: Vec<usize>,
    /// The names of the user's values.
    pub(super) values: Vec<String>,
    /// The activations seen by the probe.
    pub(super) activations: Vec<Facts>,
    /// The parameters before the update, and the gradients, as far as they are needed after it.
    pub(super) parameters: Kept,
    pub(super) gradients: Kept,
}

/// Tensors of a sample: the originals, or copies.
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

/// The gradients that directions are compared with.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The gradients of the last sample.
    pub(super) gradients: Kept,
    /// The sum of the gradients of the window so far.
    pub(super) window: Shelf,
}

/// Buffers for copies. If an optimizer shares a tensor, it has to allocate another one in its place, which costs
/// more than a copy.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) parameters: Shelf,
    pub(super) gradients: Shelf,
}

/// How the gradients are kept until after the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Keep {
    Nothing,
    /// Copies, where they can be made on the host.
    Copies,
    Them,
}

/// Visits the model before the update.
pub(super) struct Before<'a> {
    pub(super) grads: &'a GradientsParams,
    pub(super) keep: Keep,
    pub(super) look: Look,
    /// Parameters already visited: one used in two places is visited twice, but has one gradient.
    pub(super) seen: HashSet<ParamId>,
    pub(super) room: Room,
    pub(super) host: Host,
}

/// The sums and copies made on the host, before the update.
#[derive(Default)]
pub(super) struct Host {
    pub(super) sums: Sums,
    pub(super) what: Vec<What>,
    pub(super) parameters: Sums,
    pub(super) gradients: Sums,
}

impl Before<'_> {
    /// Returns what is to be read after the update.
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
        // A gradient that is held anyway is read once, together with what is needed of it after the update.
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

/// Visits the model after the update, for measurements that need a parameter both before and after it.
pub(super) struct After<'a> {
    pub(super) look: Look,
    /// Whether there was an update.
    pub(super) updated: bool,
    /// The second moments of the optimizer, after the update.
    pub(super) moments: SecondMoments,
    /// The earlier gradients, if directions are compared.
    pub(super) past: Option<Compared<'a>>,
    /// The indices of the parameters not yet visited: one used in two places is visited twice.
    pub(super) places: HashMap<ParamId, usize>,
}

/// The gradients that new ones are compared with and added to.
pub(super) struct Compared<'a> {
    pub(super) past: &'a mut Past,
    /// The parameters whose window has begun.
    pub(super) begun: HashSet<ParamId>,
    /// Whether this sample completes the window.
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

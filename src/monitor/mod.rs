//! Monitoring: measures tensors and returns plain numbers.
//!
//! Only this module reads from a device. It holds no thresholds and never judges a value too large; guards and
//! clips do that.

mod activation;
mod alignment;
mod blame;
mod culprits;
mod dots;
mod gather;
mod handed;
mod layout;
mod moves;
mod power;
mod probe;
mod read;
mod rounding;
mod row;
mod sums;
mod watch;

pub(crate) use alignment::products;
pub use blame::{Blame, Origin, blame};
pub(crate) use culprits::culprits;
pub(crate) use dots::{Side, dots, scalars};
pub(crate) use gather::squares_of;
pub(crate) use handed::{Misfit, any_gradient, loss_and_gradients, one_number};
pub(crate) use layout::{Entry, Layout};
pub use probe::{Probe, Watched};
pub(crate) use read::{integers, numbers};
pub(crate) use rounding::Rounding;
pub(crate) use row::{Row, Slot};
pub use watch::{Observation, Watch};

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use crate::parameter::Direction;
use crate::report::Layers;
use crate::{Culprit, Error, Fault, Parameter, Reading};
use gather::Gather;
use moves::sizes_and_moves;
use sums::Sums;
pub(crate) use sums::{OnDevice, Squares};

/// Measures one training step: the loss, the gradient norm, and the gradient norm of each parameter.
///
/// For custom training loops; a [`Keel`](crate::Keel) measures on its own. The caller fills in `attempt`,
/// `update` and `lr` of the [`Reading`].
///
/// `grad_norm` is `√Σᵢ‖gᵢ‖²` over the parameters of `model` that have a gradient in `grads`. Half precision is
/// squared and summed in `f32`. A sum of squares above the largest `f32` gives an infinite norm, on every device
/// and for every element type up to `f32`, because optimizers square gradients too. Squares below the smallest
/// `f32` are lost: elements below 10⁻²³ contribute nothing, and a norm of only such elements is 0.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::monitor::measure;
///
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(2, 1).init(&device);
/// let loss = model.forward(Tensor::<2>::ones([1, 2], &device)).mean();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
///
/// let reading = measure(&model, &grads, &loss)?;
/// // The gradient is 1 for two weights and a bias.
/// assert!((reading.grad_norm - 3.0_f64.sqrt()).abs() < 1e-6);
/// assert_eq!(reading.layers.get("bias"), Some(1.0));
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Errors
/// If `loss` does not have exactly one element, no parameter of `model` has a gradient in `grads`, or the device
/// fails during the readback.
///
/// # Cost
/// One pass over the gradients and one readback, whatever the number of parameters. On Flex with the `flex`
/// feature, the pass is one fused parallel read on all cores.
pub fn measure<M: Module>(
    model: &M,
    grads: &GradientsParams,
    loss: &Tensor<1>,
) -> Result<Reading, Error> {
    loss_and_gradients(model, grads, loss).map_err(|why| why.of("measure"))?;
    Monitor::new(model, Vec::new()).measure(model, grads, Some(loss), Extent::Gradients)
}

/// How much a reading contains; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extent {
    /// Loss, gradients and running statistics.
    Gradients,
    /// Also checks the parameters, and contains their norms.
    Parameters,
    /// Also contains the angles between parameters and gradients.
    Alignments,
}

/// Measures one model repeatedly.
#[derive(Debug, Clone)]
pub(crate) struct Monitor {
    layout: Layout,
    /// The buffers that a forward pass writes, checked in every reading.
    statistics: Vec<ParamId>,
    /// The parameters of the last reading and their paths, which readings share.
    last: (Vec<ParamId>, Arc<[String]>),
    /// The indices of those parameters that are of type `f16`.
    halves: Vec<usize>,
    /// The powers of the other norms of the whole gradient that are requested.
    powers: Vec<f64>,
    /// The number of readbacks.
    readbacks: Cell<u64>,
}

/// The norm above which a square may overflow in `f16`: the square root of 65504, its largest number.
pub(crate) const HALF_SQUARES: f64 = 255.9;

impl Monitor {
    pub(crate) fn new<M: Module>(model: &M, statistics: Vec<ParamId>) -> Self {
        let last = (Vec::new(), Vec::new().into());
        Self {
            layout: Layout::of(model),
            statistics,
            last,
            halves: Vec::new(),
            powers: Vec::new(),
            readbacks: Cell::new(0),
        }
    }

    /// Adds norms of the whole gradient to every reading; powers below 1 are ignored.
    pub(crate) fn with_powers(self, powers: impl Iterator<Item = f64>) -> Self {
        let mut powers: Vec<f64> = powers.filter(|power| *power >= 1.0).collect();
        powers.sort_by(f64::total_cmp);
        powers.dedup();
        Self { powers, ..self }
    }

    /// Returns a monitor that takes the same measurements of another model.
    pub(crate) fn anew<M: Module>(&self, model: &M, statistics: Vec<ParamId>) -> Self {
        Self { powers: self.powers.clone(), ..Self::new(model, statistics) }
    }

    /// Returns the layout of the model's parameters.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the number of readbacks, not counting searches after a fault.
    pub(crate) fn readbacks(&self) -> u64 {
        self.readbacks.get()
    }

    fn count_readback(&self) {
        self.readbacks.set(self.readbacks.get() + 1);
    }

    /// Adds everything that a reading needs to `sums`, and returns what each slot holds: the gradients, the
    /// statistics, and with `parameters` also the parameters that have a gradient.
    pub(crate) fn gather<M: Module, S: Squares>(
        &self,
        model: &M,
        grads: &GradientsParams,
        parameters: bool,
        sums: S,
    ) -> (Vec<Slot>, S) {
        let statistics = self.statistics.as_slice();
        let (slots, seen) = (Vec::new(), HashSet::new());
        let mut gather = Gather { grads, statistics, parameters, sums, slots, seen };
        model.visit(&mut gather);
        (gather.slots, gather.sums)
    }

    /// Takes one reading. Without `loss`, the caller fills in the loss.
    pub(crate) fn measure<M: Module>(
        &mut self,
        model: &M,
        grads: &GradientsParams,
        loss: Option<&Tensor<1>>,
        extent: Extent,
    ) -> Result<Reading, Error> {
        let parameters = extent >= Extent::Parameters;
        let (slots, mut sums) = self.gather(model, grads, parameters, Sums::default());
        let products = products(extent, model, grads);
        let products_end = slots.len() + products.len();
        products.into_iter().for_each(|product| sums.value(product));
        power::add(model, grads, &self.powers, &mut sums);
        if let Some(loss) = loss {
            sums.value(loss.clone().without_autodiff());
        }
        self.count_readback();
        let values = sums.read()?;

        let (mut ids, mut norms, mut sizes, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
        let (mut parameter, mut statistic) = (false, false);
        self.halves.clear();
        for (slot, &sum) in slots.iter().zip(&values) {
            match *slot {
                Slot::Gradient(id, dtype) => {
                    if dtype == DType::F16 {
                        self.halves.push(ids.len());
                    }
                    ids.push(id);
                    norms.push(sum.sqrt());
                    total += sum;
                }
                Slot::Parameter => {
                    parameter |= !sum.is_finite();
                    sizes.push(sum.sqrt());
                }
                Slot::Statistic => statistic |= !sum.is_finite(),
            }
        }
        let paths = self.paths(model, ids);
        let mut reading = Reading::new(0);
        // Empty if they were not measured, so that there are fewer of them than paths.
        let products = values.get(slots.len()..products_end).unwrap_or_default();
        let cosines = alignment::cosines(products, &sizes, &norms);
        reading.alignments = Layers::new(paths.clone(), cosines).unwrap_or_default();
        let layers = Layers::new(paths.clone(), norms).unwrap_or_default();
        // If the parameters were not measured, there are fewer sizes than paths.
        reading.sizes = Layers::new(paths, sizes).unwrap_or_default();
        let ends = values.len() - usize::from(loss.is_some());
        let of_powers = values.get(products_end..ends).unwrap_or_default();
        reading.p_norms = power::norms(&self.powers, of_powers);
        if parameter {
            reading.fault = Some(Fault::Parameter);
        }
        if loss.is_some() {
            reading = reading.with_loss(values.last().copied().unwrap_or(f64::NAN));
        }
        reading = reading.with_grad_norm(total.sqrt()).with_layers(layers);
        if statistic {
            reading.fault = reading.fault.or(Some(Fault::Statistic));
        }
        Ok(reading)
    }

    /// Returns whether every parameter that had a gradient in the last reading is finite in `model`.
    pub(crate) fn is_sound<M: Module>(&self, model: &M) -> Result<bool, Error> {
        self.count_readback();
        Self::are_finite(model, self.last.0.iter().copied())
    }

    /// Returns whether a gradient of type `f16`, times `factor`, may have a square that overflows `f16`.
    pub(crate) fn halves_overflow(&self, now: &Reading, factor: f64) -> bool {
        let norms: Vec<f64> = now.layers.iter().map(|(_, norm)| norm).collect();
        self.halves.iter().any(|&at| norms.get(at).is_some_and(|norm| norm * factor > HALF_SQUARES))
    }

    /// Returns how far each parameter that had a gradient in the last reading has moved, and its norm before.
    pub(crate) fn moves<M: Module>(
        &self,
        before: &M,
        after: &M,
    ) -> Result<(Layers, Layers), Error> {
        self.count_readback();
        let ids = self.last.0.iter().copied().collect();
        let (sizes, moves) = sizes_and_moves(before, after, ids)?;
        let layers = |sums: &[f64]| {
            let norms = sums.iter().map(|sum| sum.sqrt()).collect();
            Layers::new(self.last.1.clone(), norms).unwrap_or_default()
        };
        Ok((layers(&moves), layers(&sizes)))
    }

    /// Returns the sums of squares of the change in each of these parameters, in the order of the model. One
    /// readback.
    pub(crate) fn distances<M: Module>(
        before: &M,
        after: &M,
        ids: HashSet<ParamId>,
    ) -> Result<Vec<f64>, Error> {
        Ok(sizes_and_moves(before, after, ids)?.1)
    }

    /// Returns every parameter with its norm and, where it is known, with how it is stepped, in the order of the
    /// model. One readback.
    pub(crate) fn parameters<M: Module>(
        &self,
        model: &M,
        directions: &HashMap<ParamId, Direction>,
    ) -> Result<Vec<Parameter>, Error> {
        let entries = self.layout.entries().iter();
        let ids = entries.clone().map(|entry| entry.id);
        let sums = squares_of(model, ids, Sums::default()).read()?;
        let parameter = |(entry, sum): (&Entry, f64)| {
            let mut parameter = Parameter::new(&*entry.path, &*entry.shape, sum.sqrt());
            parameter.trainable = entry.trainable;
            parameter.direction = directions.get(&entry.id).copied();
            parameter
        };
        Ok(entries.zip(sums).map(parameter).collect())
    }

    /// Returns whether these parameters and their squares are finite.
    fn are_finite<M: Module>(model: &M, ids: impl Iterator<Item = ParamId>) -> Result<bool, Error> {
        let sums = squares_of(model, ids, Sums::default()).read()?;
        Ok(sums.iter().all(|sum| sum.is_finite()))
    }

    /// Returns the parameters that require a gradient; an error if there are none.
    fn trainable(&self) -> Result<Vec<ParamId>, Error> {
        let trainable = self.layout.entries().iter().filter(|entry| entry.trainable);
        let trainable: Vec<ParamId> = trainable.map(|entry| entry.id).collect();
        match trainable.is_empty() {
            false => Ok(trainable),
            true => Err(Error::model(
                "none of its parameters asks for a gradient. Was it made on a device without \
                 `.autodiff()`, frozen, or is it the `valid()` copy?",
            )),
        }
    }

    /// Checks that a model in the middle of training has something to train and is not broken. Finite values are
    /// accepted, however large they are.
    pub(crate) fn check_resumed<M: Module>(&self, model: &M) -> Result<(), Error> {
        self.trainable()?;
        let broken = |culprit: &Culprit| culprit.nan + culprit.infinite > 0;
        match culprits(model, None, self).into_iter().find(broken) {
            None => Ok(()),
            Some(culprit) => {
                Err(Error::record(format_args!("the model in it is broken, in {culprit}")))
            }
        }
    }

    /// Checks that there is something to train, and that nothing is broken before the first step.
    pub(crate) fn check_fit<M: Module>(&self, model: &M) -> Result<(), Error> {
        let trainable = self.trainable()?;
        let watched = trainable.into_iter().chain(self.statistics.iter().copied());
        if Self::are_finite(model, watched)? {
            return Ok(());
        }
        match culprits(model, None, self).first() {
            Some(culprit) => {
                Err(Error::model(format_args!("it is broken before the first step, in {culprit}")))
            }
            None => Ok(()),
        }
    }

    /// Returns the paths of these parameters, sharing those of the last reading if the parameters are the same.
    fn paths<M: Module>(&mut self, model: &M, ids: Vec<ParamId>) -> Arc<[String]> {
        if self.last.0 != ids {
            if !ids.iter().all(|id| self.layout.contains(*id)) {
                self.layout = Layout::of(model);
            }
            let paths = ids.iter().map(|id| self.layout.path(*id).to_string()).collect();
            self.last = (ids, paths);
        }
        self.last.1.clone()
    }
}

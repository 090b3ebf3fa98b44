//! The numbers of steps that were decided on the device, read together and later.

use std::sync::Arc;

use burn::module::{Module, ParamId};
use burn::tensor::{DType, Tensor, Transaction};

use super::Monitor;
use super::alignment::cosines;
use crate::report::Layers;
use crate::{Error, Fault, Reading};

/// The tensor that a sum of squares belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Slot {
    Gradient(ParamId, DType),
    Parameter,
    Statistic,
}

impl Slot {
    pub(crate) fn gradient(&self) -> Option<ParamId> {
        match self {
            Self::Gradient(id, _) => Some(*id),
            _ => None,
        }
    }

    pub(crate) fn is_gradient(&self) -> bool {
        self.gradient().is_some()
    }

    pub(crate) fn is_half(&self) -> bool {
        matches!(self, Self::Gradient(_, DType::F16))
    }
}

/// The numbers of one step, still on the device: the sums of the slots, followed by the loss, the sum of all
/// gradients, the clips' factor, and whether everything was finite before the update and after it.
#[derive(Debug)]
pub(crate) struct Row {
    values: Tensor<1>,
    /// The products of parameters and gradients, if they were asked for.
    products: Option<Tensor<1>>,
    slots: Vec<Slot>,
    paths: Arc<[String]>,
}

/// The numbers of one step, after they are read.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) reading: Reading,
    pub(crate) factor: f64,
    /// Whether the device applied the update.
    pub(crate) applied: bool,
}

impl Monitor {
    /// Keeps the numbers of a step for later.
    pub(crate) fn row<M: Module>(
        &mut self,
        model: &M,
        values: Tensor<1>,
        products: Option<Tensor<1>>,
        slots: Vec<Slot>,
    ) -> Row {
        let ids = slots.iter().filter_map(Slot::gradient).collect();
        Row { values, products, slots, paths: self.paths(model, ids) }
    }

    /// Returns the numbers of all these steps, in order. One readback.
    pub(crate) fn late(&self, rows: Vec<Row>) -> Result<Vec<Late>, Error> {
        self.count_readback();
        let (mut shapes, mut transaction) = (Vec::new(), Transaction::default());
        for Row { values, products, slots, paths } in rows {
            transaction = transaction.register(values);
            shapes.push((slots, paths, products.is_some()));
            if let Some(products) = products {
                transaction = transaction.register(products);
            }
        }
        let data = transaction
            .try_execute()
            .map_err(|cause| Error::io("reading the steps' numbers from the device", cause))?;
        let mut values = data.into_iter().map(|data| data.convert::<f64>().iter::<f64>().collect());
        let mut next = || -> Vec<f64> { values.next().unwrap_or_default() };
        let late = |(slots, paths, aligned): (Vec<Slot>, Arc<[String]>, bool)| {
            let values = next();
            let products = if aligned { next() } else { Vec::new() };
            late(&slots, paths, values, &products)
        };
        Ok(shapes.into_iter().map(late).collect())
    }
}

fn late(slots: &[Slot], paths: Arc<[String]>, values: Vec<f64>, products: &[f64]) -> Late {
    let (sums, rest) = values.split_at(slots.len().min(values.len()));
    let number = |at: usize| rest.get(at).copied().unwrap_or(f64::NAN);
    let [loss, total, factor, finite, applied] = [0, 1, 2, 3, 4].map(number);

    let broken = |of: fn(&Slot) -> bool| {
        slots.iter().zip(sums).any(|(slot, sum)| of(slot) && !sum.is_finite())
    };
    let gradients = slots.iter().zip(sums).filter(|(slot, _)| slot.is_gradient());
    let norms: Vec<f64> = gradients.map(|(_, sum)| sum.sqrt()).collect();
    let sizes = slots.iter().zip(sums).filter(|(slot, _)| matches!(slot, Slot::Parameter));
    let sizes: Vec<f64> = sizes.map(|(_, sum)| sum.sqrt()).collect();
    let mut reading = Reading::new(0);
    let cosines = cosines(products, &sizes, &norms);
    reading.alignments = Layers::new(paths.clone(), cosines).unwrap_or_default();
    reading.sizes = Layers::new(paths.clone(), sizes).unwrap_or_default();
    if broken(|slot| matches!(slot, Slot::Parameter)) {
        reading.fault = Some(Fault::Parameter);
    }
    let layers = Layers::new(paths, norms).unwrap_or_default();
    reading = reading.with_loss(loss).with_grad_norm(total.sqrt()).with_layers(layers);
    if broken(|slot| matches!(slot, Slot::Statistic)) {
        reading.fault = reading.fault.or(Some(Fault::Statistic));
    }
    let applied = applied == 1.0;
    if !applied {
        // Finite before, but dropped: squares overflow in half precision, or the update has overflowed.
        let why = if finite == 1.0 { Fault::Update } else { Fault::Gradient };
        reading.fault = reading.fault.or(Some(why));
    }
    Late { reading, factor, applied }
}

//! Burn's optimizers as [`ModelOptimizer`]s.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Bytes, DType, Tensor, TensorData};
use burn_pack::Reader;

use super::groups::eval;
use super::schedule_free::AVERAGED_BY;
use super::{ModelOptimizer, StepArgs};
use crate::checkpoint::{State, all_finite, canonical};
use crate::{Error, clip, tie};

/// Supports any Burn optimizer, with its parameter groups and its own clipping. The factor is applied to the gradients
/// first, and any Burn clipping of single tensors comes after it.
///
/// In half precision the scaled gradient is rounded to its type again, so an element below 6·10⁻⁸ of `f16` becomes 0,
/// even if a loss scale has preserved it until then. [`MasterWeights`](super::MasterWeights) around the optimizer
/// preserves it.
impl<M: Module + 'static> ModelOptimizer<M> for ModuleOptimizer {
    fn update(&mut self, args: StepArgs, model: M, grads: GradientsParams) -> M {
        let grads = clip::scale(grads, &model, args.factor);
        self.step(args.lr, model, grads)
    }

    /// Returns the model with the averages of [schedule-free](super::ScheduleFree) rules in it, found in the state. The
    /// state is visible only in a copy on the host.
    fn eval_model(&self, model: &M) -> M {
        match averages(self) {
            Some(found) if !found.is_empty() => tie(model.clone().map(&mut Averaged(found))),
            _ => model.clone(),
        }
    }

    /// Checks by a trial step, because Burn does not expose the shapes of a parameter's state. A step keeps shapes that
    /// fit, and otherwise panics or enlarges what is too small.
    fn check_fit(&self, model: &M) -> Result<(), Error> {
        let before = shapes(self)?;
        if before.is_empty() {
            return Ok(());
        }
        let mut still = Still(GradientsParams::new());
        model.visit(&mut still);
        let mut trial = self.clone();
        let step = || drop(trial.step(0.0, model.clone(), still.0));
        catch_unwind(AssertUnwindSafe(step)).map_err(|_| match has_halves(model) {
            // Burn reads states in the default type of the device, whatever type they were saved in.
            true => Error::record(
                "Burn's optimizers cannot go on with parameters in half precision, because their state is loaded in f32; \
                 with `optim::MasterWeights` around them it is in f32 from the start",
            ),
            false => Error::record("the optimizer's state in it is not of this model"),
        })?;
        let after = shapes(&trial)?;
        match before.iter().find(|(name, shape)| after.get(*name) != Some(*shape)) {
            None => Ok(()),
            Some((name, shape)) => Err(Error::record(format_args!(
                "`{name}` of the optimizer's state has the shape {shape:?}, which is not its parameter's"
            ))),
        }
    }

    fn is_finite(&self) -> Result<bool, Error> {
        let failed = |cause: String| Error::io("reading the optimizer's state", cause);
        let record = self.to_record().into_bytes().map_err(|e| failed(e.to_string()))?;
        all_finite(record).map_err(|e| failed(e.to_string()))
    }

    fn boxed(&self) -> Box<dyn ModelOptimizer<M>> {
        Box::new(self.clone())
    }

    fn state(&self) -> Result<State, Error> {
        let failed = |cause| Error::io("writing the optimizer's state", cause);
        let record = self.to_record();
        let tensors = record.len() as u64;
        let bytes = record.into_bytes().map_err(|cause| failed(cause.to_string()))?;
        let bytes = canonical(bytes, |_| false).map_err(|cause| failed(cause.to_string()))?;
        Ok(State::new().with_count("tensors", tensors).with_bytes("record", bytes))
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        state.only(&["tensors", "record"])?;
        let bytes = Bytes::from_bytes_vec(state.bytes("record")?.to_vec());
        let record = OptimizerRecord::from_bytes(bytes).map_err(Error::record)?;
        let saved = record.len();
        if state.count("tensors")? != saved as u64 {
            return Err(Error::record("the optimizer's state is incomplete"));
        }
        // Burn silently skips what it cannot use; the count reveals it. Damaged data makes Burn panic, and is an error
        // here. `self` is not touched.
        let fresh = self.clone();
        let loaded = catch_unwind(AssertUnwindSafe(|| fresh.load_record(record)))
            .map_err(|_| Error::record("the optimizer's state is damaged"))?;
        let used = loaded.to_record().len();
        if used != saved {
            return Err(Error::record(format_args!(
                "of the {saved} tensors of the optimizer's state, this optimizer has a use for \
                 {used}: it is another one, or its groups are"
            )));
        }
        *self = loaded;
        Ok(())
    }
}

/// Returns `β` and `z` of the parameters of schedule-free rules.
fn averages(optimizer: &ModuleOptimizer) -> Option<HashMap<ParamId, (f64, TensorData)>> {
    let reader = Reader::from_bytes(optimizer.to_record().into_bytes().ok()?).ok()?;
    let mut found = HashMap::new();
    let betas: BTreeMap<String, f64> = reader
        .scalars()
        .iter()
        .filter_map(|(name, value)| {
            let under = name.strip_suffix(AVERAGED_BY)?;
            Some((format!("{under}z"), f64::try_from(*value).ok()?))
        })
        .collect();
    if betas.is_empty() {
        return Some(found);
    }
    for tensor in reader.into_tensors().ok()? {
        let Some(&beta) = betas.get(&tensor.name) else { continue };
        let (name, dtype, shape, _, bytes) = tensor.into_parts().ok()?;
        let id: u64 = name.split('.').next()?.parse().ok()?;
        found.insert(ParamId::from(id), (beta, TensorData::from_bytes(bytes, shape, dtype)));
    }
    Some(found)
}

struct Averaged(HashMap<ParamId, (f64, TensorData)>);

impl ModuleMapper for Averaged {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some((beta, z)) = self.0.get(&param.id) else { return param };
        if z.shape().to_vec() != param.base().dims() {
            return param;
        }
        let asks = param.is_require_grad();
        let (id, y, mapper) = param.consume();
        let y = y.inner();
        let z = Tensor::<D>::from_data(z.clone(), (&y.device(), z.dtype()));
        let x = Tensor::from_inner(eval::average(y, z, *beta)).set_require_grad(asks);
        Param::from_mapped_value(id, x, mapper)
    }
}

/// Returns the shapes of the tensors in its state, by name.
fn shapes(optimizer: &ModuleOptimizer) -> Result<BTreeMap<String, Vec<usize>>, Error> {
    let failed = |cause: String| Error::io("reading the optimizer's state", cause);
    let bytes = optimizer.to_record().into_bytes().map_err(|e| failed(e.to_string()))?;
    let reader = Reader::from_bytes(bytes).map_err(|e| failed(e.to_string()))?;
    let tensors = reader.into_tensors().map_err(|e| failed(e.to_string()))?;
    Ok(tensors.into_iter().map(|tensor| (tensor.name, tensor.shape.to_vec())).collect())
}

/// Returns whether a trained parameter is in half precision.
fn has_halves<M: Module>(model: &M) -> bool {
    struct Find(bool);

    impl ModuleVisitor for Find {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let half = matches!(param.base().dtype(), DType::F16 | DType::BF16);
            self.0 |= half && param.is_require_grad();
        }
    }

    let mut find = Find(false);
    model.visit(&mut find);
    find.0
}

/// Registers a gradient of 0 for each parameter that requires one.
struct Still(GradientsParams);

impl ModuleVisitor for Still {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.register(param.id, param.base().without_autodiff().zeros_like());
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn frozen_halves_and_trained_singles_are_no_trained_halves() {
        let layer = |dtype: DType| {
            let mut layer: Linear =
                LinearConfig::new(2, 2).with_bias(false).init(&Device::flex().autodiff());
            layer.weight = layer.weight.map(|w| w.detach().cast(dtype).detach().require_grad());
            layer
        };
        assert!(!has_halves(&vec![layer(DType::F16).no_grad(), layer(DType::F32)]));
        assert!(has_halves(&vec![layer(DType::F16), layer(DType::F32)]));
    }
}

//! Burn's own optimizers under a guard.

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::Bytes;

use super::{Pace, Update};
use crate::checkpoint::{State, all_finite, canonical};
use crate::{Error, clip};

/// Any Burn optimizer, parameter groups and their own clipping included. The factor is put on the
/// gradients first, and Burn's clipping of single tensors, if there is any, comes after it.
impl<M: Module + 'static> Update<M> for ModuleOptimizer {
    fn update(&mut self, pace: Pace, model: M, grads: GradientsParams) -> M {
        let grads = clip::scale(grads, &model, pace.factor);
        self.step(pace.lr, model, grads)
    }

    fn is_finite(&self) -> Result<bool, Error> {
        let failed = |cause: String| Error::io("reading the optimizer's state", cause);
        let record = self.to_record().into_bytes().map_err(|e| failed(e.to_string()))?;
        all_finite(record).map_err(|e| failed(e.to_string()))
    }

    fn boxed(&self) -> Box<dyn Update<M>> {
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
        // Burn passes over what it cannot use without a word; the count betrays it.
        let loaded = self.clone().load_record(record);
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

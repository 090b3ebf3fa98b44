//! One short run of a copy.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::ShortRun;
use crate::optim::IntoUpdate;
use crate::{Error, Keel, Verdict};

/// The losses before each update of `run.over` ones at the constant rate `run.rate`, of a copy of `model`
/// with the optimizer given, on the batches from `run.first` on. It ends with the first update that is not
/// made because something was not finite; the last loss is infinite then.
///
/// `batch` makes the batch of a number, so that nobody's place in the data is moved. The model's parameters
/// and BatchNorm's running statistics stay as they are; a loss that draws random numbers draws more of
/// them.
///
/// # Errors
/// If the model cannot be trained at all: see [`Builder::build`](crate::Builder::build).
///
/// # Cost
/// A training run of so many updates, and one more set of parameters.
pub fn short_run<M, B, By>(
    model: &M,
    optimizer: impl IntoUpdate<M, By>,
    run: &ShortRun,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<Vec<f64>, Error>
where
    M: Module + 'static,
{
    // Clones share BatchNorm's running statistics; this is a copy that does not.
    let mut model = model.valid().train();
    let mut keel = Keel::wrap(optimizer).skips_at_most(0).build(&model)?;
    let mut losses = Vec::new();
    for k in 0..run.over {
        let now = loss(&model, batch(run.first.wrapping_add(k)));
        let grads = GradientsParams::from_grads(now.backward(), &model);
        match keel.step(run.rate, model, grads, &now) {
            Ok(stepped) if stepped.report.verdict == Verdict::Apply => {
                losses.push(stepped.report.reading.loss);
                model = stepped.model;
                if run.is_hopeless(&losses) {
                    break;
                }
            }
            _ => {
                losses.push(f64::INFINITY);
                break;
            }
        }
    }
    Ok(losses)
}

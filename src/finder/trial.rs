//! Short runs of a copy.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{ShortRun, ShortSweep};
use crate::optim::IntoUpdate;
use crate::{Error, Keel, Report, Verdict, monitor};

/// The losses before each update of `run.over` ones at the constant rate `run.rate`, of a copy of `model`
/// with the optimizer given, on the batches from `run.first` on. It ends with the first update that is not
/// made because something was not finite, and the last loss is infinite then; with the loss that is
/// [hopeless](ShortRun::is_hopeless); and where it is [told to](ShortRun::go_on).
///
/// `batch` makes the batch of a number, so that nobody's place in the data is moved. The model's parameters
/// and BatchNorm's running statistics stay as they are, and the optimizer is a copy of the caller's, with the
/// state that it has.
///
/// # Random numbers
/// The run itself draws none. A `loss` or a `batch` that does, for dropout say, draws from the device's
/// generator, which Burn can seed but neither read nor put back: what is drawn after the search is not what
/// would have been drawn without it. If that matters, call `Device::seed` before and after.
///
/// # Errors
/// If the model cannot be trained at all, see [`Builder::build`](crate::Builder::build); if `loss` gives
/// more than one element, or does not depend on the model; and if the device fails, which is not taken for a
/// divergence.
///
/// # Cost
/// A training run of so many updates, and one more set of parameters.
pub fn short_run<M, B, By>(
    model: &M,
    optimizer: impl IntoUpdate<M, By>,
    run: &ShortRun<'_>,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<Vec<f64>, Error>
where
    M: Module + 'static,
{
    let batch = |k: u64| batch(run.first.wrapping_add(k));
    let goes_on = |losses: &[f64]| !run.is_hopeless(losses) && run.go_on(losses.len() as u64);
    train(model, optimizer, run.over, |_| run.rate, batch, loss, goes_on)
}

/// The losses before each update of one sweep of the rate, of a copy of `model` with the optimizer given. It
/// ends with the first update that is not made because something was not finite, and the last loss is
/// infinite then; and with the loss that is [lost](ShortSweep::is_lost).
///
/// All else is as for [`short_run`].
///
/// # Errors
/// As [`short_run`].
///
/// # Cost
/// As [`short_run`].
pub fn short_sweep<M, B, By>(
    model: &M,
    optimizer: impl IntoUpdate<M, By>,
    sweep: &ShortSweep,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
) -> Result<Vec<f64>, Error>
where
    M: Module + 'static,
{
    let batch = |k: u64| batch(sweep.first.wrapping_add(k));
    let mut watch = sweep.watch();
    let goes_on = |losses: &[f64]| !losses.last().is_some_and(|loss| watch(*loss));
    train(model, optimizer, sweep.over, |k| sweep.rate(k), batch, loss, goes_on)
}

/// At most `over` updates; `goes_on` is asked after each but the last.
fn train<M, B, By>(
    model: &M,
    optimizer: impl IntoUpdate<M, By>,
    over: u64,
    rate: impl Fn(u64) -> f64,
    batch: impl Fn(u64) -> B,
    loss: impl Fn(&M, B) -> Tensor<1>,
    mut goes_on: impl FnMut(&[f64]) -> bool,
) -> Result<Vec<f64>, Error>
where
    M: Module + 'static,
{
    // Clones share BatchNorm's running statistics; this is a copy that does not.
    let mut model = model.valid().train();
    let mut keel = Keel::wrap(optimizer).skips_at_most(0).build(&model)?;
    let mut losses = Vec::new();
    for k in 0..over {
        let now = loss(&model, batch(k));
        monitor::one_number("loss", &now).map_err(|why| why.of("a short run"))?;
        let grads = GradientsParams::from_grads(now.backward(), &model);
        monitor::any_gradient(&model, &grads).map_err(|why| why.of_function("a short run"))?;
        let report = match keel.step(rate(k), model, grads, &now) {
            Ok(stepped) => {
                model = stepped.model;
                stepped.report
            }
            Err(halted) => {
                let report = halted.report().clone();
                model = halted.into_model();
                report
            }
        };
        if report.verdict != Verdict::Apply {
            diverged(&report)?;
            // A device that is gone says so here, if it failed while the update was checked.
            monitor::numbers(now)?;
            losses.push(f64::INFINITY);
            break;
        }
        losses.push(report.reading.loss);
        if k + 1 < over && !goes_on(&losses) {
            break;
        }
    }
    Ok(losses)
}

/// An error unless a run was halted by what it computed: nothing else speaks of a rate.
pub(crate) fn diverged(report: &Report) -> Result<(), Error> {
    match (report.reading.fault, &report.by) {
        (Some(_), _) => Ok(()),
        (None, by) => Err(Error::io("a short run", by.as_deref().unwrap_or("no reason given"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fault, Reading};

    #[test]
    fn a_failing_device_is_no_divergence() {
        let halted = |reading: Reading| {
            let why = "reading the steps' numbers from the device: it is gone".to_string();
            Report::rejected(reading, 1.0, Verdict::Halt, why, 0, Vec::new())
        };
        // What a keel reports when a reading fails, and when one is bad.
        let error = diverged(&halted(Reading::new(3).with_lr(0.1))).unwrap_err();
        assert!(error.is_io() && error.to_string().contains("it is gone"));
        assert!(diverged(&halted(Reading::new(3).with_loss(f64::NAN))).is_ok());
        let mut update = Reading::new(3);
        update.fault = Some(Fault::Update);
        assert!(diverged(&halted(update)).is_ok());
    }
}

//! A training loop under test.

use super::{Fingerprint, Injector};

/// The error of a training loop.
pub type Trouble = Box<dyn std::error::Error>;

/// A training loop under test, driven one step at a time; see [the module](super#testing-your-own-loop).
///
/// It must be deterministic: two loops that are made alike and go through the same steps are equal, bit for bit.
///
/// The module's example has the required methods. A loop around a [`Keel`](crate::Keel) is saved and loaded as a
/// checkpoint:
///
/// ```
/// use evenkeel::checkpoint::Checkpoint;
/// use evenkeel::faults::{Harm, Injector, Place, Trainee, Trouble, When, resumes_exactly};
///
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::optim::{AdamConfig, GradientsParams};
/// # use burn::tensor::{Device, Tensor};
/// # use evenkeel::Keel;
/// # use evenkeel::faults::Fingerprint;
/// # fn loss(model: &Linear, batch: u64) -> Tensor<1> {
/// #     let k = batch as f32;
/// #     let x = Tensor::<2>::from_floats([[k.sin(), k.cos()]], &model.weight.val().device());
/// #     (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
/// # }
/// # struct Kept {
/// #     model: Linear,
/// #     keel: Keel<Linear>,
/// # }
/// impl Trainee for Kept {
/// #     fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
/// #         let loss = faults.loss(at, loss(&self.model, faults.batch_at(at)));
/// #         let grads = GradientsParams::from_grads(loss.backward(), &self.model);
/// #         let grads = faults.gradients(at, &self.model, grads)?;
/// #         self.model = self.keel.step(0.01, self.model.clone(), grads, &loss)?.model;
/// #         Ok(())
/// #     }
/// #     fn loss(&self) -> f64 {
/// #         (0..10).map(|k| loss(&self.model, k).into_scalar::<f64>()).sum()
/// #     }
/// #     fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
/// #         Ok(Fingerprint::of(&self.model)?)
/// #     }
///     fn save(&self) -> Result<Vec<u8>, Trouble> {
///         Ok(self.keel.checkpoint(&self.model)?.into_bytes()?)
///     }
///     fn load(&mut self, saved: &[u8]) -> Result<(), Trouble> {
///         self.model = self.keel.resume(&self.model, &Checkpoint::from_bytes(saved)?)?;
///         Ok(())
///     }
///     // … and the rest as there
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let start = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// # let kept = || Kept {
/// #     keel: Keel::wrap(AdamConfig::new().init()).build(&start).expect("a sound model"),
/// #     model: start.clone(),
/// # };
/// let faults = Injector::new(7).inject(Harm::Nan, Place::Loss, When::at([20]))?;
/// resumes_exactly(kept, 50, 30, &faults)?;
/// # Ok(())
/// # }
/// ```
pub trait Trainee {
    /// Makes step `at`, counted from 0, with the harm that `faults` has for it.
    ///
    /// The loop passes everything that is to be harmed through the injector: which batch it uses
    /// ([`batch_at`](Injector::batch_at)), its input ([`batch`](Injector::batch)), the loss ([`loss`](Injector::loss))
    /// and the gradients ([`gradients`](Injector::gradients)). Anything that isn't passed through is not harmed.
    ///
    /// # Errors
    /// If training stops.
    fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble>;

    /// Returns the loss on a fixed set of clean data, without changing anything.
    fn loss(&self) -> f64;

    /// Returns everything that training changes: usually [`Fingerprint::of`] the model.
    ///
    /// # Errors
    /// If it cannot be read.
    fn fingerprint(&self) -> Result<Fingerprint, Trouble>;

    /// Returns everything needed to resume later. Used only by [`resumes_exactly`](super::resumes_exactly).
    ///
    /// # Errors
    /// If it cannot be saved; by default, always.
    fn save(&self) -> Result<Vec<u8>, Trouble> {
        Err("this loop cannot be saved".into())
    }

    /// Restores what [`save`](Self::save) returned.
    ///
    /// # Errors
    /// If it cannot be loaded; by default, always.
    fn load(&mut self, saved: &[u8]) -> Result<(), Trouble> {
        let _ = saved;
        Err("this loop cannot be loaded".into())
    }
}

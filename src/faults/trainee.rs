//! A training loop under test.

use super::{Fingerprint, Injector};

/// The error of a training loop.
pub type Trouble = Box<dyn std::error::Error>;

/// A training loop under test, driven one step at a time; see [the module](super#testing-your-own-loop).
///
/// It must be deterministic: two loops that are made alike and go through the same steps are equal, bit for bit.
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

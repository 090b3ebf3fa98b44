//! A training loop under test.

use super::{Fingerprint, Injector};

/// Whatever a loop fails with.
pub type Trouble = Box<dyn std::error::Error>;

/// A training loop, one step at a time: see [the module](super#testing-your-own-loop).
///
/// It must be deterministic: two that are made alike and go through the same steps are alike, bit for
/// bit.
pub trait Trainee {
    /// Step `at`, counted from 0, with whatever harm `faults` has for it.
    ///
    /// The loop passes through the injector what is to be harmed: which batch it takes
    /// ([`batch_at`](Injector::batch_at)), its input ([`batch`](Injector::batch)), the loss
    /// ([`loss`](Injector::loss)) and the gradients ([`gradients`](Injector::gradients)). What it
    /// passes by is not harmed.
    ///
    /// # Errors
    /// If training stops.
    fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble>;

    /// The loss on a fixed set of clean data, without changing anything.
    fn loss(&self) -> f64;

    /// All that training moves: usually [`Fingerprint::of`] the model.
    ///
    /// # Errors
    /// If it cannot be read.
    fn fingerprint(&self) -> Result<Fingerprint, Trouble>;

    /// Everything needed to go on later: only for [`resumes_exactly`](super::resumes_exactly).
    ///
    /// # Errors
    /// If it cannot be saved; by default, always.
    fn save(&self) -> Result<Vec<u8>, Trouble> {
        Err("this loop cannot be saved".into())
    }

    /// Takes what [`save`](Self::save) gave.
    ///
    /// # Errors
    /// If it cannot be loaded; by default, always.
    fn load(&mut self, saved: &[u8]) -> Result<(), Trouble> {
        let _ = saved;
        Err("this loop cannot be loaded".into())
    }
}

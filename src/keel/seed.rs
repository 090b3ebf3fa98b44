//! Seeding the forward pass, so that a resumed run draws the same random numbers.

use burn::module::Module;

use super::Keel;
use crate::random::{GOLDEN, mix};

impl<M: Module + 'static> Keel<M> {
    /// Seeds the devices of `model` for the next forward pass, if the keel [has a seed](crate::Builder::seed). The keel
    /// does so itself at the end of every step; call this after something else has drawn random numbers from the
    /// devices, such as an evaluation that a resumed run does not repeat.
    pub fn seed_forward(&self, model: &M) {
        let Some(seed) = self.seed else { return };
        let counter =
            seed.wrapping_add(self.progress.attempts.wrapping_add(1).wrapping_mul(GOLDEN));
        model.devices().iter().for_each(|device| device.seed(mix(counter)));
    }
}

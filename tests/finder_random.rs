//! The device's random numbers. Alone in its process: the generator is everybody's.

use burn::tensor::{Device, Distribution, Tensor};
use evenkeel::finder::{LrFinder, ShortSweep, StableRate, short_run, short_sweep};
use evenkeel::optim::Sgd;

#[path = "integration/common/mod.rs"]
mod common;

use common::{Batch, Net};

/// A search draws none of its own, and a loss that draws some draws from the device's.
#[test]
fn a_search_draws_no_random_numbers() {
    let device = Device::flex();
    let draw = || -> Vec<f32> {
        let draws = Tensor::<1>::random([8], Distribution::Default, &device);
        draws.into_data().iter::<f32>().collect()
    };
    let training = device.clone().autodiff();
    let net = Net::new(&training);
    let batch = |k| Batch::number(k, &training);
    device.seed(7);
    let expected = draw();

    device.seed(7);
    let sweep = |sweep: &ShortSweep| short_sweep(&net, Sgd::new(), sweep, batch, Net::loss);
    LrFinder::new(1e-4, 1.0).unwrap().find(sweep).unwrap();
    let search = StableRate::new(10).unwrap().budget(100);
    search.find(|run| short_run(&net, Sgd::new(), run, batch, Net::loss)).unwrap();
    assert_eq!(draw(), expected);

    // What is written of a loss that draws, and that to seed again is the way.
    device.seed(7);
    let noisy = |net: &Net, batch: Batch| {
        let drawn = Tensor::<1>::random([1], Distribution::Default, &batch.x.device());
        net.loss(batch) * (drawn * 0.01 + 1.0)
    };
    let sweep = |sweep: &ShortSweep| short_sweep(&net, Sgd::new(), sweep, batch, noisy);
    LrFinder::new(1e-4, 1.0).unwrap().find(sweep).unwrap();
    assert_ne!(draw(), expected);
    device.seed(7);
    assert_eq!(draw(), expected);
}

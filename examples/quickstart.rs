//! The smallest complete training loop: a linear model, and a batch that would ruin it.
//!
//!     cargo run --example quickstart

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use evenkeel::Keel;
use evenkeel::schedule::{Cosine, Ramp, Schedule};

type Batch = (Tensor<2>, Tensor<2>);

fn loss_of(model: &Linear, (x, y): Batch) -> Tensor<1> {
    (model.forward(x) - y).powi_scalar(2).mean()
}

/// Sums of three random numbers; occasionally one of the numbers is missing.
fn batches(device: &Device) -> impl Iterator<Item = Batch> + '_ {
    (0..1000).map(move |k| {
        let x = Tensor::<2>::random([32, 3], Distribution::Default, device);
        let y = x.clone().sum_dim(1);
        let x = if k % 100 == 99 { x * f32::NAN } else { x };
        (x, y)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let mut model = LinearConfig::new(3, 1).init(&device);

    // Any rate will do: what is too high is held.
    let mut schedule = Ramp::new(0.0, 1.0, 50)?.then(50, Cosine::new(1.0, 0.0, 950)?).start();
    let mut keel = Keel::wrap(AdamWConfig::new().init()).recommended().build(&model)?;

    for batch in batches(&device) {
        let loss = loss_of(&model, batch);
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let stepped = keel.step(schedule.step(), model, grads, &loss)?;
        model = stepped.model;
        if !stepped.report.is_applied() {
            println!("{}", stepped.report);
        }
    }
    let error = loss_of(&model, batches(&device).next().expect("a batch"));
    println!("{} updates, error {:.1e}", keel.updates(), error.into_scalar::<f32>());
    println!("{}", keel.rates());
    Ok(())
}

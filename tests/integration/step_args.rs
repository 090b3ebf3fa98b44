//! What a keel hands to an optimizer.

use std::sync::{Arc, Mutex};

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use evenkeel::checkpoint::State;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::{ModelOptimizer, ParamGroups, Sgd, StepArgs, biases_and_norms};
use evenkeel::precision::LossScale;
use evenkeel::{Error, Keel, Reading};

use crate::common::{Batch, Net};

/// Descent that remembers what it was given.
struct Spy {
    inner: Box<dyn ModelOptimizer<Net>>,
    seen: Arc<Mutex<Vec<StepArgs>>>,
}

impl ModelOptimizer<Net> for Spy {
    fn update(&mut self, args: StepArgs, model: Net, grads: GradientsParams) -> Net {
        self.seen.lock().unwrap().push(args.clone());
        self.inner.update(args, model, grads)
    }

    fn is_finite(&self) -> Result<bool, Error> {
        self.inner.is_finite()
    }

    fn boxed(&self) -> Box<dyn ModelOptimizer<Net>> {
        Box::new(Self { inner: self.inner.boxed(), seen: Arc::clone(&self.seen) })
    }

    fn state(&self) -> Result<State, Error> {
        self.inner.state()
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.inner.restore(state)
    }
}

/// The factor is what the clips leave, over the loss scale; the norm is that of the gradients as they are handed over.
#[test]
fn factor_and_norm_are_those_of_the_gradients_that_are_handed_over() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let seen = Arc::default();
    let spy = Spy { inner: Box::new(ParamGroups::new(Sgd::new())), seen: Arc::clone(&seen) };
    let mut keel = Keel::wrap(spy)
        .clip(GlobalNorm::at_most(1e-3).unwrap())
        .loss_scale(LossScale::fixed(64.0).unwrap())
        .build(&net)
        .unwrap();
    let loss = net.loss(Batch::number(0, &device));
    let grads = GradientsParams::from_grads((loss.clone() * 64.0).backward(), &net);
    let report = keel.step(0.25, net, grads, &loss).unwrap().report;
    let seen = seen.lock().unwrap();
    let [args] = seen.as_slice() else { panic!("{} updates", seen.len()) };
    let norm = report.reading.grad_norm;
    let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-9);
    near(args.grad_norm, 64.0 * norm);
    near(args.factor, 1e-3 / norm / 64.0);
    assert_eq!(args.range, (0.25, 0.25));
}

/// Rates of groups are held in proportion, and the range is that of the rates that are left.
#[test]
fn the_range_of_the_rates_is_that_of_what_the_bounds_leave() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let seen = Arc::default();
    let spy = Spy { inner: Box::new(ParamGroups::new(Sgd::new())), seen: Arc::clone(&seen) };
    let mut keel = Keel::wrap(spy).bound(|_: &Reading| 0.5).build(&net).unwrap();
    let mut rates = ModuleLrScheduler::new(2.0).with_group(biases_and_norms(&net), 0.25);
    let (loss, grads) = net.backward(Batch::number(0, &device));
    let report = keel.step(rates.step(), net, grads, &loss).unwrap().report;
    assert_eq!(report.cap, Some(0.5));
    let seen = seen.lock().unwrap();
    // 2 is held at a half, a quarter of it, and so is 0.25.
    assert_eq!(seen[0].range, (0.0625, 0.5));
    assert_eq!(seen[0].lr.lr_from_param(burn::module::ParamId::new(), None), 0.5);
}

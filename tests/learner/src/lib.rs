//! Burn's own trainer: every schedule inside a `Learner`, and a keel in its training.
#![cfg(any(test, doctest))]

/// The page of `evenkeel::train`, whose examples run here: in evenkeel's own tests there is no `burn-train`.
#[cfg(doctest)]
#[doc = include_str!("../../../src/docs/train.md")]
pub struct Page;

#[cfg(test)]
mod accumulation;
#[cfg(test)]
#[path = "../../integration/common/catalogue.rs"]
mod catalogue;
#[cfg(test)]
mod common;
#[cfg(test)]
#[path = "../../../examples/common/digits.rs"]
mod digits;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod quiet;
#[cfg(test)]
mod ranks;
#[cfg(test)]
mod trainer;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, ExecutionError, Tensor};
use burn::train::{InferenceStep, ItemLazy, Learner, TrainOutput, TrainStep};
use evenkeel::schedule::Schedule;

#[derive(Module, Debug)]
struct Line {
    layer: Linear,
}

/// The loss of a batch.
struct Loss;

impl ItemLazy for Loss {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl TrainStep for Line {
    type Input = Tensor<2>;
    type Output = Loss;

    fn step(&self, x: Tensor<2>) -> TrainOutput<Loss> {
        let loss = self.layer.forward(x).powi_scalar(2).mean();
        TrainOutput::new(self, loss.backward(), Loss)
    }
}

impl InferenceStep for Line {
    type Input = Tensor<2>;
    type Output = Loss;

    fn step(&self, _x: Tensor<2>) -> Loss {
        Loss
    }
}

/// Bit by bit: at the extremes of some schedules they are NaN.
fn weights(model: &Line) -> Vec<u32> {
    model.layer.weight.val().into_data().iter::<f32>().map(f32::to_bits).collect()
}

/// The learner asks the schedule once for each of its steps, and its optimizer steps at that rate.
#[test]
fn each_schedule_runs_inside_a_learner() {
    let _alone = common::alone();
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([4, 3], &device);
    for (name, curve) in catalogue::all() {
        let model = Line { layer: LinearConfig::new(3, 1).init(&device) };
        let optimizer: ModuleOptimizer = SgdConfig::new().init();
        let mut twin = (model.clone(), optimizer.clone());
        let mut learner = Learner::new(model, optimizer, curve.clone().start());
        for t in 0..12 {
            learner.lr_step();
            assert_eq!(learner.lr_current().base(), curve.at(t), "{name}, update {t}");
            let output = learner.train_step(x.clone());
            learner.optimizer_step(output.grads);

            let output = TrainStep::step(&twin.0, x.clone());
            twin.0 = twin.1.step(curve.at(t), twin.0, output.grads);
            assert_eq!(weights(&learner.model()), weights(&twin.0), "{name}, update {t}");
        }
    }
}

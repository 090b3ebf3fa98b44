//! A weight in two places is one: its gradient is that of all its uses, at each step.

use crate::common::on_every_device;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::average::Swa;
use evenkeel::curvature::Lanczos;
use evenkeel::optim::{Adam, ParamGroups, Sam, ScheduleFreeSgd, Sgd};
use evenkeel::{Builder, Decide, Keel, tie};

/// 3w + w, of one weight in two places.
#[derive(Module, Debug)]
struct Twice {
    first: Linear,
    second: Linear,
}

impl Twice {
    /// With w = 1.
    fn new(device: &Device) -> Self {
        let mut layer: Linear = LinearConfig::new(1, 1).with_bias(false).init(device);
        layer.weight = layer.weight.map(|w| {
            Tensor::from_data(TensorData::new(vec![1f32], [1, 1]), &w.device()).require_grad()
        });
        Self { first: layer.clone(), second: layer }
    }

    fn loss(&self) -> Tensor<1> {
        let x = Tensor::<2>::ones([1, 1], &self.first.weight.device());
        (self.first.forward(x.clone() * 3.0) + self.second.forward(x)).sum()
    }

    fn backward(&self) -> (Tensor<1>, GradientsParams) {
        let loss = self.loss();
        let grads = GradientsParams::from_grads(loss.backward(), self);
        (loss, grads)
    }

    fn gradient(&self) -> f32 {
        let (_, grads) = self.backward();
        grads.get::<2>(self.first.weight.id).unwrap().into_scalar()
    }

    fn weights(&self) -> [f32; 2] {
        [&self.first, &self.second].map(|layer| layer.weight.base().into_scalar())
    }
}

/// Steps of a keel, of whose gradients the norm is always 4; the model at the end.
fn always_four(model: &Twice, builder: Builder<Twice>, rate: f64) -> (Keel<Twice>, Twice) {
    let mut keel = builder.build(model).unwrap();
    let mut model = model.clone();
    for step in 0..5 {
        assert_eq!(model.gradient(), 4.0, "before step {step}");
        let (loss, grads) = model.backward();
        model = keel.step(rate, model, grads, &loss).unwrap().model;
        let [first, second] = model.weights();
        assert_eq!(first, second, "after step {step}");
    }
    let model = keel.flush(rate, model).unwrap().model;
    (keel, model)
}

#[test]
fn the_gradient_of_a_tied_weight_is_whole_at_each_step() {
    on_every_device(|device| {
        let model = Twice::new(device);
        for decide in [Decide::Now, Decide::OnDevice { every: 1 }, Decide::OnDevice { every: 3 }] {
            let (_, descent) = always_four(&model, Keel::wrap(Sgd::new()).decide(decide), 0.125);
            assert_eq!(descent.weights(), [1.0 - 5.0 * 0.5; 2], "{decide:?}");
            let _ = always_four(&model, Keel::wrap(Adam::new()).decide(decide), 0.1);
            let burns = Keel::wrap(SgdConfig::new().init()).decide(decide);
            assert_eq!(always_four(&model, burns, 0.125).1.weights(), [-1.5; 2], "{decide:?}");
            let _ = always_four(&model, Keel::wrap(AdamConfig::new().init()).decide(decide), 0.1);
        }
        // Without a keel.
        let mut groups = ParamGroups::new(Sgd::new());
        let mut bare = model.clone();
        for _ in 0..3 {
            let (_, grads) = bare.backward();
            bare = groups.step(0.125, bare, grads);
            assert_eq!(bare.gradient(), 4.0);
        }
    });
}

#[test]
fn whatever_makes_a_model_of_another_ties_it() {
    on_every_device(|device| {
        let model = Twice::new(device);
        let apart = model.valid().train();
        assert_eq!(tie(apart).gradient(), 4.0);
        let perturbed = Sam::new(0.1).unwrap().perturbed(&model, &model.backward().1);
        assert_eq!(perturbed.gradient(), 4.0);

        // One that is resumed, and one that was saved when it was not whole.
        let (keel, trained) = always_four(&model, Keel::wrap(Adam::new()), 0.1);
        let saved = keel.checkpoint(&trained).unwrap();
        let mut other = Keel::wrap(Adam::new()).build(&model).unwrap();
        assert_eq!(other.resume(&model, &saved).unwrap().gradient(), 4.0);

        let (keel, trained) = always_four(&model, Keel::wrap(ScheduleFreeSgd::new()), 0.1);
        assert_eq!(keel.eval_model(&trained).gradient(), 4.0);

        // Half of a square has the curvature 16.
        let square = |model: &Twice| model.loss().powi_scalar(2) / 2.0;
        let top = Lanczos::new().measure(&model, square).unwrap();
        assert!((top.value() / 16.0 - 1.0).abs() < 1e-2, "{top:?}");
    });
}

#[test]
fn the_gradient_of_a_tied_weight_is_scaled_once() {
    on_every_device(|device| {
        let model = Twice::new(device);
        let (_, grads) = model.backward();
        let grads = evenkeel::clip::scale(grads, &model, 0.5);
        assert_eq!(grads.get::<2>(model.first.weight.id).unwrap().into_scalar::<f32>(), 2.0);
    });
}

/// The mean of -1, -3 and -5 halves, once each.
#[test]
fn an_average_takes_a_tied_weight_in_once() {
    on_every_device(|device| {
        let model = Twice::new(device);
        for decide in [Decide::Now, Decide::OnDevice { every: 1 }] {
            let builder = Keel::wrap(Sgd::new()).average(Swa::from(2)).decide(decide);
            let (keel, trained) = always_four(&model, builder, 0.25);
            let averaged = keel.averaged(&trained).unwrap();
            assert_eq!(averaged.weights(), [1.0 - 4.0; 2], "{decide:?}");
        }
    });
}

/// A layer of running statistics in two places is found once.
#[test]
fn statistics_in_two_places_are_kept_once() {
    on_every_device(|device| {
        let norm: BatchNorm = BatchNormConfig::new(1).init(device);
        let model = vec![norm.clone(), norm];
        let mut keel = Keel::wrap(Sgd::new()).build(&model).unwrap();
        let x = |value: f32| Tensor::<2>::from_floats([[value], [3.0]], device);
        let step = |keel: &mut Keel<Vec<BatchNorm>>, model: Vec<BatchNorm>, x: Tensor<2>| {
            let loss = model[1].forward(model[0].forward(x)).powi_scalar(3).mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            keel.step(0.1, model, grads, &loss).unwrap().model
        };
        let model = step(&mut keel, model, x(1.0));
        let mean =
            |model: &Vec<BatchNorm>| -> f32 { model[0].running_mean.value_sync().into_scalar() };
        let before = mean(&model);
        let model = step(&mut keel, model, x(f32::NAN));
        assert_eq!(mean(&model), before);
    });
}

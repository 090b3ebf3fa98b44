//! Matrices before a normalization: their gradients are at right angles to them, and a bound finds out.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::checkpoint::Checkpoint;
use evenkeel::optim::Adam;
use evenkeel::{Decide, Keel, Report};

use crate::common::bounds::Seen;
use crate::common::{bits, on_every_device};

/// Three layers before a normalization, and one that is not.
#[derive(Module, Debug)]
struct Normed {
    first: Linear,
    first_norm: BatchNorm,
    second: Linear,
    second_norm: BatchNorm,
    third: Linear,
    third_norm: LayerNorm,
    last: Linear,
}

const WIDTH: usize = 16;

impl Normed {
    fn new(device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        Self {
            first: linear(6, WIDTH),
            first_norm: BatchNormConfig::new(WIDTH).init(device),
            second: linear(WIDTH, WIDTH),
            second_norm: BatchNormConfig::new(WIDTH).init(device),
            third: linear(WIDTH, WIDTH),
            third_norm: LayerNormConfig::new(WIDTH).init(device),
            last: linear(WIDTH, 1),
        }
    }

    fn backward(&self, k: u64, device: &Device) -> (Tensor<1>, GradientsParams) {
        let start = k as f32;
        let inputs = Tensor::<1, Int>::arange(0..40 * 6, device).float() * 1.7 + start;
        let x: Tensor<2> = inputs.sin().reshape([40, 6]);
        let y = x.clone().powi_scalar(2).sum_dim(1);
        let x = relu(self.first_norm.forward(self.first.forward(x)));
        let x = relu(self.second_norm.forward(self.second.forward(x)));
        let x = relu(self.third_norm.forward(self.third.forward(x)));
        let loss = (self.last.forward(x) - y).powi_scalar(2).mean();
        let grads = GradientsParams::from_grads(loss.backward(), self);
        (loss, grads)
    }

    /// `1/rms` of the matrices, in order.
    fn shares(&self) -> Vec<f64> {
        let matrices = bits(self).into_iter().filter(|(path, values)| {
            path.ends_with("weight") && values.len() > WIDTH || path == "last.weight"
        });
        let share = |values: Vec<u64>| {
            let squares = values.iter().map(|bits| f64::from_bits(*bits).powi(2));
            1.0 / (squares.sum::<f64>() / values.len() as f64).sqrt()
        };
        matrices.map(|(_, values)| share(values)).collect()
    }
}

fn step(keel: &mut Keel<Normed>, net: Normed, k: u64, device: &Device) -> (Normed, Vec<Report>) {
    let (loss, grads) = net.backward(k, device);
    let stepped = keel.step(1e3, net, grads, &loss).unwrap();
    let reports = if stepped.late.is_empty() { vec![stepped.report] } else { stepped.late };
    (stepped.model, reports)
}

/// With the device deciding too; and a resumed run goes on with what was found.
#[test]
fn what_is_before_a_normalization_adds_up_at_right_angles() {
    on_every_device(|device| {
        for decide in [Decide::Now, Decide::OnDevice { every: 1 }] {
            let tau = 0.3;
            let mut net = Normed::new(device);
            let new = |net: &Normed| {
                let bound = DeepRelativeTrust::new(tau).unwrap();
                Keel::wrap(Adam::new()).bound(bound).decide(decide).build(net).unwrap()
            };
            let mut keel = new(&net);
            let (at_first, mut at_ten) = (net.shares(), Vec::new());
            for k in 0..12 {
                if k == 10 {
                    // A weight counts as at most 1.5 times its initial size.
                    let all = net.shares().into_iter().zip(&at_first);
                    at_ten = all.map(|(now, first)| now.max(first / 1.5)).collect();
                }
                let (after, reports) = step(&mut keel, net, k, device);
                net = after;
                let [report] = reports.as_slice() else { panic!("{reports:?}") };
                if k == 11 {
                    let [first, second, third, last] = at_ten[..] else { panic!("{at_ten:?}") };
                    let cap =
                        tau / (last + f64::sqrt(first * first + second * second + third * third));
                    let found = report.cap.unwrap();
                    assert!((found / cap - 1.0).abs() < 1e-3, "{decide:?}: {found} for {cap}");
                }
            }
            if decide == Decide::Now {
                let saved: Checkpoint = keel.checkpoint(&net).unwrap();
                let mut other = new(&Normed::new(device));
                let twin = other.resume(&Normed::new(device), &saved).unwrap();
                let (_, here) = step(&mut keel, net, 12, device);
                let (_, there) = step(&mut other, twin, 12, device);
                assert_eq!(here[0].cap, there[0].cap);
            }
        }
    });
}

/// `3w·x` with a weight of (1, 2) and `x` of (1, 1): the gradient is (3, 3), and the cosine 9/√(5·18).
#[test]
fn an_angle_is_in_the_readings_that_ask_for_it() {
    on_every_device(|device| {
        for decide in [Decide::Now, Decide::OnDevice { every: 2 }] {
            let mut model: Linear = LinearConfig::new(2, 1).with_bias(false).init(device);
            model.weight =
                model.weight.map(|_| Tensor::from_floats([[1.0], [2.0]], device).require_grad());
            let seen = Seen { angles: Some(1), ..Seen::default() };
            let keel = Keel::wrap(Adam::new()).bound(seen.clone()).decide(decide);
            let mut keel = keel.build(&model).unwrap();
            for _ in 0..4 {
                let loss = (model.forward(Tensor::<2>::ones([1, 2], device)) * 3.0).sum();
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                // A rate of 0: the weights stay.
                model = keel.step(0.0, model, grads, &loss).unwrap().model;
            }
            let readings = seen.readings.lock().unwrap();
            assert_eq!(readings.len(), 4);
            for (at, now) in readings.iter().enumerate() {
                assert!(now.sizes.is_empty());
                if at != 1 {
                    assert!(now.alignments.is_empty(), "{at}");
                    continue;
                }
                let cosine = now.alignments.get("weight").unwrap();
                assert!((cosine - 9.0 / 90f64.sqrt()).abs() < 1e-6, "{cosine}");
            }
            assert_eq!(keel.readbacks(), if decide == Decide::Now { 4 } else { 2 });
        }
    });
}

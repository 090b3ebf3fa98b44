//! What PyTorch and optax lack, against the twins in `reference`.

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::optim::{
    Adam, AdamW, Cautious, ModelOptimizer, Momentum, ParamGroups, Sam, Sgd, Spam, StepArgs,
};

use crate::reference::Moments;

#[derive(Module, Debug)]
struct Matrix {
    weight: Param<Tensor<2>>,
}

const ROWS: usize = 3;
const N: usize = 6;

fn matrix(values: &[f64], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [ROWS, N / ROWS]), (device, DType::F64))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn start() -> Vec<f64> {
    (0..N).map(|i| (1.0 + i as f64).sin()).collect()
}

/// A gradient that depends on where the weights are, and has a spike in one element now and then.
fn gradient(theta: &[f64], t: u64) -> Vec<f64> {
    let slope = |(i, p): (usize, &f64)| {
        let spike = if t % 11 == 7 && i as u64 == t % 6 { 300.0 } else { 1.0 };
        spike * (0.7 * p + 0.5 * (0.9 * t as f64 + i as f64).cos())
    };
    theta.iter().enumerate().map(slope).collect()
}

/// Fifty updates of both, each along the gradient at its own weights.
fn same(
    mut ours: impl ModelOptimizer<Matrix>,
    lr: f64,
    mut reference: impl FnMut(&mut Vec<f64>, &[f64], u64),
) -> Vec<f64> {
    let device = Device::flex();
    let mut model =
        Matrix { weight: Param::from_tensor(matrix(&start(), &device.clone().autodiff())) };
    let mut theta = start();
    for t in 0..50 {
        let grad = gradient(&values(model.weight.val()), t);
        let mut grads = GradientsParams::new();
        grads.register(model.weight.id, matrix(&grad, &device));
        model = ours.update(StepArgs::new(lr, 1.0, 1.0), model, grads);

        let g = gradient(&theta, t);
        reference(&mut theta, &g, t);
        for (a, b) in values(model.weight.val()).iter().zip(&theta) {
            let near = (a - b).abs() <= 1e-10 * b.abs().max(1.0);
            assert!(near, "after {} updates: {a} is not {b}", t + 1);
        }
    }
    theta
}

#[test]
fn stable_adamw() {
    for threshold in [1.0, 0.1] {
        let mut state = Moments::of(N);
        let rule = AdamW::new().update_rms_at_most(threshold).unwrap();
        let there = same(ParamGroups::new(rule), 0.05, |theta, g, _| {
            crate::reference::stable_adamw(theta, g, &mut state, 0.05, threshold);
        });
        let mut state = Moments::of(N);
        let plain = same(ParamGroups::new(AdamW::new()), 0.05, |theta, g, _| {
            crate::reference::stable_adamw(theta, g, &mut state, 0.05, 1e9);
        });
        assert_ne!(there, plain);
    }
}

#[test]
fn gi_adam() {
    let mut state = Moments::of(N);
    same(ParamGroups::new(Adam::new().gradient_start()), 0.05, |theta, g, _| {
        crate::reference::gi_adam(theta, g, &mut state, 0.05);
    });
}

/// In the code that the paper came with, the cut is made on a copy and has no effect. Here it has.
#[test]
fn spam_cuts_spikes_and_begins_anew() {
    let follow = |theta: f64, every: u64, warmup: u64| {
        let mut state = Moments::of(N);
        let spam = Spam::default().threshold(theta).unwrap();
        let spam = spam.reset_every(every).unwrap().warmup(warmup);
        same(ParamGroups::new(Adam::new().spam(spam)), 0.05, |p, g, t| {
            crate::reference::spam(p, g, &mut state, 0.05, t, (theta, every, warmup));
        })
    };
    let whole = follow(50.0, 20, 6);
    let without_cut = follow(1e12, 20, 6);
    let without_reset = follow(50.0, 1000, 6);
    let without_warmup = follow(50.0, 20, 0);
    for other in [without_cut, without_reset, without_warmup] {
        assert_ne!(whole, other);
    }
}

#[test]
fn centralized_descent() {
    same(ParamGroups::new(Sgd::new().centralized()), 0.02, |theta, g, _| {
        crate::reference::centralized_sgd(theta, g, ROWS, 0.02);
    });
    let burns = ModuleOptimizer::from(Sgd::new().centralized());
    same(burns, 0.02, |theta, g, _| crate::reference::centralized_sgd(theta, g, ROWS, 0.02));
}

/// Updates along these gradients; how far each weight moved in the last one.
fn last_move(mut ours: impl ModelOptimizer<Matrix>, gradients: &[[f64; N]]) -> Vec<f64> {
    let device = Device::flex();
    let mut model =
        Matrix { weight: Param::from_tensor(matrix(&start(), &device.clone().autodiff())) };
    let mut before = start();
    for gradient in gradients {
        before = values(model.weight.val());
        let mut grads = GradientsParams::new();
        grads.register(model.weight.id, matrix(gradient, &device));
        model = ours.update(StepArgs::new(0.1, 1.0, 1.0), model, grads);
    }
    values(model.weight.val()).iter().zip(before).map(|(after, before)| after - before).collect()
}

/// With β₁ = ½, what is left of ∓2 is canceled by ±1: a step of 0 along a gradient, next to steps without one.
#[test]
fn what_is_zero_goes_along_with_nothing() {
    let gradients = [[1.0, 1.0, -1.0, -2.0, 2.0, 1.0], [1.0, 0.0, 0.0, 1.0, -1.0, -4.0]];
    let adam = || Adam::new().beta_1(0.5).unwrap();
    let plain = last_move(ParamGroups::new(adam()), &gradients);
    let cautious = last_move(ParamGroups::new(adam().cautious()), &gradients);
    // Of six weights, the first and the last move, three times as far.
    for at in [0, 5] {
        assert!((cautious[at] / plain[at] - 3.0).abs() < 1e-9, "{cautious:?} {plain:?}");
    }
    assert!(plain[1] != 0.0 && plain[2] != 0.0 && plain[3] == 0.0 && plain[4] == 0.0, "{plain:?}");
    assert_eq!(cautious[1..5], [0.0; 4]);
}

/// There is nothing to compare it with.
#[test]
fn the_first_gradient_after_none_is_no_spike() {
    let gradients = [[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]; 5].into_iter().chain([[1.0; N]]);
    let gradients: Vec<[f64; N]> = gradients.collect();
    let spam = Spam::default().threshold(50.0).unwrap();
    let moved = last_move(ParamGroups::new(Adam::new().spam(spam)), &gradients);
    assert!(moved[1] < -1e-3, "{moved:?}");
}

#[test]
fn cautious_around_any_optimizer() {
    let mut velocity = vec![0.0; N];
    let optimizer = ModuleOptimizer::from(Cautious::new(Momentum::new(0.9).unwrap()));
    same(optimizer, 0.01, |theta, g, _| {
        crate::reference::cautious_momentum(theta, g, &mut velocity, 0.01);
    });
}

#[derive(Module, Debug)]
struct Layer {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    idle: Param<Tensor<1>>,
}

#[test]
fn sam_climbs_as_the_papers_say() {
    crate::common::on_every_device(|device| {
        let (w, b) = ([0.5, -0.25, 0.0, 2.0, 1.0, -1.0], [0.25, -4.0]);
        let (g, h) = ([1.0, 2.0, -3.0, 0.5, 0.0, 0.25], [-1.0, 0.5]);
        let plain = device.clone().inner();
        let two = |x: &[f64], d: &Device| {
            Tensor::<2>::from_data(TensorData::new(x.to_vec(), [3, 2]), (d, DType::F32))
        };
        let one = |x: &[f64], d: &Device| {
            Tensor::<1>::from_data(TensorData::new(x.to_vec(), [2]), (d, DType::F32))
        };
        let model = Layer {
            weight: Param::from_tensor(two(&w, device)),
            bias: Param::from_tensor(one(&b, device)),
            idle: Param::from_tensor(one(&b, device)),
        };
        let mut grads = GradientsParams::new();
        grads.register(model.weight.id, two(&g, &plain));
        grads.register(model.bias.id, one(&h, &plain));

        for (rho, eta) in [(0.05, None), (0.5, Some(0.01)), (0.0, None)] {
            let sam = Sam::new(rho).unwrap();
            let sam = eta.map_or(sam, |eta| sam.adaptive(eta).unwrap());
            let there = sam.perturbed(&model, &grads);
            let expected = crate::reference::uphill([&w, &b], [&g, &h], rho, eta);
            let found = [values(there.weight.val()), values(there.bias.val())];
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            }
            // Parameters of the same name, which ask for a gradient; and the model is where it was.
            assert_eq!(there.weight.id, model.weight.id);
            assert!(there.weight.is_require_grad());
            assert_eq!(values(there.idle.val()), values(model.idle.val()));
            assert_eq!(values(model.weight.val()), w);
        }

        let mut none = GradientsParams::new();
        none.register(model.weight.id, two(&[0.0; 6], &plain));
        let there = Sam::new(1.0).unwrap().perturbed(&model, &none);
        assert_eq!(values(there.weight.val()), w);
    });
}

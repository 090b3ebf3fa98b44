//! Clips against optax and numpy, on one recorded sequence: `tests/golden/clips.py`.

use crate::common::on_every_device;
use burn::module::{Module, Param};
use burn::optim::{GradientsParams, Optimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::clip::{Clip, GlobalNorm, PNorm, Percentile};
use evenkeel::optim::{AdaptiveClip, PNormClip, Sgd, ValueClip};
use evenkeel::{Keel, Reading, Verdict};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/clips.json")).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn close(ours: &[f64], theirs: &[f64], of: &str) {
    assert_eq!(ours.len(), theirs.len());
    let size = theirs.iter().fold(1e-6, |size: f64, x| size.max(x.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 2e-5 * size, "{of}: {ours:?}, not {theirs:?}");
    }
}

/// What is subtracted at rate 1 is what was left of the gradient.
fn left<O: Optimizer>(clip: &O, golden: &Value, device: &Device) -> Vec<Vec<f64>> {
    let tensor = |x: &[f64]| {
        let data = TensorData::new(x.iter().map(|&x| x as f32).collect(), [4, 3]);
        Tensor::<2>::from_data(data, (device, DType::F32))
    };
    let numbers = |x: Tensor<2>| -> Vec<f64> { x.into_data().iter::<f64>().collect() };
    let params = tensor(&list(&golden["params"]));
    let step = |grad: &Value| {
        let (after, _) = clip.step(1.0, params.clone(), tensor(&list(grad)), None);
        numbers(params.clone() - after)
    };
    golden["grads"].as_array().unwrap().iter().map(step).collect()
}

fn agrees<O: Optimizer>(clip: &O, name: &str) {
    let golden = golden();
    on_every_device(|device| {
        let device = device.clone().inner();
        let ours = left(clip, &golden, &device);
        for (ours, theirs) in ours.iter().zip(golden[name].as_array().unwrap()) {
            close(ours, &list(theirs), name);
        }
    });
}

#[test]
fn a_value_clip_is_optaxs() {
    agrees(&ValueClip::new(0.5, Sgd::new()).unwrap(), "value");
}

/// A column of the parameters is 0: it still moves, by `ε`.
#[test]
fn an_adaptive_clip_is_optaxs() {
    agrees(&AdaptiveClip::new(0.1, Sgd::new()).unwrap(), "agc");
    let ours = left(&AdaptiveClip::new(0.1, Sgd::new()).unwrap(), &golden(), &Device::flex());
    assert!(ours[0][1] != 0.0);
}

#[test]
fn a_p_norm_is_numpys() {
    for (power, name) in [(1.0, "norm_1"), (3.0, "norm_3"), (f64::INFINITY, "norm_inf")] {
        agrees(&PNormClip::new(power, 0.7, Sgd::new()).unwrap(), name);
    }
    // One tensor is the whole model.
    agrees(&PNormClip::new(2.0, 0.7, Sgd::new()).unwrap(), "global_norm");
}

/// The gradient in two parts.
#[derive(Module, Debug)]
struct Parts {
    first: Param<Tensor<1>>,
    rest: Param<Tensor<2>>,
}

/// Over all tensors together, and with the norm in the report.
#[test]
fn a_p_norm_of_the_whole_is_numpys() {
    let golden = golden();
    let whole = |g: &[f64], power: f64| match power.is_infinite() {
        true => g.iter().fold(0.0, |most: f64, x| most.max(x.abs())),
        false => g.iter().map(|x| x.abs().powf(power)).sum::<f64>().powf(1.0 / power),
    };
    on_every_device(|device| {
        for (power, name) in [(1.0, "norm_1"), (3.0, "norm_3"), (f64::INFINITY, "norm_inf")] {
            let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, device);
            let first = Param::from_tensor(zeros([1, 3]).reshape([3]));
            let mut net = Parts { first, rest: Param::from_tensor(zeros([3, 3])) };
            let plain = Keel::wrap(SgdConfig::new().init());
            let clips = plain.clip(PNorm::new(power, 0.7).unwrap());
            // Another that changes nothing, and asks for another norm.
            let mut keel = clips.clip(PNorm::new(2.0, 1e9).unwrap()).build(&net).unwrap();
            for (grad, theirs) in
                golden["grads"].as_array().unwrap().iter().zip(golden[name].as_array().unwrap())
            {
                let grad = list(grad);
                let g: Vec<f32> = grad.iter().map(|&x| x as f32).collect();
                let [a, b] = [&g[..3], &g[3..]].map(|x| Tensor::<1>::from_floats(x, device));
                let loss = (net.first.val() * a).sum() + (net.rest.val() * b.reshape([3, 3])).sum();
                let grads = GradientsParams::from_grads(loss.backward(), &net);
                let old = values(&net);
                let stepped = keel.step(1.0, net, grads, &loss).unwrap();
                net = stepped.model;
                let seen = stepped.report.reading.p_norm(power).unwrap();
                close(&[seen], &[whole(&grad, power)], name);
                let left: Vec<f64> = old.iter().zip(values(&net)).map(|(a, b)| a - b).collect();
                // What is subtracted is small beside what it is subtracted from.
                for (ours, theirs) in left.iter().zip(list(theirs)) {
                    assert!((ours - theirs).abs() <= 2e-5, "{name}: {ours}, not {theirs}");
                }
            }
        }
    });
    for power in [0.5, f64::NAN] {
        let said = PNorm::new(power, 1.0).unwrap_err().to_string();
        assert!(said.starts_with("`power` of PNorm must be at least 1"), "{said}");
    }
    assert!(PNorm::new(1.0, -1.0).unwrap_err().is_parameter());
    // A reading without the norm leaves nothing.
    assert_eq!(PNorm::new(3.0, 1.0).unwrap().factor(&Reading::new(0)), 0.0);
}

fn values(net: &Parts) -> Vec<f64> {
    let [a, b] = [net.first.val().inner(), net.rest.val().inner().reshape([9])];
    [a, b].into_iter().flat_map(|x| x.into_data().iter::<f64>().collect::<Vec<_>>()).collect()
}

#[test]
fn factors_on_the_host_are_theirs_too() {
    let golden = golden();
    let mut percentile = Percentile::new(40.0).unwrap();
    let global = GlobalNorm::at_most(0.7).unwrap();
    let theirs = list(&golden["percentile_40"]);
    let whole = golden["global_norm"].as_array().unwrap();
    for (t, norm) in list(&golden["norms"]).into_iter().enumerate() {
        let now = Reading::new(t as u64).with_grad_norm(norm);
        close(&[norm * percentile.factor(&now)], &theirs[t..=t], "percentile");
        percentile.record(&now, Verdict::Apply);
        let scaled: Vec<f64> =
            list(&golden["grads"][t]).iter().map(|x| x * global.factor(&now)).collect();
        close(&scaled, &list(&whole[t]), "global norm");
    }
}

#[test]
fn sizes_at_the_ends_of_f32_are_no_trouble_and_wrong_bounds_are_named() {
    on_every_device(|device| {
        let device = device.clone().inner();
        let tensor = |x: [f32; 3]| Tensor::<1>::from_floats(x, &device);
        for power in [1.0, 2.0, 7.5, f64::INFINITY] {
            let clip = PNormClip::new(power, 1.0, Sgd::new()).unwrap();
            for x in [[0.0; 3], [1e30, -1e30, 0.0], [1e-30, 0.0, 0.0]] {
                let (after, _) = clip.step(1.0, tensor([0.0; 3]), tensor(x), None);
                let ours: Vec<f64> = after.into_data().iter::<f64>().collect();
                let each = if power.is_infinite() { 1.0 } else { 0.5_f64.powf(1.0 / power) };
                let theirs = match x[0] > 1.0 {
                    true => vec![-each, each, 0.0],
                    false => vec![-f64::from(x[0]), 0.0, 0.0],
                };
                close(&ours, &theirs, "ends");
            }
        }
    });
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let said = ValueClip::new(bad, Sgd::new()).unwrap_err().to_string();
        assert!(said.starts_with("`at_most` of ValueClip must be"), "{said}");
        assert!(PNormClip::new(2.0, bad, Sgd::new()).unwrap_err().is_parameter());
    }
    for power in [0.5, -1.0, f64::NAN, f64::NEG_INFINITY] {
        let said = PNormClip::new(power, 1.0, Sgd::new()).unwrap_err().to_string();
        assert!(said.starts_with("`power` of PNormClip must be at least 1"), "{said}");
    }
}

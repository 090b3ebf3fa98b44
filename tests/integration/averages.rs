//! Averages of the weights move with the weights, or not at all.

use crate::common::{Batch, Net, bits, numbers, on_every_device, with_first};
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use evenkeel::average::{Average, Ema, Swa, refresh_statistics};
use evenkeel::monitor::blame;
use evenkeel::{Keel, Rewind, Verdict};

fn weights(net: &Net) -> Vec<f64> {
    let all = bits(net).into_iter().filter(|(path, _)| !path.contains("running"));
    all.flat_map(|(_, bits)| bits.into_iter().map(f64::from_bits)).collect()
}

fn advance(keel: &mut Keel<Net>, net: Net, batch: Batch) -> Net {
    let (loss, grads) = net.backward(batch);
    keel.step(0.1, net, grads, &loss).unwrap().model
}

/// Against the recursion in f64, over every parameter.
fn check(device: &Device, rule: impl Average + Copy + 'static, from: u64) {
    let mut net = Net::new(device);
    let mut keel = Keel::wrap(SgdConfig::new().init()).average(rule).build(&net).unwrap();
    let mut expected: Option<Vec<f64>> = None;
    let mut taken = 0;
    for k in 0..12 {
        assert_eq!(keel.averaged(&net).is_some(), k > from, "update {k}");
        net = advance(&mut keel, net, Batch::number(k, device));
        if let Some(w) = rule.weight(k, taken) {
            let now = weights(&net);
            expected = Some(match expected {
                None => now,
                Some(a) => a.iter().zip(now).map(|(a, p)| a + w * (p - a)).collect(),
            });
            taken += 1;
        }
        if let Some(expected) = &expected {
            let averaged = weights(&keel.averaged(&net).unwrap());
            for (a, b) in averaged.iter().zip(expected) {
                assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-2), "update {k}: {a} is not {b}");
            }
        }
    }
}

#[test]
fn the_average_is_that_of_the_rule() {
    on_every_device(|device| {
        check(device, Ema::new(0.9).unwrap(), 0);
        check(device, Ema::new(0.99).unwrap().warmup(), 0);
        check(device, Swa::from(4).every(3).unwrap(), 4);
    });
}

#[test]
fn the_averaged_model_is_one_of_its_own() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .average(Ema::new(0.9).unwrap())
            .build(&net)
            .unwrap();
        for k in 0..3 {
            net = advance(&mut keel, net, Batch::number(k, device));
        }
        let averaged = keel.averaged(&net).unwrap();
        let before = bits(&averaged);
        let live = bits(&net);
        // Its statistics are those of the live model now, and do not follow it.
        let stats = |all: &[(String, Vec<u64>)]| -> Vec<_> {
            all.iter().filter(|(path, _)| path.contains("running")).cloned().collect()
        };
        assert_eq!(stats(&before), stats(&live));
        assert_ne!(weights(&averaged), weights(&net));
        net = advance(&mut keel, net, Batch::number(3, device));
        assert_eq!(bits(&averaged), before);
        assert_ne!(bits(&net), live);
    });
}

#[test]
fn a_skip_does_not_touch_it_and_a_rewind_takes_it_back() {
    on_every_device(|device| {
        let start = Net::new(device);
        let build = |net: &Net, answer| {
            Keel::wrap(SgdConfig::new().init())
                .average(Ema::new(0.7).unwrap().warmup())
                .on_non_finite(answer)
                .rewind(Rewind::every(2).unwrap())
                .build(net)
                .unwrap()
        };
        let bad = || {
            let mut batch = Batch::number(99, device);
            batch.x = with_first(batch.x, f32::NAN);
            batch
        };
        for (answer, back_to) in [(Verdict::Skip, 5), (Verdict::Rewind, 4)] {
            let (mut net, mut twin) = (start.twin(), start.twin());
            let (mut keel, mut twin_keel) = (build(&net, answer), build(&twin, answer));
            for k in 0..5 {
                net = advance(&mut keel, net, Batch::number(k, device));
            }
            net = advance(&mut keel, net, bad());
            for k in 0..back_to {
                twin = advance(&mut twin_keel, twin, Batch::number(k, device));
            }
            let averaged = |keel: &Keel<Net>, net: &Net| bits(&keel.averaged(net).unwrap());
            assert_eq!(averaged(&keel, &net), averaged(&twin_keel, &twin), "{answer}");
        }
    });
}

#[test]
fn it_is_saved_and_resumed() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let build = |net: &Net| {
            Keel::wrap(SgdConfig::new().init())
                .average(Swa::from(1).every(2).unwrap())
                .build(net)
                .unwrap()
        };
        let mut keel = build(&net);
        for k in 0..4 {
            net = advance(&mut keel, net, Batch::number(k, device));
        }
        let saved = keel.checkpoint(&net).unwrap();
        let fresh = Net::new(device);
        let mut resumed = build(&fresh);
        let mut twin = resumed.resume(&fresh, &saved).unwrap();
        for k in 4..8 {
            net = advance(&mut keel, net, Batch::number(k, device));
            twin = advance(&mut resumed, twin, Batch::number(k, device));
            let averaged = |keel: &Keel<Net>, net: &Net| bits(&keel.averaged(net).unwrap());
            assert_eq!(averaged(&keel, &net), averaged(&resumed, &twin));
        }
        // A keel without an average refuses it.
        let mut plain = Keel::wrap(SgdConfig::new().init()).build(&fresh).unwrap();
        assert_eq!(
            plain.resume(&fresh, &saved).unwrap_err().to_string(),
            "the saved state does not fit: it was saved with guards NonFinite and clips none, with \
             an average, and this keel has guards NonFinite and clips none; if that is meant, call \
             `allow_other_policies` first"
        );
    });
}

/// An answer of the user's own cannot make the average non-finite, nor run away.
#[test]
fn weights_out_of_range_are_bounded() {
    let device = Device::flex().autodiff();
    for weight in [f64::NAN, f64::INFINITY, -3.0, 7.0] {
        let mut net = Net::new(&device);
        let rule = move |_: u64, _: u64| Some(weight);
        let mut keel = Keel::wrap(SgdConfig::new().init()).average(rule).build(&net).unwrap();
        let mut first = None;
        for k in 0..3 {
            net = advance(&mut keel, net, Batch::number(k, &device));
            first.get_or_insert_with(|| weights(&net));
        }
        let averaged = weights(&keel.averaged(&net).unwrap());
        let expected =
            if weight > 1.0 && weight.is_finite() { weights(&net) } else { first.unwrap() };
        assert_eq!(averaged, expected, "weight {weight}");
    }
}

/// Every batch counts the same, whatever the layer's momentum, and the weights are not touched.
#[test]
fn refreshed_statistics_are_the_mean_over_the_batches() {
    on_every_device(|device| {
        for momentum in [0.1, 0.01, 1.0] {
            let norm = BatchNormConfig::new(2).with_momentum(momentum).init(device);
            let batches: Vec<Tensor<2>> = (0..5)
                .map(|k| {
                    let values = crate::common::noise(k, 12);
                    let data = burn::tensor::TensorData::new(values, [6, 2]);
                    Tensor::from_data(data, device).add_scalar(k as f64)
                })
                .collect();
            // Used before, so that there is something old in it, and something held back.
            let _ = norm.forward(batches[0].clone() * 50.0);
            let gamma = bits(&norm.gamma);
            let forward = |norm: &BatchNorm, x| drop(norm.forward(x));
            let norm = refresh_statistics(&norm, batches.clone(), forward).unwrap();

            let column = |t: &Tensor<2>, c: usize| -> Vec<f64> {
                let data = t.clone().slice([0..6, c..c + 1]).into_data().convert::<f64>();
                data.iter::<f64>().collect()
            };
            let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
            let (means, vars) =
                (numbers(norm.running_mean.value_sync()), numbers(norm.running_var.value_sync()));
            for c in 0..2 {
                let columns: Vec<Vec<f64>> = batches.iter().map(|b| column(b, c)).collect();
                let expected = mean(&columns.iter().map(|x| mean(x)).collect::<Vec<_>>());
                assert!((means[c] - expected).abs() < 1e-4, "{momentum}: {} {expected}", means[c]);
                let var = |x: &Vec<f64>| {
                    let m = mean(x);
                    x.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (x.len() as f64)
                };
                let (least, most) = (
                    mean(&columns.iter().map(var).collect::<Vec<_>>()),
                    mean(&columns.iter().map(var).collect::<Vec<_>>()) * 6.0 / 5.0,
                );
                // Biased or not is Burn's choice; it must be the mean of one of the two.
                let near = |x: f64| (vars[c] / x - 1.0).abs() < 1e-3;
                assert!(near(least) || near(most), "{momentum}: {} {least} {most}", vars[c]);
            }
            assert_eq!(bits(&norm.gamma), gamma);
        }
        // Without statistics, and without batches, nothing happens.
        let linear = LinearConfig::new(2, 2).init(device);
        let before = bits(&linear);
        let x = Tensor::<2>::random([2, 2], Distribution::Default, device);
        let forward = |linear: &Linear, x| drop(linear.forward(x));
        assert_eq!(bits(&refresh_statistics(&linear, [x], forward).unwrap()), before);
        let net = Net::new(device);
        let before = bits(&net);
        let none: [Tensor<2>; 0] = [];
        let fresh = refresh_statistics(&net, none, |net, x| drop(net.forward(x))).unwrap();
        assert_eq!(bits(&fresh), before);
    });
}

/// Deviations from a thousandth to ten thousand million, where a variance is at 1e20.
#[test]
fn refreshed_statistics_have_any_size() {
    on_every_device(|device| {
        for deviation in [1e-3, 300.0, 1e5, 1e10] {
            let norm: BatchNorm = BatchNormConfig::new(1).init(device);
            let x =
                Tensor::<2>::from_floats([[1.0], [-1.0]], device) * deviation + 0.25 * deviation;
            let forward = |norm: &BatchNorm, x| drop(norm.forward(x));
            let fresh = refresh_statistics(&norm, [x.clone(), x * 2.0], forward).unwrap();
            let mean = numbers(fresh.running_mean.value_sync())[0] / deviation;
            let variance = numbers(fresh.running_var.value_sync())[0] / deviation / deviation;
            assert!((mean / 0.375 - 1.0).abs() < 1e-5, "{deviation}: mean {mean}");
            assert!((variance / 2.5 - 1.0).abs() < 1e-5, "{deviation}: variance {variance}");
        }
    });
}

#[test]
fn refreshing_leaves_the_model_alone_and_says_what_it_cannot_do() {
    on_every_device(|device| {
        let norm: BatchNorm = BatchNormConfig::new(1).init(device);
        let x = |value: f32| Tensor::<2>::from_floats([[value], [3.0]], device);
        let _ = norm.forward(x(7.0));
        let before = bits(&norm);
        let forward = |norm: &BatchNorm, x| drop(norm.forward(x));
        let fresh = refresh_statistics(&norm, [x(1.0)], forward).unwrap();
        assert!((numbers(fresh.running_mean.value_sync())[0] - 2.0).abs() < 1e-5);
        assert_eq!(bits(&norm), before);

        // In inference mode nothing is written.
        let plain = x(1.0).inner();
        let said = refresh_statistics(&norm, [plain], forward).unwrap_err().to_string();
        assert!(
            said.starts_with("`forward` of refresh_statistics must be a pass in training"),
            "{said}"
        );
        for batches in [vec![x(f32::NAN)], vec![x(1.0), x(f32::INFINITY)]] {
            let said = refresh_statistics(&norm, batches, forward).unwrap_err().to_string();
            assert!(
                said.starts_with("`batches` of refresh_statistics must be of finite"),
                "{said}"
            );
        }
        assert_eq!(bits(&norm), before);

        // A layer that no batch reaches keeps what it has, and one in two places is no other for it.
        let unused: BatchNorm = BatchNormConfig::new(1).init(device);
        let _ = unused.forward(x(5.0));
        let kept = bits(&unused);
        let all = vec![norm.clone(), norm, unused];
        let fresh = refresh_statistics(&all, [x(1.0)], |all, x: Tensor<2>| {
            let _ = (all[0].forward(x.clone()), all[1].forward(x));
        });
        let fresh = fresh.unwrap();
        let mean = numbers(fresh[1].running_mean.value_sync())[0];
        assert!((mean - 2.0).abs() < 1e-5, "{mean}");
        assert_eq!(bits(&fresh[2]), kept);
    });
}

/// Weights of ours are told from what a forward pass writes without a write: another thread may be using them.
#[test]
fn a_thread_that_evaluates_sees_nothing_of_a_keel_being_built() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let batch = Batch::number(0, &device);
    let plain = batch.x.clone().inner();
    let expected = net.forward(plain.clone()).into_data();
    std::thread::scope(|scope| {
        let (other, plain, expected) = (net.clone(), plain.clone(), &expected);
        let evaluating = scope.spawn(move || {
            for _ in 0..300 {
                assert_eq!(&other.forward(plain.clone()).into_data(), expected);
            }
        });
        while !evaluating.is_finished() {
            let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
            let saved = keel.checkpoint(&net).unwrap();
            let _ = keel.resume(&net, &saved).unwrap();
            let _ = blame(&net, |net, _| net.loss(batch.clone()));
        }
        evaluating.join().unwrap();
    });
}

/// Frozen in the middle, a layer is averaged on: its mean is over all updates.
#[test]
fn a_layer_that_is_frozen_in_the_middle_is_averaged_on() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel =
            Keel::wrap(SgdConfig::new().init()).average(Swa::from(0)).build(&net).unwrap();
        let mut sum = 0.0;
        for k in 0..4 {
            if k == 2 {
                net.first = net.first.no_grad();
            }
            net = advance(&mut keel, net, Batch::number(k, device));
            sum += numbers(net.first.weight.base().reshape([-1]))[0];
        }
        let averaged = keel.averaged(&net).unwrap();
        let mean = numbers(averaged.first.weight.base().reshape([-1]))[0];
        assert!((mean - sum / 4.0).abs() < 1e-6, "{mean} {}", sum / 4.0);
    });
}

//! Several small batches for one update.

use crate::common::{Batch, Net, bits, filled, noise, on_every_device, with_first};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::LossSpike;
use evenkeel::optim::Sgd;
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Ramp, Rate, Schedule};
use evenkeel::{Decide, Keel, Rewind, Verdict};

fn build(net: &Net) -> Keel<Net> {
    Keel::wrap(AdamConfig::new().init())
        .clip(GlobalNorm::at_most(0.3).unwrap())
        .guard(LossSpike::default())
        .skips_at_most(2)
        .rewind(Rewind::every(3).unwrap())
        .build(net)
        .unwrap()
}

fn micro(keel: &mut Keel<Net>, net: &Net, batch: Batch) -> Verdict {
    let (loss, grads) = net.backward(batch);
    keel.accumulate(net, grads, &loss).unwrap().verdict
}

fn bad(k: u64, device: &Device) -> Batch {
    let mut batch = Batch::number(k, device);
    batch.x = with_first(batch.x, f32::NAN);
    batch
}

/// The same gradients summed by hand in f64, and stepped by Burn's own optimizer.
#[test]
fn the_update_is_along_the_mean_gradient() {
    on_every_device(|device| {
        let start = Net::new(device);
        let mut net = start.twin();
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        let mut losses = 0.0;
        for k in 0..4 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            losses += loss.clone().into_data().convert::<f64>().iter::<f64>().next().unwrap();
            assert!(keel.accumulate(&net, grads, &loss).unwrap().is_applied());
        }
        let stepped = keel.step_accumulated(0.5, net).unwrap();
        net = stepped.model;
        assert!((stepped.report.reading.loss - losses / 4.0).abs() < 1e-6);

        let gradient = |path: &str| -> Vec<f64> {
            let twin = start.twin();
            let id = crate::common::id_of(&twin, path);
            let mut sum = vec![0.0; 5];
            for k in 0..4 {
                let (_, grads) = twin.backward(Batch::number(k, device));
                let grad: Tensor<2> = grads.get(id).unwrap();
                let data = grad.into_data().convert::<f64>();
                data.iter::<f64>().zip(&mut sum).for_each(|(g, s)| *s += g);
            }
            sum.iter().map(|s| s / 4.0).collect()
        };
        let weight = |net: &Net| -> Vec<f64> {
            let all = bits(net);
            let (_, bits) = all.iter().find(|(path, _)| path == "last.weight").unwrap();
            bits.iter().map(|b| f64::from_bits(*b)).collect()
        };
        let (before, after) = (weight(&start), weight(&net));
        for ((b, a), g) in before.iter().zip(after).zip(gradient("last.weight")) {
            assert!((b - 0.5 * g - a).abs() < 1e-6, "{b} − 0.5·{g} is not {a}");
        }
    });
}

#[test]
fn a_bad_small_batch_leaves_no_trace_among_the_others() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let (mut keel, mut twin_keel) = (build(&net), build(&twin));
        for update in 0..4 {
            for k in 0..3 {
                if k == update % 3 {
                    assert_eq!(micro(&mut keel, &net, bad(k, device)), Verdict::Skip);
                }
                let good = || Batch::number(10 * update + k, device);
                assert_eq!(micro(&mut keel, &net, good()), Verdict::Apply);
                assert_eq!(micro(&mut twin_keel, &twin, good()), Verdict::Apply);
                assert_eq!(bits(&net), bits(&twin));
            }
            // A bad one at the very end, too.
            assert_eq!(micro(&mut keel, &net, bad(9, device)), Verdict::Skip);
            net = keel.step_accumulated(0.1, net).unwrap().model;
            twin = twin_keel.step_accumulated(0.1, twin).unwrap().model;
            assert_eq!(bits(&net), bits(&twin), "update {update}");
        }
        let differences =
            keel.checkpoint(&net).unwrap().differences(&twin_keel.checkpoint(&twin).unwrap());
        assert!(differences.iter().all(|name| name.ends_with("attempts")), "{differences:?}");
    });
}

/// A window that is rejected as a whole puts back the statistics of all its batches.
#[test]
fn a_rejected_window_is_undone_as_a_whole() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .guard(|now: &evenkeel::Reading| match now.loss > 1e3 {
                true => Verdict::Skip,
                false => Verdict::Apply,
            })
            .build(&net)
            .unwrap();
        let before = bits(&net);
        for k in 0..3 {
            let mut batch = Batch::number(k, device);
            batch.y = batch.y + 1e3;
            assert_eq!(micro(&mut keel, &net, batch), Verdict::Apply);
        }
        assert_ne!(bits(&net), before, "the forward passes have moved the statistics");
        let stepped = keel.step_accumulated(0.1, net).unwrap();
        assert_eq!(stepped.report.verdict, Verdict::Skip);
        net = stepped.model;
        assert_eq!(bits(&net), before);

        // Nothing of it is left for the next window.
        assert_eq!(micro(&mut keel, &net, Batch::number(5, device)), Verdict::Apply);
        let stepped = keel.step_accumulated(0.1, net).unwrap();
        assert!(stepped.report.is_applied() && stepped.report.reading.loss < 10.0);
    });
}

#[test]
fn windows_without_any_good_batch_are_rejections_and_are_bounded() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init()).skips_at_most(2).build(&net).unwrap();
    for _ in 0..2 {
        assert_eq!(micro(&mut keel, &net, bad(0, &device)), Verdict::Skip);
        let stepped = keel.step_accumulated(0.1, net).unwrap();
        assert_eq!(stepped.report.verdict, Verdict::Skip);
        net = stepped.model;
    }
    assert!(keel.step_accumulated(0.1, net).is_err());
}

/// Stopped in the middle of a window, and resumed in the middle of it.
#[test]
fn a_window_is_saved_half_full() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = build(&net);
        for k in 0..3 {
            micro(&mut keel, &net, Batch::number(k, device));
        }
        net = keel.step_accumulated(0.1, net).unwrap().model;
        for k in 3..5 {
            micro(&mut keel, &net, Batch::number(k, device));
        }
        let saved = keel.checkpoint(&net).unwrap().into_bytes().unwrap();
        let saved = evenkeel::checkpoint::Checkpoint::from_bytes(&saved).unwrap();
        let fresh = Net::new(device);
        let mut resumed = build(&fresh);
        let mut twin = resumed.resume(&fresh, &saved).unwrap();
        assert_eq!(bits(&net), bits(&twin));
        for (keel, model) in [(&mut keel, &mut net), (&mut resumed, &mut twin)] {
            micro(keel, model, bad(7, device));
            micro(keel, model, Batch::number(5, device));
            *model = keel.step_accumulated(0.1, model.clone()).unwrap().model;
        }
        assert_eq!(bits(&net), bits(&twin));
        let now = keel.checkpoint(&net).unwrap();
        assert!(now.differences(&resumed.checkpoint(&twin).unwrap()).is_empty());
    });
}

#[test]
fn a_rewind_empties_the_window() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = build(&net);
    for k in 0..4 {
        micro(&mut keel, &net, Batch::number(k, &device));
        net = keel.step_accumulated(0.1, net).unwrap().model;
    }
    // Three empty windows in a row: the third rewinds.
    for expected in [Verdict::Skip, Verdict::Skip, Verdict::Rewind] {
        let stepped = keel.step_accumulated(0.1, net).unwrap();
        assert_eq!(stepped.report.verdict, expected);
        net = stepped.model;
    }
    assert_eq!(keel.updates(), 3);
}

#[test]
fn a_batch_without_a_gradient_is_not_taken_for_one() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
    let loss = Tensor::<1>::from_floats([1.0], &device);
    let error = keel.accumulate(&net, GradientsParams::new(), &loss).unwrap_err();
    assert!(error.is_parameter(), "{error}");
    let before = bits(&net);
    let stepped = keel.step_accumulated(0.1, net).unwrap();
    assert_eq!(stepped.report.verdict, Verdict::Skip, "nothing was accumulated");
    assert_eq!(bits(&stepped.model), before);
}

/// A dynamic loss scale goes the same way whoever decides, once all is read.
#[test]
fn the_loss_scale_grows_and_falls_by_windows() {
    on_every_device(|device| {
        let scale_after = |decide: Decide| {
            let mut net = Net::new(device);
            let scale = LossScale::dynamic().start(16.0).unwrap().growth(2.0, 1).unwrap();
            let mut keel = Keel::wrap(SgdConfig::new().init())
                .loss_scale(scale)
                .decide(decide)
                .build(&net)
                .unwrap();
            for k in 0..8 {
                for half in 0..2 {
                    let scale = if k == 5 && half == 1 { f64::INFINITY } else { keel.loss_scale() };
                    let loss = net.loss(Batch::number(2 * k + half, device));
                    let backward = (loss.clone() * scale).backward();
                    let grads = GradientsParams::from_grads(backward, &net);
                    let _ = keel.accumulate(&net, grads, &loss).unwrap();
                }
                net = keel.step_accumulated(0.01, net).unwrap().model;
            }
            keel.loss_scale()
        };
        // Seven doublings, one halving, and one more doubling: each window is applied.
        let host = scale_after(Decide::Now);
        assert_eq!(host, 16.0 * 2f64.powi(7));
        assert_eq!(scale_after(Decide::OnDevice { every: 1 }), host);
    });
}

/// A gradient of 1e-7 is 0 in half precision, and times 1024 it is not.
#[test]
fn what_a_loss_scale_saves_is_not_lost_in_the_mean() {
    let device = Device::flex().autodiff();
    let mut layer: Linear = LinearConfig::new(1, 1).with_bias(false).init(&device);
    layer.weight = layer.weight.map(|w| (w.inner() * 0.0).cast(DType::F16));
    layer.weight = layer.weight.map(|w| Tensor::from_inner(w).require_grad());
    let scale = LossScale::fixed(1024.0).unwrap();
    let mut keel = Keel::wrap(Sgd::new()).loss_scale(scale).build(&layer).unwrap();
    for _ in 0..2 {
        let x = Tensor::<2>::from_floats([[1e-4]], &device).cast(DType::F16);
        let loss = (layer.forward(x) * 1.024).sum();
        let grads = GradientsParams::from_grads(loss.clone().backward(), &layer);
        // As if the loss were 1e-3 of that, times 1024.
        let _ = keel.accumulate(&layer, grads, &loss.cast(DType::F32)).unwrap();
    }
    let stepped = keel.step_accumulated(1e5, layer).unwrap();
    let moved: f32 = stepped.model.weight.val().cast(DType::F32).into_scalar();
    // -1e5 of 1e-7
    assert!((moved / -0.01 - 1.0).abs() < 0.01, "{moved}");
}

/// Counts of what was asked for go up whatever becomes of a step.
#[test]
fn attempts_never_go_back() {
    on_every_device(|device| {
        for decide in [Decide::Now, Decide::OnDevice { every: 2 }] {
            let mut net = Net::new(device);
            let mut keel = Keel::wrap(SgdConfig::new().init())
                .skips_at_most(9)
                .decide(decide)
                .build(&net)
                .unwrap();
            let mut before = 0;
            for k in 0..6 {
                let batch = if k == 2 { bad(k, device) } else { Batch::number(k, device) };
                let _ = micro(&mut keel, &net, batch);
                assert!(keel.attempts() > before);
                before = keel.attempts();
                // A rate without a bound for it is refused before anything is counted, and takes nothing back.
                net = match k {
                    1 => keel.step_accumulated(Rate::highest(), net).unwrap_err().into_model(),
                    3 => keel.step_accumulated(f64::NAN, net).unwrap().model,
                    _ => keel.step_accumulated(0.1, net).unwrap().model,
                };
                assert!(keel.attempts() >= before, "{decide:?} {k}");
                before = keel.attempts();
            }
        }
    });
}

/// A whole first window that the device drops leaves the schedule where it began.
#[test]
fn a_schedule_whose_first_updates_were_all_dropped_is_at_its_start() {
    on_every_device(|device| {
        for every in [1, 3] {
            let mut net = Net::new(device);
            let decide = Decide::OnDevice { every };
            let mut keel = Keel::wrap(SgdConfig::new().init()).decide(decide).build(&net).unwrap();
            let mut schedule = Ramp::new(0.0, 1.0, 100).unwrap().start();
            for k in 0..every {
                let (loss, grads) = net.backward(bad(k, device));
                net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
            }
            assert_eq!((keel.updates(), schedule.position()), (0, 0), "{every}");
            for k in 0..2 * every {
                let (loss, grads) = net.backward(Batch::number(k, device));
                net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
            }
            assert_eq!((keel.updates(), schedule.position()), (2 * every, 2 * every), "{every}");
        }
    });
}

/// Sixteen rows and four are twenty rows.
#[test]
fn batches_of_different_sizes_count_by_their_rows() {
    on_every_device(|device| {
        let net = |rows: std::ops::Range<usize>, net: &Linear| {
            let x: Vec<f32> = noise(7, 60)[3 * rows.start..3 * rows.end].to_vec();
            let x = Tensor::<2>::from_data(TensorData::new(x, [rows.len(), 3]), device);
            let loss = (net.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean();
            let grads = GradientsParams::from_grads(loss.backward(), net);
            (loss, grads)
        };
        let start: Linear = filled(LinearConfig::new(3, 1).init(device), 1);
        let mut keel = Keel::wrap(Sgd::new()).build(&start).unwrap();
        let (loss, grads) = net(0..20, &start);
        let whole = keel.step(0.5, start.clone(), grads, &loss).unwrap();
        let mut keel = Keel::wrap(Sgd::new()).build(&start).unwrap();
        for rows in [0..16, 16..20] {
            let weight = rows.len() as f64;
            let (loss, grads) = net(rows, &start);
            let _ = keel.accumulate_weighted(&start, grads, &loss, weight).unwrap();
        }
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (loss, grads) = net(0..4, &start);
            let said =
                keel.accumulate_weighted(&start, grads, &loss, weight).unwrap_err().to_string();
            assert!(said.starts_with("`weight` of Keel::accumulate must be a positive"), "{said}");
        }
        // Half full it is saved and resumed.
        let saved = keel.checkpoint(&start).unwrap();
        let mut keel = Keel::wrap(Sgd::new()).build(&start).unwrap();
        let start = keel.resume(&start, &saved).unwrap();
        let parts = keel.step_accumulated(0.5, start).unwrap();
        let [whole, parts] = [whole.report.reading, parts.report.reading];
        assert!((whole.grad_norm / parts.grad_norm - 1.0).abs() < 1e-5, "{whole:?} {parts:?}");
        assert!((whole.loss / parts.loss - 1.0).abs() < 1e-5);
    });
}

/// An attempt is a small batch, and the loss of an update is the mean of theirs, wherever it is decided.
#[test]
fn a_window_counts_its_batches_and_has_their_mean_loss() {
    on_every_device(|device| {
        for decide in [Decide::Now, Decide::OnDevice { every: 1 }] {
            let mut net = Net::new(device);
            let mut keel = Keel::wrap(Sgd::new()).decide(decide).build(&net).unwrap();
            for window in 0..3 {
                let (mut mean, weights) = (0.0, [3.0, 1.0]);
                for (at, weight) in weights.into_iter().enumerate() {
                    let (loss, grads) = net.backward(Batch::number(2 * window + at as u64, device));
                    mean += weight / 4.0 * f64::from(loss.clone().into_scalar::<f32>());
                    let _ = keel.accumulate_weighted(&net, grads, &loss, weight).unwrap();
                }
                let stepped = keel.step_accumulated(0.1, net).unwrap();
                net = stepped.model;
                let report = stepped.late.first().unwrap_or(&stepped.report);
                assert!((report.reading.loss / mean - 1.0).abs() < 1e-6, "{decide:?} {mean}");
                assert_eq!(keel.attempts(), 2 * (window + 1), "{decide:?}");
            }
            // A window without any batch asks for nothing.
            let stepped = keel.step_accumulated(0.1, net).unwrap();
            assert_eq!((stepped.report.verdict, keel.attempts()), (Verdict::Skip, 6), "{decide:?}");
        }
    });
}

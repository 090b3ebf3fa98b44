//! Activations that a probe watches, against two passes in `f64`, and what watching costs.

use crate::common::{Batch, Net, bits, noise, on_every_device};
use burn::optim::SgdConfig;
use burn::tensor::{DType, Device, Tensor, TensorData};
use evenkeel::Keel;
use evenkeel::monitor::{Observation, Probe, Watch};

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F32))
}

fn close(seen: &Observation, name: &str, expected: f64) {
    let got = seen.get(name).unwrap_or_else(|| panic!("there is no {name}"));
    assert!(
        (got - expected).abs() <= 3e-5 * expected.abs().max(0.1),
        "{name}: {got}, not {expected}"
    );
}

/// All that is told of `a`, by two passes over its elements; `unit` numbers the unit of an element.
fn check(seen: &Observation, values: &[f32], unit: impl Fn(usize) -> usize, units: usize) {
    check_of(f64::from(f32::MAX), seen, values, unit, units);
}

/// The same of a type whose largest number is `limit`.
fn check_of(
    limit: f64,
    seen: &Observation,
    values: &[f32],
    unit: impl Fn(usize) -> usize,
    units: usize,
) {
    let x: Vec<f64> = values.iter().map(|&x| f64::from(x)).filter(|x| x.is_finite()).collect();
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let moment = |k: i32| x.iter().map(|x| (x - mean).powi(k)).sum::<f64>() / n;
    let largest = x.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    close(seen, "mean/a", mean);
    close(seen, "std/a", moment(2).sqrt());
    close(seen, "kurtosis/a", moment(4) / moment(2).powi(2));
    close(seen, "abs_max/a", largest);
    close(seen, "headroom/a", limit.log2() - largest.log2());
    let alive = |u: &usize| values.iter().enumerate().any(|(i, x)| unit(i) == *u && *x != 0.0);
    let dead = units - (0..units).filter(alive).count();
    close(seen, "dead/a", dead as f64 / units as f64);
    let all = values.len() as f64;
    close(seen, "nonfinite/a", 1.0 - n / all);
    if values.iter().any(|x| x.abs() > 1.0) {
        assert_eq!(seen.get("saturated/a"), None);
    } else {
        let near = values.iter().filter(|x| x.abs() > 0.97).count();
        close(seen, "saturated/a", near as f64 / all);
    }
}

fn look<const D: usize>(x: Tensor<D>) -> Observation {
    let probe = Probe::every(1).unwrap();
    let _ = probe.watch("a", x);
    probe.observe().unwrap().unwrap()
}

#[test]
fn every_number_is_that_of_two_passes() {
    on_every_device(|device| {
        let device = &device.clone().inner();
        for (seed, scale, shift) in [(1, 1.0, 0.0), (2, 2.0, 0.1), (3, 1e-3, 0.02), (4, 3e4, -7.0)]
        {
            let mut values: Vec<f32> =
                noise(seed, 480).into_iter().map(|x| (scale * x + shift).max(-0.4)).collect();
            values.iter_mut().step_by(20).for_each(|x| *x = 0.0);
            values.iter_mut().skip(7).step_by(20).for_each(|x| *x = 0.0);
            let seen = look(tensor(&values, [24, 20], device));
            check(&seen, &values, |i| i % 20, 20);
            assert!(seen.get("dead/a").unwrap() >= 0.1 - 1e-6);
            check(&look(tensor(&values, [480], device)), &values, |i| i, 480);
            check(&look(tensor(&values, [4, 6, 20], device)), &values, |i| i % 20, 20);
            // Two channels of four, whichever the element.
            let image: Vec<f32> = values
                .iter()
                .enumerate()
                .map(|(i, x)| if i / 30 % 4 > 1 { 0.0 } else { *x })
                .collect();
            let seen = look(tensor(&image, [4, 4, 5, 6], device));
            check(&seen, &image, |i| i / 30 % 4, 4);
            close(&seen, "dead/a", 0.5);
            // Channels of a one-dimensional convolution, and an axis that is not there.
            let along = |axis: usize| {
                let probe = Probe::every(1).unwrap();
                let _ = probe.watch_units("a", axis, tensor(&image, [4, 4, 30], device));
                probe.observe().unwrap().unwrap()
            };
            check(&along(1), &image, |i| i / 30 % 4, 4);
            check(&along(2), &image, |i| i % 30, 30);
            assert_eq!(
                (along(3).get("dead/a"), along(3).get("std/a")),
                (None, along(1).get("std/a"))
            );
            // As a view over another buffer.
            let turned = look(tensor(&values, [24, 20], device).transpose());
            check(&turned, &values, |i| i / 20, 24);
        }
    });
}

/// By tensor operations and by reads of the buffer, short and longer than one core reads alone.
#[test]
fn every_number_is_that_of_two_passes_in_either_way_to_look() {
    let device = &Device::flex();
    for (samples, width) in [(3, 7), (64, 1024), (30, 5000)] {
        let len = samples * width;
        let mut values: Vec<f32> = noise(len as u64, len);
        values.iter_mut().for_each(|x| *x = (0.6 * *x).clamp(-1.0, 1.0));
        values.iter_mut().skip(2).step_by(width).for_each(|x| *x = 0.0);
        values[len - 1] = f32::NAN;
        for (dtype, limit) in [(DType::F32, f64::from(f32::MAX)), (DType::F64, f64::MAX)] {
            let x = tensor(&values, [samples, width], device).cast(dtype);
            let seen = look(x.clone());
            check_of(limit, &seen, &values, |i| i % width, width);
            assert!(seen.get("dead/a").unwrap() > 0.0 && seen.get("saturated/a").is_some());
            check_of(
                limit,
                &look(x.reshape([1, samples, 1, width])),
                &values,
                |i| i / width,
                samples,
            );
        }
    }
}

#[test]
fn what_is_not_finite_hides_nothing() {
    on_every_device(|device| {
        let device = &device.clone().inner();
        let mut values: Vec<f32> = noise(9, 240);
        values[3] = f32::NAN;
        values[17] = f32::INFINITY;
        values[18] = 0.0;
        // A unit that is NaN once and 0 otherwise is not dead; one that is 0 throughout is.
        (0..12).for_each(|row| (values[20 * row + 5], values[20 * row + 6]) = (0.0, 0.0));
        values[5] = f32::NAN;
        let seen = look(tensor(&values, [12, 20], device));
        check(&seen, &values, |i| i % 20, 20);
        close(&seen, "dead/a", 0.05);

        let none = look(tensor(&[f32::NAN; 4], [2, 2], device));
        let names: Vec<&str> = none.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["dead/a", "saturated/a", "nonfinite/a"]);
        assert_eq!((none.get("dead/a"), none.get("nonfinite/a")), (Some(0.0), Some(1.0)));

        let zero = look(tensor(&[0.0; 4], [2, 2], device));
        assert_eq!((zero.get("dead/a"), zero.get("std/a")), (Some(1.0), Some(0.0)));
        assert_eq!((zero.get("kurtosis/a"), zero.get("headroom/a")), (None, None));

        // Powers of these do not fit in `f32`.
        let large = look(tensor(&[3e38, -3e38, 1e38, 0.0], [2, 2], device));
        close(&large, "headroom/a", (f64::from(f32::MAX) / f64::from(3e38_f32)).log2());
        check(&large, &[3e38, -3e38, 1e38, 0.0], |i| i % 2, 2);

        let sigmoid = Probe::every(1).unwrap();
        let _ = sigmoid.watch_within("a", 0.0..=1.0, tensor(&[0.01, 0.5, 0.99, 0.9], [4], device));
        assert_eq!(sigmoid.observe().unwrap().unwrap().get("saturated/a"), Some(0.5));
    });
}

/// A model in half precision overflows far sooner.
#[test]
fn headroom_is_that_of_the_elements_type() {
    let x = tensor(&[4.0, -2.0], [1, 2], &Device::flex()).cast(DType::F16);
    close(&look(x), "headroom/a", (65504.0_f64 / 4.0).log2());
}

#[test]
fn a_probe_that_does_not_look_allocates_nothing_and_one_that_does_reads_once() {
    on_every_device(|device| {
        let probe = Probe::every(3).unwrap();
        let x = Tensor::<2>::ones([4, 4], device);
        for step in 0..7 {
            let due = step % 3 == 0;
            assert_eq!(probe.is_on(), due);
            let two = |probe: &Probe, x: &Tensor<2>| {
                let _ = probe.watch("a", x.clone());
                let _ = probe.watch("b", x.clone());
            };
            // A copy of the tensor allocates on some devices: that is not the probe's.
            let copies = allocation_counter::measure(|| {
                let _ = (x.clone(), x.clone());
            });
            let with = allocation_counter::measure(|| two(&probe, &x));
            let off = allocation_counter::measure(|| two(&Probe::off(), &x));
            assert_eq!(off.count_total, copies.count_total);
            assert_eq!(with.count_total == copies.count_total, !due);
            let seen = probe.observe().unwrap();
            assert_eq!(seen.as_ref().map(|seen| seen.step), due.then_some(step));
            assert_eq!(seen.is_some_and(|seen| seen.get("mean/b") == Some(1.0)), due);
            assert_eq!(probe.readbacks(), step / 3 + 1);
        }
        assert!(Probe::off().observe().unwrap().is_none());
    });
    assert!(Probe::every(0).unwrap_err().is_parameter());
}

fn forward(net: &Net, x: Tensor<2>, probe: &Probe) -> Tensor<2> {
    let x = probe.watch("first", net.first.forward(x));
    let x = probe.watch("tanh", net.norm.forward(x).tanh());
    probe.watch("last", net.last.forward(x))
}

/// Under a watch: the same weights bit by bit as without, one readback, one observation.
#[test]
fn a_watch_has_the_activations_in_its_observation_and_training_does_not_notice() {
    use burn::optim::GradientsParams;
    on_every_device(|device| {
        let mut nets = [Net::new(device), Net::new(device)];
        nets[1] = nets[0].twin();
        let build = |net: &Net| Keel::wrap(SgdConfig::new().init()).build(net).unwrap();
        let mut keels = [build(&nets[0]), build(&nets[1])];
        let mut watch = Watch::every(2).unwrap();
        let probe = watch.probe();
        for k in 0..5 {
            assert_eq!(probe.is_on(), k % 2 == 0);
            let off = Probe::off();
            for at in 0..2 {
                let (net, batch) = (nets[at].clone(), Batch::number(k, device));
                let y = forward(&net, batch.x, [&probe, &off][at]);
                let loss = (y.clone() - batch.y).powi_scalar(2).mean();
                let grads = GradientsParams::from_grads(loss.backward(), &net);
                if at == 0 {
                    watch.look(&net, &grads);
                }
                let stepped = keels[at].step(0.1, net, grads, &loss).unwrap();
                if at == 0 {
                    let seen = watch.observe(&stepped.model, &stepped.report).unwrap();
                    assert_eq!(seen.is_some(), k % 2 == 0);
                    if let Some(seen) = seen {
                        let y = y.into_data().convert::<f64>();
                        let mean = y.iter::<f64>().sum::<f64>() / y.iter::<f64>().count() as f64;
                        close(&seen, "mean/last", mean);
                        assert!(seen.get("saturated/tanh").is_some());
                        assert!(seen.get("grad_norm").is_some());
                    }
                    assert!(probe.observe().unwrap().is_none());
                }
                nets[at] = stepped.model;
            }
            assert_eq!(bits(&nets[0]), bits(&nets[1]), "update {k}");
            assert_eq!((watch.readbacks(), probe.readbacks()), (k / 2 + 1, 0));
        }
    });
}

#[test]
fn a_name_that_is_shown_twice_is_told_of_once() {
    let (probe, device) = (Probe::every(1).unwrap(), Device::flex());
    let _ = probe.watch("a", Tensor::<1>::ones([2], &device));
    let _ = probe.watch("a", Tensor::<1>::zeros([2], &device));
    let seen = probe.observe().unwrap().unwrap();
    assert_eq!(seen.iter().filter(|(name, _)| *name == "mean/a").count(), 1);
    assert_eq!(seen.get("mean/a"), Some(0.0));
}

//! Monitors against sums in `f64`, and what they cost.

use crate::common::{Batch, Net, filled, noise, on_every_device, with_first};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::monitor::{Observation, Watch};
use evenkeel::optim::Adam;

/// The parameters of a model by path, or the gradients of these.
struct Numbers<'a> {
    grads: Option<&'a GradientsParams>,
    path: Vec<String>,
    found: Vec<(String, Vec<f64>)>,
}

impl ModuleVisitor for Numbers<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.grads {
            Some(grads) => grads.get::<D>(param.id),
            None => param.is_require_grad().then(|| param.val()),
        };
        if let Some(tensor) = tensor {
            let data = tensor.into_data().convert::<f64>();
            self.found.push((self.path.join("."), data.iter::<f64>().collect()));
        }
    }
}

fn numbers(net: &Net, grads: Option<&GradientsParams>) -> Vec<(String, Vec<f64>)> {
    let mut walk = Numbers { grads, path: vec![], found: vec![] };
    net.visit(&mut walk);
    walk.found
}

/// Gradients of our own for every trainable parameter, some of their elements 0.
struct Draw {
    next: u64,
    grads: GradientsParams,
}

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        self.next += 1;
        let shape = param.val().shape();
        let kept = |x: f32| if x.abs() < 0.1 { 0.0 } else { x + 0.2 };
        let values: Vec<f32> =
            noise(self.next, shape.num_elements()).into_iter().map(kept).collect();
        let device = param.val().device().inner();
        self.grads
            .register(param.id, Tensor::<D>::from_data(TensorData::new(values, shape), &device));
    }
}

fn draw(net: &Net, seed: u64) -> GradientsParams {
    let mut draw = Draw { next: 100 * seed, grads: GradientsParams::new() };
    net.visit(&mut draw);
    draw.grads
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// All numbers whose path begins with `of`, in one list.
fn under(of: &str, numbers: &[(String, Vec<f64>)]) -> Vec<f64> {
    let with = |path: &str| of.is_empty() || path == of || path.starts_with(&format!("{of}."));
    numbers.iter().filter(|(path, _)| with(path)).flat_map(|(_, x)| x.clone()).collect()
}

fn close(seen: &Observation, name: &str, of: &str, expected: f64) {
    let name = if of.is_empty() { name.to_string() } else { format!("{name}/{of}") };
    let got = seen.get(&name).unwrap_or_else(|| panic!("there is no {name}"));
    let ok = (got - expected).abs() <= 2e-5 * expected.abs().max(1e-3);
    assert!(ok, "{name}: {got}, not {expected}");
}

/// Every statistic of every part, over two windows of three samples.
#[test]
fn every_number_is_the_sum_in_f64() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut watch = Watch::every(1).unwrap().group("first").group("last");
        watch = watch.directions(3).unwrap();
        let mut past: Vec<Vec<(String, Vec<f64>)>> = Vec::new();
        for t in 0..7_usize {
            let grads = draw(&net, t as u64);
            watch.look(&net, &grads);
            let after = filled(net.clone(), 40 + t as u64);
            let seen = watch.observe_update(&after).unwrap().unwrap();
            assert_eq!(seen.step, t as u64);
            let (g, p, q) =
                (numbers(&net, Some(&grads)), numbers(&net, None), numbers(&after, None));
            past.push(g.clone());

            let paths: Vec<String> = g.iter().map(|(path, _)| path.clone()).collect();
            assert_eq!(paths.len(), 6);
            let parts = paths.iter().map(String::as_str).chain(["", "first", "last"]);
            for of in parts {
                let (g, p, q) = (under(of, &g), under(of, &p), under(of, &q));
                let moved: Vec<f64> = p.iter().zip(&q).map(|(p, q)| q - p).collect();
                let n = g.len() as f64;
                let size = dot(&p, &p).sqrt();
                close(&seen, "grad_norm", of, dot(&g, &g).sqrt());
                close(&seen, "param_norm", of, size);
                close(&seen, "update_norm", of, dot(&moved, &moved).sqrt());
                close(&seen, "update_ratio", of, dot(&moved, &moved).sqrt() / size);
                let zeros = g.iter().filter(|x| **x == 0.0).count() as f64;
                close(&seen, "grad_zeros", of, zeros / n);
                close(&seen, "grad_nonfinite", of, 0.0);
                if t > 0 {
                    let h = under(of, &past[t - 1]);
                    let norms = (dot(&g, &g) * dot(&h, &h)).sqrt();
                    match norms > 0.0 {
                        true => close(&seen, "grad_cosine", of, dot(&g, &h) / norms),
                        // A layer of one element may have drawn a 0.
                        false => assert_eq!(seen.get(&format!("grad_cosine/{of}")), None),
                    }
                }
                let snr = format!("grad_snr{}{of}", if of.is_empty() { "" } else { "/" });
                assert_eq!(seen.get(&snr).is_some(), t % 3 == 2, "{snr} at {t}");
                if t % 3 == 2 {
                    let window: Vec<Vec<f64>> = (t - 2..=t).map(|s| under(of, &past[s])).collect();
                    let mean: Vec<f64> = (0..g.len())
                        .map(|i| window.iter().map(|g| g[i]).sum::<f64>() / 3.0)
                        .collect();
                    // The sample variance, by its definition.
                    let off = |g: &Vec<f64>| -> f64 {
                        g.iter().zip(&mean).map(|(g, m)| (g - m).powi(2)).sum()
                    };
                    let noise = window.iter().map(off).sum::<f64>() / 2.0;
                    let signal = (dot(&mean, &mean) - noise / 3.0).max(0.0);
                    close(&seen, "grad_snr", of, signal / noise);
                }
            }
            let zeros = seen.get("grad_zeros").unwrap();
            assert!(zeros > 0.05 && zeros < 0.5, "{zeros}");
            net = after;
        }
    });
}

/// `v` by its recurrence in `f64`, through clipped steps; and nothing of an optimizer without one.
#[test]
fn second_moments_are_those_of_adams_paper() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let adam = Adam::new().beta_2(0.9).unwrap().epsilon(1e-3).unwrap();
        let clip = GlobalNorm::at_most(0.3).unwrap();
        let mut keel = Keel::wrap(adam).clip(clip).build(&net).unwrap();
        let mut watch = Watch::every(1).unwrap().group("first");
        let mut averages: Vec<(String, Vec<f64>)> = Vec::new();
        assert!(keel.second_moments().is_empty());
        let mut clipped = 0;
        for t in 1..=6 {
            let (loss, grads) = net.backward(Batch::number(t, device).scaled(t as f64));
            let g = numbers(&net, Some(&grads));
            watch.look(&net, &grads);
            let stepped = keel.step(0.01, net, grads, &loss).unwrap();
            watch.second_moments(|| keel.second_moments());
            let seen = watch.observe(&stepped.model, &stepped.report).unwrap().unwrap();
            net = stepped.model;
            let factor = stepped.report.factor;
            clipped += u64::from(factor < 1.0);

            let begin = |(path, g): &(String, Vec<f64>)| (path.clone(), vec![0.0; g.len()]);
            if averages.is_empty() {
                averages = g.iter().map(begin).collect();
            }
            let scaled: Vec<(String, Vec<f64>)> = g
                .into_iter()
                .map(|(path, g)| (path, g.into_iter().map(|g| factor * g).collect()))
                .collect();
            for ((_, v), (_, g)) in averages.iter_mut().zip(&scaled) {
                v.iter_mut().zip(g).for_each(|(v, g)| *v = 0.9 * *v + 0.1 * g * g);
            }
            for of in ["", "first", "last.weight"] {
                let (g, v) = (under(of, &scaled), under(of, &averages));
                let v: Vec<f64> = v.iter().map(|v| v / (1.0 - 0.9_f64.powi(t as i32))).collect();
                let n = v.len() as f64;
                let ratio: f64 = g.iter().zip(&v).map(|(g, v)| g * g / v.max(1e-6)).sum();
                let close = |name: &str, expected: f64| {
                    let name = if of.is_empty() { name.into() } else { format!("{name}/{of}") };
                    let got = seen.get(&name).unwrap_or_else(|| panic!("there is no {name}"));
                    assert!((got / expected - 1.0).abs() < 1e-4, "{name}: {got}, not {expected}");
                };
                close("second_moment_rms", (ratio / n).sqrt());
                close("second_moment", (v.iter().sum::<f64>() / n).sqrt());
            }
            assert_eq!(watch.readbacks(), t);
        }
        assert!(clipped > 0);
        let plain = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        assert!(plain.second_moments().is_empty());
    });
}

#[test]
fn an_unsampled_step_costs_nothing_and_a_sampled_one_a_readback() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut bare = net.twin();
        let wrap = || Keel::wrap(SgdConfig::new().init()).clip(GlobalNorm::at_most(0.3).unwrap());
        let (mut keel, mut alone) = (wrap().build(&net).unwrap(), wrap().build(&bare).unwrap());
        let mut watch = Watch::every(4).unwrap().directions(2).unwrap();
        let (mut called, mut steps) = (0, Vec::new());
        for k in 0..10 {
            assert_eq!(watch.is_due(), k % 4 == 0);
            let batch = Batch::number(k, device);
            watch.value("output_max", || {
                called += 1;
                net.forward(batch.x.clone()).max()
            });
            let (loss, grads) = net.backward(batch.clone());
            watch.look(&net, &grads);
            let stepped = keel.step(0.1, net, grads, &loss).unwrap();
            let seen = watch.observe(&stepped.model, &stepped.report).unwrap();
            assert_eq!(watch.readbacks(), k / 4 + 1);
            net = stepped.model;
            if let Some(seen) = seen {
                let now = &stepped.report;
                close(&seen, "grad_norm", "", now.reading.grad_norm);
                close(&seen, "update_norm", "", 0.1 * now.factor * now.reading.grad_norm);
                close(&seen, "effective_lr", "", 0.1 * now.factor);
                assert!(seen.get("output_max").unwrap().is_finite());
                steps.push(seen.step);
            }
            // Nobody looks at this one, and it reads as often for itself and goes the same way.
            let (loss, grads) = bare.backward(batch);
            bare = alone.step(0.1, bare, grads, &loss).unwrap().model;
            assert_eq!(keel.readbacks(), alone.readbacks());
        }
        assert_eq!((called, steps), (3, vec![0, 4, 8]));
        let of = |net: &Net| numbers(net, None);
        assert_eq!(of(&net), of(&bare));
    });
}

#[test]
fn a_rejected_step_is_told_of_and_not_learned_from() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut twin = net.twin();
        let wrap = || Keel::wrap(SgdConfig::new().init()).clip(GlobalNorm::at_most(1e-3).unwrap());
        let (mut keel, mut clean) = (wrap().build(&net).unwrap(), wrap().build(&twin).unwrap());
        let watch = || Watch::every(1).unwrap().directions(3).unwrap();
        let (mut watch, mut sees) = (watch(), watch());
        for k in 0..6 {
            let bad = Batch::number(50 + k, device);
            let (loss, grads) = net.backward(Batch { x: with_first(bad.x, f32::NAN), y: bad.y });
            watch.look(&net, &grads);
            let stepped = keel.step(0.1, net, grads, &loss).unwrap();
            let seen = watch.observe(&stepped.model, &stepped.report).unwrap().unwrap();
            net = stepped.model;
            assert!(seen.get("grad_nonfinite").unwrap() > 0.1);
            assert_eq!(seen.get("skip_rate"), Some(1.0));
            assert_eq!((seen.get("clip_rate"), seen.get("update_norm")), (None, None));

            let mut both = Vec::new();
            for (net, keel, watch) in
                [(&mut net, &mut keel, &mut watch), (&mut twin, &mut clean, &mut sees)]
            {
                let (loss, grads) = net.backward(Batch::number(k, device));
                watch.look(net, &grads);
                let stepped = keel.step(0.1, net.clone(), grads, &loss).unwrap();
                both.push(watch.observe(&stepped.model, &stepped.report).unwrap().unwrap());
                *net = stepped.model;
            }
            let list = |seen: &Observation| -> Vec<(String, f64)> {
                seen.iter().map(|(name, x)| (name.to_string(), x)).collect()
            };
            assert_eq!(list(&both[0]), list(&both[1]), "update {k}");
            assert_eq!(both[0].get("clip_rate"), Some(1.0));
            assert_eq!(both[0].get("grad_cosine").is_some(), k > 0);
            assert_eq!(both[0].get("grad_snr").is_some(), k % 3 == 2);
        }
    });
}

#[test]
fn rates_are_of_all_steps_since_the_last_sample() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let clip = GlobalNorm::following(|at: u64| if at.is_multiple_of(2) { 1e-6 } else { 1e6 });
    let mut keel = Keel::wrap(SgdConfig::new().init()).clip(clip).build(&net).unwrap();
    let mut watch = Watch::every(8).unwrap().layers(false);
    let mut seen = Vec::new();
    for k in 0..9 {
        let batch = Batch::number(k, &device);
        let y = if k % 4 == 3 { batch.y.mul_scalar(f64::NAN) } else { batch.y };
        let (loss, grads) = net.backward(Batch { x: batch.x, y });
        watch.look(&net, &grads);
        let stepped = keel.step(0.01, net, grads, &loss).unwrap();
        seen.extend(watch.observe(&stepped.model, &stepped.report).unwrap());
        net = stepped.model;
    }
    // Of eight, the third and the seventh are skipped; of the six others, every second is clipped.
    let last = seen.last().unwrap();
    assert_eq!((last.get("skip_rate"), last.get("clip_rate")), (Some(0.25), Some(0.5)));
    assert!(last.iter().all(|(name, _)| !name.contains('/')));
}

#[test]
fn wrong_settings_are_named() {
    let said = Watch::every(0).unwrap_err().to_string();
    assert_eq!(said, "`every` of Watch must be at least 1, got 0");
    assert!(Watch::every(1).unwrap().directions(1).unwrap_err().is_parameter());
}

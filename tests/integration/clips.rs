//! Adaptive clips against their papers, and under a keel.

use crate::common::{Batch, Net, bits, noise, on_every_device, with_first};
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::checkpoint::State;
use evenkeel::clip::{AdaGc, Clip, GlobalNorm, ModuleNorm, ParameterNorm, Percentile, ZScore};
use evenkeel::optim::{AdaptiveClip, PNormClip, Sgd, ValueClip};
use evenkeel::{Decide, Keel, Layers, Reading, Verdict};

/// Norms that wander over two orders of magnitude, with a spike now and then.
fn norms(seed: u64, len: usize) -> Vec<f64> {
    let spike = |t: usize| if t % 17 == 16 { 40.0 } else { 1.0 };
    let norm = |(t, x): (usize, f32)| f64::from(4.0 * x).exp() * spike(t);
    noise(seed, len).into_iter().enumerate().map(norm).collect()
}

/// Of two parameters, whose norms make up the whole.
fn reading(norm: f64) -> Reading {
    let paths = ["first.weight".to_string(), "last".to_string()];
    let layers = Layers::new(paths, vec![0.6 * norm, 0.8 * norm]).unwrap();
    Reading::new(0).with_grad_norm(norm).with_layers(layers)
}

/// The norms that are left after a clip, step by step.
fn left(clip: &mut dyn Clip, norms: &[f64]) -> Vec<f64> {
    let step = |&norm: &f64| {
        let left = norm * clip.factor(&reading(norm));
        clip.record(&reading(norm), Verdict::Apply);
        left
    };
    norms.iter().map(step).collect()
}

fn assert_close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (t, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-12 * b.abs(), "update {t}: {a}, not {b}");
    }
}

/// AutoClip, algorithm 1: the norm joins the history, then is clipped at a percentile of it.
fn autoclip(norms: &[f64], p: f64) -> Vec<f64> {
    let mut history: Vec<f64> = Vec::new();
    let mut out = Vec::new();
    for &norm in norms {
        history.push(norm);
        let mut sorted = history.clone();
        sorted.sort_by(f64::total_cmp);
        let h = p / 100.0 * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[h.floor() as usize], sorted[h.ceil() as usize]);
        let eta = below * (1.0 - h.fract()) + above * h.fract();
        out.push(norm.min(eta));
    }
    out
}

/// ZClip, algorithm 1, with its letters: g a norm, α the decay, z_thres the threshold.
fn zclip(norms: &[f64], alpha: f64, z_thres: f64, warmup: usize) -> Vec<f64> {
    let mean = |xs: &[f64]| xs.iter().sum::<f64>() / xs.len() as f64;
    let mut mu = mean(&norms[..warmup]);
    let squares: Vec<f64> = norms[..warmup].iter().map(|g| (g - mu).powi(2)).collect();
    let mut var = mean(&squares);
    let mut out = norms[..warmup].to_vec();
    for &g in &norms[warmup..] {
        let sigma = var.sqrt();
        let z = (g - mu) / (sigma + 1e-6);
        let g_star = if z > z_thres { mu + z_thres * sigma / (z / z_thres) } else { g };
        out.push(g_star);
        mu = alpha * mu + (1.0 - alpha) * g_star;
        var = alpha * var + (1.0 - alpha) * (g_star - mu).powi(2);
    }
    out
}

#[test]
fn a_percentile_is_autoclip_while_its_window_lasts() {
    for (seed, p) in [(1, 10.0), (2, 50.0), (3, 99.0), (4, 100.0), (5, 0.5)] {
        let norms = norms(seed, 300);
        let theirs = autoclip(&norms, p);
        assert_close(&left(&mut Percentile::new(p).unwrap(), &norms), &theirs);
        let clipped = norms.iter().zip(&theirs).filter(|(norm, left)| left < norm).count();
        assert_eq!(clipped > 0, p < 100.0, "{p}: {clipped}");
    }
}

#[test]
fn a_window_forgets() {
    let norms = norms(6, 200);
    let mut clip = Percentile::new(25.0).unwrap().window(20).unwrap();
    let ours = left(&mut clip, &norms);
    for t in 20..200 {
        let theirs = autoclip(&norms[t - 19..=t], 25.0);
        assert_close(&[ours[t]], &theirs[19..]);
    }
}

#[test]
fn a_z_score_is_zclip() {
    for (seed, alpha, k, warmup) in [(1, 0.97, 2.5, 25u64), (2, 0.9, 1.0, 2), (3, 0.0, 0.5, 5)] {
        let norms = norms(seed, 300);
        let theirs = zclip(&norms, alpha, k, warmup as usize);
        let clip =
            ZScore::default().above(k).unwrap().smoothing(alpha).unwrap().warmup(warmup).unwrap();
        assert_close(&left(&mut clip.clone(), &norms), &theirs);
        assert!(norms.iter().zip(&theirs).any(|(norm, left)| left < norm));
    }
    assert_eq!(ZScore::default(), ZScore::default().above(2.5).unwrap().smoothing(0.97).unwrap());
}

type Make = fn() -> Box<dyn Clip>;

const ALL: [Make; 3] = [
    || Box::new(AdaGc::default().warmup(5).unwrap()),
    || Box::new(Percentile::new(40.0).unwrap().window(30).unwrap()),
    || Box::new(ZScore::default().above(1.5).unwrap().warmup(5).unwrap()),
];

#[test]
fn what_was_not_applied_leaves_no_trace_and_what_is_not_finite_no_harm() {
    for make in ALL {
        let (mut clip, mut twin) = (make(), make());
        for (t, norm) in norms(7, 60).into_iter().enumerate() {
            for ruling in [Verdict::Skip, Verdict::Rewind, Verdict::Halt] {
                clip.record(&reading(1e9 * norm), ruling);
            }
            for bad in [f64::NAN, f64::INFINITY] {
                clip.record(&reading(bad), Verdict::Skip);
                clip.record(&reading(bad), Verdict::Apply);
            }
            assert_eq!(clip.state(), twin.state(), "{} at {t}", clip.name());
            assert_eq!(clip.factor(&reading(norm)), twin.factor(&reading(norm)));
            clip.record(&reading(norm), Verdict::Apply);
            twin.record(&reading(norm), Verdict::Apply);
        }
    }
}

/// A factor is in (0, 1] whatever has been seen, zeros and constants included.
#[test]
fn nothing_is_made_larger_or_wiped_out() {
    let series: [fn(usize) -> f64; 4] =
        [|_| 0.0, |_| 1e-30, |t| if t % 9 == 0 { 1e30 } else { 0.0 }, |t| 1e-3 * (t as f64)];
    for make in ALL {
        for of in series {
            let mut clip = make();
            for t in 0..60 {
                let factor = clip.factor(&reading(of(t)));
                let layers = clip.layer_factors(&reading(of(t)));
                for factor in layers.into_iter().chain([factor]) {
                    assert!(factor > 0.0 && factor <= 1.0, "{} at {t}: {factor}", clip.name());
                }
                clip.record(&reading(of(t)), Verdict::Apply);
            }
        }
    }
}

/// A state with `len` times `x` in place of what each clip remembers.
fn with(state: &State, x: f64, len: usize) -> State {
    let list = |state: State, name| state.with_list(name, vec![x; len]);
    let lists = ["norms", "first", "norms"];
    let state = lists.into_iter().fold(state.clone(), list);
    // The count of AdaGC has the name of the list of the percentile, and must stay.
    match state.bytes("paths").is_ok() {
        true => state.with_count("norms", 60),
        false => state,
    }
}

#[test]
fn a_state_resumes_a_clip_anywhere_and_a_damaged_one_is_refused() {
    for make in ALL {
        let norms = norms(8, 60);
        for stop in [0, 1, 4, 5, 6, 29, 30, 31, 59] {
            let mut clip = make();
            left(&mut *clip, &norms[..stop]);
            let mut fresh = make();
            fresh.restore(&clip.state()).unwrap();
            assert_eq!(fresh.state(), clip.state());
            assert_eq!(left(&mut *fresh, &norms[stop..]), left(&mut *clip, &norms[stop..]));
        }
        let mut clip = make();
        left(&mut *clip, &norms);
        let before = clip.state();
        let damaged = [
            State::new(),
            with(&before, f64::NAN, 1),
            with(&before, -1.0, 2),
            with(&before, 1.0, 31),
        ];
        for state in damaged {
            assert!(clip.restore(&state).unwrap_err().is_record(), "{}", clip.name());
            assert_eq!(clip.state(), before);
        }
    }
}

#[test]
fn wrong_settings_are_named() {
    for bad in [0.0, -1.0, 100.1, f64::NAN, f64::INFINITY] {
        let said = Percentile::new(bad).unwrap_err().to_string();
        assert!(said.starts_with("`p` of Percentile must be above 0 and at most 100"), "{said}");
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(ZScore::default().above(bad).unwrap_err().is_parameter());
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(ParameterNorm::at_most(bad).unwrap_err().is_parameter());
        assert!(ModuleNorm::under("a", bad).unwrap_err().is_parameter());
        assert!(AdaGc::default().absolute(bad).unwrap_err().is_parameter());
        assert!(AdaGc::default().relative(bad).unwrap_err().is_parameter());
    }
    assert!(AdaGc::default().warmup(0).unwrap_err().is_parameter());
    for bad in [-0.1, 1.0, f64::NAN] {
        assert!(AdaGc::default().smoothing(bad).unwrap_err().is_parameter());
        assert!(ZScore::default().smoothing(bad).unwrap_err().is_parameter());
    }
    assert!(Percentile::default().window(1).unwrap_err().is_parameter());
    assert!(ZScore::default().warmup(1).unwrap_err().is_parameter());
}

/// Under a keel: the factor of the report is the clip's, rejected batches leave everything as if they
/// had not been seen, and a checkpoint goes on bit by bit.
#[test]
fn a_keel_carries_their_memory() {
    on_every_device(|device| {
        let build = |net: &Net| {
            Keel::wrap(SgdConfig::new().init())
                .clip(Percentile::new(40.0).unwrap())
                .clip(ZScore::default().above(1.0).unwrap().warmup(3).unwrap())
                .clip(AdaGc::default().absolute(1e9).unwrap().warmup(3).unwrap())
                .skips_at_most(50)
                .build(net)
                .unwrap()
        };
        let mut net = Net::new(device);
        let mut twin = net.twin();
        let (mut keel, mut clean) = (build(&net), build(&twin));
        let mut alone = (
            Percentile::new(40.0).unwrap(),
            ZScore::default().above(1.0).unwrap().warmup(3).unwrap(),
        );
        let (mut clipped, mut trimmed) = (0, 0);
        for k in 0..16 {
            let bad = Batch::number(50 + k, device);
            let bad = Batch { x: with_first(bad.x, f32::NAN), y: bad.y };
            let (loss, grads) = net.backward(bad);
            net = keel.step(0.05, net, grads, &loss).unwrap().model;

            let batch = Batch::number(k, device).scaled(1.0 + (k % 5) as f64);
            let (loss, grads) = net.backward(batch.clone());
            let stepped = keel.step(0.05, net, grads, &loss).unwrap();
            let now = &stepped.report.reading;
            let expected = alone.0.factor(now).min(alone.1.factor(now));
            // AdaGC can only take from single parameters here.
            assert!(stepped.report.factor <= expected, "update {k}");
            trimmed += u64::from(stepped.report.factor < expected);
            alone.0.record(now, Verdict::Apply);
            alone.1.record(now, Verdict::Apply);
            clipped += u64::from(expected < 1.0);
            net = stepped.model;

            let (loss, grads) = twin.backward(batch);
            twin = clean.step(0.05, twin, grads, &loss).unwrap().model;
            assert_eq!(bits(&net), bits(&twin), "update {k}");

            let saved = keel.checkpoint(&net).unwrap();
            let fresh = Net::new(device);
            keel = build(&fresh);
            net = keel.resume(&fresh, &saved).unwrap();
        }
        assert!((3..16).contains(&clipped) && trimmed > 2, "{clipped} {trimmed}");
    });
}

/// AdaGC, algorithm 1, with its letters: one norm of each tensor a step, and what is left of it.
fn adagc(steps: &[[f64; 2]], [abs, rel, beta]: [f64; 3], start: usize) -> Vec<[f64; 2]> {
    let mut gamma = [f64::INFINITY; 2];
    let mut out = Vec::new();
    for (t, g) in steps.iter().enumerate() {
        let whole = g[0].hypot(g[1]);
        let mut left = [0.0; 2];
        for i in 0..2 {
            if t < start {
                left[i] = g[i] * (abs / whole).min(1.0);
                gamma[i] = gamma[i].min(left[i]);
            } else {
                left[i] = g[i] * (rel * gamma[i] / g[i]).min(1.0);
                gamma[i] = beta * gamma[i] + (1.0 - beta) * left[i];
            }
        }
        out.push(left);
    }
    out
}

#[test]
fn ada_gc_is_its_paper() {
    for (seed, [abs, rel, beta], start) in
        [(1, [1.0, 1.05, 0.98], 20), (2, [0.3, 2.0, 0.5], 1), (3, [10.0, 1.0, 0.0], 7)]
    {
        let (a, b) = (norms(seed, 200), norms(seed + 50, 200));
        let steps: Vec<[f64; 2]> = a.into_iter().zip(b).map(|(a, b)| [a, b]).collect();
        let clip = AdaGc::default().absolute(abs).unwrap().relative(rel).unwrap();
        let mut clip = clip.smoothing(beta).unwrap().warmup(start as u64).unwrap();
        let theirs = adagc(&steps, [abs, rel, beta], start);
        for (t, (g, theirs)) in steps.iter().zip(&theirs).enumerate() {
            let layers = Layers::new(["a".to_string(), "b".to_string()], g.to_vec()).unwrap();
            let now = Reading::new(0).with_grad_norm(g[0].hypot(g[1])).with_layers(layers);
            let factor = clip.factor(&now);
            let each = clip.layer_factors(&now);
            assert_eq!(each.is_empty(), t < start);
            let of = |i: usize| g[i] * factor * each.get(i).unwrap_or(&1.0);
            assert_close(&[of(0), of(1)], theirs);
            clip.record(&now, Verdict::Apply);
        }
    }
}

/// SGD without momentum at rate 1: what is subtracted is what was left of the gradient.
#[test]
fn each_parameter_keeps_the_smallest_share() {
    on_every_device(|device| {
        let net = Net::new(device);
        let plain = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        let moved = |mut keel: Keel<Net>| {
            let net = net.twin();
            let (loss, grads) = net.backward(Batch::number(0, device));
            let stepped = keel.step(1.0, net.clone(), grads, &loss).unwrap();
            let of = |net: &Net| -> Vec<Vec<f64>> {
                let [first, last] = [&net.first, &net.last].map(|l| l.weight.val().into_data());
                [first, last].map(|data| data.iter::<f64>().collect()).to_vec()
            };
            let steps = of(&net).into_iter().zip(of(&stepped.model));
            let norm = |(p, q): (Vec<f64>, Vec<f64>)| {
                p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt()
            };
            (steps.map(norm).collect::<Vec<_>>(), stepped.report)
        };
        let (full, report) = moved(plain);
        let (n, at) = (report.reading.grad_norm, |path| report.reading.layers.get(path).unwrap());
        let (first, last) = (at("first.weight"), at("last.weight"));
        assert!((full[0] / first - 1.0).abs() < 1e-4 && (full[1] / last - 1.0).abs() < 1e-4);

        let wrap = || Keel::wrap(SgdConfig::new().init());
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-4, "{a}, not {b}");
        // Only the last layer is bounded, to half of what it has.
        let half = ParameterNorm::at_most(0.5 * last).unwrap().under("last.weight");
        let (some, report) = moved(wrap().clip(half.clone()).build(&net).unwrap());
        close(some[0], first);
        close(some[1], 0.5 * last);
        assert!(report.is_clipped());
        close(report.factor, (n * n - 0.75 * last * last).sqrt() / n);
        // A bound on the whole that asks for less of it decides for all; one that asks for more, for the rest.
        for share in [0.25, 0.75] {
            let whole = GlobalNorm::at_most(share * n).unwrap();
            for swap in [false, true] {
                let builder = match swap {
                    true => wrap().clip(whole).clip(half.clone()),
                    false => wrap().clip(half.clone()).clip(whole),
                };
                let (some, _) = moved(builder.build(&net).unwrap());
                close(some[0], share * first);
                close(some[1], share.min(0.5) * last);
            }
        }
        // The two tensors of a layer together.
        let layer = last.hypot(at("last.bias"));
        let part = ModuleNorm::under("last", 0.1 * layer).unwrap();
        let (some, _) = moved(wrap().clip(part).build(&net).unwrap());
        close(some[0], first);
        close(some[1], 0.1 * last);
        // A list that does not fit leaves nothing.
        struct Short;
        impl Clip for Short {
            fn factor(&self, _: &Reading) -> f64 {
                1.0
            }
            fn layer_factors(&self, _: &Reading) -> Vec<f64> {
                vec![1.0]
            }
        }
        let (none, report) = moved(wrap().clip(Short).build(&net).unwrap());
        assert_eq!((none, report.factor), (vec![0.0, 0.0], 0.0));
    });
}

#[test]
fn the_device_decides_by_bounds_on_the_global_norm_only() {
    let net = Net::new(&burn::tensor::Device::flex().autodiff());
    let late = Decide::OnDevice { every: 4 };
    for make in ALL {
        struct Boxed(Box<dyn Clip>);
        impl Clip for Boxed {
            fn factor(&self, now: &Reading) -> f64 {
                self.0.factor(now)
            }
            fn norm_at_most(&self, now: &Reading) -> Option<f64> {
                self.0.norm_at_most(now)
            }
        }
        let keel = Keel::wrap(SgdConfig::new().init()).clip(Boxed(make())).decide(late);
        assert!(keel.build(&net).unwrap_err().is_parameter());
    }
    let tensor = ParameterNorm::at_most(1.0).unwrap();
    let keel = Keel::wrap(SgdConfig::new().init()).clip(tensor).decide(late);
    let said = keel.build(&net).unwrap_err().to_string();
    assert!(
        said.contains("a bound on the global norm") && said.contains("ParameterNorm"),
        "{said}"
    );
}

/// The wrappers that clip: a rejected step leaves no trace, a resumed run goes on, and the bound holds, with
/// either place of deciding.
#[test]
fn clips_around_an_optimizer_keep_the_laws_wherever_it_is_decided() {
    fn check(
        device: &Device,
        wrap: fn() -> ModuleOptimizer,
        decide: Decide,
        holds: fn(f64) -> bool,
    ) {
        let build = |net: &Net| Keel::wrap(wrap()).decide(decide).build(net).unwrap();
        let mut net = Net::new(device);
        let mut twin = net.twin();
        let (mut keel, mut clean) = (build(&net), build(&twin));
        for k in 0..8 {
            let bad = Batch::number(50 + k, device);
            let (loss, grads) = net.backward(Batch { x: with_first(bad.x, f32::NAN), y: bad.y });
            net = keel.step(1.0, net, grads, &loss).unwrap().model;
            let before = weights(&net);
            let batch = Batch::number(k, device).scaled(5.0);
            let (loss, grads) = net.backward(batch.clone());
            net = keel.step(1.0, net, grads, &loss).unwrap().model;
            let moved = before.iter().zip(weights(&net)).map(|(p, q)| (p - q).abs());
            let most = moved.fold(0.0, f64::max);
            assert!(most > 0.0 && holds(most), "update {k}: {most}");

            let (loss, grads) = twin.backward(batch);
            twin = clean.step(1.0, twin, grads, &loss).unwrap().model;
            assert_eq!(bits(&net), bits(&twin), "update {k}");

            let saved = keel.checkpoint(&net).unwrap();
            let fresh = Net::new(device);
            keel = build(&fresh);
            net = keel.resume(&fresh, &saved).unwrap();
        }
    }
    on_every_device(|device| {
        for decide in [Decide::Now, Decide::OnDevice { every: 1 }] {
            let value = || ValueClip::new(1e-3, Sgd::new()).unwrap().into();
            // Rounding of a weight of 1 at most.
            check(device, value, decide, |most| most <= 1.001e-3);
            let largest = || PNormClip::new(f64::INFINITY, 1e-3, Sgd::new()).unwrap().into();
            check(device, largest, decide, |most| most <= 1.001e-3);
            let unit = || AdaptiveClip::new(0.01, Sgd::new()).unwrap().into();
            check(device, unit, decide, |most| most <= 0.05);
        }
    });
}

/// What begins at 0 has no length to take a share of, and still trains.
#[test]
fn weights_of_zero_train_under_an_adaptive_clip() {
    use burn::module::{Module, ModuleMapper, Param};
    struct Zero;
    impl ModuleMapper for Zero {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match param.is_require_grad() {
                true => param.map(|t| t.detach().zeros_like().require_grad()),
                false => param,
            }
        }
    }
    on_every_device(|device| {
        let mut net = Net::new(device);
        net.last = net.last.map(&mut Zero);
        let optimizer = AdaptiveClip::new(0.1, Sgd::new()).unwrap();
        let mut keel = Keel::wrap(ModuleOptimizer::from(optimizer)).build(&net).unwrap();
        let mut losses = Vec::new();
        for _ in 0..200 {
            let (loss, grads) = net.backward(Batch::number(0, device));
            let stepped = keel.step(0.5, net, grads, &loss).unwrap();
            net = stepped.model;
            losses.push(stepped.report.reading.loss);
        }
        let (first, last) = (losses[0], losses[199]);
        assert!(last < 0.5 * first, "{first} {last}");
    });
}

fn weights(net: &Net) -> Vec<f64> {
    let all = [&net.first, &net.last].map(|layer| layer.weight.val().into_data());
    all.iter().flat_map(|data| data.iter::<f64>().collect::<Vec<_>>()).collect()
}

/// Its path is empty.
#[test]
fn an_ada_gc_of_a_model_that_is_one_parameter_resumes() {
    let layers = Layers::new([String::new()], vec![2.0]).unwrap();
    let now = Reading::new(0).with_grad_norm(2.0).with_layers(layers);
    let mut clip = AdaGc::default();
    clip.record(&now, Verdict::Apply);
    let mut fresh = AdaGc::default();
    fresh.restore(&clip.state()).unwrap();
    assert_eq!(fresh.state(), clip.state());
    // And one that has seen nothing.
    fresh.restore(&AdaGc::default().state()).unwrap();
    assert_eq!(fresh.state(), AdaGc::default().state());
}

#[test]
fn a_damaged_memory_is_refused() {
    let mut clip = AdaGc::default();
    clip.record(&reading(1.0), Verdict::Apply);
    let good = clip.state();
    let with = |norms: &[f64]| good.clone().with_list("norms", norms.to_vec());
    let damaged = [
        with(&[0.6]),
        with(&[0.6, 0.0]),
        with(&[f64::INFINITY, 0.8]),
        with(&[f64::NAN, 0.8]),
        with(&[-0.6, 0.8]),
        with(&[0.6, 0.8, 1.0]),
    ];
    for state in damaged {
        assert!(clip.restore(&state).unwrap_err().is_record());
        assert_eq!(clip.state(), good);
    }
    clip.restore(&with(&[0.5, 0.5])).unwrap();
}

//! Adaptive clips against their papers, and under a keel.

mod common;

use burn::optim::SgdConfig;
use common::{Batch, Net, bits, noise, on_every_device, with_first};
use evenkeel::clip::{Clip, Percentile, ZScore};
use evenkeel::{Keel, Reading, Verdict};

/// Norms that wander over two orders of magnitude, with a spike now and then.
fn norms(seed: u64, len: usize) -> Vec<f64> {
    let spike = |t: usize| if t % 17 == 16 { 40.0 } else { 1.0 };
    let norm = |(t, x): (usize, f32)| f64::from(4.0 * x).exp() * spike(t);
    noise(seed, len).into_iter().enumerate().map(norm).collect()
}

fn reading(norm: f64) -> Reading {
    Reading::new(0).with_grad_norm(norm)
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
fn zclip(norms: &[f64], alpha: f64, z_thres: f64, warm_up: usize) -> Vec<f64> {
    let mean = |xs: &[f64]| xs.iter().sum::<f64>() / xs.len() as f64;
    let mut mu = mean(&norms[..warm_up]);
    let squares: Vec<f64> = norms[..warm_up].iter().map(|g| (g - mu).powi(2)).collect();
    let mut var = mean(&squares);
    let mut out = norms[..warm_up].to_vec();
    for &g in &norms[warm_up..] {
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
        assert_close(&left(&mut Percentile::at(p).unwrap(), &norms), &theirs);
        let clipped = norms.iter().zip(&theirs).filter(|(norm, left)| left < norm).count();
        assert_eq!(clipped > 0, p < 100.0, "{p}: {clipped}");
    }
}

#[test]
fn a_window_forgets() {
    let norms = norms(6, 200);
    let mut clip = Percentile::at(25.0).unwrap().window(20).unwrap();
    let ours = left(&mut clip, &norms);
    for t in 20..200 {
        let theirs = autoclip(&norms[t - 19..=t], 25.0);
        assert_close(&[ours[t]], &theirs[19..]);
    }
}

#[test]
fn a_z_score_is_zclip() {
    for (seed, alpha, k, warm_up) in [(1, 0.97, 2.5, 25), (2, 0.9, 1.0, 2), (3, 0.0, 0.5, 5)] {
        let norms = norms(seed, 300);
        let theirs = zclip(&norms, alpha, k, warm_up);
        let clip = ZScore::above(k).unwrap().decay(alpha).unwrap().warm_up(warm_up).unwrap();
        assert_close(&left(&mut clip.clone(), &norms), &theirs);
        assert!(norms.iter().zip(&theirs).any(|(norm, left)| left < norm));
    }
    assert_eq!(ZScore::default(), ZScore::above(2.5).unwrap().decay(0.97).unwrap());
}

type Make = fn() -> Box<dyn Clip>;

const ALL: [Make; 2] = [
    || Box::new(Percentile::at(40.0).unwrap().window(30).unwrap()),
    || Box::new(ZScore::above(1.5).unwrap().warm_up(5).unwrap()),
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
                assert!(factor > 0.0 && factor <= 1.0, "{} at {t}: {factor}", clip.name());
                clip.record(&reading(of(t)), Verdict::Apply);
            }
        }
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
            evenkeel::checkpoint::State::new(),
            before.clone().with_list("accepted", vec![f64::NAN]).with_number("mean", f64::NAN),
            before.clone().with_list("accepted", vec![1.0; 31]).with_list("first", vec![1.0; 6]),
            before.clone().with_list("accepted", vec![-1.0]).with_number("variance", -1.0),
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
        let said = Percentile::at(bad).unwrap_err().to_string();
        assert!(said.starts_with("`at` of Percentile must be above 0 and at most 100"), "{said}");
    }
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(ZScore::above(bad).unwrap_err().is_parameter());
    }
    for bad in [-0.1, 1.0, f64::NAN] {
        assert!(ZScore::default().decay(bad).unwrap_err().is_parameter());
    }
    assert!(Percentile::default().window(1).unwrap_err().is_parameter());
    assert!(ZScore::default().warm_up(1).unwrap_err().is_parameter());
}

/// Under a keel: the factor of the report is the clip's, rejected batches leave everything as if they
/// had not been seen, and a checkpoint goes on bit by bit.
#[test]
fn a_keel_carries_their_memory() {
    on_every_device(|device| {
        let build = |net: &Net| {
            Keel::wrap(SgdConfig::new().init())
                .clip(Percentile::at(40.0).unwrap())
                .clip(ZScore::above(1.0).unwrap().warm_up(3).unwrap())
                .skips_at_most(50)
                .build(net)
                .unwrap()
        };
        let mut net = Net::new(device);
        let mut twin = net.twin();
        let (mut keel, mut clean) = (build(&net), build(&twin));
        let mut alone =
            (Percentile::at(40.0).unwrap(), ZScore::above(1.0).unwrap().warm_up(3).unwrap());
        let mut clipped = 0;
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
            assert_eq!(stepped.report.factor, expected, "update {k}");
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
        assert!((3..16).contains(&clipped), "{clipped}");
    });
}

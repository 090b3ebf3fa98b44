//! The range test, where the answer is known, and where it is "none".

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::Keel;
use evenkeel::finder::{
    LossCurve, LrFinder, LrRange, Refusal, ShortSweep, Suggestion, Sweep, short_sweep,
};
use evenkeel::optim::{Adam, Momentum, Sgd};

use crate::common::{Batch, Net, bits, noise, on_every_device};
use crate::finder::dead::Raw;

fn finder() -> LrFinder {
    LrFinder::new(1e-6, 10.0).unwrap()
}

/// A made curve: losses over the rate, with noise of this deviation from a counter.
fn made(loss: impl Fn(f64) -> f64, sigma: f64) -> LrRange {
    let run = |sweep: &ShortSweep| {
        // A sum of twelve even numbers is as good as normal; in [-0.5, 0.5) it has a deviation of 1.
        let draws = noise(sweep.first, 12 * sweep.over as usize);
        let mut losses = Vec::new();
        for k in 0..sweep.over {
            let at = 12 * k as usize;
            let draw: f32 = draws[at..at + 12].iter().sum();
            losses.push(loss(sweep.rate(k)) + sigma * f64::from(draw));
            if sweep.is_lost(&losses) {
                break;
            }
        }
        Ok::<_, ()>(losses)
    };
    finder().repeats(5).unwrap().find(run).unwrap()
}

fn valley(rate: f64) -> f64 {
    2.3 - 1.6 * rate / (rate + 1e-3) + (rate / 0.3).powi(2)
}

#[test]
fn a_valley_is_found_with_its_intervals() {
    for sigma in [0.0, 0.02, 0.1] {
        let found = made(valley, sigma);
        assert_eq!(found.refusal(), None, "{found}");
        let of = |rule| found.suggestion(rule).unwrap();
        for rule in [Suggestion::Valley, Suggestion::Steep, Suggestion::Minimum] {
            let said = of(rule);
            assert!((1e-5..0.1).contains(&said.rate), "{found}");
            assert!(said.low <= said.rate && said.rate <= said.high);
            assert_eq!((said.of, said.confidence()), (5, 1.0 - 0.0625));
        }
        // The lowest point is at 0.03: it only rises from there on.
        let edge = found.edge().unwrap();
        assert!((0.02..0.35).contains(&edge.rate), "{found}");
        let text = found.to_string();
        for word in
            ["valley", "slide", "minimum/10", "steepest", "edge of divergence", "█", "5 lost"]
        {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }
}

#[test]
fn where_there_is_nothing_to_read_it_says_no_and_why() {
    let why = |found: LrRange| {
        for rule in Suggestion::ALL {
            assert_eq!(found.suggestion(rule), None);
        }
        assert_eq!(found.edge(), None);
        assert!(found.to_string().contains("no rate: the "), "{found}");
        found.refusal().unwrap()
    };
    assert!(matches!(why(made(|_| 2.3, 0.0)), Refusal::Flat { .. }));
    assert!(matches!(why(made(|_| 2.3, 0.05)), Refusal::Flat { .. }));
    assert!(matches!(why(made(|_| 2.3, 1.5)), Refusal::Noisy { .. }));
    assert!(matches!(why(made(valley, 3.0)), Refusal::Noisy { .. }));
    let rising = |rate: f64| 1.0 + rate.sqrt();
    assert!(matches!(why(made(rising, 0.0)), Refusal::Rising { .. }));
    assert!(matches!(why(made(rising, 0.05)), Refusal::Rising { .. }));
    // Flat, and then lost: there never was a good rate.
    let lost = |rate: f64| if rate < 0.1 { 2.3 } else { 1e4 };
    assert!(matches!(why(made(lost, 0.05)), Refusal::Rising { .. }));
    assert_eq!(why(made(|_| f64::NAN, 0.0)), Refusal::NotFinite);
    // Lost after ten updates.
    let soon = |rate: f64| if rate < 5e-6 { 1.0 } else { f64::INFINITY };
    assert_eq!(why(made(soon, 0.0)), Refusal::AtOnce { updates: 10 });
    let second = |rate: f64| if rate < 1.1e-6 { 1.0 } else { f64::INFINITY };
    assert_eq!(why(made(second, 0.0)), Refusal::AtOnce { updates: 1 });
    // What is sought is above the range.
    let falling = |rate: f64| 2.3 - 1.6 * rate / (rate + 10.0);
    assert!(matches!(why(made(falling, 0.01)), Refusal::StillFalling { at: 10.0 }));
}

/// Chance alone makes no valley: of a thousand searches on pure noise none is read, and few of their sweeps.
#[test]
fn noise_is_not_read() {
    for sigma in [0.01, 0.1, 1.0] {
        let mut passed = 0;
        for seed in 0..400u64 {
            let run = |sweep: &ShortSweep| {
                let draws = noise(7919 * (3 * seed + sweep.repeat) + 1, 12 * sweep.over as usize);
                let draws = draws.chunks(12).map(|twelve| f64::from(twelve.iter().sum::<f32>()));
                Ok::<_, ()>(draws.map(|draw| 2.3 + sigma * draw).collect::<Vec<f64>>())
            };
            let found = finder().find(run).unwrap();
            assert!(found.refusal().is_some(), "seed {seed}, sigma {sigma}");
            for sweep in found.sweeps() {
                passed += u32::from(sweep.refusal().is_none());
                assert!((sweep.noise() / sigma - 1.0).abs() < 0.6, "{} {sigma}", sweep.noise());
            }
        }
        eprintln!("{passed} of 1200 sweeps passed at {sigma}");
        assert!(passed < 6, "{passed} of 1200 sweeps passed at {sigma}");
    }
}

/// Repeats that say different things say nothing; a minority that says nothing is left out.
#[test]
fn repeats_vote() {
    let run = |valleys: [Option<f64>; 5]| {
        let run = move |sweep: &ShortSweep| {
            let loss = |rate: f64| match valleys[sweep.repeat as usize] {
                Some(at) => 2.3 - 1.6 * rate / (rate + at) + (rate / (300.0 * at)).powi(2),
                None => 2.3,
            };
            Ok::<_, ()>((0..sweep.over).map(|k| loss(sweep.rate(k))).collect::<Vec<f64>>())
        };
        finder().repeats(5).unwrap().find(run).unwrap()
    };
    let (low, high) = (Some(1e-5), Some(1e-2));
    let apart = run([low, high, low, high, low]);
    assert!(matches!(apart.refusal(), Some(Refusal::Disagreeing { .. })), "{apart}");
    let most = run([high, None, high, None, high]);
    assert_eq!(most.refusal(), None);
    assert_eq!(most.suggestion(Suggestion::Valley).unwrap().of, 3);
    let few = run([high, None, high, None, None]);
    assert!(matches!(few.refusal(), Some(Refusal::Flat { .. })));
}

/// The curve of a network that is dead from update `died` on, while its biases go on to learn.
fn mourned(loss: impl Fn(f64) -> f64, died: [u64; 3]) -> LrRange {
    let run = |sweep: &ShortSweep| {
        let losses = (0..sweep.over).map(|k| loss(sweep.rate(k))).collect();
        Ok::<_, ()>(LossCurve::new(losses).with_dead_from(died[sweep.repeat as usize]))
    };
    finder().find(run).unwrap()
}

#[test]
fn what_a_dead_network_learns_is_no_suggestion() {
    // A fall that all rules would read, if the network were not dead by then.
    let late = |rate: f64| if rate < 1e-3 { 2.3 } else { 2.3 - 1.6 * rate / (rate + 1e-2) };
    for (died, updates) in [([35; 3], 35), ([12, 35, 12], 12), ([0, 90, 90], 0)] {
        let found = mourned(late, died);
        assert_eq!(found.refusal(), Some(Refusal::Dead { updates }), "{found}");
        assert!(Suggestion::ALL.iter().all(|rule| found.suggestion(*rule).is_none()));
        assert_eq!((found.edge(), found.sweeps()[0].died()), (None, true));
    }
    // What was learned before is read, up to there.
    let found = mourned(|rate| 2.3 - 1.6 * rate / (rate + 1e-4), [60; 3]);
    let (last, at) = (finder_rate(59), finder_rate(60));
    assert_eq!(found.refusal(), None, "{found}");
    assert!(found.sweeps().iter().all(|s| s.rates().len() == 60 && s.died() && !s.diverged()));
    assert!(Suggestion::ALL.iter().all(|rule| found.suggestion(*rule).unwrap().high < at));
    assert!(found.edge().unwrap().rate <= last);
    assert!(found.to_string().contains("3 lost"), "{found}");
}

/// The rate of update `k` of a sweep of `finder()`.
fn finder_rate(k: i32) -> f64 {
    1e-6 * 1e7f64.powf(f64::from(k) / 99.0)
}

/// Networks of ReLUs on raw columns: stable up to 1.4·10⁻⁵ to 2.3·10⁻⁵, and dead above.
#[test]
fn a_sweep_ends_where_the_network_died() {
    let device = Device::flex().autodiff();
    let batch = |k| Raw::batch(k, &device);
    for seed in 0..4 {
        let model = Raw::new(seed, 8, &device);
        let find = |from| {
            let sweep =
                |sweep: &ShortSweep| short_sweep(&model, Sgd::new(), sweep, batch, Raw::loss);
            LrFinder::new(from, 10.0).unwrap().find(sweep).unwrap()
        };
        let found = find(1e-7);
        assert_eq!(found.refusal(), None, "{found}");
        for rule in Suggestion::ALL {
            assert!(found.suggestion(rule).unwrap().rate < 2e-5, "{found}");
        }
        assert!((1e-5..4e-5).contains(&found.edge().unwrap().rate), "{found}");
        let dead = find(1e-4);
        let early = matches!(dead.refusal(), Some(Refusal::Dead { .. } | Refusal::AtOnce { .. }));
        assert!(early, "{dead}");
    }
    let dead = Raw::dead(&device);
    let sweep = |sweep: &ShortSweep| short_sweep(&dead, Sgd::new(), sweep, batch, Raw::loss);
    let found = finder().find(sweep).unwrap();
    assert_eq!(found.refusal(), Some(Refusal::Dead { updates: 0 }));
    assert!(found.to_string().contains("dead from the start"), "{found}");
}

/// One batch that is not finite before the first update is one too many.
#[test]
fn a_loss_that_is_not_finite_from_the_start_is_told() {
    let run = |sweep: &ShortSweep| {
        let rates = (0..sweep.over).map(|k| sweep.rate(k));
        let losses: Vec<f64> = match sweep.repeat {
            2 => vec![f64::NAN],
            _ => rates.map(valley).collect(),
        };
        Ok::<_, ()>(losses)
    };
    let found = finder().repeats(5).unwrap().find(run).unwrap();
    assert_eq!(found.refusal(), Some(Refusal::NotFinite));
    assert!(found.to_string().contains("not finite before any update"), "{found}");
    assert_eq!((found.suggestion(Suggestion::Valley), found.edge()), (None, None));
}

/// `½(λ₁w₁² + λ₂w₂²)`.
fn bowl(device: &Device) -> Linear {
    let mut model = LinearConfig::new(2, 1).with_bias(false).init(device);
    let data = TensorData::new(vec![0.7f32, -0.9], [2, 1]);
    model.weight = model.weight.map(|_| Tensor::from_data(data, device).require_grad());
    model
}

fn loss(model: &Linear, lambda: [f32; 2]) -> Tensor<1> {
    let scale = Tensor::<2>::from_floats([[lambda[0]], [lambda[1]]], &model.weight.val().device());
    (model.weight.val().powi_scalar(2) * scale).sum() * 0.5
}

/// The edge that a sweep sees is that of the curvature, within the stated factor.
#[test]
fn the_edge_of_a_quadratic_is_near_two_over_its_curvature() {
    on_every_device(|device| {
        let model = bowl(device);
        // Long sweeps, on the two that differ most, come nearer to the edge.
        let short = [[0.5, 8.0], [3.0, 300.0], [1.0, 1.5], [0.01, 40.0]].map(|of| (of, 126));
        let long = [[1.0, 1.5], [0.01, 40.0]].map(|of| (of, 504));
        for (lambda, over) in short.into_iter().chain(long) {
            for momentum in [None, Some(0.9)] {
                let run = |sweep: &ShortSweep| {
                    let loss = |m: &Linear, ()| loss(m, lambda);
                    match momentum {
                        None => short_sweep(&model, Sgd::new(), sweep, |_| (), loss),
                        Some(mu) => {
                            let rule = Momentum::new(mu).unwrap();
                            short_sweep(&model, rule, sweep, |_| (), loss)
                        }
                    }
                };
                let found =
                    LrFinder::new(1e-6, 1e3).unwrap().over(over).unwrap().find(run).unwrap();
                let bound = (2.0 + 2.0 * momentum.unwrap_or(0.0)) / f64::from(lambda[1]);
                let factor = found.edge().unwrap().rate / bound;
                let stated = if momentum.is_none() { 0.9..6.0 } else { 0.1..1.5 };
                assert!(stated.contains(&factor), "{lambda:?} {momentum:?}: {factor}\n{found}");
                let suggested = found.suggestion(Suggestion::Valley).unwrap();
                assert!(suggested.rate < bound, "{found}");
            }
        }
    });
}

/// With the optimizer's state, in the middle of training, on a model with running statistics: the model, the
/// optimizer and the statistics are, bit for bit, what they were, and training goes on as if nothing had been.
#[test]
fn nothing_of_the_callers_is_changed_in_mid_training() {
    on_every_device(|device| {
        let run = |sweeping: bool| {
            let mut net = Net::new(device);
            let mut keel = Keel::wrap(Adam::new()).build(&net).unwrap();
            let mut found = None;
            for k in 0..30 {
                if sweeping && k == 20 {
                    let before = (bits(&net), keel.optimizer().state().unwrap());
                    let batch = |k| Batch::number(k, device);
                    let sweep = |sweep: &ShortSweep| {
                        short_sweep(&net, keel.optimizer(), sweep, batch, Net::loss)
                    };
                    found = Some(LrFinder::new(1e-5, 10.0).unwrap().find(sweep).unwrap());
                    assert_eq!(before.0, bits(&net));
                    assert_eq!(before.1, keel.optimizer().state().unwrap());
                }
                let (loss, grads) = net.backward(Batch::number(k, device));
                net = keel.step(0.01, net, grads, &loss).unwrap().model;
            }
            (bits(&net), found)
        };
        let (with, found) = run(true);
        assert_eq!(with, run(false).0);
        assert!(found.unwrap().updates() > 100);
    });
}

/// The optimizer's state matters: a sweep that has it begins where training stands.
#[test]
fn the_optimizers_state_is_used() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(Momentum::new(0.9).unwrap()).build(&net).unwrap();
    let batch = |k: u64| Batch::number(k % 4, &device);
    for k in 0..20 {
        let (loss, grads) = net.backward(batch(k));
        net = keel.step(0.05, net, grads, &loss).unwrap().model;
    }
    let finder = LrFinder::new(0.05, 0.050001).unwrap().over(30).unwrap().repeats(1).unwrap();
    let losses = |found: LrRange| found.sweeps()[0].losses().to_vec();
    let swept = losses(
        finder.find(|sweep| short_sweep(&net, keel.optimizer(), sweep, batch, Net::loss)).unwrap(),
    );
    let fresh = || Momentum::new(0.9).unwrap();
    let cold =
        losses(finder.find(|sweep| short_sweep(&net, fresh(), sweep, batch, Net::loss)).unwrap());
    // Training itself, on the same batches.
    let mut trained = Vec::new();
    for k in 0..30 {
        let (loss, grads) = net.backward(batch(k));
        let stepped = keel.step(0.05, net, grads, &loss).unwrap();
        trained.push(stepped.report.reading.loss);
        net = stepped.model;
    }
    let off = |a: &[f64]| -> f64 {
        a.iter().zip(&trained).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max)
    };
    assert!(off(&swept) < 1e-3, "{}", off(&swept));
    assert!(off(&cold) > 0.01, "{}", off(&cold));
}

#[test]
fn what_is_wrong_is_named() {
    let said = LrFinder::new(1.0, 1.0).unwrap_err().to_string();
    assert!(said.contains("`to` of LrFinder must be a finite number above `from`"), "{said}");
    assert!(LrFinder::new(0.0, 1.0).is_err() && LrFinder::new(f64::NAN, 1.0).is_err());
    assert!(LrFinder::new(1.0, f64::INFINITY).is_err());
    assert!(finder().over(29).is_err() && finder().repeats(0).is_err());
    assert!(finder().smoothing(1.0).is_err() && finder().smoothing(-0.1).is_err());
    assert!(Sweep::new(&[1.0, 0.5], &[1.0], 0.9).unwrap_err().to_string().contains("`rates`"));
    assert!(Sweep::new(&[1.0], &[1.0, 2.0], 0.9).unwrap_err().to_string().contains("`losses`"));
    assert!(Sweep::new(&[-1.0], &[1.0], 0.9).is_err() && Sweep::new(&[1.0], &[1.0], 1.0).is_err());
    let failing = |_: &ShortSweep| Err::<Vec<f64>, _>("no device");
    assert_eq!(finder().find(failing).unwrap_err(), "no device");
    // Both ends are what was asked for.
    let ends = |sweep: &ShortSweep| {
        assert_eq!((sweep.rate(0), sweep.rate(99)), (1e-6, 10.0));
        Ok::<_, ()>(vec![])
    };
    assert_eq!(finder().find(ends).unwrap().refusal(), Some(Refusal::TooShort { updates: 0 }));
}

/// A sweep and what was found can be written down.
#[cfg(feature = "serde")]
#[test]
fn what_was_found_can_be_written_down() {
    let found = made(valley, 0.1);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<LrRange>(&text).unwrap(), found);
}

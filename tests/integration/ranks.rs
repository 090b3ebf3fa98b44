//! Several ranks of a run, simulated by threads: one verdict for all, and nobody who waits for ever.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::clip::{GlobalNorm, PNorm};
use evenkeel::guard::LossSpike;
use evenkeel::optim::{Adam, Momentum, Sgd};
use evenkeel::precision::LossScale;
use evenkeel::ranks::{RankError, Ranks, Threads, replica};
use evenkeel::schedule::{Cosine, Schedule};
use evenkeel::{Builder, Decide, Fault, Halted, Keel, Part, Report, Rewind, Stepped, Verdict};

use crate::common::bounds::Seen;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    last: Linear,
}

fn device() -> Device {
    Device::flex().autodiff()
}

impl Net {
    fn new() -> Self {
        let device = device();
        let (first, last) = (LinearConfig::new(3, 6), LinearConfig::new(6, 1));
        Self { first: first.init(&device), last: last.init(&device) }.materialize()
    }

    /// The mean loss over these rows.
    fn loss(&self, rows: &[[f32; 3]]) -> Tensor<1> {
        let x = Tensor::<2>::from_data(TensorData::new(rows.concat(), [rows.len(), 3]), &device());
        let out = self.last.forward(relu(self.first.forward(x.clone())));
        (out - x.sum_dim(1)).powi_scalar(2).mean()
    }

    fn backward(&self, rows: &[[f32; 3]]) -> (Tensor<1>, GradientsParams) {
        let loss = self.loss(rows);
        let grads = GradientsParams::from_grads(loss.backward(), self);
        (loss, grads)
    }
}

fn bits(net: &Net) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.base().into_data().iter::<f32>().map(f32::to_bits));
        }
    }
    let mut bits = Bits(Vec::new());
    net.visit(&mut bits);
    bits.0
}

/// Numbers from 0 to 1 that depend on all of these.
fn draw(of: [u64; 4]) -> f64 {
    let mix = of.iter().fold(0x9E37_79B9_7F4A_7C15u64, |mix, &x| {
        let mix = (mix ^ x.wrapping_mul(0xBF58_476D_1CE4_E5B9)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mix ^ (mix >> 29)
    });
    (mix >> 11) as f64 / (1u64 << 53) as f64
}

fn rows(count: u64, of: [u64; 3]) -> Vec<[f32; 3]> {
    let value = |row, at| draw([of[0], of[1], of[2], row * 3 + at]) as f32 - 0.5;
    (0..count).map(|row| [0, 1, 2].map(|at| value(row, at))).collect()
}

/// Runs `each` once for each of so many ranks, in threads; what they give, in order. Fails where one hangs.
fn run<T: Send + 'static>(
    ranks: Vec<Threads>,
    each: impl Fn(Threads) -> T + Send + Sync + Clone + 'static,
) -> Vec<T> {
    let (done, wait) = mpsc::channel();
    let count = ranks.len();
    for ranks in ranks {
        let (done, each, rank) = (done.clone(), each.clone(), ranks.rank());
        thread::spawn(move || done.send((rank, each(ranks))));
    }
    drop(done);
    let next =
        |_| wait.recv_timeout(Duration::from_secs(60)).expect("a rank hangs, or has panicked");
    let mut ends: Vec<_> = (0..count).map(next).collect();
    ends.sort_by_key(|(rank, _)| *rank);
    ends.into_iter().map(|(_, end)| end).collect()
}

/// What becomes of one rank in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Nothing,
    BadLoss,
    BadGradient,
    BadInput,
    NoBatch,
    Late(Duration),
    Leaves,
}

const STEPS: u64 = 9;
const PATIENCE: Duration = Duration::from_millis(80);

fn event(run: u64, count: usize, rank: usize, step: u64) -> Event {
    // In a third of the runs somebody goes, or comes too late.
    let loss = |which| draw([run, count as u64, 77, which]);
    if loss(0) < 0.3
        && (loss(1) * count as f64) as usize == rank
        && (loss(2) * STEPS as f64) as u64 == step
    {
        return if loss(3) < 0.8 { Event::Leaves } else { Event::Late(PATIENCE * 3 / 2) };
    }
    let share = 0.3 / count as f64;
    match draw([run, count as u64, rank as u64, step]) / share {
        x if x < 0.2 => Event::BadLoss,
        x if x < 0.4 => Event::BadGradient,
        x if x < 0.6 => Event::BadInput,
        x if x < 0.9 => Event::NoBatch,
        x if x < 1.0 => Event::Late(Duration::from_millis(1)),
        _ => Event::Nothing,
    }
}

/// How one rank fared.
struct Fate {
    left: bool,
    reports: Vec<String>,
    verdicts: Vec<Verdict>,
    rank_error: Option<RankError>,
    weights: Vec<u32>,
}

fn keels(run: u64) -> Builder<Net> {
    match run % 3 {
        0 => Keel::wrap(Adam::new()).recommended().skips_at_most(1),
        1 => Keel::wrap(Momentum::new(0.9).unwrap())
            .clip(GlobalNorm::at_most(0.5).unwrap())
            .guard(LossSpike::default())
            .rewind(Rewind::every(2).unwrap())
            .skips_at_most(1),
        // Burn's own, whose updates are checked.
        _ => Keel::wrap(burn::optim::AdamConfig::new().init()).skips_at_most(2),
    }
}

fn fare(run: u64, ranks: Threads, mut net: Net) -> Fate {
    let (rank, count) = (ranks.rank(), ranks.count());
    let mut keel = keels(run).ranks(ranks.patience(PATIENCE).unwrap()).build(&net).unwrap();
    let mut schedule = Cosine::new(0.05, 0.0, STEPS).unwrap().start();
    let mut fate = Fate {
        left: false,
        reports: Vec::new(),
        verdicts: Vec::new(),
        rank_error: None,
        weights: Vec::new(),
    };
    for step in 0..STEPS {
        let event = event(run, count, rank, step);
        let batch = rows(4, [run, rank as u64, step]);
        let stepped = match event {
            Event::Leaves => {
                fate.left = true;
                break;
            }
            Event::NoBatch => keel.step_accumulated(schedule.step(), net),
            _ => {
                if let Event::Late(by) = event {
                    thread::sleep(by);
                }
                let batch = match event {
                    Event::BadInput => vec![[f32::NAN; 3]],
                    _ => batch,
                };
                let (mut loss, mut grads) = net.backward(&batch);
                match event {
                    Event::BadLoss => loss = loss * f32::INFINITY,
                    Event::BadGradient => {
                        let id = net.last.weight.id;
                        let grad = grads.remove::<2>(id).unwrap();
                        grads.register(id, grad * f32::NAN);
                    }
                    _ => {}
                }
                keel.step(schedule.step(), net, grads, &loss)
            }
        };
        let (report, halted) = match stepped {
            Ok(Stepped { model, report, .. }) => {
                net = model;
                (report, false)
            }
            Err(halted) => {
                fate.rank_error = halted.rank_error().cloned();
                let report = halted.report().clone();
                net = halted.into_model();
                (report, true)
            }
        };
        fate.verdicts.push(report.verdict);
        fate.reports.push(format!("{report:?}"));
        if halted {
            break;
        }
    }
    fate.weights = bits(&net);
    fate
}

/// `EVENKEEL_RANK_RUNS` runs for each number of ranks, or some.
#[test]
fn faulty_ranks_come_to_one_verdict_and_stay_replicas() {
    let runs = std::env::var("EVENKEEL_RANK_RUNS").map_or(20, |runs| runs.parse().unwrap());
    let (mut skips, mut rewinds, mut halts, mut missing, mut short) = (0, 0, 0, 0, 0);
    for count in [2, 4, 8] {
        for run_number in 0..runs {
            let start = Net::new();
            let fates = run(Threads::of(count).unwrap(), move |ranks| {
                fare(run_number, ranks, replica(&start))
            });
            let stayed: Vec<&Fate> = fates.iter().filter(|fate| !fate.left).collect();
            let first = stayed[0];
            for fate in &fates {
                let same = fate.reports.iter().zip(&first.reports).find(|(a, b)| a != b);
                assert_eq!(same, None, "run {run_number} of {count} ranks");
                if !fate.left {
                    assert_eq!(fate.reports.len(), first.reports.len());
                    assert_eq!(fate.rank_error, first.rank_error);
                    assert!(fate.weights == first.weights, "run {run_number} of {count} ranks");
                }
            }
            // What was broken was never applied; only its own step may have been refused.
            for (step, verdict) in first.verdicts.iter().enumerate() {
                let bad = |rank| {
                    use Event::{BadGradient, BadInput, BadLoss};
                    matches!(
                        event(run_number, count, rank, step as u64),
                        BadLoss | BadGradient | BadInput
                    )
                };
                assert!(!(0..count).any(bad) || *verdict != Verdict::Apply);
                let is_short = |rank| event(run_number, count, rank, step as u64) == Event::NoBatch;
                short += usize::from(*verdict == Verdict::Apply && (0..count).any(is_short));
            }
            assert!(first.weights.iter().all(|bits| f32::from_bits(*bits).is_finite()));
            let seen = |what| first.verdicts.iter().filter(|verdict| **verdict == what).count();
            (skips, rewinds) = (skips + seen(Verdict::Skip), rewinds + seen(Verdict::Rewind));
            (halts, missing) =
                (halts + seen(Verdict::Halt), missing + usize::from(first.rank_error.is_some()));
        }
    }
    println!(
        "{skips} skips, {rewinds} rewinds, {halts} halts, {missing} of them for a rank, {short} short"
    );
    assert!([skips, rewinds, halts - missing, missing, short].iter().all(|&seen| seen > 0));
}

/// 16 rows and 4 on two ranks are 20 rows.
#[test]
fn a_norm_over_shards_is_that_of_the_joined_batch() {
    let start = Net::new();
    let whole = {
        let net = start.clone();
        let mut keel = Keel::wrap(Sgd::new()).build(&net).unwrap();
        let (loss, grads) = net.backward(&rows(20, [1, 2, 3]));
        keel.step(0.1, net, grads, &loss).unwrap()
    };
    let weights = start.clone();
    let shards = run(Threads::of(2).unwrap(), move |ranks| {
        let net = replica(&weights);
        let rows = rows(20, [1, 2, 3]);
        let rows = if ranks.rank() == 0 { &rows[..16] } else { &rows[16..] };
        let mut keel = Keel::wrap(Sgd::new()).ranks(ranks).build(&net).unwrap();
        let (loss, grads) = net.backward(rows);
        let _ = keel.accumulate_weighted(&net, grads, &loss, rows.len() as f64).unwrap();
        let stepped = keel.step_accumulated(0.1, net).unwrap();
        (stepped.report, bits(&stepped.model))
    });
    let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-5, "{a} {b}");
    for (report, weights) in &shards {
        let (now, then) = (&report.reading, &whole.report.reading);
        near(now.grad_norm, then.grad_norm);
        near(now.loss, then.loss);
        for ((path, norm), (other, expected)) in now.layers.iter().zip(then.layers.iter()) {
            assert_eq!(path, other);
            near(norm, expected);
        }
        for (a, b) in weights.iter().zip(bits(&whole.model)) {
            assert!((f32::from_bits(*a) - f32::from_bits(b)).abs() < 1e-6);
        }
    }
    assert!(bits(&start) != shards[0].1);
}

/// One step of two ranks, of which each does what `how` does with its number.
fn one_step(
    start: &Net,
    keel: impl Fn(usize) -> Builder<Net> + Send + Sync + Clone + 'static,
    how: impl Fn(usize, &mut Keel<Net>, Net) -> Result<Stepped<Net>, Halted<Net>>
    + Send
    + Sync
    + Clone
    + 'static,
) -> Vec<Result<Report, String>> {
    let start = start.clone();
    run(Threads::of(2).unwrap(), move |ranks| {
        let rank = ranks.rank();
        let net = replica(&start);
        let mut keel = keel(rank).ranks(ranks).build(&net).unwrap();
        let stepped = how(rank, &mut keel, net);
        stepped.map(|stepped| stepped.report).map_err(|halted| halted.to_string())
    })
}

fn plain(_: usize) -> Builder<Net> {
    Keel::wrap(Sgd::new())
}

#[test]
fn a_report_says_on_which_rank_it_was() {
    let batch = |rank| rows(4, [5, rank as u64, 0]);
    let ends = one_step(&Net::new(), plain, move |rank, keel, net| {
        let (loss, mut grads) = net.backward(&batch(rank));
        if rank == 1 {
            let grad = grads.remove::<2>(net.first.weight.id).unwrap();
            grads.register(net.first.weight.id, grad * f32::INFINITY);
        }
        keel.step(0.1, net, grads, &loss)
    });
    for end in ends {
        let report = end.unwrap();
        assert_eq!(report.by.as_deref(), Some("non-finite gradient, on rank 1"));
        assert_eq!(report.reading.fault, Some(Fault::Gradient));
        let [culprit] = report.culprits.as_slice() else { panic!("{report:?}") };
        assert_eq!((culprit.path.as_str(), culprit.part), ("first.weight", Part::Gradient));
    }

    // A parameter that is broken on one rank is not taken for a bad batch by the others.
    let builder = |_| Keel::wrap(Sgd::new()).check_parameters_every(1);
    let ends = one_step(&Net::new(), builder, move |rank, keel, mut net| {
        let (loss, grads) = net.backward(&batch(rank));
        net = keel.step(0.1, net, grads, &loss)?.model;
        let (loss, grads) = net.backward(&batch(rank));
        if rank == 0 {
            net.last.weight = net.last.weight.map(|w| (w * f32::NAN).detach().require_grad());
        }
        keel.step(0.1, net, grads, &loss)
    });
    for end in ends {
        let report = end.unwrap();
        assert_eq!(report.by.as_deref(), Some("non-finite parameter, on rank 0"));
        assert_eq!(report.culprits[0].part, Part::Parameter);
    }
}

/// What one rank drops of an update is left out of it, and the others' is not.
#[test]
fn a_small_bad_batch_is_dropped_by_its_own_rank() {
    let start = Net::new();
    let scaled = |_| Keel::wrap(Sgd::new()).loss_scale(LossScale::dynamic().start(64.0).unwrap());
    let ends = one_step(&start, scaled, |rank, keel, net| {
        for small in 0..3 {
            let loss = net.loss(&rows(4, [6, rank as u64, small]));
            let scaled = loss.clone() * keel.loss_scale();
            let mut grads = GradientsParams::from_grads(scaled.backward(), &net);
            if (rank, small) == (1, 1) {
                let grad = grads.remove::<1>(net.last.bias.as_ref().unwrap().id).unwrap();
                grads.register(net.last.bias.as_ref().unwrap().id, grad * f32::INFINITY);
            }
            let report = keel.accumulate(&net, grads, &loss).unwrap();
            assert_eq!(report.is_applied(), (rank, small) != (1, 1));
        }
        // The overflow has lowered the scale there.
        assert_eq!(keel.loss_scale(), [64.0, 32.0][rank]);
        let stepped = keel.step_accumulated(0.1, net);
        assert_eq!(keel.loss_scale(), 32.0);
        stepped
    });
    let [Ok(a), Ok(b)] = ends.as_slice() else { panic!("{ends:?}") };
    assert_eq!((a, a.verdict), (b, Verdict::Apply));
    // As if one had seen the other five.
    let mut alone = Keel::wrap(Sgd::new()).build(&start).unwrap();
    for (rank, small) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)] {
        let (loss, grads) = start.backward(&rows(4, [6, rank, small]));
        let _ = alone.accumulate(&start, grads, &loss).unwrap();
    }
    let expected = alone.step_accumulated(0.1, start).unwrap().report.reading;
    assert!((a.reading.grad_norm / expected.grad_norm - 1.0).abs() < 1e-5);
    assert!((a.reading.loss / expected.loss - 1.0).abs() < 1e-5);
}

#[test]
fn what_does_not_belong_together_halts_all() {
    let batch = |rank| rows(4, [7, rank as u64, 0]);
    let go = move |rate: f64, keel: &mut Keel<Net>, net: Net, rank| {
        let (loss, grads) = net.backward(&batch(rank));
        keel.step(rate, net, grads, &loss)
    };
    let said = |ends: Vec<Result<Report, String>>| -> Vec<String> {
        ends.into_iter().map(|end| end.unwrap_err()).collect()
    };
    let halted = |why: &str| vec![format!("training halted at update 0: {why}"); 2];

    let other_rates = move |rank, keel: &mut Keel<Net>, net| go([0.1, 0.2][rank], keel, net, rank);
    let ends = said(one_step(&Net::new(), plain, other_rates));
    assert_eq!(ends, halted("rank 1 asks for a rate of 0.2, and rank 0 asks for a rate of 0.1"));

    let other_weights = move |rank, keel: &mut Keel<Net>, mut net: Net| {
        if rank == 1 {
            net.first.weight = net.first.weight.map(|w| (w * 1.01).detach().require_grad());
        }
        go(0.1, keel, net, rank)
    };
    for end in said(one_step(&Net::new(), plain, other_weights)) {
        assert!(end.contains("the replicas differ: `first.weight` has norm"), "{end}");
    }

    // One that is asked for something impossible says so, and the other hears of it.
    let ends = said(one_step(&Net::new(), plain, move |rank, keel, net| {
        let (loss, grads) = net.backward(&batch(rank));
        let loss = if rank == 0 { loss.repeat(&[2]) } else { loss };
        keel.step(0.1, net, grads, &loss)
    }));
    assert!(ends[0].contains("`loss` must be one number, got 2"), "{ends:?}");
    assert_eq!(ends[1], halted("rank 0 has halted")[0]);

    let late = Keel::wrap(Sgd::new()).decide(Decide::OnDevice { every: 4 });
    let ranks = Threads::of(1).unwrap().remove(0);
    let said = late.ranks(ranks).build(&Net::new()).unwrap_err().to_string();
    assert_eq!(said, "`ranks` of Keel must be left out with Decide::OnDevice, got 1 of them");
}

#[test]
fn threads_meet_or_say_who_is_missing() {
    let ends = run(Threads::of(3).unwrap(), |mut ranks| {
        let rank = ranks.rank();
        let all = ranks.gather(vec![rank as f64, f64::NAN]).unwrap();
        let sum = ranks.sum(Tensor::from_floats([1.0, rank as f32], &Device::flex())).unwrap();
        let sum: Vec<f32> = sum.into_data().iter::<f32>().collect();
        // The last one leaves.
        let after = if rank < 2 { Some(ranks.gather(Vec::new())) } else { None };
        (all.len(), all[2][0], all[1][1].is_nan(), sum, after)
    });
    for (rank, end) in ends.into_iter().enumerate() {
        let left = Err(RankError::Left { rank: 2 });
        assert_eq!(end, (3, 2.0, true, vec![3.0, 3.0], (rank < 2).then_some(left)));
    }

    let limit = Duration::from_millis(20);
    let late = run(Threads::of(2).unwrap(), move |ranks| {
        let rank = ranks.rank();
        let mut ranks = ranks.patience(limit).unwrap();
        thread::sleep(limit * 10 * rank as u32);
        (ranks.gather(Vec::new()).unwrap_err(), ranks.gather(Vec::new()).unwrap_err())
    });
    let expected = RankError::Late { rank: 1, limit };
    assert_eq!(late, vec![(expected.clone(), expected.clone()); 2]);
    assert_eq!(expected.to_string(), "rank 1 has not come within 20ms");

    let odd = run(Threads::of(2).unwrap(), |mut ranks| match ranks.rank() {
        0 => ranks.gather(Vec::new()).unwrap_err(),
        rank => ranks.sum(Tensor::zeros([rank], &Device::flex())).unwrap_err(),
    });
    assert_eq!(odd, vec![RankError::OutOfStep { rank: 1 }; 2]);

    let said = |error: evenkeel::Error| error.to_string();
    assert_eq!(said(Threads::of(0).unwrap_err()), "`count` of Threads must be at least 1, got 0");
    let one = Threads::of(1).unwrap().remove(0);
    let none = one.patience(Duration::ZERO).unwrap_err();
    assert_eq!(said(none), "`patience` of Threads must be above 0, got 0");
}

/// Norms of other powers, angles and sizes are in the readings that ask for them, and the same on all ranks.
#[test]
fn everything_that_is_measured_is_shared() {
    let start = Net::new();
    let ends = run(Threads::of(2).unwrap(), move |ranks| {
        let rank = ranks.rank() as u64;
        let mut net = replica(&start);
        let seen = Seen { angles: Some(1), sizes: Some(2), ..Seen::default() };
        let keel = Keel::wrap(Sgd::new()).clip(PNorm::new(4.0, 1e3).unwrap());
        let mut keel = keel.bound(seen.clone()).ranks(ranks).build(&net).unwrap();
        for step in 0..4 {
            let (loss, grads) = net.backward(&rows(4, [8, rank, step]));
            net = keel.step(0.1, net, grads, &loss).unwrap().model;
        }
        seen.readings.lock().unwrap().clone()
    });
    let [first, second] = ends.as_slice() else { panic!() };
    assert_eq!(first, second);
    for (update, now) in first.iter().enumerate() {
        let [(power, norm)] = now.p_norms[..] else { panic!("{:?}", now.p_norms) };
        assert!(power == 4.0 && norm > 0.0 && norm < now.grad_norm, "{norm}");
        assert_eq!((now.layers.len(), now.sizes.len()), (4, if update == 2 { 4 } else { 0 }));
        assert_eq!(now.alignments.len(), if update == 1 { 4 } else { 0 });
        assert!(now.alignments.iter().all(|(_, cosine)| (0.0..=1.0).contains(&cosine)));
    }
}

/// Replicas are compared in proportion to their size; nothing is also the same as nothing.
#[test]
fn small_weights_are_compared_too() {
    let filled = |net: &mut Net, by: f64| {
        net.last.weight = net.last.weight.clone().map(|w| (w * 0.0 + by).detach().require_grad());
        net.last.bias = net.last.bias.clone().map(|b| b.map(|b| (b * 0.0).detach().require_grad()));
    };
    let batch = |rank| rows(4, [9, rank as u64, 0]);
    for (here, there, same) in [(1e-3, 1e-3, true), (1e-3, 1.01e-3, false), (1e3, 1.01e3, false)] {
        let ends = one_step(&Net::new(), plain, move |rank, keel, mut net| {
            filled(&mut net, [here, there][rank]);
            let (loss, grads) = net.backward(&batch(rank));
            keel.step(1e-9, net, grads, &loss)
        });
        for end in ends {
            match end {
                Ok(_) => assert!(same, "{here} and {there}"),
                Err(said) => {
                    assert!(!same, "{said}");
                    // Of 6 equal elements.
                    let norm = (there * 6f64.sqrt()) as f32;
                    let told = said.split("and ").nth(1).unwrap().split(' ').next().unwrap();
                    let told: f64 = told.parse().unwrap();
                    assert!((told / f64::from(norm) - 1.0).abs() < 1e-5, "{said}");
                }
            }
        }
    }
}

/// A parameter is told of before a gradient, whichever rank has which.
#[test]
fn what_several_ranks_have_is_in_one_order() {
    let batch = |rank| rows(4, [5, rank as u64, 0]);
    for broken in [0, 1] {
        let builder = |_| Keel::wrap(Sgd::new()).check_parameters_every(1);
        let ends = one_step(&Net::new(), builder, move |rank, keel, mut net| {
            let (loss, grads) = net.backward(&batch(rank));
            net = keel.step(0.1, net, grads, &loss)?.model;
            let (loss, mut grads) = net.backward(&batch(rank));
            if rank == broken {
                net.last.weight = net.last.weight.map(|w| (w * f32::NAN).detach().require_grad());
            } else {
                let grad = grads.remove::<2>(net.first.weight.id).unwrap();
                grads.register(net.first.weight.id, grad * f32::INFINITY);
            }
            keel.step(0.1, net, grads, &loss)
        });
        for end in ends {
            let parts: Vec<Part> = end.unwrap().culprits.iter().map(|c| c.part).collect();
            assert_eq!(parts, [Part::Parameter, Part::Gradient], "{broken}");
        }
    }
}

/// What is frozen has no gradient on any rank, and is not in the sum.
#[test]
fn frozen_parameters_are_left_out_of_the_sum() {
    let mut start = Net::new();
    start.first.weight = start.first.weight.no_grad();
    let (whole, weights) = (rows(8, [3, 1, 4]), start.clone());
    let (loss, grads) = start.backward(&whole);
    let mut alone = Keel::wrap(Sgd::new()).build(&start).unwrap();
    let expected = alone.step(0.1, start, grads, &loss).unwrap();
    let ends = run(Threads::of(2).unwrap(), move |ranks| {
        let mut net = replica(&weights);
        net.first.weight = net.first.weight.no_grad();
        let rows = &whole[4 * ranks.rank()..][..4];
        let mut keel = Keel::wrap(Sgd::new()).ranks(ranks).build(&net).unwrap();
        let (loss, grads) = net.backward(rows);
        let stepped = keel.step(0.1, net, grads, &loss).unwrap();
        (stepped.report, bits(&stepped.model))
    });
    for (report, weights) in ends {
        assert_eq!(report.reading.layers.len(), 3);
        for (a, b) in weights.into_iter().zip(bits(&expected.model)) {
            assert!((f32::from_bits(a) - f32::from_bits(b)).abs() < 1e-6);
        }
    }
}

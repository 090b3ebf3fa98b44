//! The device's random numbers. Alone in its process: the generator is everybody's.

use std::sync::Mutex;

use burn::nn::{DropoutConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use evenkeel::finder::{LrFinder, ShortSweep, StableRate, short_run, short_sweep};
use evenkeel::init::Lsuv;
use evenkeel::monitor::Probe;
use evenkeel::optim::{Momentum, Sgd};
use evenkeel::{Decide, Keel, Rewind};

#[path = "integration/common/mod.rs"]
mod common;

use common::{Batch, Net, bits, noise};

/// Tests here take turns.
static TURN: Mutex<()> = Mutex::new(());

/// What dropout draws for a batch follows from the seed and the batch's number.
#[test]
fn a_seeded_run_draws_the_same_when_it_is_resumed_and_when_it_is_run_again() {
    let _turn = TURN.lock();
    let device = Device::flex().autodiff();
    let start = Net::new(&device);
    let build = |net: &Net, seed: Option<u64>, late: bool| {
        let keel = Keel::wrap(Sgd::new()).rewind(Rewind::every(2).unwrap());
        let keel = if late { keel.decide(Decide::OnDevice { every: 2 }) } else { keel };
        match seed {
            Some(seed) => keel.seed(seed).build(net).unwrap(),
            None => keel.build(net).unwrap(),
        }
    };
    let loss = |net: &Net, keel: &Keel<Net>| {
        let mut batch = Batch::number(keel.attempts(), &device);
        batch.x = DropoutConfig::new(0.5).init().forward(batch.x);
        if keel.attempts() == 3 {
            batch.y = batch.y * f32::NAN;
        }
        net.loss(batch)
    };
    let step = |keel: &mut Keel<Net>, net: Net| {
        let loss = loss(&net, keel);
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        keel.step(0.05, net, grads, &loss).unwrap().model
    };
    let run = |seed, stop: Option<u64>, late| {
        let mut net = start.twin();
        let mut keel = build(&net, seed, late);
        while keel.attempts() < 10 {
            if stop == Some(keel.attempts()) {
                let saved = keel.checkpoint(&net).unwrap();
                let fresh = Net::new(&device);
                keel = build(&fresh, seed, late);
                // Whatever has been drawn meanwhile.
                let _ = Tensor::<1>::random([7], Distribution::Default, &device);
                net = keel.resume(&fresh, &saved).unwrap();
            }
            net = step(&mut keel, net);
        }
        bits(&net)
    };
    for late in [false, true] {
        let whole = run(Some(3), None, late);
        assert_eq!(run(Some(3), None, late), whole);
        for stop in [2, 4, 6] {
            assert_eq!(run(Some(3), Some(stop), late), whole, "{stop}");
        }
        assert_ne!(run(Some(4), None, late), whole);
        assert_ne!(run(None, None, late), run(None, None, late));
    }
    // A run of another seed is another run.
    let keel = build(&start, Some(3), false);
    let saved = keel.checkpoint(&start).unwrap();
    for other in [Some(4), None] {
        let error = build(&start, other, false).resume(&start, &saved).unwrap_err();
        assert!(error.to_string().contains("with the seed 3"), "{error}");
    }

    // Small batches draw one after another, and again after an evaluation.
    let accumulated = |evaluate: bool| {
        let mut net = start.twin();
        let mut keel = build(&net, Some(3), false);
        for _ in 0..3 {
            for _ in 0..2 {
                if evaluate {
                    let _ = Tensor::<1>::random([7], Distribution::Default, &device);
                    keel.seed_forward(&net);
                }
                let loss = loss(&net, &keel);
                let grads = GradientsParams::from_grads(loss.backward(), &net);
                let _report = keel.accumulate(&net, grads, &loss).unwrap();
            }
            net = keel.step_accumulated(0.05, net).unwrap().model;
        }
        bits(&net)
    };
    assert_eq!(accumulated(false), accumulated(true));
    assert_ne!(accumulated(false), bits(&start));
}

/// A search draws none of its own, and a loss that draws some draws from the device's.
#[test]
fn a_search_draws_no_random_numbers() {
    let _turn = TURN.lock();
    let device = Device::flex();
    let draw = || -> Vec<f32> {
        let draws = Tensor::<1>::random([8], Distribution::Default, &device);
        draws.into_data().iter::<f32>().collect()
    };
    let training = device.clone().autodiff();
    let net = Net::new(&training);
    let batch = |k| Batch::number(k, &training);
    device.seed(7);
    let expected = draw();

    device.seed(7);
    let sweep = |sweep: &ShortSweep| short_sweep(&net, Sgd::new(), sweep, batch, Net::loss);
    LrFinder::new(1e-4, 1.0).unwrap().find(sweep).unwrap();
    let search = StableRate::new(10).unwrap().budget(100);
    search.find(|run| short_run(&net, Sgd::new(), run, batch, Net::loss)).unwrap();
    assert_eq!(draw(), expected);

    // What is written of a loss that draws, and that to seed again is the way.
    device.seed(7);
    let noisy = |net: &Net, batch: Batch| {
        let drawn = Tensor::<1>::random([1], Distribution::Default, &batch.x.device());
        net.loss(batch) * (drawn * 0.01 + 1.0)
    };
    let sweep = |sweep: &ShortSweep| short_sweep(&net, Sgd::new(), sweep, batch, noisy);
    LrFinder::new(1e-4, 1.0).unwrap().find(sweep).unwrap();
    assert_ne!(draw(), expected);
    device.seed(7);
    assert_eq!(draw(), expected);
}

/// Thirty layers of ReLUs: with Burn's weights the signal is gone, and with it the gradient.
#[test]
fn a_deep_plain_network_trains_with_it_and_not_without() {
    const DEPTH: usize = 30;
    let _turn = TURN.lock();
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_data(TensorData::new(noise(5, 64 * 4), [64, 4]), &device);
    let y = x.clone().powi_scalar(2).sum_dim(1).mul_scalar(3.0).sub_scalar(1.0);
    let forward = |net: &Vec<Linear>, probe: &Probe| {
        net.iter().enumerate().fold(x.clone(), |x, (at, layer)| {
            let x = probe.watch(&at.to_string(), layer.forward(x));
            if at + 1 < DEPTH { relu(x) } else { x }
        })
    };
    let loss = |net: &Vec<Linear>| (forward(net, &Probe::off()) - y.clone()).powi_scalar(2).mean();
    let train = |mut net: Vec<Linear>| {
        let mut keel = Keel::wrap(Momentum::new(0.9).unwrap()).recommended().build(&net).unwrap();
        for _ in 0..130 {
            let now = loss(&net);
            let grads = GradientsParams::from_grads(now.backward(), &net);
            net = keel.step(0.01, net, grads, &now).unwrap().model;
        }
        loss(&net).into_scalar::<f32>() / y.clone().var(0).into_scalar::<f32>()
    };
    for seed in 0..2 {
        device.seed(seed);
        let width = |at: usize| if at == 0 { 4 } else { 24 };
        let net: Vec<Linear> = (0..DEPTH)
            .map(|at| {
                let outputs = if at + 1 == DEPTH { 1 } else { 24 };
                LinearConfig::new(width(at), outputs).init(&device)
            })
            .collect();
        let fit = Lsuv::new((0..DEPTH).map(|at| at.to_string()))
            .unwrap()
            .fit(&net, |net, probe| drop(forward(net, probe)))
            .unwrap();
        let (plain, with) = (train(net), train(fit.model));
        println!("seed {seed}: {plain} without, {with} with");
        assert!(plain > 0.9, "seed {seed}: {plain}");
        assert!(with < 0.3, "seed {seed}: {with}");
    }
}

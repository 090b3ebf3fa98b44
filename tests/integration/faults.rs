//! Faults injected into a running training, in every place and of every kind, under every answer.
//!
//! The law under test is that of no trace: after a rejected step, everything is bit by bit as in a
//! run that never saw the batch.

use crate::common::{
    Batch, Net, bits, id_of, is_finite, on_every_device, on_every_device_each, poke, with_first,
};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::clip::GlobalNorm;
use evenkeel::guard::LossSpike;
use evenkeel::schedule::{Cosine, Ramp, Schedule, Scheduler};
use evenkeel::{Fault, Keel, Part, Reading, Rewind, Verdict};

/// What is put in: the last one is finite, and its square is not.
const KINDS: [f32; 4] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Loss,
    OneGradient,
    AllGradients,
    Parameter,
    Statistic,
}

const PLACES: [Place; 5] =
    [Place::Loss, Place::OneGradient, Place::AllGradients, Place::Parameter, Place::Statistic];

const GRADIENTS: [&str; 6] =
    ["first.weight", "first.bias", "norm.gamma", "norm.beta", "last.weight", "last.bias"];

/// One step's inputs with the fault in them.
fn faulty(place: Place, kind: f32, net: Net, batch: Batch) -> (Net, GradientsParams, Tensor<1>) {
    let (loss, mut grads) = net.backward(batch);
    let mut spoil = |path: &str| {
        let id = id_of(&net, path);
        match path.ends_with("last.weight") || path.ends_with("first.weight") {
            true => {
                let grad = grads.remove::<2>(id).unwrap();
                grads.register(id, with_first(grad, kind));
            }
            false => {
                let grad = grads.remove::<1>(id).unwrap();
                grads.register(id, with_first(grad, kind));
            }
        }
    };
    match place {
        // A loss of 3e38 is finite, if enormous; its overflow is infinity.
        Place::Loss if kind == 3e38 => {
            let loss = with_first(loss, f32::MAX) * 2.0;
            (net, grads, loss)
        }
        Place::Loss => (net, grads, with_first(loss, kind)),
        Place::OneGradient => {
            spoil("norm.beta");
            (net, grads, loss)
        }
        Place::AllGradients => {
            GRADIENTS.iter().for_each(|path| spoil(path));
            (net, grads, loss)
        }
        Place::Parameter => (poke(net, "last.weight", kind), grads, loss),
        Place::Statistic => {
            // As a forward pass leaves it there: not yet settled.
            let mean = &net.norm.running_mean;
            mean.update(with_first(mean.value_sync(), kind));
            (net, grads, loss)
        }
    }
}

type Curve = Scheduler<evenkeel::schedule::Then<Ramp, Cosine>>;

fn schedule() -> Curve {
    Ramp::new(0.0, 0.05, 2).unwrap().then(2, Cosine::new(0.05, 0.0, 10).unwrap()).start()
}

fn optimizers() -> [ModuleOptimizer; 2] {
    [AdamConfig::new().init(), SgdConfig::new().init()]
}

fn keel(optimizer: &ModuleOptimizer, net: &Net, answer: Verdict) -> Keel<Net> {
    Keel::wrap(optimizer.clone())
        .clip(GlobalNorm::at_most(0.5).unwrap())
        .guard(LossSpike::default().warmup(3).unwrap())
        .on_non_finite(answer)
        .check_parameters_every(1)
        .rewind(Rewind::every(2).unwrap().at_most(100).unwrap())
        .build(net)
        .unwrap()
}

/// Every optimizer with every fault in every place.
fn everything() -> Vec<(ModuleOptimizer, Place, f32)> {
    let kinds = |place| KINDS.map(|kind| (place, kind));
    let faults: Vec<_> = PLACES.into_iter().flat_map(kinds).collect();
    let each = |optimizer: ModuleOptimizer| {
        faults.clone().into_iter().map(move |(place, kind)| (optimizer.clone(), place, kind))
    };
    optimizers().into_iter().flat_map(each).collect()
}

#[test]
fn a_skipped_fault_leaves_no_trace_wherever_and_whatever_it_is() {
    on_every_device_each(&everything(), |device, (optimizer, place, kind)| {
        skip_without_trace(device, optimizer, *place, *kind);
    });
}

fn skip_without_trace(device: &Device, optimizer: &ModuleOptimizer, place: Place, kind: f32) {
    let case = format!("{place:?} {kind}");
    let start = Net::new(device);
    let (mut net, mut twin) = (start.twin(), start.twin());
    let mut keel_ = keel(optimizer, &net, Verdict::Skip);
    let mut twin_keel = keel(optimizer, &twin, Verdict::Skip);
    let (mut rates, mut twin_rates) = (schedule(), schedule());

    for k in 0..8 {
        if [0, 3, 4, 6].contains(&k) {
            let before = bits(&net);
            let batch = Batch::number(100 + k, device);
            let (bad, grads, loss) = faulty(place, kind, net, batch);
            let given = bits(&bad);
            let stepped = keel_.step(rates.step(), bad, grads, &loss).unwrap();
            assert_eq!(stepped.report.verdict, Verdict::Skip, "{case}");
            assert!(stepped.report.reading.fault.is_some(), "{case}");
            net = match place {
                // A parameter broken from outside stays as it was given; mend it from outside too.
                Place::Parameter => {
                    let kept = bits(&stepped.model);
                    let trained = |all: &[(String, Vec<u64>)]| -> Vec<(String, Vec<u64>)> {
                        all.iter().filter(|(p, _)| !p.contains("running")).cloned().collect()
                    };
                    assert_eq!(trained(&kept), trained(&given), "{case}");
                    let index = before.iter().position(|(p, _)| p == "last.weight").unwrap();
                    let first = f64::from_bits(before[index].1[0]) as f32;
                    poke(stepped.model, "last.weight", first)
                }
                _ => stepped.model,
            };
            assert_eq!(bits(&net), before, "{case}: a trace in the model");
            assert_eq!(rates, twin_rates, "{case}: a trace in the schedule");
        }
        let batch = Batch::number(k, device);
        let (loss, grads) = net.backward(batch.clone());
        let stepped = keel_.step(rates.step(), net, grads, &loss).unwrap();
        let (twin_loss, twin_grads) = twin.backward(batch);
        let twin_stepped = twin_keel.step(twin_rates.step(), twin, twin_grads, &twin_loss).unwrap();

        assert!(stepped.report.is_applied() && twin_stepped.report.is_applied(), "{case}");
        assert_eq!(stepped.report.factor, twin_stepped.report.factor);
        assert_eq!(stepped.report.reading.grad_norm, twin_stepped.report.reading.grad_norm);
        (net, twin) = (stepped.model, twin_stepped.model);
        assert_eq!(bits(&net), bits(&twin), "{case}: update {k} shows a trace");
        assert_eq!(rates, twin_rates);
    }
    let saved = keel_.checkpoint(&net).unwrap();
    let differences = saved.differences(&twin_keel.checkpoint(&twin).unwrap());
    assert!(
        differences.iter().all(|name| name.ends_with("attempts")),
        "{case}: a trace in the keel: {differences:?}"
    );
}

#[test]
fn a_rewound_fault_leaves_the_last_good_snapshot() {
    on_every_device_each(&everything(), |device, (optimizer, place, kind)| {
        rewind_to_the_snapshot(device, optimizer, *place, *kind);
    });
}

fn rewind_to_the_snapshot(device: &Device, optimizer: &ModuleOptimizer, place: Place, kind: f32) {
    let case = format!("{place:?} {kind}");
    let start = Net::new(device);
    let (mut net, mut twin) = (start.twin(), start.twin());
    let mut keel_ = keel(optimizer, &net, Verdict::Rewind);
    let mut twin_keel = keel(optimizer, &twin, Verdict::Rewind);
    let (mut rates, mut twin_rates) = (schedule(), schedule());

    // Five updates, with snapshots before the first and after the second and the fourth.
    for k in 0..5 {
        let (loss, grads) = net.backward(Batch::number(k, device));
        net = keel_.step(rates.step(), net, grads, &loss).unwrap().model;
    }
    let (bad, grads, loss) = faulty(place, kind, net, Batch::number(99, device));
    let stepped = keel_.step(rates.step(), bad, grads, &loss).unwrap();
    assert_eq!(stepped.report.verdict, Verdict::Rewind, "{case}");
    assert_eq!(stepped.report.rewound.map(|r| r.to), Some(4), "{case}");
    net = stepped.model;

    // The twin takes four updates and never sees the rest, but its rate is lowered as well.
    for k in 0..4 {
        let (loss, grads) = twin.backward(Batch::number(k, device));
        twin = twin_keel.step(twin_rates.step(), twin, grads, &loss).unwrap().model;
    }
    twin_rates.back_off(0.5).unwrap();
    assert_eq!(bits(&net), bits(&twin), "{case}");
    assert_eq!(rates, twin_rates, "{case}");
    assert_eq!(keel_.updates(), 4);

    for k in 10..14 {
        let (loss, grads) = net.backward(Batch::number(k, device));
        net = keel_.step(rates.step(), net, grads, &loss).unwrap().model;
        let (loss, grads) = twin.backward(Batch::number(k, device));
        twin = twin_keel.step(twin_rates.step(), twin, grads, &loss).unwrap().model;
        assert_eq!(bits(&net), bits(&twin), "{case}: update {k} after the rewind");
    }
}

#[test]
fn a_halting_fault_hands_back_the_model_and_names_the_guilty() {
    on_every_device(|device| {
        for optimizer in optimizers() {
            for place in PLACES {
                for kind in KINDS {
                    halt_with_the_model(device, &optimizer, place, kind);
                }
            }
        }
    });
}

fn halt_with_the_model(device: &Device, optimizer: &ModuleOptimizer, place: Place, kind: f32) {
    let case = format!("{place:?} {kind}");
    let mut net = Net::new(device);
    let mut keel = keel(optimizer, &net, Verdict::Halt);
    let mut rates = schedule();
    let mut snapshot = Vec::new();
    for k in 0..3 {
        let (loss, grads) = net.backward(Batch::number(k, device));
        net = keel.step(rates.step(), net, grads, &loss).unwrap().model;
        if keel.updates() == 2 {
            snapshot = bits(&net);
        }
    }
    let before = bits(&net);
    let (bad, grads, loss) = faulty(place, kind, net, Batch::number(99, device));
    let halted = keel.step(rates.step(), bad, grads, &loss).unwrap_err();
    // Weights that somebody has broken are given up for the snapshot's.
    let broken = place == Place::Parameter;
    assert_eq!(rates.position(), if broken { 2 } else { 3 }, "{case}");

    let named: Vec<(Part, &str)> =
        halted.culprits().iter().map(|c| (c.part, c.path.as_str())).collect();
    let fault = halted.report().reading.fault;
    match place {
        Place::Loss => assert_eq!((fault, named), (Some(Fault::Loss), vec![]), "{case}"),
        Place::OneGradient => {
            assert_eq!(fault, Some(Fault::Gradient), "{case}");
            assert_eq!(named, [(Part::Gradient, "norm.beta")], "{case}");
        }
        Place::AllGradients => {
            assert_eq!(fault, Some(Fault::Gradient), "{case}");
            // From the end of the model to its start, as a backward pass goes.
            let backward: Vec<_> =
                GRADIENTS.iter().rev().map(|path| (Part::Gradient, *path)).collect();
            assert_eq!(named, backward, "{case}");
        }
        Place::Parameter => {
            assert_eq!(fault, Some(Fault::Parameter), "{case}");
            assert_eq!(named, [(Part::Parameter, "last.weight")], "{case}");
        }
        Place::Statistic => {
            assert_eq!(fault, Some(Fault::Statistic), "{case}");
            assert_eq!(named, [(Part::Statistic, "norm.running_mean")], "{case}");
        }
    }
    let culprit = halted.culprits().first().cloned();
    if let Some(found) = culprit {
        let counts = (found.nan, found.infinite);
        match kind {
            k if k.is_nan() => assert_eq!(counts, (1, 0), "{case}"),
            k if k.is_infinite() => assert_eq!(counts, (0, 1), "{case}"),
            _ => assert_eq!(counts, (0, 0), "{case}"),
        }
        assert!(halted.to_string().contains(&format!("`{}`", found.path)), "{halted}");
    }
    let (model, abandoned) = halted.into_models();
    assert_eq!(bits(&model), if broken { snapshot } else { before }, "{case}");
    assert_eq!(abandoned.is_some(), broken, "{case}");
}

/// A real bad batch: NaN in the input poisons the loss, every gradient and, before anyone can
/// judge it, BatchNorm's running statistics.
#[test]
fn a_bad_batch_is_undone_in_the_running_statistics_too() {
    on_every_device(|device| {
        let start = Net::new(device);
        let (mut net, mut twin) = (start.twin(), start.twin());
        let mut keel = Keel::wrap(AdamConfig::new().init()).build(&net).unwrap();
        let mut twin_keel = Keel::wrap(AdamConfig::new().init()).build(&twin).unwrap();
        for k in 0..6 {
            if k % 2 == 0 {
                for bad in [f32::NAN, f32::INFINITY, 1e30] {
                    let mut batch = Batch::number(50 + k, device);
                    batch.x = with_first(batch.x, bad);
                    let (loss, grads) = net.backward(batch);
                    let stepped = keel.step(0.05, net, grads, &loss).unwrap();
                    assert_eq!(stepped.report.verdict, Verdict::Skip, "{bad}: {}", stepped.report);
                    net = stepped.model;
                }
            }
            let batch = Batch::number(k, device);
            let (loss, grads) = net.backward(batch.clone());
            net = keel.step(0.05, net, grads, &loss).unwrap().model;
            let (loss, grads) = twin.backward(batch.clone());
            twin = twin_keel.step(0.05, twin, grads, &loss).unwrap().model;
            assert_eq!(bits(&net), bits(&twin), "update {k}");
        }
        // And so does what the model says in evaluation, where the statistics are used.
        let x = Batch::number(0, device).x.inner();
        let said = |net: &Net| net.valid().forward(x.clone()).into_data();
        assert_eq!(said(&net), said(&twin));
    });
}

/// Everything measured is finite, but the update is not: only the check afterwards can tell.
#[test]
fn an_update_that_overflows_is_taken_back_and_halts() {
    on_every_device(|device| {
        for optimizer in optimizers() {
            let net = Net::new(device);
            let mut keel = Keel::wrap(optimizer).build(&net).unwrap();
            let (loss, grads) = net.backward(Batch::number(0, device));
            let before = bits(&Net::new(device));
            let halted = keel.step(1e39, net, grads, &loss).unwrap_err();
            assert_eq!(halted.report().reading.fault, Some(Fault::Update));
            assert!(!halted.culprits().is_empty());
            assert!(halted.to_string().starts_with(
                "training halted at update 0: non-finite update, and there is no snapshot to \
                 rewind to, first in parameter `first.weight`: "
            ));
            let net = halted.into_model();
            assert_eq!(bits(&net), before);

            // The optimizer may be poisoned, and nothing is built on it any more.
            assert!(keel.checkpoint(&net).unwrap_err().is_record());
            let (loss, grads) = net.backward(Batch::number(1, device));
            let halted = keel.step(0.01, net, grads, &loss).unwrap_err();
            assert!(halted.to_string().contains("build a new keel"), "{halted}");
            assert_eq!(bits(halted.model()), before);
        }
    });
}

/// With a snapshot, it goes back to it, optimizer and all.
#[test]
fn an_update_that_overflows_rewinds_if_it_can() {
    on_every_device(|device| {
        for optimizer in optimizers() {
            let start = Net::new(device);
            let (mut net, mut twin) = (start.twin(), start.twin());
            let build = |net: &Net| {
                let rewind = Rewind::every(2).unwrap().backoff(1.0).unwrap();
                Keel::wrap(optimizer.clone()).rewind(rewind).build(net).unwrap()
            };
            let (mut keel, mut twin_keel) = (build(&net), build(&twin));
            for (k, rate) in [0.1, 0.1, 0.1, 1e39].into_iter().enumerate() {
                let (loss, grads) = net.backward(Batch::number(k as u64, device));
                let stepped = keel.step(rate, net, grads, &loss).unwrap();
                assert_eq!(stepped.report.is_applied(), rate < 1.0, "{}", stepped.report);
                net = stepped.model;
            }
            for k in 0..2 {
                let (loss, grads) = twin.backward(Batch::number(k, device));
                twin = twin_keel.step(0.1, twin, grads, &loss).unwrap().model;
            }
            for k in 5..9 {
                assert_eq!(bits(&net), bits(&twin), "update {k}");
                let (loss, grads) = net.backward(Batch::number(k, device));
                net = keel.step(0.1, net, grads, &loss).unwrap().model;
                let (loss, grads) = twin.backward(Batch::number(k, device));
                twin = twin_keel.step(0.1, twin, grads, &loss).unwrap().model;
            }
        }
    });
}

/// A NaN or an infinity in the rate itself.
#[test]
fn a_broken_rate_is_a_fault() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        for rate in [f64::NAN, f64::INFINITY] {
            let (loss, grads) = net.backward(Batch::number(0, device));
            let stepped = keel.step(rate, net, grads, &loss).unwrap();
            assert_eq!(stepped.report.reading.fault, Some(Fault::Rate));
            assert_eq!(stepped.report.verdict, Verdict::Skip);
            net = stepped.model;
        }
        assert!(is_finite(&net));
    });
}

#[test]
fn skips_in_a_row_are_bounded_and_then_halt() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init()).skips_at_most(3).build(&net).unwrap();
        let bad = |net: Net| faulty(Place::OneGradient, f32::NAN, net, Batch::number(0, device));
        for round in 0..2 {
            for rejected in 1..=3 {
                let (given, grads, loss) = bad(net);
                let stepped = keel.step(0.1, given, grads, &loss).unwrap();
                assert_eq!(stepped.report.rejected, rejected, "round {round}");
                net = stepped.model;
            }
            // One good step, and the count begins anew.
            let (loss, grads) = net.backward(Batch::number(1, device));
            net = keel.step(0.1, net, grads, &loss).unwrap().model;
        }
        for _ in 0..3 {
            let (given, grads, loss) = bad(net);
            net = keel.step(0.1, given, grads, &loss).unwrap().model;
        }
        let before = bits(&net);
        let (given, grads, loss) = bad(net);
        let halted = keel.step(0.1, given, grads, &loss).unwrap_err();
        assert_eq!(
            halted.to_string(),
            "training halted at update 2: non-finite gradient, 4 steps in a row, in the gradient \
             of `norm.beta`: 1 of 5 NaN"
        );
        assert_eq!(bits(halted.model()), before);
    });
}

/// Rewinds go back further each time, back off each time, and end in a halt.
#[test]
fn rewinds_are_bounded_and_then_halt() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .on_non_finite(Verdict::Rewind)
            .rewind(Rewind::every(2).unwrap().keep(3).unwrap().at_most(3).unwrap())
            .build(&net)
            .unwrap();
        let mut rates = Ramp::new(0.1, 0.2, 100).unwrap().start();
        let mut states = vec![bits(&net)];
        for k in 0..5 {
            let (loss, grads) = net.backward(Batch::number(k, device));
            net = keel.step(rates.step(), net, grads, &loss).unwrap().model;
            states.push(bits(&net));
        }
        for (update, gain) in [(4, 0.5), (2, 0.25), (0, 0.125)] {
            let (given, grads, loss) = faulty(Place::Loss, f32::NAN, net, Batch::number(0, device));
            let stepped = keel.step(rates.step(), given, grads, &loss).unwrap();
            assert_eq!(stepped.report.rewound.map(|r| r.to), Some(update));
            assert_eq!((rates.position(), rates.gain()), (update, gain));
            net = stepped.model;
            assert_eq!(bits(&net), states[update as usize], "snapshot {update}");
        }
        let (given, grads, loss) = faulty(Place::Loss, f32::NAN, net, Batch::number(0, device));
        let halted = keel.step(rates.step(), given, grads, &loss).unwrap_err();
        assert_eq!(
            halted.to_string(),
            "training halted at update 0: non-finite loss, after 3 rewinds"
        );
    });
}

/// A plain rate has no schedule that could back off, so the keel lowers it.
#[test]
fn a_plain_rate_is_lowered_by_the_keel() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .on_non_finite(Verdict::Rewind)
        .rewind(Rewind::every(1).unwrap().backoff(0.1).unwrap())
        .build(&net)
        .unwrap();
    let (loss, grads) = net.backward(Batch::number(7, &device));
    let net = keel.step(1.0, net, grads, &loss).unwrap().model;
    let (given, grads, loss) = faulty(Place::Loss, f32::NAN, net, Batch::number(0, &device));
    let net = keel.step(1.0, given, grads, &loss).unwrap().model;
    let before = bits(&net);
    let (loss, grads) = net.backward(Batch::number(1, &device));
    let stepped = keel.step(1.0, net.twin(), grads, &loss).unwrap();
    assert_eq!(stepped.report.reading.lr, 0.1);

    let (_, grads) = net.backward(Batch::number(1, &device));
    let bare = SgdConfig::new().init().step(0.1, net, grads);
    let trained = |all: Vec<(String, Vec<u64>)>| -> Vec<_> {
        all.into_iter().filter(|(path, _)| !path.contains("running")).collect()
    };
    assert_eq!(trained(bits(&stepped.model)), trained(bits(&bare)));
    assert_ne!(trained(bits(&stepped.model)), trained(before));
}

/// Asked to rewind without snapshots, it halts and says so.
#[test]
fn a_rewind_without_snapshots_is_a_halt() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let mut keel =
        Keel::wrap(SgdConfig::new().init()).on_non_finite(Verdict::Rewind).build(&net).unwrap();
    let (given, grads, loss) = faulty(Place::Loss, f32::NAN, net, Batch::number(0, &device));
    let halted = keel.step(1.0, given, grads, &loss).unwrap_err();
    assert_eq!(
        halted.to_string(),
        "training halted at update 0: non-finite loss, and there is no snapshot to rewind to"
    );
}

/// A guard that remembers only what was applied cannot be shifted by what was not.
#[test]
fn a_loss_spike_is_skipped_and_does_not_move_its_own_threshold() {
    on_every_device(|device| {
        let mut net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .guard(LossSpike::default().warmup(4).unwrap())
            .build(&net)
            .unwrap();
        let mut skipped = Vec::new();
        for k in 0..30 {
            let mut batch = Batch::number(k % 4, device);
            if k >= 8 && k % 3 == 0 {
                batch.y = batch.y + 100.0;
            }
            let (loss, grads) = net.backward(batch);
            let stepped = keel.step(0.01, net, grads, &loss).unwrap();
            if !stepped.report.is_applied() {
                assert_eq!(stepped.report.by.as_deref(), Some("LossSpike"));
                skipped.push(k);
            }
            net = stepped.model;
        }
        assert_eq!(skipped, [9, 12, 15, 18, 21, 24, 27]);
    });
}

/// Guards hear of every step once, with what became of it.
#[test]
fn every_policy_hears_each_final_verdict_once() {
    use std::sync::{Arc, Mutex};
    type Heard = Arc<Mutex<Vec<(u64, Verdict)>>>;
    struct Ear(Heard);
    impl evenkeel::guard::Guard for Ear {
        fn judge(&self, _: &Reading) -> Verdict {
            Verdict::Apply
        }
        fn record(&mut self, now: &Reading, ruling: Verdict) {
            self.0.lock().unwrap().push((now.attempt, ruling));
        }
    }
    impl evenkeel::clip::Clip for Ear {
        fn factor(&self, _: &Reading) -> f64 {
            1.0
        }
        fn record(&mut self, now: &Reading, ruling: Verdict) {
            self.0.lock().unwrap().push((now.attempt, ruling));
        }
    }
    let device = Device::flex().autodiff();
    let (guard, clip): (Heard, Heard) = Default::default();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .guard(Ear(guard.clone()))
        .clip(Ear(clip.clone()))
        .skips_at_most(1)
        .rewind(Rewind::every(1).unwrap().at_most(1).unwrap())
        .build(&net)
        .unwrap();
    let mut rate = [0.1, 0.1, 1e39, 0.1].into_iter();
    for bad in [false, true, false, true, true, true, true] {
        let batch = Batch::number(0, &device);
        let (given, grads, loss) = match bad {
            true => faulty(Place::Loss, f32::NAN, net, batch),
            false => {
                let (loss, grads) = net.backward(batch);
                (net, grads, loss)
            }
        };
        net = match keel.step(rate.next().unwrap_or(0.1), given, grads, &loss) {
            Ok(stepped) => stepped.model,
            Err(halted) => halted.into_model(),
        };
    }

    let expected = [
        (0, Verdict::Apply),
        (1, Verdict::Skip),
        (2, Verdict::Rewind),
        (3, Verdict::Skip),
        (4, Verdict::Halt),
        (5, Verdict::Skip),
        (6, Verdict::Halt),
    ];
    assert_eq!(*guard.lock().unwrap(), expected);
    assert_eq!(*clip.lock().unwrap(), expected);
}

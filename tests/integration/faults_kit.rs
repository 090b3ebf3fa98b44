//! The kit itself: each harm does what it says, and each check fails on a loop that is broken.

use std::collections::BTreeSet;

use crate::common::{Batch, Net, on_every_device, on_every_device_each};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, DType, Device, Tensor};
use evenkeel::checkpoint::{Checkpoint, Persist};
use evenkeel::faults::{
    Broken, Fingerprint, Harm, Injector, Place, Trainee, Trouble, When, leaves_no_trace,
    resumes_exactly, survives,
};
use evenkeel::guard::LossSpike;
use evenkeel::schedule::{Cosine, Ramp, Schedule, Scheduler, Then};
use evenkeel::{Keel, Verdict};

const STEPS: u64 = 40;
const HARMS: [Harm; 6] = [
    Harm::Nan,
    Harm::Infinity,
    Harm::NegativeInfinity,
    Harm::Overflow,
    Harm::Spike(1e6),
    Harm::Zero,
];

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().iter::<f32>().collect()
}

fn loss(net: &Net, k: u64, faults: &mut Injector, at: u64) -> Tensor<1> {
    let device = net.last.weight.val().device();
    let mut batch = Batch::number(k, &device);
    batch.x = faults.batch(at, batch.x);
    let loss = net.loss(batch);
    faults.loss(at, loss)
}

fn clean_loss(net: &Net) -> f64 {
    let (net, mut none) = (net.valid(), Injector::new(0));
    (0..8).map(|k| loss(&net, k, &mut none, 0).into_scalar::<f64>()).sum()
}

/// The loop that everybody writes.
struct Bare {
    net: Net,
    optimizer: ModuleOptimizer,
    /// What its author has thought of.
    care: Care,
}

#[derive(Clone, Copy, PartialEq)]
enum Care {
    None,
    /// Steps are left out if the loss is not finite.
    LooksAtTheLoss,
    /// Climbs instead of descending.
    Climbs,
    /// Knows that Burn holds BatchNorm's last statistics back from a record.
    Settles,
}

impl Bare {
    fn of(start: &Net, care: Care) -> Self {
        Self { net: start.twin(), optimizer: AdamConfig::new().init(), care }
    }
}

impl Trainee for Bare {
    fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
        let loss = loss(&self.net, faults.batch_at(at), faults, at);
        let grads = GradientsParams::from_grads(loss.backward(), &self.net);
        let grads = faults.gradients(at, &self.net, grads)?;
        let bad = self.care == Care::LooksAtTheLoss && !loss.into_scalar::<f32>().is_finite();
        let rate = if self.care == Care::Climbs { -0.01 } else { 0.01 };
        if !bad {
            self.net = self.optimizer.step(rate, self.net.clone(), grads);
        }
        Ok(())
    }

    fn loss(&self) -> f64 {
        clean_loss(&self.net)
    }

    fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
        Ok(Fingerprint::of(&self.net)?)
    }

    /// The weights, as in every tutorial, and not the optimizer.
    fn save(&self) -> Result<Vec<u8>, Trouble> {
        if self.care == Care::Settles {
            let _ = self.net.valid();
        }
        Ok(self.net.clone().into_record().into_bytes()?.to_vec())
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Trouble> {
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(saved.to_vec()))?;
        self.net = self.net.clone().load_record(record);
        Ok(())
    }
}

/// The same through evenkeel.
struct Kept {
    net: Net,
    keel: Keel<Net>,
    rates: Scheduler<Then<Ramp, Cosine>>,
}

impl Kept {
    fn of(start: &Net) -> Self {
        let net = start.twin();
        let keel = Keel::wrap(AdamConfig::new().init())
            .guard(LossSpike::above(10.0).unwrap().warmup(5).unwrap())
            .average(evenkeel::average::Ema::new(0.9).unwrap())
            .build(&net)
            .unwrap();
        let cosine = Cosine::new(0.02, 0.001, STEPS).unwrap();
        Self { net, keel, rates: Ramp::new(0.0, 0.02, 4).unwrap().then(4, cosine).start() }
    }
}

impl Trainee for Kept {
    fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
        let loss = loss(&self.net, faults.batch_at(at), faults, at);
        let grads = GradientsParams::from_grads(loss.backward(), &self.net);
        let grads = faults.gradients(at, &self.net, grads)?;
        self.net = self.keel.step(self.rates.step(), self.net.clone(), grads, &loss)?.model;
        Ok(())
    }

    fn loss(&self) -> f64 {
        clean_loss(&self.net)
    }

    fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
        let now = Fingerprint::of(&self.net)?.with("rate", [self.rates.peek()]);
        match self.keel.averaged(&self.net) {
            Some(average) => Ok(now.with_model("average", &average)?),
            None => Ok(now),
        }
    }

    fn save(&self) -> Result<Vec<u8>, Trouble> {
        let all = self.keel.checkpoint(&self.net)?.with("rates", &self.rates)?;
        Ok(all.into_bytes()?)
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Trouble> {
        let saved = Checkpoint::from_bytes(saved)?;
        let beside: &mut [(&str, &mut dyn Persist)] = &mut [("rates", &mut self.rates)];
        self.net = self.keel.resume_with(&self.net, &saved, beside)?;
        Ok(())
    }
}

fn faults(harm: Harm, place: Place) -> Injector {
    let when = When::at([0, 7, 20, 21]);
    Injector::new(5).inject(harm, place, when).unwrap()
}

/// What is not finite, wherever it is put.
fn deadly() -> impl Iterator<Item = (Harm, Place)> {
    let places =
        [Place::Batch, Place::Loss, Place::Gradients, Place::gradient("norm"), Place::AnyGradient];
    let harms = [Harm::Nan, Harm::Infinity, Harm::NegativeInfinity, Harm::Overflow];
    places.into_iter().flat_map(move |place| harms.map(|harm| (harm, place.clone())))
}

#[test]
fn a_keel_passes_all_checks_under_every_deadly_harm() {
    let cases: Vec<_> = deadly().collect();
    on_every_device_each(&cases, |device, (harm, place)| {
        let start = Net::new(device);
        // Before the first update, alone, and twice in a row, with updates after each. A hundred runs on each device
        // have to be short.
        let (steps, when) = (15, When::at([0, 5, 10, 11]));
        let faults = Injector::new(5).inject(*harm, place.clone(), when).unwrap();
        let make = || Kept::of(&start);
        let said = |check: Result<(), Broken>| check.map_err(|e| format!("{harm}, {place}: {e}"));
        said(survives(make, steps, &faults)).unwrap();
        said(leaves_no_trace(make, steps, &faults)).unwrap();
        said(resumes_exactly(make, steps, 8, &faults)).unwrap();
    });
}

#[test]
fn a_keel_passes_under_random_harm_stuck_batches_and_dead_layers() {
    let start = Net::new(&Device::flex().autodiff());
    for seed in 0..5 {
        let at_times = || When::chance(0.03).unwrap();
        let faults = Injector::new(seed)
            .inject(Harm::Nan, Place::Batch, When::chance(0.1).unwrap())
            .unwrap()
            .inject(Harm::Spike(1e5), Place::Loss, at_times().within(10..STEPS))
            .unwrap()
            .stuck(at_times().over(3).unwrap())
            .unwrap()
            .dead("first", at_times().over(4).unwrap())
            .unwrap();
        survives(|| Kept::of(&start), STEPS, &faults).unwrap();
        resumes_exactly(|| Kept::of(&start), STEPS, 25, &faults).unwrap();
    }
}

/// Each check fails where it should, and says at which step and in what.
#[test]
fn a_bare_loop_fails_each_check_and_is_told_where() {
    on_every_device(|device| {
        let start = Net::new(device);
        let bare = |care| {
            let start = &start;
            move || Bare::of(start, care)
        };
        // A NaN in the batch is in every weight after the same step.
        let nan = Injector::new(1).inject(Harm::Nan, Place::Batch, When::at([7])).unwrap();
        let broken = survives(bare(Care::None), STEPS, &nan).unwrap_err();
        assert!(matches!(&broken, Broken::Poisoned { at: 7, .. }), "{broken}");
        let broken = leaves_no_trace(bare(Care::None), STEPS, &nan).unwrap_err();
        assert!(matches!(&broken, Broken::Traced { at: 7, injected: 7, .. }), "{broken}");

        // The loss is looked at: the weights are saved, and BatchNorm's statistics are not.
        let broken = survives(bare(Care::LooksAtTheLoss), STEPS, &nan).unwrap_err();
        let Broken::Poisoned { at: 7, name } = &broken else { panic!("{broken}") };
        assert_eq!(name, "norm.running_mean");
        let broken = leaves_no_trace(bare(Care::LooksAtTheLoss), STEPS, &nan).unwrap_err();
        assert!(broken.to_string().contains("`norm.running_mean`"), "{broken}");

        // A NaN in a gradient goes past who looks at the loss.
        let grad = faults(Harm::Nan, Place::gradient("last.weight"));
        let broken = survives(bare(Care::LooksAtTheLoss), STEPS, &grad).unwrap_err();
        assert_eq!(broken, Broken::Poisoned { at: 0, name: "last.weight".into() });

        // A record that is taken right after a step lacks the last statistics.
        let none = Injector::new(0);
        let broken = resumes_exactly(bare(Care::None), STEPS, 12, &none).unwrap_err();
        let name = "norm.running_mean".to_string();
        assert_eq!(broken, Broken::Diverged { stop: 12, at: 11, name });
        // Without the moments, the next update is another one.
        let broken = resumes_exactly(bare(Care::Settles), STEPS, 12, &none).unwrap_err();
        assert!(matches!(&broken, Broken::Diverged { stop: 12, at: 12, .. }), "{broken}");
    });
}

/// A batch that overflows inside of the optimizer only, in the second moment, shows later.
#[test]
fn what_hides_in_the_optimizer_is_found() {
    let start = Net::new(&Device::flex().autodiff());
    // Finite, and so is the weight after the step: Adam divides a huge number by itself.
    let huge = Injector::new(3).inject(Harm::Overflow, Place::Gradients, When::at([9])).unwrap();
    let broken = leaves_no_trace(|| Bare::of(&start, Care::LooksAtTheLoss), STEPS, &huge);
    assert!(matches!(&broken, Err(Broken::Traced { at: 9.., injected: 9, .. })), "{broken:?}");
    leaves_no_trace(|| Kept::of(&start), STEPS, &huge).unwrap();
}

#[test]
fn a_loop_that_does_not_train_and_a_check_that_shows_nothing_are_told() {
    let start = Net::new(&Device::flex().autodiff());
    let zero = faults(Harm::Zero, Place::Loss);
    let broken = survives(|| Bare::of(&start, Care::Climbs), 5, &zero).unwrap_err();
    assert!(matches!(broken, Broken::Untrained { steps: 5, before, after } if before < after));

    let late = Injector::new(0).inject(Harm::Nan, Place::Loss, When::at([5])).unwrap();
    let make = || Kept::of(&start);
    for unharmed in [survives(make, 5, &late), leaves_no_trace(make, 5, &late)] {
        assert_eq!(unharmed, Err(Broken::Unharmed { steps: 5 }));
    }
    assert_eq!(resumes_exactly(make, 5, 5, &late), Err(Broken::Short { steps: 5, stop: 5 }));

    // A halt is an end, and says why.
    let always = Injector::new(0).inject(Harm::Nan, Place::Loss, When::at(0..99)).unwrap();
    let broken = survives(make, STEPS, &always).unwrap_err();
    let Broken::Stopped { at: 10, cause } = &broken else { panic!("{broken}") };
    assert!(cause.contains("non-finite loss, 11 steps in a row"), "{cause}");

    // And a loop that cannot be saved says so.
    struct Mute(Bare);
    impl Trainee for Mute {
        fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
            self.0.step(at, faults)
        }
        fn loss(&self) -> f64 {
            self.0.loss()
        }
        fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
            self.0.fingerprint()
        }
    }
    let broken = resumes_exactly(|| Mute(Bare::of(&start, Care::None)), 5, 2, &late).unwrap_err();
    assert_eq!(broken.to_string(), "step 2 ended with an error: this loop cannot be saved");
}

#[test]
fn each_harm_does_what_it_says_and_nothing_else() {
    on_every_device(|device| {
        let clean = Batch::number(1, device).x;
        for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
            if !device.clone().inner().supports_dtype(dtype) {
                continue;
            }
            let x = clean.clone().cast(dtype);
            let before: Vec<f64> = x.to_data().convert::<f64>().iter().collect();
            for harm in HARMS {
                let mut faults = faults(harm, Place::Batch);
                let untouched = faults.batch(6, x.clone());
                assert_eq!(untouched.to_data(), x.to_data());
                let harmed = faults.batch(7, x.clone());
                assert_eq!((harmed.dtype(), harmed.shape()), (dtype, x.shape()));
                let after: Vec<f64> = harmed.to_data().convert::<f64>().iter().collect();
                let changed: Vec<f64> = (before.iter().zip(&after))
                    .filter(|(a, b)| a.to_bits() != b.to_bits())
                    .map(|(_, b)| *b)
                    .collect();
                let one = |found: &[f64], is: fn(f64) -> bool| found.len() == 1 && is(found[0]);
                match harm {
                    Harm::Nan => assert!(one(&changed, f64::is_nan)),
                    Harm::Infinity => assert!(one(&changed, |v| v == f64::INFINITY)),
                    Harm::NegativeInfinity => assert!(one(&changed, |v| v == f64::NEG_INFINITY)),
                    Harm::Overflow => {
                        assert!(one(&changed, f64::is_finite), "{dtype:?} {changed:?}");
                        let square = harmed.powi_scalar(2).max();
                        let square = square.to_data().convert::<f64>().iter::<f64>().next();
                        assert_eq!(square, Some(f64::INFINITY), "{dtype:?}");
                    }
                    Harm::Zero => assert!(after.iter().all(|v| *v == 0.0)),
                    Harm::Spike(k) if dtype != DType::F16 => {
                        let near = |(a, b): (&f64, &f64)| (a * k - b).abs() <= 0.01 * b.abs();
                        assert!(before.iter().zip(&after).all(near));
                    }
                    _ => {}
                }
                assert_eq!(faults.log().len(), 1);
            }
        }
    });
}

#[test]
fn a_harmed_loss_harms_the_gradients_before_the_backward_pass_and_not_after_it() {
    on_every_device(|device| {
        let net = Net::new(device);
        let norm = |grads: &GradientsParams| {
            let grad = crate::common::id_of(&net, "last.weight");
            values(grads.get::<2>(grad).unwrap()).iter().map(|g| g.abs()).sum::<f32>()
        };
        let clean = norm(&net.backward(Batch::number(0, device)).1);
        for harm in HARMS {
            let mut faults = faults(harm, Place::Loss);
            let loss = faults.loss(7, net.loss(Batch::number(0, device)));
            let value = loss.clone().into_scalar::<f32>();
            let grads = GradientsParams::from_grads(loss.backward(), &net);
            match harm {
                Harm::Nan => assert!(value.is_nan() && norm(&grads).is_nan()),
                Harm::Infinity => assert!(value == f32::INFINITY && !norm(&grads).is_finite()),
                Harm::NegativeInfinity => assert_eq!(value, f32::NEG_INFINITY),
                Harm::Zero => assert_eq!((value, norm(&grads)), (0.0, 0.0)),
                Harm::Spike(k) => assert!((norm(&grads) / clean / k as f32 - 1.0).abs() < 1e-3),
                _ => assert!(value.is_finite() && value > 1e30 && norm(&grads) > 1e30),
            }
            let (late, grads) = net.backward(Batch::number(0, device));
            let _ = faults.loss(7, late);
            assert_eq!(norm(&grads), clean);
        }
    });
}

#[test]
fn gradients_are_hit_where_it_is_said_and_the_log_says_where() {
    on_every_device(|device| {
        let net = Net::new(device);
        let hit = |place: Place, at: u64| {
            let mut faults = Injector::new(8).inject(Harm::Nan, place, When::at(0..200)).unwrap();
            let grads = net.backward(Batch::number(0, device)).1;
            let grads = faults.gradients(at, &net, grads).unwrap();
            let loss = net.loss(Batch::number(0, device));
            let reading = evenkeel::monitor::measure(&net, &grads, &loss).unwrap();
            let found: Vec<String> = (reading.layers.iter())
                .filter(|(_, norm)| norm.is_nan())
                .map(|(path, _)| path.to_string())
                .collect();
            let [logged] = faults.log() else { panic!("{:?}", faults.log()) };
            assert_eq!((&logged.paths, logged.at), (&found, at));
            found
        };
        assert_eq!(hit(Place::Gradients, 0).len(), 6);
        assert_eq!(hit(Place::gradient("last.bias"), 0), ["last.bias"]);
        assert_eq!(hit(Place::gradient("norm"), 0), ["norm.gamma", "norm.beta"]);
        let drawn: BTreeSet<String> = (0..100).flat_map(|at| hit(Place::AnyGradient, at)).collect();
        assert_eq!(drawn.len(), 6, "every parameter is drawn sooner or later: {drawn:?}");

        for path in ["las", "last.weight.x", "nothing", ""] {
            let mut faults = faults(Harm::Nan, Place::gradient(path));
            let grads = net.backward(Batch::number(0, device)).1;
            let error = faults.gradients(7, &net, grads).unwrap_err();
            assert!(error.is_parameter(), "{error}");
            assert!(error.to_string().ends_with(&format!("got {path:?}")), "{error}");
        }
    });
}

/// A layer without gradients does not move, and moves again.
#[test]
fn a_dead_layer_stands_still_for_as_long_as_it_is_dead() {
    let start = Net::new(&Device::flex().autodiff());
    let mut faults = Injector::new(0).dead("first", When::at([3]).over(4).unwrap()).unwrap();
    let mut bare =
        Bare { optimizer: burn::optim::SgdConfig::new().init(), ..Bare::of(&start, Care::None) };
    for at in 0..10 {
        let before = values(bare.net.first.weight.val());
        let other = values(bare.net.last.weight.val());
        bare.step(at, &mut faults).unwrap();
        let moved = values(bare.net.first.weight.val()) != before;
        assert_eq!(moved, !(3..7).contains(&at), "step {at}");
        assert_ne!(values(bare.net.last.weight.val()), other);
    }
    assert_eq!(faults.log().len(), 4);
    assert_eq!(faults.log()[0].paths, ["first.weight", "first.bias"]);
}

/// The same seed gives the same faults, in any order; another seed gives others.
#[test]
fn what_happens_is_a_function_of_seed_and_step() {
    let of = |seed| {
        Injector::new(seed)
            .inject(Harm::Nan, Place::Batch, When::chance(0.2).unwrap().within(10..900))
            .unwrap()
            .stuck(When::chance(0.01).unwrap().over(5).unwrap())
            .unwrap()
    };
    let (one, other) = (of(1), of(2));
    let due = |faults: &Injector| (0..1000).filter(|&at| faults.is_due(at)).collect::<Vec<_>>();
    let (forwards, others) = (due(&one), due(&other));
    let mut backwards: Vec<u64> = (0..1000).rev().filter(|&at| one.is_due(at)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(forwards, others);
    assert!((130..300).contains(&forwards.len()), "{}", forwards.len());

    // A stuck loader shows one batch, of which the first time is nothing special.
    let stuck = Injector::new(4).stuck(When::chance(0.02).unwrap().over(6).unwrap()).unwrap();
    let again: Vec<u64> = (0..1000).filter(|&at| stuck.batch_at(at) != at).collect();
    assert!(!again.is_empty());
    for at in 0..1000 {
        let batch = stuck.batch_at(at);
        assert!(batch <= at && at - batch < 6 && stuck.batch_at(batch) == batch);
        assert_eq!(stuck.is_due(at), batch != at);
    }

    // The log is what was due, and reads well.
    let mut faults = of(1);
    let x = Tensor::<2>::zeros([2, 2], &Device::flex());
    for at in 0..100 {
        let _ = faults.batch(at, x.clone());
    }
    let nan: Vec<_> = faults.log().iter().filter(|done| done.harm == Harm::Nan).collect();
    assert!(nan.iter().all(|done| done.at >= 10 && one.is_due(done.at)) && nan.len() > 5);
    assert_eq!(nan[0].to_string(), format!("step {}: NaN in the batch", nan[0].at));
}

#[test]
fn the_log_agrees_with_the_incidents() {
    let start = Net::new(&Device::flex().autodiff());
    let mut faults = Injector::new(11)
        .inject(Harm::Infinity, Place::AnyGradient, When::chance(0.2).unwrap())
        .unwrap();
    let mut kept = Kept::of(&start);
    (0..STEPS).for_each(|at| kept.step(at, &mut faults).unwrap());
    let log: Vec<_> = faults.log().iter().map(|done| (done.at, done.paths[0].clone())).collect();
    let incidents = kept.keel.incidents();
    let told: Vec<_> =
        incidents.iter().map(|told| (told.attempt, told.culprits[0].path.clone())).collect();
    assert!(!log.is_empty() && incidents.count(Verdict::Skip) as usize == log.len());
    assert_eq!(told, log);
    let text = faults.log()[0].to_string();
    assert_eq!(text, format!("step {}: +∞ in one gradient, that of `{}`", log[0].0, log[0].1));
}

#[test]
fn wrong_arguments_are_named() {
    let said = |e: Result<Injector, evenkeel::Error>| e.unwrap_err().to_string();
    let new = || Injector::new(0);
    assert_eq!(
        said(new().inject(Harm::Spike(f64::NAN), Place::Loss, When::at([0]))),
        "`Spike` of Harm must be a finite number, got NaN"
    );
    assert_eq!(
        said(new().inject(Harm::Repeat, Place::Gradients, When::at([0]))),
        "`Repeat` of Harm must be put on Place::Batch, got all gradients"
    );
    for p in [0.0, 1.1, f64::NAN] {
        let error = When::chance(p).unwrap_err().to_string();
        assert!(error.starts_with("`chance` of When must be above 0 and at most 1"), "{error}");
    }
    let error = When::at([0]).over(0).unwrap_err().to_string();
    assert_eq!(error, "`over` of When must be at least 1, got 0");
}

//! What is called wrongly says so, and changes nothing.

use std::error::Error;

use crate::common::{Batch, Net, bits, on_every_device};
use burn::module::ParamGroup;
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::advise::Advisor;
use evenkeel::checkpoint::{Checkpoint, CheckpointDir, Discard, Persist};
use evenkeel::clip::{GlobalNorm, ModuleNorm, ParameterNorm};
use evenkeel::curvature::{CriticalRate, Governor, Lanczos};
use evenkeel::doctor::Doctor;
use evenkeel::finder::{LrFinder, StableRate, short_run, short_sweep};
use evenkeel::guard::{Guard, LayerLimit};
use evenkeel::monitor::{Watch, measure};
use evenkeel::optim::{ModelOptimizer, Momentum, ParamGroups, Sgd, biases_and_norms};
use evenkeel::schedule::{Constant, Cosine, GroupScheduler, Schedule, Scheduler};
use evenkeel::{Decide, Keel, Verdict};

/// What `main` prints of an error that it returns.
fn printed(error: impl Into<Box<dyn Error>>) -> String {
    format!("{:?}", error.into())
}

#[test]
fn an_error_that_main_returns_is_printed_as_a_sentence() {
    let error = GlobalNorm::at_most(-1.0).unwrap_err();
    assert_eq!(printed(error.clone()), error.to_string());
    assert!(format!("{error:#?}").contains("Parameter"), "{error:#?}");
}

#[test]
fn a_halt_that_main_returns_is_printed_as_a_sentence() {
    on_every_device(|device| {
        let net = Net::new(device);
        let mut keel =
            Keel::wrap(SgdConfig::new().init()).on_non_finite(Verdict::Halt).build(&net).unwrap();
        let (loss, grads) = net.backward(Batch::number(0, device).scaled(f64::NAN));
        let halted = keel.step(0.1, net, grads, &loss).unwrap_err();
        let said = halted.to_string();
        assert!(said.starts_with("training halted at update 0: non-finite"), "{said}");
        assert!(format!("{halted:#?}").contains("reading"), "{halted:#?}");
        assert_eq!(format!("{halted:?}"), said);
    });
}

#[cfg(feature = "faults")]
#[test]
fn a_broken_loop_that_main_returns_is_printed_as_a_sentence() {
    let broken = evenkeel::faults::Broken::Unharmed { steps: 3 };
    assert_eq!(printed(broken.clone()), broken.to_string());
}

const MODES: [Decide; 3] =
    [Decide::Now, Decide::OnDevice { every: 1 }, Decide::OnDevice { every: 4 }];

/// One loss for each row, of which the second is NaN.
fn rows(device: &Device) -> Tensor<1> {
    Tensor::from_floats([1.0, f32::NAN, 1.0, 1.0], device)
}

const FOUR: &str = "`loss` must be one number, got 4: reduce it with `.mean()`";

/// After a step that is refused, and the same one called rightly, everything is as if the first had
/// never been asked for.
fn refused(
    device: &Device,
    decide: Decide,
    wrong: impl Fn(&Net) -> (Tensor<1>, GradientsParams),
    why: &str,
) {
    let start = Net::new(device);
    let wrap = |net: &Net| Keel::wrap(AdamConfig::new().init()).decide(decide).build(net).unwrap();
    let (mut net, mut twin) = (start.twin(), start.twin());
    let (mut keel, mut right) = (wrap(&net), wrap(&twin));
    let curve = || Cosine::new(0.1, 0.0, 20).unwrap().start();
    let (mut schedule, mut other) = (curve(), curve());
    for k in 0..6 {
        if k % 3 != 1 {
            let (loss, grads) = wrong(&net);
            let updates = keel.updates();
            let halted = keel.step(schedule.step(), net, grads, &loss).unwrap_err();
            let said = halted.to_string();
            assert!(said.ends_with(why), "{said}");
            assert_eq!((keel.updates(), schedule.position()), (updates, k));
            net = halted.into_model();
        }
        let (loss, grads) = net.backward(Batch::number(k, device));
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
        let (loss, grads) = twin.backward(Batch::number(k, device));
        twin = right.step(other.step(), twin, grads, &loss).unwrap().model;
        assert_eq!(bits(&net), bits(&twin), "{decide:?}, step {k}");
    }
    net = keel.flush(schedule.step(), net).unwrap().model;
    twin = right.flush(other.step(), twin).unwrap().model;
    let saved = [keel.checkpoint(&net).unwrap(), right.checkpoint(&twin).unwrap()];
    assert!(saved[0].differences(&saved[1]).is_empty(), "{:?}", saved[0].differences(&saved[1]));
}

#[test]
fn a_loss_of_several_numbers_halts_and_loses_nothing() {
    on_every_device(|device| {
        for decide in MODES {
            let wrong = |net: &Net| {
                // The batch has moved the running statistics of BatchNorm too.
                let (_, grads) = net.backward(Batch::number(99, device));
                (rows(device), grads)
            };
            refused(device, decide, wrong, FOUR);
            let none =
                |net: &Net| (Tensor::empty([0], device), net.backward(Batch::number(99, device)).1);
            refused(
                device,
                decide,
                none,
                "`loss` must be one number, got 0: reduce it with `.mean()`",
            );
        }
    });
}

#[test]
fn a_loss_of_several_numbers_is_not_accumulated() {
    on_every_device(|device| {
        let net = Net::new(device);
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        let before = bits(&net);
        let (_, grads) = net.backward(Batch::number(0, device));
        let error = keel.accumulate(&net, grads, &rows(device)).unwrap_err();
        assert!(error.is_parameter());
        assert_eq!(
            error.to_string(),
            "`loss` of Keel::accumulate must be one number, got 4: reduce it with `.mean()`"
        );
        assert_eq!(bits(&net), before, "the running statistics too");
        assert_eq!(keel.attempts(), 0);
    });
}

/// The error of whoever takes a loss, or a function that gives one.
#[test]
fn a_loss_of_several_numbers_is_an_error_everywhere() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let batch = || Batch::number(0, &device);
    let loss = |net: &Net| (net.forward(batch().x) - batch().y).powi_scalar(2).squeeze_dim::<1>(1);
    let (_, grads) = net.backward(batch());
    let of_batch = |net: &Net, _: u64| loss(net);

    let advisor = Advisor::new(|_| Net::new(&device), of_batch, |k| k).by_training_loss();
    let governor = Governor::new(0.0).unwrap();
    let keel = Keel::<Net>::wrap(Sgd::new()).bound(governor.clone()).build(&net).unwrap();
    let errors = [
        measure(&net, &grads, &loss(&net)).unwrap_err(),
        Doctor::new().loss(&loss(&net)).unwrap_err(),
        CriticalRate::measure(&net, loss).unwrap_err(),
        CriticalRate::along(&net, &grads, loss).unwrap_err(),
        Lanczos::new().measure(&net, loss).unwrap_err(),
        governor.watch(keel.updates(), &net, &grads, loss).unwrap_err(),
        StableRate::new(20)
            .unwrap()
            .find(|run| short_run(&net, Sgd::new(), run, |k| k, of_batch))
            .unwrap_err(),
        LrFinder::new(1e-4, 1.0)
            .unwrap()
            .find(|sweep| short_sweep(&net, Sgd::new(), sweep, |k| k, of_batch))
            .unwrap_err(),
        advisor.run().unwrap_err(),
    ];
    for error in errors {
        let said = error.to_string();
        assert!(error.is_parameter(), "{said}");
        assert!(said.ends_with("must be one number, got 4: reduce it with `.mean()`"), "{said}");
    }
}

#[test]
fn a_watched_value_of_several_numbers_is_an_error_of_the_observation() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let mut watch = Watch::every(1).unwrap();
    watch.value("logits", || rows(&device));
    watch.look(&net, &net.backward(Batch::number(0, &device)).1);
    assert_eq!(
        watch.observe_update(&net).unwrap_err().to_string(),
        "`value` of Watch must be one number, got 4 for \"logits\": reduce it with `.mean()` or `.max()`"
    );
    watch.look(&net, &net.backward(Batch::number(1, &device)).1);
    assert!(watch.observe_update(&net).unwrap().is_some());
}

const FOREIGN: &str = "none of the model's 6 parameters has a gradient: are they of another model?";

#[test]
fn gradients_of_another_model_halt_and_lose_nothing() {
    on_every_device(|device| {
        for decide in MODES {
            refused(
                device,
                decide,
                |_| Net::new(device).backward(Batch::number(99, device)),
                FOREIGN,
            );
            let none = |net: &Net| (net.loss(Batch::number(99, device)), GradientsParams::new());
            refused(device, decide, none, FOREIGN);
        }
    });
}

#[test]
fn gradients_of_some_parameters_are_enough() {
    on_every_device(|device| {
        for decide in MODES {
            let net = Net::new(device);
            let mut keel = Keel::wrap(Sgd::new()).decide(decide).build(&net).unwrap();
            let loss = net.loss(Batch::number(0, device));
            let mut all = loss.backward();
            let grads = GradientsParams::from_params(&mut all, &net, &[net.last.weight.id]);
            let _ = keel.step(0.1, net, grads, &loss).unwrap();
            assert_eq!(keel.updates(), 1);
        }
    });
}

#[test]
fn gradients_of_another_model_are_an_error_everywhere() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let batch = || Batch::number(0, &device);
    let (loss, grads) = Net::new(&device).backward(batch());
    let other = Net::new(&device);
    let of_other = |_: &Net| other.loss(batch());
    let of_batch = |_: &Net, _: u64| other.loss(batch());

    let governor = Governor::new(0.0).unwrap();
    let mut keel = Keel::wrap(Sgd::new()).bound(governor.clone()).build(&net).unwrap();
    let mut watch = Watch::every(1).unwrap();
    watch.look(&net, &grads);
    for error in [
        keel.accumulate(&net, Net::new(&device).backward(batch()).1, &loss).unwrap_err(),
        measure(&net, &grads, &loss).unwrap_err(),
        CriticalRate::along(&net, &grads, of_other).unwrap_err(),
        governor.watch(keel.updates(), &net, &grads, of_other).unwrap_err(),
        watch.observe_update(&net).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(error.is_parameter(), "{said}");
        assert!(said.contains("must be those of the model") && said.ends_with(FOREIGN), "{said}");
    }
    let advisor = Advisor::new(|_| Net::new(&device), of_batch, |k| k).by_training_loss();
    for error in [
        CriticalRate::measure(&net, of_other).unwrap_err(),
        Lanczos::new().measure(&net, of_other).unwrap_err(),
        StableRate::new(20)
            .unwrap()
            .find(|run| short_run(&net, Sgd::new(), run, |k| k, of_batch))
            .unwrap_err(),
        advisor.run().unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(error.is_parameter(), "{said}");
        assert!(
            said.ends_with(
                "must be a function of the model's parameters, got one that has a gradient for none of \
                 the 6"
            ),
            "{said}"
        );
    }
}

#[test]
fn a_group_of_an_optimizer_without_parameters_is_named() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let with = |group| ParamGroups::new(Sgd::new()).with_group(group, Momentum::new(0.9).unwrap());
    let error = Keel::wrap(with(ParamGroup::from_predicate("heed"))).build(&net).unwrap_err();
    assert!(error.is_parameter());
    assert_eq!(
        error.to_string(),
        "`with_group` of ParamGroups must be a group that some parameter of the model is in, got \
         Path(Include([\"heed\"]))"
    );
    let of_another = with(biases_and_norms(&Net::new(&device)));
    let said = of_another.check_fit(&net).unwrap_err().to_string();
    assert!(said.starts_with("`with_group` of ParamGroups") && said.len() < 250, "{said}");
    for group in [ParamGroup::from_predicate("last"), biases_and_norms(&net), ParamGroup::all()] {
        assert!(Keel::wrap(with(group)).build(&net).is_ok());
    }
    // One that others cover is not empty.
    let covered =
        with(ParamGroup::from_predicate("last")).with_group(ParamGroup::all(), Sgd::new());
    assert!(Keel::wrap(covered).build(&net).is_ok());
}

#[test]
fn a_group_of_a_schedule_without_parameters_halts_the_first_step() {
    on_every_device(|device| {
        for decide in MODES {
            let mut net = Net::new(device);
            let mut keel = Keel::wrap(Sgd::new()).decide(decide).build(&net).unwrap();
            let constant = |rate| Constant::new(rate).unwrap();
            let with = |name| {
                GroupScheduler::new(constant(0.1))
                    .with_group(ParamGroup::from_predicate(name), constant(0.01))
            };
            let (mut wrong, mut right) = (with("heed"), with("last"));
            let (loss, grads) = net.backward(Batch::number(0, device));
            let halted = keel.step(wrong.step(), net, grads, &loss).unwrap_err();
            let said = halted.to_string();
            assert!(said.contains("of GroupScheduler") && said.contains("heed"), "{said}");
            assert_eq!((keel.updates(), wrong.position()), (0, 0));
            net = halted.into_model();
            let (loss, grads) = net.backward(Batch::number(0, device));
            net = keel.step(right.step(), net, grads, &loss).unwrap().model;
            // A group that is added later is looked at when it is there.
            right = right.with_group(ParamGroup::from_predicate("tale"), constant(0.1));
            let (loss, grads) = net.backward(Batch::number(0, device));
            let said = keel.step(right.step(), net, grads, &loss).unwrap_err().to_string();
            assert!(said.contains("tale"), "{said}");
        }
    });
}

#[test]
fn a_part_that_the_model_has_not_is_named() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let wrap = || Keel::<Net>::wrap(Sgd::new());
    let limit = |part: &str| LayerLimit::at_most(9.0).unwrap().under(part);
    let norm = |part: &str| ModuleNorm::under(part, 1.0).unwrap();
    let each = |part: &str| ParameterNorm::at_most(1.0).unwrap().under(part);
    let keels = |part: &str| {
        [
            wrap().guard(limit(part)),
            wrap().guard(limit(part).answering(Verdict::Halt).unwrap()),
            wrap().guard(limit(part).escalating(1, 1)),
            wrap().clip(norm(part)),
            wrap().clip(each(part)),
        ]
    };
    for keel in keels("las") {
        let said = keel.build(&net).unwrap_err().to_string();
        assert!(said.contains("under \"las\", where there is no parameter"), "{said}");
    }
    for part in ["", "last", "last.weight"] {
        for keel in keels(part) {
            assert!(keel.build(&net).is_ok(), "{part}");
        }
    }
    let mut watch = Watch::every(1).unwrap().group("las");
    watch.look(&net, &net.backward(Batch::number(0, &device)).1);
    assert_eq!(
        watch.observe_update(&net).unwrap_err().to_string(),
        "`group` of Watch must be the path of some parameters, got \"las\""
    );
}

/// A keel, its model and its schedule after 6 updates.
fn sixth(device: &Device, decide: Decide, from: u64) -> (Keel<Net>, Net, Scheduler<Cosine>) {
    let mut net = Net::new(device);
    let mut keel = Keel::wrap(Sgd::new()).decide(decide).build(&net).unwrap();
    let mut schedule = cosine();
    schedule.seek(from);
    for k in 0..6 {
        let mut batch = Batch::number(k, device);
        if k == 1 {
            batch = batch.scaled(f64::NAN);
        }
        let (loss, grads) = net.backward(batch);
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
    }
    net = keel.flush(schedule.step(), net).unwrap().model;
    (keel, net, schedule)
}

fn cosine() -> Scheduler<Cosine> {
    Cosine::new(0.1, 0.0, 20).unwrap().start()
}

#[test]
fn what_was_saved_and_is_not_taken_back_is_named() {
    let device = Device::flex().autodiff();
    let (keel, net, schedule) = sixth(&device, Decide::Now, 0);
    let path = std::env::temp_dir().join(format!("evenkeel-misuse-{}", std::process::id()));
    let folder = CheckpointDir::new(&path);
    keel.save(&folder, &net, &[("schedule", &schedule), ("place", &Discard)]).unwrap();
    let saved = keel.checkpoint(&net).unwrap().with("schedule", &schedule).unwrap();
    let saved = saved.with("place", &Discard).unwrap();
    assert_eq!(saved.names(), ["place", "schedule"]);

    let fresh = Net::new(&device);
    let mut other = Keel::wrap(Sgd::new()).build(&fresh).unwrap();
    let mut late = cosine();
    let (before, weights) = (other.checkpoint(&fresh).unwrap(), bits(&fresh));
    let place: &mut [(&str, &mut dyn Persist)] = &mut [("place", &mut Discard)];
    let only: &mut [(&str, &mut dyn Persist)] = &mut [("schedule", &mut late)];
    for (error, left) in [
        (other.resume(&fresh, &saved).unwrap_err(), "place"),
        (other.resume_with(&fresh, &saved, only).unwrap_err(), "place"),
        (other.load(&folder, &fresh, only).unwrap_err(), "place"),
        (other.load(&folder, &fresh, place).unwrap_err(), "schedule"),
    ] {
        assert!(error.is_record());
        let said = error.to_string();
        assert!(said.contains(&format!("there is a {left:?} in it that nothing takes")), "{said}");
    }
    assert_eq!((late.position(), bits(&fresh)), (0, weights));
    assert!(other.checkpoint(&fresh).unwrap().differences(&before).is_empty());

    let all: &mut [(&str, &mut dyn Persist)] =
        &mut [("schedule", &mut late), ("place", &mut Discard)];
    assert_eq!(bits(&other.load(&folder, &fresh, all).unwrap().unwrap()), bits(&net));
    assert_eq!(late.position(), schedule.position());
    std::fs::remove_dir_all(&path).unwrap();
}

/// One that was never at the model's update is expected where it was, and not where the model is.
#[test]
fn a_schedule_that_was_left_behind_halts_the_first_step_after_a_resume() {
    on_every_device(|device| {
        for (decide, from) in MODES.into_iter().flat_map(|decide| [(decide, 0), (decide, 3)]) {
            let (keel, net, schedule) = sixth(device, decide, from);
            let (at, updates) = (schedule.position(), keel.updates());
            assert_eq!((at, updates), (5 + from, 5));
            let saved = keel.checkpoint(&net).unwrap().into_bytes().unwrap();
            let saved = Checkpoint::from_bytes(&saved).unwrap();

            let resumed = || {
                let fresh = Net::new(device);
                let mut keel = Keel::wrap(Sgd::new()).decide(decide).build(&fresh).unwrap();
                let net = keel.resume(&fresh, &saved).unwrap();
                (keel, net)
            };
            let (mut keel, mut net) = resumed();
            let mut left = cosine();
            for _ in 0..2 {
                let (loss, grads) = net.backward(Batch::number(6, device));
                let halted = keel.step(left.step(), net, grads, &loss).unwrap_err();
                let said = halted.to_string();
                let both =
                    format!("the schedule is at update 0, and the model at update {updates}");
                assert!(said.contains(&both) && said.contains(&format!("at {at} when")), "{said}");
                assert_eq!((keel.updates(), left.position()), (updates, 0));
                net = halted.into_model();
            }
            // In its place, and after that anywhere.
            left.seek(at);
            for seek in [at, 17] {
                left.seek(seek);
                let (loss, grads) = net.backward(Batch::number(6, device));
                net = keel.step(left.step(), net, grads, &loss).unwrap().model;
            }

            let (mut keel, mut net) = resumed();
            keel.allow_other_schedule();
            let mut anew = cosine();
            for _ in 0..2 {
                let (loss, grads) = net.backward(Batch::number(6, device));
                net = keel.step(anew.step(), net, grads, &loss).unwrap().model;
            }
            // A rate without a schedule stands nowhere.
            let (mut keel, net) = resumed();
            let (loss, grads) = net.backward(Batch::number(6, device));
            let _ = keel.step(0.1, net, grads, &loss).unwrap();
        }
    });
}

#[test]
fn accumulated_steps_expect_their_schedule_too() {
    let device = Device::flex().autodiff();
    let (keel, net, _) = sixth(&device, Decide::Now, 0);
    let saved = keel.checkpoint(&net).unwrap();
    let fresh = Net::new(&device);
    let mut keel = Keel::wrap(Sgd::new()).build(&fresh).unwrap();
    let net = keel.resume(&fresh, &saved).unwrap();
    let (loss, grads) = net.backward(Batch::number(6, &device));
    let _ = keel.accumulate(&net, grads, &loss).unwrap();
    let said = keel.step_accumulated(cosine().step(), net).unwrap_err().to_string();
    assert!(said.contains("the schedule is at update 0, and the model at update 5"), "{said}");
}

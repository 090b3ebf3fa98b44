//! Schedules by parameter group, in Burn's types and in a keel; and feedback in either.

use crate::common::{Batch, Net, bits};
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::bound::DeepRelativeTrust;
use evenkeel::checkpoint::Persist;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::{Adam, Sgd};
use evenkeel::schedule::{
    Backoff, Constant, Cosine, GroupScheduler, Past, Plateau, Ramp, Schedule, Sequence,
};
use evenkeel::{Decide, Fault, Keel, Rewind, Verdict};

fn head() -> ParamGroup {
    ParamGroup::from_predicate("last")
}

/// All parameters but the head's stand still.
fn head_only() -> GroupScheduler {
    GroupScheduler::new(Constant::new(0.0).unwrap())
        .with_group(head(), Ramp::new(0.0, 0.5, 10).unwrap())
}

fn rate_of(rates: &ModuleLearningRate, path: &str) -> f64 {
    rates.lr_from_param(ParamId::new(), Some(path))
}

fn bad(device: &Device) -> Batch {
    let good = Batch::number(99, device);
    Batch { x: good.x.mul_scalar(f32::NAN), y: good.y }
}

/// The elements of every parameter, by its place.
#[derive(Default)]
struct Values(Vec<Vec<f32>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().into_data().try_to_vec().unwrap());
    }
}

fn values(net: &Net) -> Vec<Vec<f32>> {
    let mut values = Values::default();
    net.visit(&mut values);
    values.0
}

#[test]
fn a_keel_steps_each_group_at_its_own_rate() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let before = values(&net);
    let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
    let mut schedule = head_only();
    schedule.seek(4);
    let (loss, grads) = net.backward(Batch::number(0, &device));
    let after = values(&keel.step(schedule.step(), net, grads, &loss).unwrap().model);
    let moved: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a != b).collect();
    // first: weight, bias; norm: gamma, beta, and the two running statistics, which the forward pass
    // moves; last: weight, bias.
    assert_eq!(moved, [false, false, false, false, true, true, true, true]);
}

/// Bit by bit what Burn's own optimizer does with Burn's own groups.
#[test]
fn burns_optimizer_takes_it_as_it_is() {
    let device = Device::flex().autodiff();
    let (mut ours, mut theirs) = (Net::new(&device), Net::new(&device));
    let (mut a, mut b): (ModuleOptimizer, ModuleOptimizer) =
        (SgdConfig::new().init(), SgdConfig::new().init());
    let mut schedule = head_only();
    let mut burns =
        ModuleLrScheduler::new(0.0).with_group(head(), Ramp::new(0.0, 0.5, 10).unwrap().start());
    for k in 0..6 {
        let grads = ours.backward(Batch::number(k, &device)).1;
        ours = a.step(schedule.step(), ours, grads);
        let grads = theirs.backward(Batch::number(k, &device)).1;
        theirs = b.step(burns.step(), theirs, grads);
        assert_eq!(values(&ours), values(&theirs), "update {k}");
    }
}

/// `Learner::new` takes `impl Into<ModuleLrScheduler>`.
#[test]
fn it_becomes_burns_scheduler_for_a_learner() {
    fn as_learner_takes_it(schedule: impl Into<ModuleLrScheduler>) -> ModuleLrScheduler {
        schedule.into()
    }
    let mut all = as_learner_takes_it(head_only().into_burn());
    let mut one = as_learner_takes_it(Ramp::new(0.0, 0.5, 10).unwrap().start());
    for t in 0..12 {
        let (rates, rate) = (all.step(), one.step());
        assert_eq!(rate_of(&rates, "first.weight"), 0.0);
        assert_eq!(rate_of(&rates, "last.weight"), rate.base());
        assert_eq!(rate.base(), Ramp::new(0.0, 0.5, 10).unwrap().at(t));
    }
    // And through Burn's record.
    let record = all.to_record();
    let mut again = head_only().into_burn().load_record(record);
    assert_eq!(rate_of(&again.step(), "last.weight"), rate_of(&all.step(), "last.weight"));
}

/// The law of no trace, for all groups.
#[test]
fn a_skip_holds_all_groups() {
    let device = Device::flex().autodiff();
    let run = |with_bad: bool| {
        let mut net = Net::new(&device);
        let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
        let mut schedule = head_only();
        for k in 0..5 {
            if with_bad && k == 3 {
                let (loss, grads) = net.backward(bad(&device));
                let stepped = keel.step(schedule.step(), net, grads, &loss).unwrap();
                assert_eq!(stepped.report.verdict, Verdict::Skip);
                net = stepped.model;
                assert_eq!(schedule.position(), 3);
            }
            let (loss, grads) = net.backward(Batch::number(k, &device));
            net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
        }
        (bits(&net), schedule.state())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_rewind_moves_and_lowers_all_groups_and_they_climb_back() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .on_non_finite(Verdict::Rewind)
        .rewind(Rewind::every(2).unwrap().backoff(0.5).unwrap().warmup(1))
        .build(&net)
        .unwrap();
    let level = Constant::new(0.2).unwrap();
    let mut schedule = GroupScheduler::new(Constant::new(0.1).unwrap()).with_group(head(), level);
    for k in 0..4 {
        let batch = if k == 3 { bad(&device) } else { Batch::number(k, &device) };
        let (loss, grads) = net.backward(batch);
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
    }
    assert_eq!(schedule.position(), 2);
    let rates = |schedule: &GroupScheduler| {
        let rates = schedule.peek();
        (rate_of(&rates, "first.weight"), rate_of(&rates, "last.weight"))
    };
    assert_eq!(rates(&schedule), (0.025, 0.05), "half of the level, which is half of the rate");

    // It is saved in the middle of its climb, and taken back whole or not at all.
    let level = Constant::new(0.2).unwrap();
    let mut fresh = GroupScheduler::new(Constant::new(0.1).unwrap()).with_group(head(), level);
    fresh.restore(&schedule.state()).unwrap();
    assert_eq!(rates(&fresh), (0.025, 0.05));
    fresh.seek(3);
    assert_eq!(rates(&fresh), (0.05, 0.1));
    let other = Constant::new(0.3).unwrap();
    let mut other = GroupScheduler::new(Constant::new(0.1).unwrap()).with_group(head(), other);
    let before = other.state();
    assert!(other.restore(&schedule.state()).unwrap_err().is_record());
    assert_eq!(other.state(), before);
    let mut fewer = GroupScheduler::new(Constant::new(0.1).unwrap());
    assert!(fewer.restore(&schedule.state()).unwrap_err().is_record());
}

/// A `Backoff` in the curves takes what a rewind does, once, though two groups share it.
#[test]
fn a_shared_backoff_is_lowered_once_and_recovers() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let mut keel = Keel::wrap(SgdConfig::new().init())
        .on_non_finite(Verdict::Rewind)
        .rewind(Rewind::every(1).unwrap().backoff(0.5).unwrap())
        .build(&net)
        .unwrap();
    let backoff = Backoff::recovering(4).unwrap();
    let curve = |rate| {
        let floor = Constant::new(0.04).unwrap();
        Schedule::max(Constant::new(rate).unwrap().times(backoff.clone()), floor)
    };
    let mut schedule = GroupScheduler::new(curve(0.1)).with_group(head(), curve(0.01));
    for k in 0..4 {
        let batch = if k == 3 { bad(&device) } else { Batch::number(k, &device) };
        let (loss, grads) = net.backward(batch);
        net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
    }
    assert_eq!(schedule.position(), 2);
    let rate = |schedule: &GroupScheduler| rate_of(&schedule.peek(), "first.weight");
    assert_eq!(rate(&schedule), 0.05);
    schedule.seek(4);
    assert!((rate(&schedule) - 0.075).abs() < 1e-15);
    schedule.seek(6);
    assert_eq!(rate(&schedule), 0.1);
    assert_eq!(rate_of(&schedule.peek(), "last.weight"), 0.04, "the floor is on the product");
}

/// One group without a number stops the update of all.
#[test]
fn a_group_past_its_end_is_a_fault_of_the_rate() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let before = bits(&net);
    let mut keel = Keel::wrap(SgdConfig::new().init()).build(&net).unwrap();
    let ended = Constant::new(0.1).unwrap().until(2, Past::Error).unwrap();
    let mut schedule = GroupScheduler::new(Constant::new(0.1).unwrap()).with_group(head(), ended);
    schedule.seek(2);
    let (loss, grads) = net.backward(Batch::number(0, &device));
    let stepped = keel.step(schedule.step(), net, grads, &loss).unwrap();
    assert_eq!(stepped.report.verdict, Verdict::Skip);
    assert_eq!(bits(&stepped.model), before);
    assert_eq!(schedule.position(), 2);
}

/// A plateau in the second phase of a sequence is told by its handle, and saved with the schedule.
#[test]
fn feedback_works_inside_a_sequence_and_is_saved_with_it() {
    let build = || {
        let plateau = Plateau::minimizing().factor(0.5).unwrap().patience(0);
        let flat = Constant::new(0.1).unwrap().times(plateau.clone());
        let curve = Sequence::of([
            (4, Ramp::new(0.0, 0.1, 4).unwrap().boxed()),
            (10, flat.boxed()),
            (10, Cosine::new(0.05, 0.0, 10).unwrap().boxed()),
        ]);
        (curve.unwrap().start(), plateau)
    };
    let (mut schedule, plateau) = build();
    schedule.seek(6);
    plateau.record(1.0).unwrap();
    plateau.record(1.0).unwrap();
    assert_eq!(schedule.peek(), 0.05);
    assert!(plateau.record(f64::NAN).unwrap_err().is_parameter());
    assert_eq!(schedule.peek(), 0.05, "a NaN is no bad metric");

    let (mut resumed, handle) = build();
    resumed.restore(&schedule.state()).unwrap();
    assert_eq!((resumed.position(), resumed.peek()), (6, 0.05));
    handle.record(1.0).unwrap();
    plateau.record(1.0).unwrap();
    assert_eq!((resumed.peek(), schedule.peek()), (0.025, 0.025));

    // Through Burn's record, which has no lists.
    use burn::lr_scheduler::LrScheduler;
    let (mut burns, _) = build();
    burns.load_record(schedule.to_record());
    assert_eq!(burns.peek(), 0.025);
}

/// Where lower is better and the metric is below 0, worse is not better.
#[test]
fn a_negative_metric_that_gets_worse_is_a_bad_one() {
    let plateau = Plateau::minimizing().factor(0.5).unwrap().patience(0).relative(0.1).unwrap();
    for (metric, factor) in [(-1.0, 1.0), (-1.2, 1.0), (-1.25, 0.5), (-1.4, 0.5), (-1.3, 0.25)] {
        assert_eq!(plateau.record(metric).unwrap(), factor, "{metric}");
    }
    let plateau = Plateau::maximizing().factor(0.5).unwrap().patience(0).relative(0.1).unwrap();
    for (metric, factor) in [(-1.0, 1.0), (-0.8, 1.0), (-0.75, 0.5), (-0.6, 0.5)] {
        assert_eq!(plateau.record(metric).unwrap(), factor, "{metric}");
    }
}

/// A bound on the norm that follows a curve of the updates, inside a keel.
#[test]
fn a_clip_follows_a_schedule() {
    let device = Device::flex().autodiff();
    let mut net = Net::new(&device);
    let bound = Ramp::new(0.04, 0.0, 4).unwrap();
    let mut keel =
        Keel::wrap(SgdConfig::new().init()).clip(GlobalNorm::following(bound)).build(&net).unwrap();
    for k in 0..3 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        let stepped = keel.step(0.01, net, grads, &loss).unwrap();
        let reading = &stepped.report.reading;
        let clipped = reading.grad_norm * stepped.report.factor;
        assert!((clipped - bound.at(k)).abs() < 1e-12, "{clipped} at update {k}");
        net = stepped.model;
    }
}

/// The same bound where the clip is on the device, and groups that go on with its late numbers.
#[test]
fn a_clip_follows_a_schedule_on_the_device_too() {
    let device = Device::flex().autodiff();
    let run = |decide: Decide| {
        let mut net = Net::new(&device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .clip(GlobalNorm::following(Ramp::new(0.04, 0.01, 4).unwrap()))
            .decide(decide)
            .build(&net)
            .unwrap();
        let mut schedule = head_only();
        for k in 0..6 {
            let (loss, grads) = net.backward(Batch::number(k, &device));
            net = keel.step(schedule.step(), net, grads, &loss).unwrap().model;
        }
        net = keel.flush(schedule.step(), net).unwrap().model;
        assert_eq!((schedule.position(), keel.updates()), (6, 6));
        values(&net).concat()
    };
    let (now, late) = (run(Decide::Now), run(Decide::OnDevice { every: 3 }));
    assert!(now.iter().zip(&late).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(now != values(&Net::new(&device)).concat());
}

/// All of a state or nothing: neither a part that fits, nor feedback on another curve, is kept.
#[test]
fn what_was_learned_is_taken_back_whole_or_not_at_all() {
    let build = |rate: f64, factor: f64| {
        let first = Plateau::minimizing().factor(0.5).unwrap().patience(0);
        let second = Plateau::minimizing().factor(factor).unwrap().patience(0);
        let curve = Constant::new(rate).unwrap().times(first.clone().times(second.clone()));
        (curve.start(), first, second)
    };
    let (saved, first, second) = build(0.1, 0.25);
    for metric in [1.0, 1.0] {
        first.record(metric).unwrap();
        second.record(metric).unwrap();
    }
    let state = saved.state();
    for (rate, factor, why) in [
        (0.1, 0.3, "it is of a plateau with other settings"),
        (0.2, 0.25, "it is another schedule's: at update 0"),
    ] {
        let (mut other, first, second) = build(rate, factor);
        let error = other.restore(&state).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!((first.at(0), second.at(0), other.peek()), (1.0, 1.0, rate));
        // Not even the best metric.
        first.record(9.0).unwrap();
        assert_eq!(first.at(0), 1.0);
    }
    let (mut same, ..) = build(0.1, 0.25);
    same.restore(&state).unwrap();
    assert_eq!(same.peek(), saved.peek());
}

/// A rate of one group that is no number is a fault of the rate: no update, whoever makes it.
#[test]
fn a_rate_that_is_not_finite_in_any_group_is_a_fault() {
    let device = Device::flex().autodiff();
    let modes = [Decide::Now, Decide::OnDevice { every: 1 }];
    for (odd, decide) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
        .into_iter()
        .flat_map(|odd| modes.map(|decide| (odd, decide)))
    {
        // One that is bounded by numbers would forget it, and a clip may turn infinity times 0 into NaN.
        let builders: [fn() -> evenkeel::Builder<Net>; 3] = [
            || Keel::wrap(Sgd::new()),
            || Keel::wrap(Adam::new()).bound(DeepRelativeTrust::default()),
            || Keel::wrap(SgdConfig::new().init()),
        ];
        for build in builders {
            let net = Net::new(&device);
            let before = bits(&net);
            let builder = build().clip(GlobalNorm::at_most(1.0).unwrap()).decide(decide);
            let mut keel = builder.build(&net).unwrap();
            let rates = ModuleLrScheduler::new(0.1).with_group(head(), odd).step();
            let (loss, grads) = net.backward(Batch::number(0, &device));
            let stepped = keel.step(rates, net, grads, &loss).unwrap();
            assert_eq!(stepped.report.verdict, Verdict::Skip, "{odd} {decide:?}");
            assert_eq!(stepped.report.reading.fault, Some(Fault::Rate), "{odd} {decide:?}");
            assert_eq!(bits(&stepped.model), before, "{odd} {decide:?}");
        }
    }
}

//! What a run is guarded by may change on resume and after a halt, if that is said; nothing else does.

use crate::common::{Batch, Net, bits, on_every_device, with_first};
use burn::optim::AdamConfig;
use burn::tensor::Device;
use evenkeel::average::Ema;
use evenkeel::checkpoint::{Checkpoint, State};
use evenkeel::clip::{AdaGc, GlobalNorm};
use evenkeel::guard::{Guard, LossSpike};
use evenkeel::precision::LossScale;
use evenkeel::schedule::{Ramp, Schedule};
use evenkeel::{Builder, Error, Keel, Reading, Rewind, Verdict};

fn adam() -> Builder<Net> {
    Keel::wrap(AdamConfig::new().init())
}

/// Lets as many steps through as it is told, and counts what it was shown.
struct Counting(u64);

impl Guard for Counting {
    fn judge(&self, _: &Reading) -> Verdict {
        if self.0 >= 6 { Verdict::Skip } else { Verdict::Apply }
    }

    fn record(&mut self, _: &Reading, _: Verdict) {
        self.0 += 1;
    }

    fn name(&self) -> &str {
        "Counting"
    }

    fn state(&self) -> State {
        State::new().with_count("seen", self.0)
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        self.0 = state.count("seen")?;
        Ok(())
    }
}

fn advance(
    batches: std::ops::Range<u64>,
    keel: &mut Keel<Net>,
    mut net: Net,
    device: &Device,
) -> Net {
    for k in batches {
        let (loss, grads) = net.backward(Batch::number(k, device));
        net = keel.step(0.01, net, grads, &loss).unwrap().model;
    }
    net
}

#[test]
fn policies_are_exchanged_only_where_that_is_allowed() {
    on_every_device(|device| {
        let net = Net::new(device);
        let mut before = adam()
            .guard(Counting(0))
            .clip(GlobalNorm::at_most(1e9).unwrap())
            .rewind(Rewind::every(2).unwrap().keep(3).unwrap())
            .build(&net)
            .unwrap();
        let net = advance(0..5, &mut before, net, device);
        let saved = before.checkpoint(&net).unwrap();

        let others = || {
            adam()
                .guard(LossSpike::default())
                .guard(Counting(0))
                .average(Ema::new(0.5).unwrap())
                .loss_scale(LossScale::fixed(1.0).unwrap())
                .rewind(Rewind::every(2).unwrap().keep(1).unwrap())
                .build(&Net::new(device))
                .unwrap()
        };
        let mut refused = others();
        let error = refused.resume(&net, &saved).unwrap_err().to_string();
        assert!(error.contains("guards NonFinite, Counting and clips GlobalNorm"), "{error}");
        assert!(error.ends_with("call `allow_other_policies` first"), "{error}");

        let mut after = others();
        after.allow_other_policies();
        let mut went_on = after.resume(&net, &saved).unwrap();
        assert_eq!(bits(&went_on), bits(&net));
        assert_eq!((after.updates(), after.attempts()), (5, 5));

        // Optimizer and counters are those of the run that was not changed.
        let mut twin = net.twin();
        for k in 5..8 {
            let (loss, grads) = twin.backward(Batch::number(k, device));
            let kept = before.step(0.01, twin, grads, &loss).unwrap();
            let (loss, grads) = went_on.backward(Batch::number(k, device));
            let changed = after.step(0.01, went_on, grads, &loss).unwrap();
            // The sixth is the last that the counting guard lets through, in both.
            assert_eq!(changed.report.verdict, kept.report.verdict);
            assert_eq!(changed.report.verdict == Verdict::Skip, k > 5);
            assert_eq!(bits(&changed.model), bits(&kept.model));
            (twin, went_on) = (kept.model, changed.model);
        }
        assert!(after.averaged(&went_on).is_some(), "a new average takes in what comes");

        // It was allowed once.
        let again = before.checkpoint(&twin).unwrap();
        assert!(after.resume(&net, &again).is_err());
        // Of three snapshots one is kept, as the new keel was told.
        let count = |keel: &Keel<Net>, net: &Net| {
            let bytes = keel.checkpoint(net).unwrap().into_bytes().unwrap();
            bytes.len()
        };
        assert!(count(&after, &went_on) < count(&before, &twin));
    });
}

#[test]
fn a_memory_that_does_not_fit_is_left_behind() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let mut before = adam().clip(AdaGc::default()).build(&net).unwrap();
    let net = advance(0..3, &mut before, net, &device);
    let saved = before.checkpoint(&net).unwrap();

    // A clip of the same name, with another memory.
    struct Other;
    impl evenkeel::clip::Clip for Other {
        fn factor(&self, _: &Reading) -> f64 {
            1.0
        }
        fn name(&self) -> &str {
            "AdaGc"
        }
    }
    let mut after = adam().clip(Other).build(&net).unwrap();
    assert!(after.resume(&net, &saved).unwrap_err().is_record(), "the names are the same");
    after.allow_other_policies();
    let net = after.resume(&net, &saved).unwrap();
    assert_eq!(after.updates(), 3);
    let _ = advance(3..5, &mut after, net, &device);
}

/// The way on after a halt: the same counters, optimizer and snapshots under other guards.
#[test]
fn after_a_halt_the_run_goes_on_under_other_guards() {
    on_every_device(|device| {
        let net = Net::new(device);
        let halting = |now: &Reading| if now.update == 4 { Verdict::Halt } else { Verdict::Apply };
        let mut keel = adam().guard(halting).rewind(Rewind::every(2).unwrap()).build(&net).unwrap();
        let net = advance(0..4, &mut keel, net, device);
        let (loss, grads) = net.backward(Batch::number(4, device));
        let halted = keel.step(0.01, net, grads, &loss).unwrap_err();
        let saved = keel.checkpoint(halted.model()).unwrap();

        let mut keel = adam().rewind(Rewind::every(2).unwrap()).build(halted.model()).unwrap();
        keel.allow_other_policies();
        let net = keel.resume(halted.model(), &saved).unwrap();
        let went_on = advance(4..8, &mut keel, net, device);

        let start = Net::new(device);
        let mut plain = adam().build(&start).unwrap();
        let whole = advance(0..8, &mut plain, start, device);
        assert_eq!(bits(&went_on), bits(&whole));
        assert_eq!(keel.updates(), 8);
    });
}

#[test]
fn rewinding_may_begin_with_a_resume() {
    let device = Device::flex().autodiff();
    let mut rates = Ramp::new(0.0, 0.1, 10).unwrap().start();
    let mut net = Net::new(&device);
    let mut before = adam().build(&net).unwrap();
    for k in 0..3 {
        let (loss, grads) = net.backward(Batch::number(k, &device));
        net = before.step(rates.step(), net, grads, &loss).unwrap().model;
    }
    let bytes =
        before.checkpoint(&net).unwrap().with("rates", &rates).unwrap().into_bytes().unwrap();
    let saved = Checkpoint::from_bytes(&bytes).unwrap();

    let mut after = adam().skips_at_most(0).rewind(Rewind::every(50).unwrap()).build(&net).unwrap();
    let mut net = after.resume_with(&net, &saved, &mut [("rates", &mut rates)]).unwrap();
    let resumed = bits(&net);
    let mut rewound = None;
    for k in 3..6 {
        let mut batch = Batch::number(k, &device);
        if k == 5 {
            batch.x = with_first(batch.x, f32::NAN);
        }
        let (loss, grads) = net.backward(batch);
        let stepped = after.step(rates.step(), net, grads, &loss).unwrap();
        (net, rewound) = (stepped.model, stepped.report.rewound);
    }
    assert_eq!(rewound.unwrap().to, 3);
    assert_eq!(bits(&net), resumed);
    assert_eq!(rates.position(), 3);
}

//! Weights that were broken from outside, as by a bit of memory that turned over.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor};
use evenkeel::optim::Sgd;
use evenkeel::{Keel, Reading, Rewind, Verdict};

use crate::common::{Batch, Net, bits, on_every_device, poke};
use crate::recovery::step;

/// A bit of memory that turned over, which makes a weight so large that its square overflows: the run goes back
/// by a few updates, at the rate that it had, also if it was saved and resumed in between.
#[test]
fn weights_that_were_broken_from_outside_cost_a_few_updates_and_no_rate() {
    on_every_device(|device| {
        let rewind = Rewind::every(20).unwrap().recent(4).unwrap().at_most(1).unwrap();
        let build = |net: &Net, bounded: bool| {
            let builder = Keel::wrap(AdamConfig::new().init()).rewind(rewind);
            let builder = if bounded { builder.bound(|_: &Reading| 1.0) } else { builder };
            builder.build(net).unwrap()
        };
        let batch = |k: u64| Batch::number(k, device);
        let break_it = |net| poke(net, "last.weight", 1e30);

        let mut net = Net::new(device);
        let mut keel = build(&net, true);
        let mut seen = Vec::new();
        for k in 0..47 {
            seen.push(bits(&net));
            if k == 30 {
                let saved = keel.checkpoint(&net).unwrap();
                keel = build(&net, true);
                net = keel.resume(&net, &saved).unwrap();
            }
            if k == 31 || k == 39 {
                let report;
                (net, report) = step(&mut keel, 0.1, break_it(net), batch(k));
                // Snapshots at 20 and at every fourth after it.
                let to = if k == 31 { 28 } else { 32 };
                assert_eq!(report.verdict, Verdict::Rewind);
                let rewound = report.rewound.unwrap();
                assert_eq!((rewound.to, rewound.updates), (to, keel_at(k) - to), "{k}");
            } else {
                let report;
                (net, report) = step(&mut keel, 0.1, net, batch(k));
                assert_eq!(report.reading.lr, 0.1, "no rewind has lowered it");
            }
        }

        // At once again it is not got over, and one like others.
        let (now, report) = step(&mut keel, 0.1, break_it(net), batch(50));
        assert_eq!(report.verdict, Verdict::Rewind);
        let (now, report) = step(&mut keel, 0.1, break_it(now), batch(51));
        assert_eq!(report.verdict, Verdict::Rewind);
        let (_, report) = step(&mut keel, 0.1, now, batch(52));
        assert_eq!(report.reading.lr, 0.05);

        // Without a bound the rate may have done it.
        let mut net = Net::new(device);
        let mut keel = build(&net, false);
        for k in 0..31 {
            net = step(&mut keel, 0.1, net, batch(k)).0;
        }
        let (net, report) = step(&mut keel, 0.1, break_it(net), batch(31));
        assert_eq!(report.rewound.unwrap().to, 20);
        assert_eq!(step(&mut keel, 0.1, net, batch(32)).1.reading.lr, 0.05);
    });

    /// The update that step `k` was before: the first break took back 3 updates.
    fn keel_at(k: u64) -> u64 {
        if k == 31 { 31 } else { k - 1 - 3 }
    }
}

/// A weight that is broken and that no loss shows is found before a snapshot is taken of it; at once where each update
/// is checked, as Burn's are.
#[test]
fn no_snapshot_is_taken_of_weights_that_are_broken_already() {
    on_every_device(|device| {
        let layer = || -> Linear { LinearConfig::new(2, 2).init(device) };
        let rewind = Rewind::every(20).unwrap().recent(4).unwrap();
        let x = Tensor::<2>::ones([3, 2], device);
        for (keel, found) in [(Keel::wrap(Sgd::new()), 7), (Keel::wrap(SgdConfig::new().init()), 5)]
        {
            let mut model = vec![layer(), layer()];
            let keel = keel.bound(|_: &Reading| 1.0).rewind(rewind);
            let mut keel = keel.build(&model).unwrap();
            for update in 0..=found {
                if update == 5 {
                    model = poke(model, "1.weight", 1e30);
                }
                // The second layer counts for nothing, and has a gradient of 0.
                let unseen = model[1].forward(x.clone()) * 0.0;
                let loss = (model[0].forward(x.clone()) + unseen).powi_scalar(2).mean();
                let grads = GradientsParams::from_grads(loss.backward(), &model);
                let stepped = keel.step(0.01, model, grads, &loss).unwrap();
                model = stepped.model;
                let back = stepped.report.rewound.map(|rewound| rewound.to);
                assert_eq!(back, (update == found).then_some(4), "update {update}");
            }
        }
    });
}

/// A snapshot at the very update that was broken is not beyond it: the weights had come as far before.
#[test]
fn broken_weights_are_counted_up_to_a_snapshot_beyond_them() {
    let device = Device::flex().autodiff();
    let rewind = Rewind::every(20).unwrap().recent(4).unwrap().at_most(2).unwrap();
    let mut net = Net::new(&device);
    let keel = Keel::wrap(AdamConfig::new().init()).rewind(rewind).bound(|_: &Reading| 1.0);
    let mut keel = keel.build(&net).unwrap();
    let mut seen = Vec::new();
    for k in 0..40 {
        // Always at update 28, of which there is a snapshot.
        if [28, 29, 38].contains(&k) {
            net = poke(net, "last.weight", 1e30);
        }
        let report;
        (net, report) = step(&mut keel, 0.1, net, Batch::number(k, &device));
        seen.extend(report.rewound.map(|back| (k, back.to, back.updates)));
        // The third is one like others.
        assert_eq!(report.reading.lr, if k == 39 { 0.05 } else { 0.1 }, "step {k}");
    }
    assert_eq!(seen, [(28, 28, 0), (29, 20, 8), (38, 20, 8)]);
}

//! Each rule fires on a run made for it, and is silent on a similar one.

use super::*;
use crate::Verdict;
use crate::doctor::Severity;
use crate::record::Entry;

type Numbers = Vec<(&'static str, f64)>;

fn run(steps: u64, numbers: impl Fn(u64) -> Numbers) -> History {
    let mut history = History::default();
    for k in 0..steps {
        let entry = Entry::new(k, k);
        history.push(&numbers(k).into_iter().fold(entry, |entry, (name, x)| entry.value(name, x)));
    }
    history
}

/// A run of applied steps, except those for which `verdict` returns another verdict.
fn judged(steps: u64, verdict: impl Fn(u64) -> Option<(Verdict, &'static str)>) -> History {
    let mut history = History::default();
    for k in 0..steps {
        let entry = Entry::new(k, k).value("lr", 0.1);
        history.push(&match verdict(k) {
            Some((verdict, why)) => entry.not_applied(verdict, why),
            None => entry,
        });
    }
    history
}

fn found(history: &History, sign: FindingKind) -> Option<Finding<FindingKind>> {
    findings(history).into_iter().find(|finding| finding.check == sign)
}

#[track_caller]
fn fires(history: &History, sign: FindingKind, severity: Severity, words: &[&str]) {
    let found = found(history, sign).unwrap_or_else(|| panic!("{sign:?} is silent"));
    assert_eq!(found.severity, severity, "{found}");
    for word in words {
        assert!(found.evidence.contains(word), "{word} is not in: {}", found.evidence);
    }
    assert!(!found.remedy.is_empty());
}

#[track_caller]
fn silent(history: &History, sign: FindingKind) {
    if let Some(found) = found(history, sign) {
        panic!("{sign:?} fires: {found}");
    }
}

fn falling(k: u64) -> f64 {
    0.1 + 2.0 * (-(k as f64) / 80.0).exp()
}

#[test]
fn nothing_is_found_in_a_good_run() {
    let good = run(200, |k| {
        let lr = 0.1 * (1.0 - k as f64 / 200.0);
        vec![
            ("loss", falling(k)),
            ("lr", lr),
            ("factor", if k % 5 == 0 { 0.5 } else { 1.0 }),
            ("grad_norm", 1.0 + falling(k)),
            ("grad_norm/a.weight", 1.0),
            ("grad_norm/b.weight", 0.1),
            ("update_norm/a.weight", 0.01),
            ("param_norm/a.weight", 5.0),
            ("grad_cosine", 0.3),
            ("dead/act", 0.1),
            ("saturated/act", 0.0),
            ("headroom/act", 90.0),
        ]
    });
    assert_eq!(findings(&good), []);
    assert_eq!(findings(&History::default()), []);
    assert_eq!(findings(&run(1, |_| vec![("loss", 1.0), ("grad_norm", 0.5)])), []);
}

#[test]
fn a_halt() {
    let why = "batch 49: update 49 halted (stall), loss 1.0000e0, gradient norm 1.0e0, rate 1.0e-1";
    let history = judged(50, |k| (k == 49).then_some((Verdict::Halt, why)));
    fires(&history, FindingKind::Halted, Severity::Severe, &["update 49", "stall"]);
    silent(&judged(50, |k| (k == 9).then_some((Verdict::Rewind, "x"))), FindingKind::Halted);
}

#[test]
fn numbers_that_are_not_finite() {
    let why = "batch 7: update 7 skipped (non-finite loss), loss NaN, gradient norm NaN, rate 1.0e-1, \
               first in the gradient of `l1.weight`: 3 NaN of 64";
    let history = judged(50, |k| (k == 7).then_some((Verdict::Skip, why)));
    fires(
        &history,
        FindingKind::NonFinite,
        Severity::Warning,
        &["1 step", "update 7", "first in the gradient of `l1.weight`"],
    );
    silent(
        &judged(50, |k| (k == 7).then_some((Verdict::Skip, "loss spike"))),
        FindingKind::NonFinite,
    );

    let poisoned = run(30, |k| vec![("loss", if k < 20 { 1.0 } else { f64::NAN })]);
    fires(&poisoned, FindingKind::NonFinite, Severity::Severe, &["10 steps", "update 20"]);

    let seen = |share: f64| {
        run(9, move |k| vec![("grad_nonfinite/a.weight", if k == 4 { share } else { 0.0 })])
    };
    fires(&seen(0.25), FindingKind::NonFinite, Severity::Warning, &["`a.weight`", "update 4"]);
    silent(&seen(0.0), FindingKind::NonFinite);
}

#[test]
fn skips() {
    let every =
        |n: u64| judged(200, move |k| (k % n == 1).then_some((Verdict::Skip, "loss spike")));
    fires(
        &every(3),
        FindingKind::ManySkips,
        Severity::Severe,
        &["67 of 200", "34 %", "loss spike (67×)"],
    );
    fires(&every(10), FindingKind::ManySkips, Severity::Warning, &["10 %"]);
    fires(&every(50), FindingKind::ManySkips, Severity::Note, &["2 %"]);
    silent(&every(150), FindingKind::ManySkips);
    silent(&every(3), FindingKind::SkipsInARow);

    let row = |n: u64| {
        judged(200, move |k| (50..50 + n).contains(&k).then_some((Verdict::Skip, "spike")))
    };
    fires(&row(6), FindingKind::SkipsInARow, Severity::Warning, &["6 steps in a row", "step 50"]);
    fires(&row(25), FindingKind::SkipsInARow, Severity::Severe, &["25 steps"]);
    silent(&row(4), FindingKind::SkipsInARow);
}

#[test]
fn rewinds() {
    let times = |n: u64| {
        judged(200, move |k| (k % 10 == 5 && k < 10 * n).then_some((Verdict::Rewind, "spike")))
    };
    fires(&times(1), FindingKind::Rewinds, Severity::Note, &["once", "rate of 0.1"]);
    fires(&times(4), FindingKind::Rewinds, Severity::Warning, &["4 times"]);
    fires(&times(12), FindingKind::Rewinds, Severity::Severe, &["12 times"]);
    silent(&times(0), FindingKind::Rewinds);
}

#[test]
fn clips() {
    let share =
        |share: u64| run(100, move |k| vec![("factor", if k < share { 0.25 } else { 1.0 })]);
    fires(
        &share(93),
        FindingKind::MostlyClipped,
        Severity::Warning,
        &["clipped 93 % of updates", "threshold or rate", "25 %"],
    );
    fires(&share(60), FindingKind::MostlyClipped, Severity::Note, &["60 %"]);
    silent(&share(40), FindingKind::MostlyClipped);
}

#[test]
fn a_loss_that_does_not_fall() {
    let flat = run(100, |k| vec![("loss", 2.3 + 0.01 * (k as f64).sin())]);
    fires(&flat, FindingKind::LossNeverFell, Severity::Severe, &["2.3", "at the end"]);
    let rising = run(100, |k| vec![("loss", -1.0 + 0.1 * k as f64)]);
    fires(&rising, FindingKind::LossNeverFell, Severity::Severe, &[]);
    silent(&run(100, |k| vec![("loss", falling(k))]), FindingKind::LossNeverFell);
    silent(&run(100, |k| vec![("loss", -0.1 * k as f64)]), FindingKind::LossNeverFell);
    silent(&run(10, |_| vec![("loss", 2.3)]), FindingKind::LossNeverFell);
}

#[test]
fn a_loss_that_rises_again() {
    let back = |to: f64| {
        run(200, move |k| {
            let part = (k as f64 - 100.0) / 100.0;
            vec![("loss", if k < 100 { 2.0 - 0.015 * k as f64 } else { 0.5 + to * part })]
        })
    };
    fires(
        &back(0.8),
        FindingKind::LossRose,
        Severity::Warning,
        &["rose again", "around update 105"],
    );
    fires(&back(3.0), FindingKind::LossRose, Severity::Severe, &[]);
    silent(&back(0.1), FindingKind::LossRose);
}

#[test]
fn a_loss_that_stays() {
    let stays = |lr: fn(u64) -> f64| {
        run(400, move |k| vec![("loss", 2.0 - 0.01 * k.min(100) as f64), ("lr", lr(k))])
    };
    fires(&stays(|_| 0.1), FindingKind::Plateau, Severity::Note, &["no progress since update 2"]);
    silent(&stays(|k| if k < 200 { 0.1 } else { 1e-6 }), FindingKind::Plateau);
    silent(&run(400, |k| vec![("loss", 2.0 - 0.004 * k as f64)]), FindingKind::Plateau);
    // At 0 there is nothing left to gain.
    silent(&run(400, |k| vec![("loss", (2.0 - 0.02 * k as f64).max(0.0))]), FindingKind::Plateau);
}

#[test]
fn a_rate_far_from_the_one_that_helped() {
    let at = |later: f64| {
        run(400, move |k| {
            let (lr, loss) = match k {
                0..100 => (0.1, 2.0 * (-(k as f64) / 40.0).exp()),
                _ => (later, 0.16 - 1e-4 * (k - 100) as f64),
            };
            vec![("loss", loss), ("lr", lr)]
        })
    };
    fires(
        &at(1e-3),
        FindingKind::RateFarFromFastest,
        Severity::Note,
        &["at a rate of 0.1", "0.001 or lower"],
    );
    fires(&at(10.0), FindingKind::RateFarFromFastest, Severity::Note, &["10 or higher"]);
    silent(&at(0.05), FindingKind::RateFarFromFastest);
}

#[test]
fn updates_beside_weights() {
    let ratio = |ratio: f64| {
        run(9, move |_| {
            let other = [("update_norm/b.weight", 0.01), ("param_norm/b.weight", 10.0)];
            [vec![("update_norm/a.weight", ratio), ("param_norm/a.weight", 1.0)], other.into()]
                .concat()
        })
    };
    fires(&ratio(0.3), FindingKind::LargeUpdates, Severity::Warning, &["a 0.3"]);
    fires(&ratio(2.0), FindingKind::LargeUpdates, Severity::Severe, &["a 2"]);
    fires(&ratio(1e-7), FindingKind::SmallUpdates, Severity::Warning, &["a 1e-7"]);
    for sign in [FindingKind::LargeUpdates, FindingKind::SmallUpdates] {
        silent(&ratio(1e-3), sign);
    }
    let whole = run(9, |_| vec![("update_ratio", 0.5)]);
    fires(&whole, FindingKind::LargeUpdates, Severity::Warning, &["all weights 0.5"]);
}

#[test]
fn gradients_that_turn_around() {
    let cosine = |cosine: f64| run(20, move |_| vec![("grad_cosine", cosine)]);
    fires(&cosine(-0.5), FindingKind::Overshoot, Severity::Warning, &["-0.5"]);
    fires(&cosine(-0.9), FindingKind::Overshoot, Severity::Severe, &[]);
    silent(&cosine(-0.1), FindingKind::Overshoot);
}

#[test]
fn gradients_that_grow() {
    let by = |factor: f64| run(200, move |k| vec![("grad_norm", factor.powf(k as f64 / 200.0))]);
    fires(&by(300.0), FindingKind::GradientGrew, Severity::Warning, &["grew from 1"]);
    fires(&by(1e6), FindingKind::GradientGrew, Severity::Severe, &[]);
    silent(&by(10.0), FindingKind::GradientGrew);
    silent(&by(1e-6), FindingKind::GradientGrew);
}

#[test]
fn gradients_that_stand_out() {
    let spiked = |n: u64, size: f64| {
        run(400, move |k| {
            vec![(
                "grad_norm",
                if k % 50 == 25 && k < 50 * n { size + k as f64 / 1e3 } else { 1.0 },
            )]
        })
    };
    fires(
        &spiked(4, 40.0),
        FindingKind::GradientSpikes,
        Severity::Note,
        &["4 gradients", "update 175", "40.2 times"],
    );
    silent(&spiked(2, 40.0), FindingKind::GradientSpikes);
    silent(&spiked(4, 5.0), FindingKind::GradientSpikes);
}

#[test]
fn layers_without_a_gradient() {
    let first = |first: f64| {
        run(9, move |_| vec![("grad_norm/l1.weight", 1.0), ("grad_norm/l7.weight", first)])
    };
    fires(
        &first(1e-5),
        FindingKind::VanishingGradient,
        Severity::Warning,
        &["`l7` receives 1e-5 of `l1`'s gradient"],
    );
    fires(&first(1e-8), FindingKind::VanishingGradient, Severity::Severe, &["1e-8"]);
    silent(&first(1e-3), FindingKind::VanishingGradient);
    fires(&first(0.0), FindingKind::NoGradient, Severity::Warning, &["`l7`"]);
    silent(&first(0.0), FindingKind::VanishingGradient);
    silent(&first(1e-3), FindingKind::NoGradient);
}

#[test]
fn units_that_do_nothing() {
    let share = |name: &'static str, share: f64, from: u64| {
        run(20, move |k| vec![(name, if 10 * k < from { 0.05 } else { share }), ("x", k as f64)])
    };
    fires(
        &share("dead/act2", 0.31, 140),
        FindingKind::DeadUnits,
        Severity::Warning,
        &["31 % of units of `act2` are dead since update 14"],
    );
    fires(
        &share("dead/act2", 0.95, 0),
        FindingKind::DeadUnits,
        Severity::Severe,
        &["since the first sample"],
    );
    silent(&share("dead/act2", 0.2, 0), FindingKind::DeadUnits);
    fires(
        &share("saturated/act1", 0.5, 0),
        FindingKind::SaturatedUnits,
        Severity::Warning,
        &["`act1` are saturated"],
    );
    silent(&share("saturated/act1", 0.1, 0), FindingKind::SaturatedUnits);
    silent(&share("dead/act1", 0.5, 0), FindingKind::SaturatedUnits);
}

#[test]
fn activations_near_overflow() {
    let bits =
        |bits: f64| run(9, move |k| vec![("headroom/out", if k == 5 { bits } else { 20.0 })]);
    fires(
        &bits(2.0),
        FindingKind::LittleHeadroom,
        Severity::Warning,
        &["`out`", "2 doublings", "update 5"],
    );
    fires(&bits(0.5), FindingKind::LittleHeadroom, Severity::Severe, &[]);
    silent(&bits(4.0), FindingKind::LittleHeadroom);
}

#[test]
fn the_worst_comes_first() {
    let mut history = run(50, |_| vec![("loss", 1.0), ("factor", 0.5)]);
    history.push(&Entry::new(50, 50).not_applied(Verdict::Halt, "enough"));
    let severities: Vec<Severity> = findings(&history).iter().map(|f| f.severity).collect();
    assert!(severities.len() >= 3 && severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
}

/// Checked in a history of 100 000 steps, of which a few thousand are kept.
#[test]
fn a_long_run_is_told_of_as_a_short_one() {
    let history = run(100_000, |k| {
        let t = k as f64 / 100_000.0;
        let mut numbers =
            vec![("loss", 0.5 + 2.0 * (-5.0 * t).exp()), ("lr", 0.1 * (1.0 - t)), ("factor", 0.3)];
        if k % 100 == 0 {
            numbers.push(("dead/act", if k < 40_000 { 0.0 } else { 0.6 }));
        }
        numbers
    });
    fires(&history, FindingKind::MostlyClipped, Severity::Warning, &["100 %"]);
    fires(&history, FindingKind::DeadUnits, Severity::Warning, &["since update 40"]);
    silent(&history, FindingKind::LossNeverFell);
    silent(&history, FindingKind::Plateau);
}

#[test]
fn a_validation_loss_that_rises_while_training_falls() {
    let with = |name: &'static str, valid: fn(f64) -> f64| {
        move |k: u64| match k % 20 {
            19 => vec![("loss", falling(k)), (name, valid(k as f64 / 400.0))],
            _ => vec![("loss", falling(k))],
        }
    };
    let turning = |t: f64| 1.0 + 4.0 * (t - 0.4).powi(2);
    fires(
        &run(400, with("valid_loss", turning)),
        FindingKind::Overfitting,
        Severity::Severe,
        &["valid_loss is lowest at update 159", "the training loss went on"],
    );
    let little = |t: f64| 2.0 - t.min(0.5) + 0.15 * (t - 0.5).max(0.0) / 0.5;
    fires(
        &run(400, with("test_loss", little)),
        FindingKind::Overfitting,
        Severity::Warning,
        &["test_loss"],
    );
    // Rises from the first validation on.
    let rising = |t: f64| 1.0 + t;
    fires(
        &run(400, with("val_loss", rising)),
        FindingKind::Overfitting,
        Severity::Severe,
        &["update 19"],
    );

    let falls = |t: f64| 2.0 - t;
    silent(&run(400, with("valid_loss", falls)), FindingKind::Overfitting);
    let noisy = |t: f64| 2.0 - t + 0.05 * (t * 97.0).sin();
    silent(&run(400, with("valid_loss", noisy)), FindingKind::Overfitting);
    let one_bad = |t: f64| if t > 0.99 { 9.0 } else { 2.0 - t };
    silent(&run(400, with("valid_loss", one_bad)), FindingKind::Overfitting);
    silent(&run(400, with("accuracy", rising)), FindingKind::Overfitting);
    silent(&run(79, with("valid_loss", rising)), FindingKind::Overfitting);
    // A training loss that rises as well is another sign.
    let both = |k: u64| match k % 20 {
        19 => vec![("loss", 1.0 + k as f64), ("valid_loss", turning(k as f64 / 400.0))],
        _ => vec![("loss", 1.0 + k as f64)],
    };
    silent(&run(400, both), FindingKind::Overfitting);
}

#[test]
fn what_a_policy_had_to_say() {
    let said =
        "LossSpike has stood down once: it rejected more than 5 % of the steps. Leave it out";
    let mut history = History::new(64).unwrap();
    for k in 0..5000 {
        let entry = Entry::new(k, k).value("loss", falling(k));
        history.push(&match k {
            100 | 200 => entry.noticed(said),
            _ if k % 3 == 0 => entry.not_applied(Verdict::Skip, "a spike"),
            _ => entry,
        });
    }
    fires(
        &history,
        FindingKind::Notice,
        Severity::Warning,
        &["stood down once", "5 % of the steps"],
    );
    let all = findings(&history);
    let notices: Vec<_> =
        all.iter().filter(|finding| finding.check == FindingKind::Notice).collect();
    assert_eq!(notices.len(), 1, "once, however often");
    assert_eq!(notices[0].remedy, "Leave it out");
    assert_eq!(history.count(Verdict::Apply), 3333, "it is no incident");
}

//! Our rules for reading a curve against fastai's, place by place, and our smoothing against its recorder's.
//!
//! `golden/lr_finder.py` has called them on curves that it recorded and made, and written their answers to
//! `golden/lr_finder.json`.

use std::collections::BTreeMap;

use evenkeel::finder::{Refusal, Suggestion, Sweep};

/// One curve. What is not finite is `null`.
#[derive(serde::Deserialize)]
struct Curve {
    name: String,
    updates: usize,
    rates: Vec<f64>,
    smooth: Vec<Option<f64>>,
    trimmed: usize,
    index: BTreeMap<String, Option<usize>>,
    loss: Option<Vec<f64>>,
}

#[derive(serde::Deserialize)]
struct Golden {
    header: BTreeMap<String, String>,
    curves: Vec<Curve>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/lr_finder.json")).unwrap()
}

fn losses(curve: &Curve) -> Vec<f64> {
    curve.smooth.iter().map(|loss| loss.unwrap_or(f64::NAN)).collect()
}

#[test]
fn every_rule_chooses_fastais_point() {
    let golden = golden();
    assert_eq!(golden.header["fastai"], "2.8.12");
    let mut compared = 0;
    for curve in &golden.curves {
        let losses = losses(curve);
        let (from, to) = (curve.updates / 10, curve.rates.len() - 5);
        for (rule, name) in Suggestion::ALL.into_iter().zip(["valley", "slide", "minimum", "steep"])
        {
            let (rates, losses) = (&curve.rates[from..to], &losses[from..to]);
            assert_eq!(losses.iter().take_while(|x| x.is_finite()).count(), curve.trimmed);
            let theirs = curve.index[name];
            assert_eq!(rule.place(rates, losses), theirs, "{name} of `{}`", curve.name);
            let rate = theirs.map(|at| rates[at] / if name == "minimum" { 10.0 } else { 1.0 });
            assert_eq!(rule.rate(rates, losses), rate);
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * 29);
}

/// Given the raw losses, a sweep has fastai's smoothed ones, and leaves out what it leaves out.
#[test]
fn a_sweep_smooths_and_trims_as_fastai_does() {
    let mut compared = 0;
    for curve in golden().curves.iter().filter(|curve| curve.index["slide"].is_some()) {
        let (Some(raw), true) = (&curve.loss, curve.name.contains(" by ")) else { continue };
        let smooth = losses(curve);
        // The range as it was planned: a sweep that broke has fewer points.
        let factor = curve.rates[1] / curve.rates[0];
        let mut rates = curve.rates.clone();
        while rates.len() < curve.updates {
            rates.push(rates[rates.len() - 1] * factor);
        }
        let sweep = Sweep::new(&rates, raw, 0.98).unwrap();
        for (ours, theirs) in sweep.smooth().iter().zip(&smooth) {
            assert!((ours / theirs - 1.0).abs() < 1e-4, "`{}`: {ours} is not {theirs}", curve.name);
        }
        if sweep.rates().len() == curve.rates.len() {
            for rule in Suggestion::ALL {
                let theirs = rule.rate(
                    &curve.rates[curve.updates / 10..curve.rates.len() - 5],
                    &smooth[curve.updates / 10..curve.rates.len() - 5],
                );
                // Single precision there: where two points are alike it may choose the other.
                let (ours, theirs) = (sweep.suggestion(rule).unwrap(), theirs.unwrap());
                assert!((ours / theirs).ln().abs() < 0.6, "{rule} of `{}`", curve.name);
                compared += 1;
            }
        }
    }
    assert!(compared >= 8, "{compared}");
}

/// fastai answers all of these; where there is nothing to be read off, we don't.
#[test]
fn a_curve_that_says_nothing_is_refused() {
    let golden = golden();
    let said = |name: &str| {
        let curve = golden.curves.iter().find(|curve| curve.name == name).unwrap();
        let raw = curve.loss.as_ref().unwrap();
        Sweep::new(&curve.rates, raw, 0.98).unwrap().refusal()
    };
    assert!(matches!(said("flat"), Some(Refusal::Flat { .. })));
    assert!(matches!(said("flat, with noise"), Some(Refusal::Flat { .. })));
    assert!(matches!(said("rising"), Some(Refusal::Rising { .. })));
    assert!(matches!(said("rising, with noise"), Some(Refusal::Rising { .. })));
    assert!(matches!(said("much noise"), Some(Refusal::Noisy { .. })));
    // Batches of 16: what falls is less than what one differs from the next.
    assert!(matches!(said("regression by descent"), Some(Refusal::Noisy { .. })));
    // Their labels are drawn at random: what fell is less than what chance makes.
    assert!(said("labels of chance").is_some());
    for good in [
        "smooth, with a divergence",
        "a little noise",
        "two valleys",
        "negative",
        "regression by Adam",
        "classes by descent",
        "classes by Adam",
    ] {
        assert_eq!(said(good), None, "{good}");
    }
}

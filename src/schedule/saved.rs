//! What is saved of a curve: samples, to know it by, and the memory of the feedback in it.

use super::Schedule;
use crate::Error;
use crate::checkpoint::State;

/// Where a curve is sampled: every update at first, then eight in each doubling, and far away.
fn samples() -> impl Iterator<Item = u64> {
    let octaves = (5..34).flat_map(|octave| (8..16u64).map(move |eighth| eighth << (octave - 3)));
    (0..32).chain(octaves).chain([1 << 48, u64::MAX])
}

/// Curves saved and loaded on different machines may differ in the last places of a cosine.
const SAME: f64 = 1e-9;

/// The names that it takes in a saved state.
pub(super) const NAMES: [&str; 2] = ["curve", "remembers"];
pub(super) const FEEDBACK: &str = "feedback";

/// `state` with the curve in it.
pub(super) fn with_curve(state: State, curve: &dyn Schedule) -> State {
    let feedback = curve.state();
    state
        .with_list("curve", samples().map(|t| curve.at(t)).collect())
        // Burn's records cannot be listed: this betrays feedback that would be passed over.
        .with_count("remembers", feedback.len() as u64)
        .with_part(FEEDBACK, feedback)
}

/// The largest absolute value among the samples; `None` of a curve that rises for as long as anybody looks, or
/// is not finite somewhere: it has no peak that a run would ever see.
pub(super) fn peak(curve: &dyn Schedule) -> Option<f64> {
    const LONGEST: u64 = 1 << 30;
    let (mut at, mut peak) = (0, 0.0);
    for t in samples() {
        let y = curve.at(t).abs();
        if !y.is_finite() {
            return None;
        }
        if y > peak {
            (at, peak) = (t, y);
        }
    }
    (at < LONGEST).then_some(peak)
}

/// Gives the curve its memory back, if it is the curve that was saved. Otherwise it is unchanged.
pub(super) fn restore(curve: &dyn Schedule, state: &State) -> Result<(), Error> {
    let samples = state.list("curve")?;
    let before = curve.state();
    let (saved, own) = (state.count("remembers")?, before.len() as u64);
    if saved != own {
        return Err(Error::record(format_args!(
            "it has {saved} values of feedback, and this schedule has {own}"
        )));
    }
    // The memory goes first: the samples were taken with it.
    curve.restore(&state.part(FEEDBACK))?;
    let same = same(curve, samples);
    if same.is_err() {
        // What the curve has just given, it takes back.
        let _ = curve.restore(&before);
    }
    same
}

/// Refuses the samples of another curve.
fn same(curve: &dyn Schedule, saved: &[f64]) -> Result<(), Error> {
    if saved.len() != samples().count() {
        return Err(Error::record("a schedule's samples are missing"));
    }
    for (t, &then) in samples().zip(saved) {
        let now = curve.at(t);
        // Comparisons with NaN are false: NaN on one side only is a difference.
        let near = (now - then).abs() <= SAME * now.abs().max(then.abs());
        let same = near || (now.is_nan() && then.is_nan());
        if !same {
            return Err(Error::record(format_args!(
                "it is another schedule's: at update {t} that one gave {then}, this one gives \
                 {now}. To change the curve of a run, restore only the position, by `seek`"
            )));
        }
    }
    Ok(())
}

//! What is saved of a curve: samples, to identify it, and the memory of the feedback in it.

use super::Schedule;
use crate::Error;
use crate::checkpoint::State;

/// Returns the updates at which a curve is sampled: every one at first, then eight per doubling, and two far away.
fn samples() -> impl Iterator<Item = u64> {
    let octaves = (5..34).flat_map(|octave| (8..16u64).map(move |eighth| eighth << (octave - 3)));
    (0..32).chain(octaves).chain([1 << 48, u64::MAX])
}

/// The relative difference up to which samples are the same: curves saved and loaded on different machines may differ
/// in the last places of a cosine.
const SAME: f64 = 1e-9;

/// The names of a curve's parts in a saved state.
pub(super) const NAMES: [&str; 2] = ["curve", "remembers"];
pub(super) const FEEDBACK: &str = "feedback";

/// Returns `state` with the curve added.
pub(super) fn with_curve(state: State, curve: &dyn Schedule) -> State {
    let feedback = curve.state();
    state
        .with_list("curve", samples().map(|t| curve.at(t)).collect())
        // Burn's records cannot be listed: this count reveals feedback that would be passed over.
        .with_count("remembers", feedback.len() as u64)
        .with_part(FEEDBACK, feedback)
}

/// Returns the largest absolute value among the samples; `None` for a curve that is largest at `LONGEST` or later, or
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

/// Restores the memory of the curve, if it is the curve that was saved. Otherwise it is unchanged.
pub(super) fn restore(curve: &dyn Schedule, state: &State) -> Result<(), Error> {
    let samples = state.list("curve")?;
    let before = curve.state();
    let (saved, own) = (state.count("remembers")?, before.len() as u64);
    if saved != own {
        return Err(Error::record(format_args!(
            "it has {saved} values of feedback, and this schedule has {own}"
        )));
    }
    // The memory is restored first, because the samples were taken with it.
    curve.restore(&state.part(FEEDBACK))?;
    let same = same(curve, samples);
    if same.is_err() {
        // The curve accepts the state that it has just returned.
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

//! The three checks.

use super::{Broken, Fingerprint, Injector, Trainee};

/// Checks that everything is finite after each of `steps` steps, and that the loss after the last step is below where
/// it began.
///
/// # Errors
/// The first failure: [`Broken::Poisoned`], [`Broken::Stopped`] or [`Broken::Untrained`]; [`Broken::Unharmed`] if no
/// fault reached the loop.
///
/// # Cost
/// One fingerprint after each step.
pub fn survives<T: Trainee>(
    make: impl Fn() -> T,
    steps: u64,
    faults: &Injector,
) -> Result<(), Broken> {
    let (mut trainee, mut faults) = (make(), faults.clone());
    let (logged, before) = (faults.log().len(), trainee.loss());
    for at in 0..steps {
        step(&mut trainee, at, &mut faults)?;
        if let Some(name) = fingerprint(&trainee, at)?.non_finite() {
            return Err(Broken::Poisoned { at, name: name.to_string() });
        }
    }
    if faults.log().len() == logged {
        return Err(Broken::Unharmed { steps });
    }
    let after = trainee.loss();
    // NaN is not below anything.
    match after < before {
        true => Ok(()),
        false => Err(Broken::Untrained { steps, before, after }),
    }
}

/// Checks that after each of `steps` steps the state is, bit for bit, that of a run that never saw the batches at which
/// a fault [is due](Injector::is_due).
///
/// This is required for every fault, so inject only what the loop is meant to reject: NaN, ±∞, overflow, or a spike
/// above its guard's threshold. The steps that follow show what the fault has left in the optimizer. A loop that
/// responds with a rewind doesn't pass, because a rewind leads to a different state.
///
/// # Errors
/// [`Broken::Traced`] for the first difference, or [`Broken::Stopped`]; [`Broken::Unharmed`] if no fault reached the
/// loop.
///
/// # Cost
/// Two runs, and two fingerprints after each step.
pub fn leaves_no_trace<T: Trainee>(
    make: impl Fn() -> T,
    steps: u64,
    faults: &Injector,
) -> Result<(), Broken> {
    let (mut trainee, mut twin) = (make(), make());
    let (mut faults, mut none) = (faults.clone(), Injector::new(0));
    let (logged, mut injected) = (faults.log().len(), 0);
    for at in 0..steps {
        let due = faults.is_due(at);
        step(&mut trainee, at, &mut faults)?;
        match due {
            true => injected = at,
            false => step(&mut twin, at, &mut none)?,
        }
        let (now, clean) = (fingerprint(&trainee, at)?, fingerprint(&twin, at)?);
        if let Some(name) = now.difference(&clean) {
            return Err(Broken::Traced { at, name: name.to_string(), injected });
        }
    }
    match faults.log().len() == logged {
        true => Err(Broken::Unharmed { steps }),
        false => Ok(()),
    }
}

/// Checks that a run that is saved before step `stop`, loaded into a fresh loop and continued is, bit for bit, the
/// uninterrupted run. `faults` may be empty.
///
/// # Errors
/// [`Broken::Diverged`] for the first difference; [`Broken::Stopped`] if a step fails, or the loop cannot be saved or
/// loaded; [`Broken::Short`] if `stop` is not below `steps`.
///
/// # Cost
/// Up to two runs, and two fingerprints after each step from `stop` on.
pub fn resumes_exactly<T: Trainee>(
    make: impl Fn() -> T,
    steps: u64,
    stop: u64,
    faults: &Injector,
) -> Result<(), Broken> {
    if stop >= steps {
        return Err(Broken::Short { steps, stop });
    }
    let (mut trainee, mut faults) = (make(), faults.clone());
    for at in 0..stop {
        step(&mut trainee, at, &mut faults)?;
    }
    let saved = trainee.save().map_err(|cause| Broken::stopped(stop, cause))?;
    let mut resumed = make();
    resumed.load(&saved).map_err(|cause| Broken::stopped(stop, cause))?;

    let mut resumed_faults = faults.clone();
    let same = |trainee: &T, resumed: &T, at: u64| {
        let (one, other) = (fingerprint(trainee, at)?, fingerprint(resumed, at)?);
        match one.difference(&other) {
            Some(name) => Err(Broken::Diverged { stop, at, name: name.to_string() }),
            None => Ok(()),
        }
    };
    same(&trainee, &resumed, stop.saturating_sub(1))?;
    for at in stop..steps {
        step(&mut trainee, at, &mut faults)?;
        step(&mut resumed, at, &mut resumed_faults)?;
        same(&trainee, &resumed, at)?;
    }
    Ok(())
}

fn step(trainee: &mut impl Trainee, at: u64, faults: &mut Injector) -> Result<(), Broken> {
    trainee.step(at, faults).map_err(|cause| Broken::stopped(at, cause))
}

fn fingerprint(trainee: &impl Trainee, at: u64) -> Result<Fingerprint, Broken> {
    trainee.fingerprint().map_err(|cause| Broken::stopped(at, cause))
}

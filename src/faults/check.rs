//! The three checks.

use super::{Broken, Fingerprint, Injector, Trainee};

/// After every one of `steps` steps all is finite, and after the last the loss is below where it began.
///
/// # Errors
/// What broke first: [`Broken::Poisoned`], [`Broken::Stopped`] or [`Broken::Untrained`];
/// [`Broken::Unharmed`] if no fault came through.
///
/// # Cost
/// A fingerprint after each step.
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

/// After every one of `steps` steps all is, bit for bit, as in a run that was never shown the batches
/// at which a fault [is due](Injector::is_due).
///
/// That is asked of every fault, so inject only what the loop is meant to reject: NaN, ±∞, overflow, a
/// spike above its guard's threshold. The steps that follow show what the fault has left in the
/// optimizer, and a loop that answers with a rewind does not pass: it has gone elsewhere.
///
/// # Errors
/// [`Broken::Traced`] for the first difference, or [`Broken::Stopped`]; [`Broken::Unharmed`] if no
/// fault came through.
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

/// A run that is saved before step `stop`, loaded into a fresh loop and continued is, bit for bit, the
/// one that went on without. `faults` may be without any.
///
/// # Errors
/// [`Broken::Diverged`] for the first difference, or [`Broken::Stopped`], also if it cannot be saved or
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

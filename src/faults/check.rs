//! The three checks.

use super::{Broken, Fingerprint, Injector, Trainee};

/// Checks that everything is finite after each of `steps` steps, and that the loss after the last step is below where
/// it began.
///
/// ```
/// use evenkeel::faults::{Broken, Harm, Injector, Place, When, survives};
///
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::optim::{AdamConfig, GradientsParams};
/// # use burn::tensor::{Device, Tensor};
/// # use evenkeel::Keel;
/// # use evenkeel::faults::{Fingerprint, Trainee, Trouble};
/// # fn loss(model: &Linear, batch: u64) -> Tensor<1> {
/// #     let k = batch as f32;
/// #     let x = Tensor::<2>::from_floats([[k.sin(), k.cos()]], &model.weight.val().device());
/// #     (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
/// # }
/// # struct Kept {
/// #     model: Linear,
/// #     keel: Keel<Linear>,
/// # }
/// # impl Trainee for Kept {
/// #     fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
/// #         let loss = faults.loss(at, loss(&self.model, faults.batch_at(at)));
/// #         let grads = GradientsParams::from_grads(loss.backward(), &self.model);
/// #         let grads = faults.gradients(at, &self.model, grads)?;
/// #         self.model = self.keel.step(0.01, self.model.clone(), grads, &loss)?.model;
/// #         Ok(())
/// #     }
/// #     fn loss(&self) -> f64 {
/// #         (0..10).map(|k| loss(&self.model, k).into_scalar::<f64>()).sum()
/// #     }
/// #     fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
/// #         Ok(Fingerprint::of(&self.model)?)
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let start = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// # let kept = || Kept {
/// #     keel: Keel::wrap(AdamConfig::new().init()).build(&start).expect("a sound model"),
/// #     model: start.clone(),
/// # };
/// // `kept` makes the loop around a keel that the module's example has.
/// let faults = Injector::new(7).inject(Harm::Nan, Place::Loss, When::at([20]))?;
/// survives(kept, 50, &faults)?;
///
/// // A run whose gradients are all 0 is finite, but it learns nothing.
/// let faults = Injector::new(7).inject(Harm::Zero, Place::Gradients, When::at([0]).over(50)?)?;
/// let broken = survives(kept, 50, &faults).unwrap_err();
/// assert!(matches!(broken, Broken::Untrained { steps: 50, .. }));
/// # Ok(())
/// # }
/// ```
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
/// ```
/// use evenkeel::faults::{Broken, Harm, Injector, Place, When, leaves_no_trace};
///
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::optim::{AdamConfig, GradientsParams};
/// # use burn::tensor::{Device, Tensor};
/// # use evenkeel::Keel;
/// # use evenkeel::faults::{Fingerprint, Trainee, Trouble};
/// # fn loss(model: &Linear, batch: u64) -> Tensor<1> {
/// #     let k = batch as f32;
/// #     let x = Tensor::<2>::from_floats([[k.sin(), k.cos()]], &model.weight.val().device());
/// #     (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
/// # }
/// # struct Kept {
/// #     model: Linear,
/// #     keel: Keel<Linear>,
/// # }
/// # impl Trainee for Kept {
/// #     fn step(&mut self, at: u64, faults: &mut Injector) -> Result<(), Trouble> {
/// #         let loss = faults.loss(at, loss(&self.model, faults.batch_at(at)));
/// #         let grads = GradientsParams::from_grads(loss.backward(), &self.model);
/// #         let grads = faults.gradients(at, &self.model, grads)?;
/// #         self.model = self.keel.step(0.01, self.model.clone(), grads, &loss)?.model;
/// #         Ok(())
/// #     }
/// #     fn loss(&self) -> f64 {
/// #         (0..10).map(|k| loss(&self.model, k).into_scalar::<f64>()).sum()
/// #     }
/// #     fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
/// #         Ok(Fingerprint::of(&self.model)?)
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let start = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// # let kept = || Kept {
/// #     keel: Keel::wrap(AdamConfig::new().init()).build(&start).expect("a sound model"),
/// #     model: start.clone(),
/// # };
/// // `kept` makes the loop around a keel that the module's example has.
/// let faults = Injector::new(7).inject(Harm::Infinity, Place::AnyGradient, When::at([20]))?;
/// leaves_no_trace(kept, 50, &faults)?;
///
/// // No guard in this keel rejects a finite spike.
/// let faults = Injector::new(7).inject(Harm::Spike(100.0), Place::Loss, When::at([20]))?;
/// let broken = leaves_no_trace(kept, 50, &faults).unwrap_err();
/// assert!(matches!(broken, Broken::Traced { at: 20, injected: 20, .. }));
/// # Ok(())
/// # }
/// ```
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
/// ```
/// use evenkeel::faults::{Fingerprint, Injector, Trainee, Trouble, resumes_exactly};
///
/// # struct Momentum {
/// #     at: f64,
/// #     speed: f64,
/// # }
/// // A loop with momentum that saves where it is, and forgets its speed.
/// impl Trainee for Momentum {
/// #     fn step(&mut self, _: u64, _: &mut Injector) -> Result<(), Trouble> {
/// #         self.speed = 0.9 * self.speed - 0.1 * self.at;
/// #         self.at += self.speed;
/// #         Ok(())
/// #     }
/// #     fn loss(&self) -> f64 {
/// #         self.at.powi(2)
/// #     }
/// #     fn fingerprint(&self) -> Result<Fingerprint, Trouble> {
/// #         Ok(Fingerprint::default().with("at", [self.at]).with("speed", [self.speed]))
/// #     }
///     fn save(&self) -> Result<Vec<u8>, Trouble> {
///         Ok(self.at.to_le_bytes().to_vec())
///     }
///     fn load(&mut self, saved: &[u8]) -> Result<(), Trouble> {
///         self.at = f64::from_le_bytes(saved.try_into()?);
///         Ok(())
///     }
/// }
///
/// let make = || Momentum { at: 1.0, speed: 0.0 };
/// let broken = resumes_exactly(make, 50, 20, &Injector::new(7)).unwrap_err();
/// assert!(broken.to_string().ends_with("resumed, `speed` differs after step 19"));
/// ```
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

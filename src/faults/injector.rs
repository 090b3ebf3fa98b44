//! Fault injection by rules.

use std::fmt;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{Harm, Place, When, draw, gradients};
use crate::Error;

/// Injects faults into batches, losses and gradients.
///
/// What happens at a step is a pure function of the seed, the rules and the step, so steps can be queried in any order,
/// and repeatedly. If several rules hit the same step, they act in the order in which they were added. Injected faults
/// are [logged](Self::log).
///
/// ```
/// use evenkeel::faults::{Harm, Injector, Place, When};
///
/// let faults = Injector::new(42)
///     .inject(Harm::Nan, Place::Batch, When::at([3]))?
///     .inject(Harm::Spike(1e4), Place::AnyGradient, When::chance(0.01)?)?
///     .dead("decoder.0", When::at([50]).over(10)?)?
///     .stuck(When::at([80]).over(5)?)?;
/// assert!(faults.is_due(3) && faults.is_due(59) && !faults.is_due(4));
/// // The batch of step 80 comes five times.
/// assert_eq!([79, 80, 84, 85].map(|at| faults.batch_at(at)), [79, 80, 80, 85]);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Injector {
    seed: u64,
    rules: Vec<Rule>,
    log: Vec<Injected>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    harm: Harm,
    place: Place,
    when: When,
}

/// A fault that was injected.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::faults::{Harm, Injector, Place, When};
///
/// let mut faults = Injector::new(7).inject(Harm::Nan, Place::Loss, When::at([3]))?;
/// for at in 0..10 {
///     let loss = Tensor::<1>::from_floats([0.5], &Device::default());
///     let loss = faults.loss(at, loss).into_scalar::<f64>();
///     assert_eq!(loss.is_nan(), at == 3);
/// }
/// let injected = &faults.log()[0];
/// assert_eq!((injected.at, injected.harm), (3, Harm::Nan));
/// assert_eq!(injected.to_string(), "step 3: NaN in the loss");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Injected {
    /// The step.
    pub at: u64,
    /// The kind of harm.
    pub harm: Harm,
    /// The place where it was done.
    pub place: Place,
    /// The paths of the parameters whose gradients were hit; empty for other places.
    pub paths: Vec<String>,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {} in {}", self.at, self.harm, self.place)?;
        match (&self.place, self.paths.as_slice()) {
            (Place::AnyGradient, [path, ..]) => write!(f, ", that of `{path}`"),
            _ => Ok(()),
        }
    }
}

impl Injector {
    /// Creates an injector with this seed and no rules.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds a rule: which harm is done, where and when.
    ///
    /// # Errors
    /// If the factor of a [`Harm::Spike`] is not finite, or a [`Harm::Repeat`] is for anything but
    /// [`Place::Batch`].
    pub fn inject(mut self, harm: Harm, place: Place, when: When) -> Result<Self, Error> {
        let harm = harm.check(&place)?;
        self.rules.push(Rule { harm, place, when });
        Ok(self)
    }

    /// Adds a dead layer: the gradients of the parameter or module at `path` are 0.
    ///
    /// # Errors
    /// Same as [`inject`](Self::inject).
    pub fn dead(self, path: impl Into<String>, when: When) -> Result<Self, Error> {
        self.inject(Harm::Zero, Place::Gradient(path.into()), when)
    }

    /// Adds a stuck loader: the batch at which it begins is repeated for as long as it lasts.
    ///
    /// # Errors
    /// Same as [`inject`](Self::inject).
    pub fn stuck(self, when: When) -> Result<Self, Error> {
        self.inject(Harm::Repeat, Place::Batch, when)
    }

    /// Returns whether any harm is due at step `at`. The first batch of a stuck loader doesn't count as harm.
    #[must_use]
    pub fn is_due(&self, at: u64) -> bool {
        self.due(at).any(|(_, rule, began)| rule.harm != Harm::Repeat || began < at)
    }

    /// Returns the active rules, with their numbers and the steps at which they began.
    fn due(&self, at: u64) -> impl Iterator<Item = (u64, &Rule, u64)> {
        self.rules.iter().zip(0..).filter_map(move |(rule, number)| {
            rule.when.began(self.seed, number, at).map(|began| (number, rule, began))
        })
    }

    /// Returns which batch to use at step `at`: `at`, unless the loader is stuck.
    #[must_use]
    pub fn batch_at(&self, at: u64) -> u64 {
        let stuck = self.due(at).filter(|(_, rule, _)| rule.harm == Harm::Repeat);
        stuck.map(|(_, _, began)| began).next().unwrap_or(at)
    }

    /// Returns the batch, or the part of it that is passed, with the harm that is due.
    ///
    /// # Cost
    /// None if nothing is due; otherwise a copy.
    pub fn batch<const D: usize>(&mut self, at: u64, mut batch: Tensor<D>) -> Tensor<D> {
        for (harm, _, word) in self.take(at, |place| *place == Place::Batch) {
            batch = harm.on(batch, word);
        }
        batch
    }

    /// Returns the loss with the harm that is due. If this is called before the backward pass, the gradients are harmed
    /// too.
    ///
    /// # Cost
    /// None if nothing is due; otherwise a product.
    pub fn loss(&mut self, at: u64, mut loss: Tensor<1>) -> Tensor<1> {
        for (harm, ..) in self.take(at, |place| *place == Place::Loss) {
            loss = harm.on_loss(loss);
        }
        loss
    }

    /// Returns the gradients with the harm that is due.
    ///
    /// # Errors
    /// If a rule names a path at which no parameter has a gradient.
    ///
    /// # Cost
    /// None if nothing is due; otherwise two walks over the model, and copies of the tensors that are hit.
    pub fn gradients<M: Module>(
        &mut self,
        at: u64,
        model: &M,
        mut grads: GradientsParams,
    ) -> Result<GradientsParams, Error> {
        let before = self.log.len();
        for (index, (harm, place, word)) in
            self.take(at, Place::is_gradient).into_iter().enumerate()
        {
            let paths;
            (grads, paths) = gradients::harmed(model, grads, harm, &place, word)?;
            self.log[before + index].paths = paths;
        }
        Ok(grads)
    }

    /// Returns the injected faults, in order.
    #[must_use]
    pub fn log(&self) -> &[Injected] {
        &self.log
    }

    /// Returns the harm that is due in these places, with a random word for each, and adds it to the log.
    fn take(&mut self, at: u64, here: impl Fn(&Place) -> bool) -> Vec<(Harm, Place, u64)> {
        let due: Vec<_> = self
            .due(at)
            .filter(|(_, rule, began)| {
                here(&rule.place) && (rule.harm != Harm::Repeat || *began < at)
            })
            .map(|(number, rule, _)| {
                // A different word from the one that decided whether the rule is due.
                let word = draw::word(!self.seed, number, at);
                (rule.harm, rule.place.clone(), word)
            })
            .collect();
        self.log.extend(due.iter().map(|(harm, place, _)| Injected {
            at,
            harm: *harm,
            place: place.clone(),
            paths: Vec::new(),
        }));
        due
    }
}

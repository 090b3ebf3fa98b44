//! Harm by rule.

use std::fmt;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{Harm, Place, When, draw, gradients};
use crate::Error;

/// Puts faults into batches, losses and gradients.
///
/// What happens at a step is a pure function of the seed, the rules and the step: steps can be asked
/// for in any order, and again. Several rules may hit the same step; they act in the order in which
/// they were added. What was done is [logged](Self::log).
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

/// A harm that was done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Injected {
    /// At which step.
    pub at: u64,
    /// What was done.
    pub harm: Harm,
    /// To what.
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
    /// One that does nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds a harm.
    ///
    /// # Errors
    /// If the factor of a [`Harm::Spike`] is not finite, or a [`Harm::Repeat`] is for anything but
    /// [`Place::Batch`].
    pub fn inject(mut self, harm: Harm, place: Place, when: When) -> Result<Self, Error> {
        let harm = harm.check(&place)?;
        self.rules.push(Rule { harm, place, when });
        Ok(self)
    }

    /// A dead layer: the gradients of the parameter or module at `path` are 0.
    ///
    /// # Errors
    /// As [`inject`](Self::inject).
    pub fn dead(self, path: impl Into<String>, when: When) -> Result<Self, Error> {
        self.inject(Harm::Zero, Place::Gradient(path.into()), when)
    }

    /// A stuck loader: the batch at which it begins comes for as long as it lasts.
    ///
    /// # Errors
    /// As [`inject`](Self::inject).
    pub fn stuck(self, when: When) -> Result<Self, Error> {
        self.inject(Harm::Repeat, Place::Batch, when)
    }

    /// Whether any harm is to be done at step `at`. The first batch of a stuck loader is not one.
    pub fn is_due(&self, at: u64) -> bool {
        self.due(at).any(|(_, rule, began)| rule.harm != Harm::Repeat || began < at)
    }

    /// The rules that are active, with their numbers and the step at which they began.
    fn due(&self, at: u64) -> impl Iterator<Item = (u64, &Rule, u64)> {
        self.rules.iter().zip(0..).filter_map(move |(rule, number)| {
            rule.when.began(self.seed, number, at).map(|began| (number, rule, began))
        })
    }

    /// Which batch step `at` gets: `at`, unless the loader is stuck.
    pub fn batch_at(&self, at: u64) -> u64 {
        let stuck = self.due(at).filter(|(_, rule, _)| rule.harm == Harm::Repeat);
        stuck.map(|(_, _, began)| began).next().unwrap_or(at)
    }

    /// The batch, or the part of it that is passed through here, with its harm.
    ///
    /// # Cost
    /// None, if nothing is due; otherwise a copy.
    pub fn batch<const D: usize>(&mut self, at: u64, mut batch: Tensor<D>) -> Tensor<D> {
        for (harm, _, word) in self.take(at, |place| *place == Place::Batch) {
            batch = harm.on(batch, word);
        }
        batch
    }

    /// The loss with its harm. Before the backward pass, the gradients are harmed too.
    ///
    /// # Cost
    /// None, if nothing is due; otherwise a product.
    pub fn loss(&mut self, at: u64, mut loss: Tensor<1>) -> Tensor<1> {
        for (harm, ..) in self.take(at, |place| *place == Place::Loss) {
            loss = harm.on_loss(loss);
        }
        loss
    }

    /// The gradients with their harm.
    ///
    /// # Errors
    /// If no parameter with a gradient is at a path that a rule names.
    ///
    /// # Cost
    /// None, if nothing is due; otherwise two walks over the model and copies of what is hit.
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

    /// What was done, in order.
    pub fn log(&self) -> &[Injected] {
        &self.log
    }

    /// What is due in these places, with a random word for each; it is put into the log.
    fn take(&mut self, at: u64, here: impl Fn(&Place) -> bool) -> Vec<(Harm, Place, u64)> {
        let due: Vec<_> = self
            .due(at)
            .filter(|(_, rule, began)| {
                here(&rule.place) && (rule.harm != Harm::Repeat || *began < at)
            })
            .map(|(number, rule, _)| {
                // Not the word that decided whether it is due.
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

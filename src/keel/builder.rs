//! The builder of a keel.

use std::collections::HashMap;
use std::fmt;

use burn::module::Module;

use super::accumulate::Accumulated;
use super::agree::Crew;
use super::direction;
use super::kept::Kept;
use super::strain::Strain;
use super::{Keel, Limits, Progress, RateUse};
use crate::average::{Average, Shadow};
use crate::bound::{DeepRelativeTrust, StepBound};
use crate::clip::Clip;
use crate::error::check::Param;
use crate::guard::{Guard, LossSpike, NonFinite, rejection};
use crate::incident::Incidents;
use crate::monitor::Monitor;
use crate::optim::ModelOptimizer;
use crate::precision::LossScale;
use crate::ranks::Ranks;
use crate::report::is_under;
use crate::rewind::{Rewind, Ring};
use crate::running_statistics::Running;
use crate::{Decide, Error, Reading, Verdict};

/// Builder of a [`Keel`]; see [`Keel::wrap`].
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::AdamWConfig;
/// # use burn::tensor::Device;
/// use evenkeel::clip::GlobalNorm;
/// use evenkeel::guard::LossSpike;
/// use evenkeel::{Keel, Rewind};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// # let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
/// let keel = Keel::wrap(AdamWConfig::new().init())
///     .clip(GlobalNorm::at_most(1.0)?)
///     .guard(LossSpike::default())
///     .rewind(Rewind::every(100)?)
///     .build(&model)?;
/// assert_eq!(keel.updates(), 0);
///
/// let wrong = Keel::wrap(AdamWConfig::new().init()).check_parameters_every(0).build(&model);
/// assert!(wrong.unwrap_err().is_parameter());
/// # Ok(())
/// # }
/// ```
#[must_use = "`build` makes the keel"]
pub struct Builder<M: Module> {
    update: Box<dyn ModelOptimizer<M>>,
    non_finite: Verdict,
    guards: Vec<Box<dyn Guard>>,
    clips: Vec<Box<dyn Clip>>,
    bounds: Vec<Box<dyn StepBound>>,
    average: Option<Shadow>,
    loss_scale: Option<LossScale>,
    ranks: Option<Box<dyn Ranks>>,
    seed: Option<u64>,
    limits: Limits,
}

impl<M: Module> fmt::Debug for Builder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

impl<M: Module + 'static> Builder<M> {
    pub(super) fn new(update: Box<dyn ModelOptimizer<M>>) -> Self {
        Self {
            update,
            non_finite: Verdict::Skip,
            guards: Vec::new(),
            clips: Vec::new(),
            bounds: Vec::new(),
            average: None,
            loss_scale: None,
            ranks: None,
            seed: None,
            limits: Limits {
                decide: Decide::Now,
                skips_at_most: 10,
                check_parameters: None,
                check_optimizer: None,
                rewind: None,
            },
        }
    }

    /// Applies the recommended setup, for any optimizer and any rate:
    ///
    /// ```text
    /// .bound(DeepRelativeTrust::default())        any rate trains: a step replaces no more than a share of the weights
    /// .guard(LossSpike::default())                a batch that would harm the weights is dropped
    /// .rewind(Rewind::every(100)?.recent(10)?)    if the weights are harmed all the same, they are restored
    /// ```
    ///
    /// It consists of exactly these three lines; to replace one, write them out. A schedule is not included:
    /// with or without one the rate is held where necessary, and a warmup followed by a
    /// [`Cosine`](crate::schedule::Cosine) decay to 0 is as useful as ever. There is no gradient clipping: the
    /// bound serves its purpose, for Adam too.
    ///
    /// With [`Decide::OnDevice`] it is for optimizers whose step has the size of the rate, such as Adam:
    /// [`build`](Self::build) refuses gradient descent and momentum there.
    ///
    /// `examples/do_no_harm` runs nine healthy problems with SGD, momentum and Adam, with and without this setup;
    /// `examples/any_rate` shows loss against rate.
    ///
    /// ```
    /// # use burn::nn::LinearConfig;
    /// # use burn::optim::AdamWConfig;
    /// # use burn::tensor::Device;
    /// # use evenkeel::Keel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
    /// let keel = Keel::wrap(AdamWConfig::new().init()).recommended().build(&model)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn recommended(self) -> Self {
        self.bound(DeepRelativeTrust::default())
            .guard(LossSpike::default())
            .rewind(Rewind::recommended())
    }

    /// Adds a guard. The most severe verdict counts, so the order of guards does not matter.
    pub fn guard(mut self, guard: impl Guard + 'static) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// Adds a clip. For each parameter the smallest factor counts, so the order of clips does not matter.
    pub fn clip(mut self, clip: impl Clip + 'static) -> Self {
        self.clips.push(Box::new(clip));
        self
    }

    /// Adds a bound on the step. The smallest cap counts, so the order of bounds does not matter. See
    /// [`bound`](crate::bound) for how requested rates are used.
    pub fn bound(mut self, bound: impl StepBound + 'static) -> Self {
        self.bounds.push(Box::new(bound));
        self
    }

    /// Sets the verdict for a non-finite rate, loss, gradient, statistic or parameter. Default:
    /// [`Skip`](Verdict::Skip). A non-finite update cannot be skipped: its verdict is at least
    /// [`Rewind`](Verdict::Rewind).
    pub fn on_non_finite(mut self, verdict: Verdict) -> Self {
        self.non_finite = verdict;
        self
    }

    /// Sets how many steps may be skipped in a row. Default: 10. The next rejected step rewinds if rewinding is on,
    /// and halts otherwise.
    pub fn skips_at_most(mut self, in_a_row: u64) -> Self {
        self.limits.skips_at_most = in_a_row;
        self
    }

    /// Removes the bound on consecutive skips, so that training never ends because of them. Use this for runs that are
    /// unattended when they end, and check [`Report::rejected`](field@crate::Report::rejected) yourself.
    pub fn skips_without_end(self) -> Self {
        self.skips_at_most(u64::MAX)
    }

    /// Checks the parameters *before* every `n`-th step too. Off by default: parameters are checked
    /// after every update, so this only finds values that were written into them from outside.
    pub fn check_parameters_every(mut self, n: u64) -> Self {
        self.limits.check_parameters = Some(n);
        self
    }

    /// Checks the optimizer's state before every `n`-th step. Off by default: gradients that could
    /// corrupt it never reach it. A non-finite state cannot be skipped; it rewinds or halts.
    ///
    /// # Cost
    /// Burn's optimizers expose their state only by copying all of it to the host.
    pub fn check_optimizer_every(mut self, n: u64) -> Self {
        self.limits.check_optimizer = Some(n);
        self
    }

    /// Keeps an average of the weights, updated when an update is applied.
    ///
    /// # Cost
    /// One more set of parameters in memory, at least in `f32`, and one pass over both at each update
    /// that is averaged.
    pub fn average(mut self, rule: impl Average + 'static) -> Self {
        self.average = Some(Shadow::new(rule));
        self
    }

    /// Turns on loss scaling: expects gradients of the loss times [`Keel::loss_scale`], and divides them by it.
    pub fn loss_scale(mut self, scale: LossScale) -> Self {
        self.loss_scale = Some(scale);
        self
    }

    /// Seeds the model's devices before each forward pass, from `seed` and the number of [attempts](Keel::attempts).
    /// The masks that dropout draws for a batch are then the same in a resumed or repeated run. After a rewind, the
    /// random numbers differ, as the batches do.
    ///
    /// ```
    /// # use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use evenkeel::Keel;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let device = Device::default().autodiff();
    /// let start: Linear = LinearConfig::new(8, 8).init(&device);
    /// let run = || -> Result<f64, Box<dyn std::error::Error>> {
    ///     let mut model = start.clone();
    ///     let mut keel = Keel::wrap(SgdConfig::new().init()).seed(7).build(&model)?;
    ///     let mut last = 0.0;
    ///     for _ in 0..3 {
    ///         let x = DropoutConfig::new(0.5).init().forward(Tensor::<2>::ones([4, 8], &device));
    ///         let loss = model.forward(x).powi_scalar(2).mean();
    ///         let grads = GradientsParams::from_grads(loss.backward(), &model);
    ///         let stepped = keel.step(0.1, model, grads, &loss)?;
    ///         (model, last) = (stepped.model, stepped.report.reading.loss);
    ///     }
    ///     Ok(last)
    /// };
    /// assert_eq!(run()?, run()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Edges
    /// Burn's generator belongs to the device, and on a CPU to the whole process: a second run in another thread, or a
    /// loader that draws from it, changes the sequence. Numbers drawn between a step and the forward pass, for example
    /// by an evaluation, advance it: see [`Keel::seed_forward`]. A resumed run must have the checkpoint's seed.
    ///
    /// # Cost
    /// Sets one number at each step.
    #[doc(alias = "seed_everything")]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Keeps snapshots, and goes back to one when a guard asks for it, or when consecutive skips have
    /// used up their bound.
    pub fn rewind(mut self, rewind: Rewind) -> Self {
        self.limits.rewind = Some(rewind);
        self
    }

    /// Sets where steps are decided. Default: on the host.
    pub fn decide(mut self, decide: Decide) -> Self {
        self.limits.decide = decide;
        self
    }

    /// Makes this the keel of one of several ranks, each of which has its own keel: gradients are averaged over all
    /// ranks, and all reach the same verdict. See [`ranks`](crate::ranks).
    ///
    /// # Cost
    /// At each step, the gradients are copied into one tensor, at least in `f32`, summed over the ranks, and copied
    /// back. There are also three exchanges of a few numbers and of one or two for each parameter.
    #[doc(alias = "DistributedDataParallel")]
    pub fn ranks(mut self, ranks: impl Ranks + 'static) -> Self {
        self.ranks = Some(Box::new(ranks));
        self
    }

    /// Returns whether the loss is scaled.
    #[cfg(feature = "train")]
    pub(crate) fn is_scaled(&self) -> bool {
        self.loss_scale.is_some()
    }

    /// Checks whether this keel works in a trainer that may save at any time and computes gradients in the model's own
    /// step. `knows_scale` says whether that step knows the loss scale.
    #[cfg(feature = "train")]
    pub(crate) fn check_trainer(&self, knows_scale: bool) -> Result<(), Error> {
        let wrong =
            |name, must: &str, got: &str| Err(Error::parameter("KeelTrainer", name, must, got));
        if self.limits.decide != Decide::Now {
            return wrong("decide", "Decide::Now", "Decide::OnDevice");
        }
        match self.loss_scale {
            Some(_) if !knows_scale => {
                let must = "given to the model by `KeelTrainer::loss_factor`, or left out";
                wrong("loss_scale", must, "a LossScale alone")
            }
            _ => Ok(()),
        }
    }

    /// Checks whether the device can decide everything that is configured.
    fn check_decide(&self) -> Result<(), Error> {
        let Decide::OnDevice { every } = self.limits.decide else { return Ok(()) };
        let wrong = |name, must: &str, got: &str| {
            Err(Error::parameter("Keel", name, format_args!("{must} with Decide::OnDevice"), got))
        };
        Param("Decide::OnDevice", "every").at_least(1, every)?;
        if let Some(ranks) = &self.ranks {
            return wrong("ranks", "left out", &format!("{} of them", ranks.count()));
        }
        if let Some(guard) = self.guards.iter().find(|guard| guard.looks_at_updates()) {
            return wrong("guard", "one that does not look at updates", guard.name());
        }
        let unbounded = |clip: &&dyn Clip| clip.norm_at_most(&Reading::new(0)).is_none();
        if let Some(clip) = self.clips.iter().map(AsRef::as_ref).find(unbounded) {
            return wrong("clip", "a bound on the global norm", clip.name());
        }
        match self.limits.check_optimizer {
            Some(n) => wrong("check_optimizer_every", "left out", &n.to_string()),
            None => Ok(()),
        }
    }

    /// Checks whether the model has the parts that policies refer to: a misspelt path would bound nothing.
    fn check_parts(&self, monitor: &Monitor) -> Result<(), Error> {
        let guards = self.guards.iter().map(|guard| ("guard", guard.name(), guard.part()));
        let clips = self.clips.iter().map(|clip| ("clip", clip.name(), clip.part()));
        for (kind, name, part) in guards.chain(clips) {
            let is_there =
                |part| monitor.layout().entries().iter().any(|e| is_under(&e.path, part));
            if let Some(part) = part.filter(|part| !is_there(part)) {
                let got = format_args!("{name} under {part:?}, where there is no parameter");
                return Err(Error::parameter("Keel", kind, "for a part of the model", got));
            }
        }
        Ok(())
    }

    /// Builds a keel for `model`, which must be the model that is trained: its present running statistics are
    /// recorded, and it is the first snapshot.
    ///
    /// # Errors
    /// If a setting is out of range; if no parameter of the model requires a gradient; if a parameter
    /// or running statistic is already non-finite; if a group of the optimizer has no parameter, or a guard
    /// or clip is for a part that the model doesn't have; if a bound does not fit the optimizer.
    ///
    /// # Cost
    /// One pass over the parameters and one readback; both again with a bound, and up to three updates of copies with a
    /// bound that [asks how the optimizer steps](StepBound::looks_at_direction).
    pub fn build(self, model: &M) -> Result<Keel<M>, Error> {
        let checks = [
            ("check_parameters_every", self.limits.check_parameters),
            ("check_optimizer_every", self.limits.check_optimizer),
        ];
        for (name, every) in checks {
            Param("Keel", name).at_least(1, every.unwrap_or(1))?;
        }
        self.check_decide()?;
        self.loss_scale.as_ref().map_or(Ok(()), LossScale::check)?;
        let first = NonFinite.answering(rejection("Keel", "on_non_finite", self.non_finite)?)?;
        let running = Running::of(model);
        let powers = self.clips.iter().filter_map(|clip| clip.power());
        let monitor = Monitor::new(model, running.ids().collect()).with_powers(powers);
        monitor.check_fit(model)?;
        self.update.check_fit(model)?;
        self.check_parts(&monitor)?;

        let mut guards: Vec<Box<dyn Guard>> = vec![Box::new(first)];
        guards.extend(self.guards);
        let mut bounds = self.bounds;
        if !bounds.is_empty() {
            let directions = match bounds.iter().any(|bound| bound.looks_at_direction()) {
                true => direction::of(&*self.update, model)?,
                false => HashMap::new(),
            };
            let parameters = monitor.parameters(model, &directions)?;
            bounds.iter_mut().try_for_each(|bound| bound.start(&parameters))?;
            let late = self.limits.decide != Decide::Now;
            if let Some(bound) = bounds.iter().find(|bound| late && bound.looks_at_gradients()) {
                let must = "one that does not look at gradients with Decide::OnDevice";
                return Err(Error::parameter("Keel", "bound", must, bound.name()));
            }
        }
        let mut keel = Keel {
            kept: Kept {
                update: self.update,
                spent: false,
                running,
                average: self.average,
                accumulated: Accumulated::default(),
            },
            guards,
            clips: self.clips,
            bounds,
            loss_scale: self.loss_scale,
            limits: self.limits,
            ring: Ring::new(self.limits.rewind.map_or(0, |rewind| rewind.keep)),
            monitor,
            progress: Progress::default(),
            incidents: Incidents::default(),
            unsaid: Vec::new(),
            seed: self.seed,
            strain: Strain::default(),
            peak: None,
            rates: RateUse::default(),
            crew: self.ranks.map(Crew::new),
            pending: Vec::new(),
            resumed: false,
            other_policies: false,
        };
        if keel.limits.rewind.is_some() {
            let start = keel.snapshot(model, None, None);
            keel.ring.push(0, start);
        }
        keel.seed_forward(model);
        Ok(keel)
    }
}

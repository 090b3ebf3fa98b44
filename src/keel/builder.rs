//! How a keel is put together.

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
use crate::optim::Update;
use crate::precision::LossScale;
use crate::ranks::Ranks;
use crate::recover::{Rewind, Ring};
use crate::report::is_under;
use crate::running::Running;
use crate::{Decide, Error, Reading, Verdict};

/// A [`Keel`] in the making: see [`Keel::wrap`].
#[must_use = "`build` makes the keel"]
pub struct Builder<M: Module> {
    update: Box<dyn Update<M>>,
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
    pub(super) fn new(update: Box<dyn Update<M>>) -> Self {
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

    /// The set-up to begin with, for any optimizer and any rate:
    ///
    /// ```text
    /// .bound(DeepRelativeTrust::default())        any rate trains: a step replaces no more than a share of the weights
    /// .guard(LossSpike::default())                a batch that would harm the weights is dropped
    /// .rewind(Rewind::every(100)?.recent(10)?)    what harms them all the same is taken back
    /// ```
    ///
    /// It is these three lines and nothing else; to replace one, write them out. A schedule is not among them:
    /// with or without one the rate is held where it has to be, and a warm-up followed by a
    /// [`Cosine`](crate::schedule::Cosine) to 0 is worth as much as ever. There is no clip: what a clip is for,
    /// the bound does, for Adam too.
    ///
    /// With [`Decide::OnDevice`] it is for optimizers whose step has the size of the rate, such as Adam's:
    /// [`build`](Self::build) refuses descent and momentum there.
    ///
    /// Nine healthy problems with SGD, momentum and Adam, with it and without, are `examples/do_no_harm`; loss
    /// against rate is `examples/any_rate`.
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

    /// Adds a judge. The most severe verdict counts, so the order of guards does not matter.
    pub fn guard(mut self, guard: impl Guard + 'static) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// Adds a clip. The smallest factor counts, for each parameter, so the order of clips does not matter.
    pub fn clip(mut self, clip: impl Clip + 'static) -> Self {
        self.clips.push(Box::new(clip));
        self
    }

    /// Adds a bound on the step. The smallest cap counts, so the order of bounds does not matter. See
    /// [`bound`](crate::bound) for what becomes of the rates that are asked for.
    pub fn bound(mut self, bound: impl StepBound + 'static) -> Self {
        self.bounds.push(Box::new(bound));
        self
    }

    /// What a non-finite rate, loss, gradient, statistic or parameter leads to: a
    /// [`Skip`](Verdict::Skip), unless said otherwise here. A non-finite update cannot be skipped: it
    /// leads to a [`Rewind`](Verdict::Rewind) at least.
    pub fn on_non_finite(mut self, verdict: Verdict) -> Self {
        self.non_finite = verdict;
        self
    }

    /// How many steps may be skipped in a row: 10, unless said otherwise here. The next one rewinds,
    /// if rewinding is on, and halts otherwise.
    pub fn skips_at_most(mut self, in_a_row: u64) -> Self {
        self.limits.skips_at_most = in_a_row;
        self
    }

    /// Skips as many steps in a row as there are to skip: training never ends because of them. Say this where
    /// nobody is there to look at a run that has ended, and look at
    /// [`Report::rejected`](field@crate::Report::rejected) yourself.
    pub fn skips_without_end(self) -> Self {
        self.skips_at_most(u64::MAX)
    }

    /// Checks the parameters *before* every `n`-th step too. Off by default: parameters are checked
    /// after every update, so this only finds what was put into them from outside.
    pub fn check_parameters_every(mut self, n: u64) -> Self {
        self.limits.check_parameters = Some(n);
        self
    }

    /// Checks the optimizer's state before every `n`-th step. Off by default: gradients that could
    /// spoil it are not shown to it. A non-finite state cannot be skipped; it rewinds, or halts.
    ///
    /// # Cost
    /// Burn's optimizers show their state only by copying all of it to the host.
    pub fn check_optimizer_every(mut self, n: u64) -> Self {
        self.limits.check_optimizer = Some(n);
        self
    }

    /// Keeps an average of the weights, updated when an update is applied.
    ///
    /// # Cost
    /// One more set of parameters in memory, in `f32` at least, and one pass over both at each update
    /// that goes into it.
    pub fn average(mut self, rule: impl Average + 'static) -> Self {
        self.average = Some(Shadow::new(rule));
        self
    }

    /// Expects gradients of the loss times [`Keel::loss_scale`], and divides them by it.
    pub fn loss_scale(mut self, scale: LossScale) -> Self {
        self.loss_scale = Some(scale);
        self
    }

    /// Seeds the model's devices before each forward pass, from this and the number of [attempts](Keel::attempts): what
    /// dropout draws for a batch is then the same in a run that was resumed, or is run once more. After a rewind other
    /// numbers are drawn, as other batches are.
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
    /// Burn's generator is the device's, and on a CPU the whole process's: a second run in another thread, or a loader that
    /// draws from it, takes numbers away. What is drawn between a step and the forward pass, as by an evaluation, moves it
    /// on: see [`Keel::seed_forward`]. The run of a checkpoint must have the same seed.
    ///
    /// # Cost
    /// Setting a number, at each step.
    #[doc(alias = "seed_everything")]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Keeps snapshots, and goes back to one when a guard asks for it, or when skips in a row have
    /// used up their bound.
    pub fn rewind(mut self, rewind: Rewind) -> Self {
        self.limits.rewind = Some(rewind);
        self
    }

    /// Where steps are decided: on the host, unless said otherwise here.
    pub fn decide(mut self, decide: Decide) -> Self {
        self.limits.decide = decide;
        self
    }

    /// Makes it the keel of one of several ranks, each with its own: gradients are averaged over all, and all come to
    /// one verdict. See [`ranks`](crate::ranks).
    ///
    /// # Cost
    /// For each step the gradients are copied into one tensor, in `f32` at least, added up over the ranks, and copied
    /// back; and three exchanges of a few numbers and of one or two for each parameter.
    #[doc(alias = "DistributedDataParallel")]
    pub fn ranks(mut self, ranks: impl Ranks + 'static) -> Self {
        self.ranks = Some(Box::new(ranks));
        self
    }

    /// Whether the loss is scaled.
    #[cfg(feature = "train")]
    pub(crate) fn is_scaled(&self) -> bool {
        self.loss_scale.is_some()
    }

    /// Whether a trainer can use it that saves when it likes, and makes gradients by a step of the model, which knows
    /// a loss scale or does not.
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

    /// Whether the device can decide all that is asked for.
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

    /// Whether the model has the parts that policies are for: a misspelt path would bound nothing.
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

    /// A keel for `model`, which must be the one that is trained: its running statistics are noted as
    /// they are now, and it is the first snapshot.
    ///
    /// # Errors
    /// If a setting is out of range; if no parameter of the model asks for a gradient; if a parameter
    /// or running statistic is non-finite already; if a group of the optimizer has no parameter, or a guard
    /// or clip is for a part that the model has not; if a bound does not fit the optimizer.
    ///
    /// # Cost
    /// One pass over the parameters, one readback; both again with a bound, and up to three updates of copies with one
    /// that [asks how the optimizer steps](StepBound::looks_at_direction).
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

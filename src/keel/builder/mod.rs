//! The builder of a keel.

mod build;

use std::fmt;

use burn::module::Module;

use super::Limits;
use crate::average::{Average, Shadow};
use crate::bound::{DeepRelativeTrust, StepBound};
use crate::clip::Clip;
use crate::guard::{Guard, LossSpike};
use crate::optim::ModelOptimizer;
use crate::precision::LossScale;
use crate::ranks::Ranks;
use crate::rewind::Rewind;
use crate::{Decide, Verdict};

/// Builder of a [`Keel`](crate::Keel); see [`Keel::wrap`](crate::Keel::wrap).
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

    /// Turns on loss scaling: expects gradients of the loss times [`Keel::loss_scale`](crate::Keel::loss_scale), and divides them by it.
    pub fn loss_scale(mut self, scale: LossScale) -> Self {
        self.loss_scale = Some(scale);
        self
    }

    /// Seeds the model's devices before each forward pass, from `seed` and the number of [attempts](crate::Keel::attempts).
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
    /// by an evaluation, advance it: see [`Keel::seed_forward`](crate::Keel::seed_forward). A resumed run must have the checkpoint's seed.
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
}

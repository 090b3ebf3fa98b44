//! Periodic observation of training: norms, updates and gradient directions.

mod look;
mod observation;
mod parts;
mod read;

pub use observation::Observation;

use std::collections::HashMap;
use std::fmt;

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::{Layout, Misfit, Probe, any_gradient, one_number};
use crate::error::check::Param;
use crate::optim::SecondMoments;
use crate::report::is_under;
use crate::tensor_shelf::Shelf;
use crate::{Error, Report, Verdict};
use look::{Before, Keep, Look, Past, Room, What};

/// Observes every `n`-th step of training: norms, updates and, on request, gradient directions and second
/// moments.
///
/// Call [`look`](Self::look) before the update and [`observe`](Self::observe) after it; in a custom loop without
/// a [`Keel`](crate::Keel), call [`observe_update`](Self::observe_update) instead of the latter. For each sampled
/// step, the observation holds, for the whole model, for every parameter that has a gradient, and for each
/// [group](Self::group):
///
/// ```text
/// grad_norm        ‖g‖ before any clipping
/// param_norm       ‖p‖ before the update
/// update_norm      ‖Δp‖            update_ratio     ‖Δp‖/‖p‖, left out at ‖p‖ = 0
/// grad_zeros       the share of elements of g that are 0
/// grad_nonfinite   the share of elements of g that are NaN or infinite
/// ```
///
/// With [`directions`](Self::directions), it also holds, computed from the gradients of the samples:
///
/// ```text
/// grad_cosine      ⟨g, h⟩/(‖g‖·‖h‖)     h the gradient of the previous sample
/// grad_snr         (‖ḡ‖² − σ²/n)⁺/σ²     σ² = n/(n − 1)·(mean‖g‖² − ‖ḡ‖²)     over n samples
/// ```
///
/// These are left out where a gradient, or the noise, is 0. With [`second_moments`](Self::second_moments), it
/// also holds, where all parameters have one:
///
/// ```text
/// second_moment_rms    √mean(g²/max(v̂, ε²))     v̂ the bias-corrected average of g², after the update
/// second_moment        √mean(v̂)
/// ```
///
/// Here `g` is multiplied by the report's factor, so that it is the gradient that the optimizer saw. This is
/// exact except with a clip that treats parameters or rates separately, and with gradients of a scaled loss,
/// which multiply `second_moment_rms` by the scale. `second_moment_rms` is near 1 in calm training. From 2.3 on,
/// in the early layers, it predicts a loss spike: the average has fallen behind the gradient (Wortsman et al.
/// 2023, arXiv 2304.13013, section 3.4 and algorithm 2). Where a report is known, the observation also holds, for
/// the step:
///
/// ```text
/// lr, factor, effective_lr     the rate, the factor that the clips left, and their product
/// clip_rate, skip_rate         over all steps since the last sample, the clipped share of applied steps,
///                              and the share of steps that were not applied
/// ```
///
/// Last come the values passed to [`value`](Self::value), such as the largest logit of an attention layer or of
/// the output, and the activations passed to the [`probe`](Self::probe).
///
/// A rejected step has no update, and directions ignore it. An update along a non-finite gradient, which only a
/// custom loop makes, restarts the window of directions. With [`Decide::OnDevice`](crate::Decide::OnDevice), a
/// step whose report is pending has no `factor` and does not count in the two rates, and a step that the device
/// dropped shows an update of 0.
///
/// The state of directions is not part of a checkpoint: after a resume it starts empty.
///
/// # Cost
/// A step that is not sampled costs nothing. A sampled step costs one readback, and passes over the parameters:
/// about nine, plus four with second moments and four with directions. On Flex with the `flex` feature, these are
/// parallel reads instead: of the gradients (twice if no second moments are shown), of the old and new
/// parameters, of the second moments, and with directions of two sets of gradients. For the cost of a probe, see
/// [`Probe`].
///
/// The parameters before the update are held until they are read, so that the update cannot overwrite them in
/// place; on Flex they are copied into buffers that are reused. Gradients are held as long if the optimizer has
/// second moments or directions are compared. Directions hold two more sets of gradients; on Flex, three if the
/// optimizer has no second moments to show.
///
/// Source of `grad_snr`: the unbiased estimates of McCandlish et al. 2018 (arXiv 1812.06162), appendix A, taken
/// over steps instead of over batch sizes.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::{Keel, monitor::Watch};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(4, 1).init(&device);
/// let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
/// let mut watch = Watch::every(2)?;
/// let mut seen = Vec::new();
/// for _ in 0..5 {
///     let x = Tensor::<2>::random([8, 4], Distribution::Default, &device);
///     let y = model.forward(x);
///     watch.value("output_max", || y.clone().max());
///     let loss = y.powi_scalar(2).mean();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     watch.look(&model, &grads);
///     let stepped = keel.step(0.1, model, grads, &loss)?;
///     seen.extend(watch.observe(&stepped.model, &stepped.report)?);
///     model = stepped.model;
/// }
/// assert_eq!(seen.len(), 3);
/// let ratio = seen[0].get("update_norm/weight").unwrap() / seen[0].get("grad_norm/weight").unwrap();
/// assert!((ratio - 0.1).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
pub struct Watch {
    every: u64,
    layers: bool,
    groups: Vec<String>,
    /// The number of samples in a window, if directions are compared.
    directions: Option<u64>,
    /// The number of steps seen so far, sampled or not.
    steps: u64,
    pending: Option<(Look, Layout)>,
    values: Vec<(String, Tensor<1>)>,
    /// The error of the coming sample, returned when the sample is read.
    unfit: Option<Error>,
    probe: Probe,
    moments: SecondMoments,
    past: Past,
    room: Room,
    /// Whether the optimizer had second moments when it was last observed. If so it is one of this crate's, which
    /// free gradients without checking whether they are held elsewhere.
    has_moments: bool,
    memory: HashMap<ParamId, Memory>,
    /// The number of samples in the window so far.
    count: u64,
    tally: Tally,
    readbacks: u64,
}

/// The verdicts on the steps since the last sample.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    applied: u64,
    clipped: u64,
    rejected: u64,
}

/// Numbers kept of the earlier gradients of one parameter, in addition to their directions.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// `Σg²` of the last sample.
    last: f64,
    /// `Σg²` summed over the window so far, and the number of samples in it.
    squares: f64,
    samples: u64,
}

impl Watch {
    /// Creates a watch that samples the first step and every `n`-th step from there.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn every(n: u64) -> Result<Self, Error> {
        Ok(Self {
            every: Param("Watch", "every").at_least(1, n)?,
            layers: true,
            groups: Vec::new(),
            directions: None,
            steps: 0,
            pending: None,
            values: Vec::new(),
            unfit: None,
            probe: Probe::of_a_watch(),
            moments: SecondMoments::default(),
            past: Past::default(),
            room: Room::default(),
            has_moments: true,
            memory: HashMap::new(),
            count: 0,
            tally: Tally::default(),
            readbacks: 0,
        })
    }

    /// Sets whether every parameter is reported individually. The default is `true`.
    #[must_use]
    pub fn layers(self, each: bool) -> Self {
        Self { layers: each, ..self }
    }

    /// Also reports the parameters under this path as a group. A prefix matches whole path components: `"head"`
    /// covers `head` and `head.weight`, but not `header.weight`. Groups may overlap. A group without parameters
    /// is an error of [`observe`](Self::observe).
    #[must_use]
    pub fn group(mut self, prefix: &str) -> Self {
        self.groups.push(prefix.to_string());
        self
    }

    /// Compares the directions of gradients: the cosine with the previous sample, and the signal-to-noise ratio
    /// over windows of `over` samples. When a window is full, a new one starts.
    ///
    /// # Errors
    /// If `over` is below 2.
    pub fn directions(self, over: u64) -> Result<Self, Error> {
        Ok(Self { directions: Some(Param("Watch", "directions").at_least(2, over)?), ..self })
    }

    /// Returns whether the next [`look`](Self::look) takes a sample.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.steps.is_multiple_of(self.every)
    }

    /// Returns the number of readbacks so far.
    #[must_use]
    pub fn readbacks(&self) -> u64 {
        self.readbacks
    }

    /// Adds a custom number of one element: the largest logit, an entropy, an auxiliary loss. `value` is only
    /// called if the coming step is [sampled](Self::is_due). If a name is given several times, the last value
    /// counts. A tensor with more than one element is an error of [`observe`](Self::observe).
    ///
    /// Attention logits that keep growing predict divergence (Wortsman et al. 2023, arXiv 2309.14322): the larger
    /// they are, the less gradient passes through the softmax. To record their maximum:
    ///
    /// ```
    /// use burn::tensor::{Device, Distribution, Tensor};
    /// use evenkeel::monitor::Watch;
    ///
    /// # fn main() -> Result<(), evenkeel::Error> {
    /// # let device = Device::default();
    /// # let random = || Tensor::<4>::random([2, 3, 5, 8], Distribution::Default, &device);
    /// let mut watch = Watch::every(10)?;
    /// // Queries and keys: batch, heads, positions, features of a head.
    /// let (q, k) = (random(), random());
    /// let logits = q.matmul(k.swap_dims(2, 3)).div_scalar(8.0_f64.sqrt());
    /// watch.value("attn_logit_max/block3", || logits.clone().max());
    /// # Ok(())
    /// # }
    /// ```
    pub fn value(&mut self, name: &str, value: impl FnOnce() -> Tensor<1>) {
        if self.is_due() {
            let value = value().without_autodiff();
            if let Err(Misfit::Elements(_, got)) = one_number("value", &value) {
                let got = format_args!("{got} for {name:?}: reduce it with `.mean()` or `.max()`");
                self.unfit = Some(Error::parameter("Watch", "value", "one number", got));
                return;
            }
            self.values.retain(|(known, _)| known != name);
            self.values.push((name.to_string(), value));
        }
    }

    /// Returns the probe for the model's forward pass. It is on in steps that are [sampled](Self::is_due), and
    /// their observations include its numbers. A clone may be kept for the whole training run.
    #[must_use]
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Observes a step before its update, if a sample is due.
    ///
    /// `grads` are the gradients of the loss; if the loss is scaled, the gradients' numbers are scaled too.
    pub fn look<M: Module>(&mut self, model: &M, grads: &GradientsParams) {
        let due = self.is_due();
        self.steps += 1;
        let activations = self.probe.end_step(self.is_due());
        self.pending = None;
        self.moments = SecondMoments::default();
        if !due {
            return;
        }
        let keep = match (self.has_moments, self.directions) {
            (true, _) => Keep::Them,
            (false, Some(_)) => Keep::Copies,
            (false, None) => Keep::Nothing,
        };
        if let Err(why) = any_gradient(model, grads) {
            self.unfit = self.unfit.take().or(Some(why.of("Watch")));
        }
        let mut room = std::mem::take(&mut self.room);
        if keep != Keep::Copies {
            room.gradients = Shelf::default();
        }
        let (look, seen, host) = Default::default();
        let mut before = Before { grads, keep, look, seen, room, host };
        model.visit(&mut before);
        let mut look = before.end();
        for (at, (name, value)) in self.values.drain(..).enumerate() {
            look.value(What::Value(at), value);
            look.values.push(name);
        }
        activations.into_iter().for_each(|taken| look.activation(taken));
        let layout = Layout::of(model);
        let is_there = |group: &&String| layout.entries().iter().any(|e| is_under(&e.path, group));
        if let Some(group) = self.groups.iter().find(|group| !is_there(group)) {
            let must = "the path of some parameters";
            let why = Error::parameter("Watch", "group", must, format_args!("{group:?}"));
            self.unfit = self.unfit.take().or(Some(why));
        }
        self.pending = Some((look, layout));
    }

    /// Adds the second moments of an optimizer. Call it after the update and before [`observe`](Self::observe),
    /// as `watch.second_moments(|| keel.second_moments())`. `moments` is only called if the step is sampled. If
    /// an optimizer has none after an update and gains them later, they are reported from the sample after that.
    pub fn second_moments(&mut self, moments: impl FnOnce() -> SecondMoments) {
        if self.pending.is_some() {
            self.moments = moments();
        }
    }

    /// Returns the observation of a step, including the numbers of its report; `None` if the step is not sampled.
    /// Call it after every step, so that the rates count them all.
    ///
    /// # Errors
    /// If a [value](Self::value) does not have exactly one element, no parameter of the model had a gradient, a
    /// [group](Self::group) has no parameter, or the device fails during the readback.
    pub fn observe<M: Module>(
        &mut self,
        after: &M,
        report: &Report,
    ) -> Result<Option<Observation>, Error> {
        match (report.pending, report.verdict) {
            (true, _) => {}
            (false, Verdict::Apply) => {
                self.tally.applied += 1;
                self.tally.clipped += u64::from(report.is_clipped());
            }
            (false, _) => self.tally.rejected += 1,
        }
        let counts = report.pending || report.verdict == Verdict::Apply;
        self.read(after, counts, Some(report))
    }

    /// Returns the observation of a step that was applied in a custom loop; `None` if the step is not sampled.
    ///
    /// # Errors
    /// See [`observe`](Self::observe).
    pub fn observe_update<M: Module>(&mut self, after: &M) -> Result<Option<Observation>, Error> {
        self.read(after, true, None)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("every", &self.every)
            .field("groups", &self.groups)
            .field("directions", &self.directions)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

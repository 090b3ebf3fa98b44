//! Looking at training itself: norms, updates and directions, now and then.

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
use crate::shelf::Shelf;
use crate::{Error, Report, Verdict};
use look::{Before, Keep, Look, Past, Room, What};

/// Looks at every `n`-th step of training, and tells what it saw.
///
/// [`look`](Self::look) comes before the update and [`observe`](Self::observe) after it; with a custom
/// loop in place of a [`Keel`](crate::Keel), [`observe_update`](Self::observe_update). Of each sampled
/// step, for the whole model, for every parameter that has a gradient, and for each
/// [group](Self::group):
///
/// ```text
/// grad_norm        ‖g‖, before any clipping
/// param_norm       ‖p‖, before the update
/// update_norm      ‖Δp‖            update_ratio     ‖Δp‖/‖p‖, left out at ‖p‖ = 0
/// grad_zeros       the share of elements of g that are 0
/// grad_nonfinite   the share that are NaN or infinite
/// ```
///
/// with [`directions`](Self::directions) also, of the gradients of samples,
///
/// ```text
/// grad_cosine      ⟨g, h⟩/(‖g‖·‖h‖) with the gradient h of the sample before
/// grad_snr         (‖ḡ‖² − σ²/n)⁺/σ²     σ² = n/(n − 1)·(mean‖g‖² − ‖ḡ‖²)     over n samples
/// ```
///
/// left out where a gradient, or the noise, is 0; with [`second_moments`](Self::second_moments) also, where
/// all parameters have one,
///
/// ```text
/// second_moment_rms    √mean(g²/max(v̂, ε²))     v̂ the corrected average of g², after the update
/// second_moment        √mean(v̂)
/// ```
///
/// with `g` times the report's factor, as the optimizer saw it (exact but for a clip that treats parameters
/// or rates apart, and for gradients of a loss times a scale, which make the first that many times larger). The first is near 1 in calm training, and from 2.3 on, in the early layers, it foretells a
/// loss spike: the average has fallen behind the gradient
/// (Wortsman et al. 2023, arXiv 2304.13013, section 3.4 and algorithm 2). And of the step, where a report is known,
///
/// ```text
/// lr, factor, effective_lr     the rate, what the clips left, and their product
/// clip_rate, skip_rate         of all steps since the last sample, the clipped share of those applied,
///                              and the share of those not applied
/// ```
///
/// and last, what was passed to [`value`](Self::value), as the largest logit of an attention or of the
/// output, and what was shown to its [`probe`](Self::probe). A rejected step has no update, and directions do
/// not learn from it; an update along a gradient that is not finite, as nobody but a custom loop makes, begins
/// their window anew. With [`Decide::OnDevice`](crate::Decide::OnDevice), a step whose report is
/// pending has no `factor` and does not count in the two rates, and one that the device dropped shows an
/// update of 0.
///
/// The memory of directions is not part of a checkpoint: after a resume it begins anew.
///
/// # Cost
/// Of a step that is not sampled: none. Of a sampled one, one readback, and passes over the parameters:
/// about nine, four more with second moments, and four more with directions. On Flex with the `flex`
/// feature, in parallel reads instead: of the gradients, twice where no second moments are shown, of old and new parameters, of second moments,
/// and with directions of two sets of gradients. For what a probe costs, see [`Probe`].
///
/// The parameters before the update are held until it is read, so that the update cannot write over them;
/// on Flex they are copied, into buffers that are kept. Gradients are held as long where the optimizer has
/// second moments or directions are compared. Directions hold two more sets of gradients; on Flex three,
/// where the optimizer has no second moments to show.
///
/// Source of `grad_snr`: the unbiased estimates of McCandlish et al. 2018 (arXiv 1812.06162), appendix A,
/// over steps in place of over batch sizes.
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
    /// How many samples make a window, where directions are compared.
    directions: Option<u64>,
    /// How many steps have been looked at or passed over.
    steps: u64,
    pending: Option<(Look, Layout)>,
    values: Vec<(String, Tensor<1>)>,
    /// What is wrong with the coming sample: told when it is read.
    unfit: Option<Error>,
    probe: Probe,
    moments: SecondMoments,
    past: Past,
    room: Room,
    /// Whether the optimizer had second moments when it was last looked at: then it is one of ours, which frees
    /// gradients without a look at who else holds them.
    has_moments: bool,
    memory: HashMap<ParamId, Memory>,
    /// How many samples are in the window.
    count: u64,
    tally: Tally,
    readbacks: u64,
}

/// What became of the steps since the last sample.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    applied: u64,
    clipped: u64,
    rejected: u64,
}

/// What is known of the earlier gradients of one parameter, beside their directions.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// `Σg²` of the last sample.
    last: f64,
    /// `Σg²`, summed over the window so far, and how many samples those are.
    squares: f64,
    samples: u64,
}

impl Watch {
    /// Looks at the first step, and at every `n`-th from there.
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

    /// Whether every parameter is told of by itself: yes, unless said otherwise here.
    pub fn layers(self, each: bool) -> Self {
        Self { layers: each, ..self }
    }

    /// Tells of the parameters under this path together too. A prefix ends where a path does: `"head"`
    /// covers `head` and `head.weight`, and not `header.weight`. Groups may overlap. One without parameters
    /// is an error of [`observe`](Self::observe).
    pub fn group(mut self, prefix: &str) -> Self {
        self.groups.push(prefix.to_string());
        self
    }

    /// Compares the directions of gradients: the cosine with the sample before, and the signal-to-noise
    /// ratio over windows of `over` samples, which begin anew when they are full.
    ///
    /// # Errors
    /// If `over` is below 2.
    pub fn directions(self, over: u64) -> Result<Self, Error> {
        Ok(Self { directions: Some(Param("Watch", "directions").at_least(2, over)?), ..self })
    }

    /// Whether the next [`look`](Self::look) will look.
    pub fn is_due(&self) -> bool {
        self.steps.is_multiple_of(self.every)
    }

    /// How often it has read from the device.
    pub fn readbacks(&self) -> u64 {
        self.readbacks
    }

    /// A number of the user's own, of one element: the largest logit, an entropy, an auxiliary loss.
    /// `value` is only called if the coming step is [sampled](Self::is_due). Of several of the same
    /// name the last one counts. Of more than one element, it is an error of [`observe`](Self::observe).
    ///
    /// Attention logits that grow and grow foretell divergence (Wortsman et al. 2023, arXiv 2309.14322): the
    /// larger they are, the less gradient the softmax passes on. Their maximum:
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

    /// The probe for the model's forward pass: on in steps that are [sampled](Self::is_due), and what it sees
    /// is in their observations. A copy may be kept for the whole training.
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// Looks at a step before its update, if it is due.
    ///
    /// `grads` are those of the loss; of a loss times a scale, the gradients' numbers have that scale.
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

    /// The second moments of an optimizer after the update, before [`observe`](Self::observe):
    /// `watch.second_moments(|| keel.second_moments())`. `moments` is only called if the step is sampled. An
    /// optimizer that had none after an update, and has some later, is told of from the sample after that on.
    pub fn second_moments(&mut self, moments: impl FnOnce() -> SecondMoments) {
        if self.pending.is_some() {
            self.moments = moments();
        }
    }

    /// What was seen of a step, with what a keel made of it; `None` of one that is not sampled. To be
    /// called after every step, for the rates.
    ///
    /// # Errors
    /// If a [value](Self::value) has not one element, no parameter of the model had a gradient, a
    /// [group](Self::group) has no parameter, or the device fails while it is read.
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

    /// What was seen of a step that was applied in a custom loop; `None` of one that is not sampled.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
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

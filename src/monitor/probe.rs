//! Observation of activations from inside a forward pass.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Tensor};

use super::Observation;
use super::activation::Taken;
use super::culprits::how_many;
use super::sums::Sums;
use crate::Error;
use crate::error::check::Param;
use crate::shared::Shared;
use crate::widen::widened;

/// Observes activations from inside a model's forward pass.
///
/// A model's `forward` takes a `&Probe` and passes activations through [`watch`](Self::watch), which returns them
/// unchanged. With [`Probe::off`], it does nothing else. [`blame`](super::blame) runs the forward pass with a
/// probe that searches for non-finite values. A probe that [samples](Self::every) reports, for each activation
/// `x`, in every `n`-th step:
///
/// ```text
/// mean/NAME        x̄
/// std/NAME         √(1/n·Σ(x − x̄)²)
/// kurtosis/NAME    1/n·Σ(x − x̄)⁴/std⁴: 3 for a normal distribution; left out at std = 0
/// abs_max/NAME     max|x|
/// headroom/NAME    log₂(largest number of the type/max|x|); left out at max|x| = 0
/// dead/NAME        the share of units that are 0 in the whole batch
/// saturated/NAME   the share of elements in the outer 1.5 % of a range; left out if any lies beyond it
/// nonfinite/NAME   the share of elements that are NaN or infinite
/// ```
///
/// The first five are taken over the finite elements, so that one NaN does not hide the rest; if no element is
/// finite, they are left out. A unit is an index along the last axis, or along axis 1 of a tensor of rank 4 or
/// more, unless [`watch_units`](Self::watch_units) says otherwise; a unit that contains a NaN is not dead. The
/// range is −1 to 1, as for `tanh`, so that `saturated` counts `|x| > 0.97`; [`watch_within`](Self::watch_within)
/// sets another range.
///
/// ```
/// use burn::nn::{Linear, LinearConfig, Relu};
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::monitor::Probe;
///
/// struct Net { first: Linear, second: Linear }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>, probe: &Probe) -> Tensor<2> {
///         let x = probe.watch("first", self.first.forward(x));
///         let x = probe.watch("relu", Relu::new().forward(x));
///         probe.watch("second", self.second.forward(x))
///     }
/// }
///
/// # let device = Device::default();
/// # let linear = || LinearConfig::new(3, 3).init(&device);
/// let net = Net { first: linear(), second: linear() };
/// let probe = Probe::every(10)?;
/// for _ in 0..11 {
///     net.forward(Tensor::ones([2, 3], &device), &probe);
///     if let Some(seen) = probe.observe()? {
///         assert!(seen.get("dead/relu").unwrap() <= 1.0);
///     }
/// }
/// assert_eq!(probe.readbacks(), 2);
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// With a [`Watch`](super::Watch), use [its probe](super::Watch::probe): the activations are then part of the
/// watch's observations, and of its one readback. Clones of a probe share one state.
///
/// # Cost
/// None when the probe is off or the step is not sampled: no pass, no readback, no allocation. Otherwise about 25
/// passes of tensor operations over each activation, with three tensors of its size alive at once (on Flex with
/// the `flex` feature, three reads of it, made immediately), and one readback for all activations of the step
/// together. A count above 2²⁴ is rounded where a device sums in `f32`.
#[derive(Clone, Default)]
#[doc(alias = "register_forward_hook")]
pub struct Probe {
    mode: Mode,
}

#[derive(Clone, Default)]
enum Mode {
    #[default]
    Off,
    /// Reads everything immediately, for a search after a fault.
    Searching(Arc<Mutex<Vec<Watched>>>),
    Sampling(Arc<Sampling>),
}

/// The state that clones of a probe share.
struct Sampling {
    /// Whether the current step is sampled: the only check made in a step that is not.
    due: AtomicBool,
    taken: Shared<Vec<Taken>>,
    /// For a probe without a watch: the sampling interval, and the number of steps so far.
    every: Option<u64>,
    steps: AtomicU64,
    readbacks: AtomicU64,
}

/// Non-finite counts, magnitude and headroom of one activation.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Watched {
    /// The name under which it was watched.
    pub name: String,
    /// The number of NaN elements.
    pub nan: usize,
    /// The number of infinite elements.
    pub infinite: usize,
    /// The number of elements.
    pub elements: usize,
    /// The largest absolute value among the finite elements; 0 if there is none.
    pub largest: f64,
    /// The factors of two by which `largest` can still grow before it overflows the element type.
    pub headroom: f64,
}

impl Watched {
    /// Returns whether all elements are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.nan == 0 && self.infinite == 0
    }
}

impl Probe {
    /// Creates a probe that does nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Creates a probe that samples the first step and every `n`-th step from there. [`observe`](Self::observe)
    /// ends a step.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn every(n: u64) -> Result<Self, Error> {
        Ok(Self::sampling(Some(Param("Probe", "every").at_least(1, n)?)))
    }

    /// Creates a probe that a watch turns on and off.
    pub(super) fn of_a_watch() -> Self {
        Self::sampling(None)
    }

    fn sampling(every: Option<u64>) -> Self {
        Self {
            mode: Mode::Sampling(Arc::new(Sampling {
                due: true.into(),
                taken: Shared::default(),
                every,
                steps: 0.into(),
                readbacks: 0.into(),
            })),
        }
    }

    /// Creates a probe that looks at every activation.
    pub(crate) fn on() -> Self {
        Self { mode: Mode::Searching(Arc::default()) }
    }

    /// Returns whether the probe is on in the current step.
    #[must_use]
    pub fn is_on(&self) -> bool {
        match &self.mode {
            Mode::Off => false,
            Mode::Searching(_) => true,
            Mode::Sampling(with) => with.due.load(Relaxed),
        }
    }

    /// Returns the activation unchanged; autodiff is not affected. If a name is used several times in a step, the
    /// last activation counts.
    #[must_use]
    pub fn watch<const D: usize>(&self, name: &str, activation: Tensor<D>) -> Tensor<D> {
        self.watch_within(name, -1.0..=1.0, activation)
    }

    /// Watches an activation with this range, which `saturated` refers to; a sigmoid's is `0.0..=1.0`. With a
    /// range of no width, nothing is saturated.
    #[must_use]
    pub fn watch_within<const D: usize>(
        &self,
        name: &str,
        range: RangeInclusive<f64>,
        activation: Tensor<D>,
    ) -> Tensor<D> {
        if self.is_on() {
            self.look_at(name, range, None, activation.clone().without_autodiff());
        }
        activation
    }

    /// Watches an activation whose units lie along this axis, counted from 0, which `dead` refers to: 1 for the
    /// channels of a one-dimensional convolution, `[batch, channels, length]`. If the activation does not have
    /// the axis, `dead` is left out.
    #[must_use]
    pub fn watch_units<const D: usize>(
        &self,
        name: &str,
        axis: usize,
        activation: Tensor<D>,
    ) -> Tensor<D> {
        if self.is_on() {
            let range = -1.0..=1.0;
            self.look_at(name, range, Some(axis), activation.clone().without_autodiff());
        }
        activation
    }

    fn look_at<const D: usize>(
        &self,
        name: &str,
        range: RangeInclusive<f64>,
        axis: Option<usize>,
        x: Tensor<D>,
    ) {
        match &self.mode {
            Mode::Off => {}
            Mode::Searching(seen) => {
                if let (Some(watched), Ok(mut seen)) = (look(name, x), seen.lock()) {
                    seen.push(watched);
                }
            }
            Mode::Sampling(with) => {
                if let Some(new) = Taken::of(name, x, range.into_inner(), axis) {
                    with.taken.with(|taken| match taken.iter_mut().find(|t| t.name == name) {
                        Some(old) => *old = new,
                        None => taken.push(new),
                    });
                }
            }
        }
    }

    /// Ends a step and returns its observation, if the step was sampled and any activation was watched. Returns
    /// `None` for a probe that is off, and for a [watch's](super::Watch::probe), whose numbers are in the watch's
    /// observations.
    ///
    /// # Errors
    /// If the device fails during the readback.
    pub fn observe(&self) -> Result<Option<Observation>, Error> {
        let Mode::Sampling(with) = &self.mode else { return Ok(None) };
        let Some(every) = with.every else { return Ok(None) };
        let step = with.steps.fetch_add(1, Relaxed);
        let taken = self.end_step((step + 1).is_multiple_of(every));
        if taken.is_empty() {
            return Ok(None);
        }
        let (mut sums, mut facts) = (Sums::default(), Vec::new());
        for (waiting, of) in taken.into_iter().map(Taken::split) {
            waiting.into_iter().for_each(|one| sums.value(one));
            facts.push(of);
        }
        with.readbacks.fetch_add(1, Relaxed);
        let mut numbers = sums.read()?.into_iter();
        let mut seen = Observation::new(step);
        facts.iter().for_each(|of| of.tell(&mut numbers, &mut seen));
        Ok(Some(seen))
    }

    /// Returns the number of readbacks made by this probe itself; searches after a fault are not counted.
    #[must_use]
    pub fn readbacks(&self) -> u64 {
        match &self.mode {
            Mode::Sampling(with) => with.readbacks.load(Relaxed),
            _ => 0,
        }
    }

    /// Takes what was seen in this step, and sets whether the next one is sampled.
    pub(super) fn end_step(&self, next: bool) -> Vec<Taken> {
        match &self.mode {
            Mode::Sampling(with) => {
                with.due.store(next, Relaxed);
                with.taken.with(std::mem::take)
            }
            _ => Vec::new(),
        }
    }

    /// Returns everything that the probe was shown, in order.
    pub(crate) fn into_seen(self) -> Vec<Watched> {
        match self.mode {
            Mode::Searching(seen) => seen.lock().map(|seen| seen.clone()).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Probe(on)" } else { "Probe(off)" })
    }
}

/// Examines a tensor; `None` if the device cannot be read.
pub(super) fn look<const D: usize>(name: &str, tensor: Tensor<D>) -> Option<Watched> {
    let elements = tensor.shape().num_elements();
    let limit = largest_finite(tensor.dtype());
    let wide = widened(tensor);
    let (nan, infinite, largest) = match elements {
        0 => (0, 0, 0.0),
        _ => {
            let bad = wide.clone().is_nan().bool_or(wide.clone().is_inf());
            let finite = wide.clone().mask_fill(bad, 0.0).abs().max();
            let largest = finite.try_into_data().ok()?.convert::<f64>().iter::<f64>().next()?;
            (how_many(wide.clone().is_nan())?, how_many(wide.is_inf())?, largest)
        }
    };
    let headroom = limit.log2() - largest.log2();
    Some(Watched { name: name.to_string(), nan, infinite, elements, largest, headroom })
}

pub(super) fn largest_finite(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        DType::F64 => f64::MAX,
        // bfloat16 has the exponents of f32.
        _ => f64::from(f32::MAX),
    }
}

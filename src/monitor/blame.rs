//! Replay of a bad batch, to find where non-finite values come from.

use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::probe::look;
use super::{Monitor, Probe, Watched, culprits};
use crate::Culprit;
use crate::running_statistics::Running;
use crate::tied::apart;

/// The result of replaying a batch with [`blame`].
///
/// Its `Display` is a readable report:
///
/// ```text
/// forward pass
///     input        finite, largest 9.0e2, 118 doublings below overflow
///     first        finite, largest 4.1e3, 116 doublings below overflow
///   > exp          3 of 64 infinite: produced here, from finite inputs
///     second       8 of 8 NaN: passed on
///     loss         NaN
/// parameters       all finite, largest 1.2e1 in `first.weight`
/// gradients        non-finite in 4 of 4; from the end of the model: `second.bias`, …
/// verdict          `exp` turns finite values into non-finite ones
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Blame {
    /// The watched activations, in the order of the forward pass.
    pub activations: Vec<Watched>,
    /// Whether the loss was finite.
    pub loss_is_finite: bool,
    /// The parameters and gradients that hold non-finite values or squares that overflow, the likeliest origin
    /// first.
    pub culprits: Vec<Culprit>,
    /// The parameter with the largest finite value.
    pub largest_parameter: Option<Watched>,
    /// The number of parameters that have a gradient.
    pub gradients: usize,
}

/// Where non-finite values originate.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::monitor::{Origin, blame};
///
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(2, 1).init(&device);
/// let batch = Tensor::<2>::from_floats([[1.0, f32::NAN]], &device);
/// let report = blame(&model, |model, probe| model.forward(probe.watch("input", batch)).mean());
///
/// println!("{}", report.origin());
/// assert_eq!(report.origin(), Origin::Batch("input".to_string()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Everything was finite.
    None,
    /// A parameter was already non-finite before the batch; its path.
    Parameter(String),
    /// The first watched activation is non-finite, and therefore the batch; its name.
    Batch(String),
    /// An activation is non-finite, and the one watched before it is finite; its name.
    Activation(String),
    /// All watched activations are finite, and the loss is not: it became non-finite after the last of them.
    Loss,
    /// The forward pass is finite, and a gradient is not: seen from the end of the model, the backward pass of
    /// this parameter's module is the first to fail; its path.
    Gradient(String),
}

impl Blame {
    /// Returns where the non-finite values originate, as far as the watched activations show.
    #[must_use]
    pub fn origin(&self) -> Origin {
        use crate::Part;
        let broken = self.culprits.iter().find(|c| c.part == Part::Parameter);
        if let Some(parameter) = broken {
            return Origin::Parameter(parameter.path.clone());
        }
        if let Some(first) = self.activations.iter().position(|seen| !seen.is_finite()) {
            let name = self.activations[first].name.clone();
            return if first == 0 { Origin::Batch(name) } else { Origin::Activation(name) };
        }
        if !self.loss_is_finite {
            return Origin::Loss;
        }
        match self.culprits.iter().find(|c| c.part == Part::Gradient) {
            Some(gradient) => Origin::Gradient(gradient.path.clone()),
            None => Origin::None,
        }
    }
}

/// Replays a batch forward and backward, and reports where non-finite values come from: which activation,
/// parameter or gradient; whether a layer produces them or passes them on; and how near the other activations are
/// to overflow.
///
/// Use it after a rejection, with the batch that was rejected. `forward` is the model's forward pass and loss;
/// the activations that it passes to the [`Probe`] are examined, and without any, only parameters and gradients
/// are. Nothing is changed: the replay runs on a copy of the model, including its running statistics.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::monitor::{Origin, blame};
///
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(2, 1).init(&device);
/// let batch = Tensor::<2>::from_floats([[1.0, 200.0]], &device);
/// let report = blame(&model, |model, probe| {
///     let x = probe.watch("input", batch);
///     let x = probe.watch("exp", x.exp());
///     probe.watch("output", model.forward(x)).mean()
/// });
/// assert_eq!(report.origin(), Origin::Activation("exp".to_string()));
/// println!("{report}");
/// ```
///
/// # Cost
/// One forward and backward pass, and three readbacks for each activation, parameter and gradient.
#[doc(alias = "detect_anomaly")]
pub fn blame<M: Module>(model: &M, forward: impl FnOnce(&M, &Probe) -> Tensor<1>) -> Blame {
    let model = &apart(model);
    let running = Running::of(model);
    let monitor = Monitor::new(model, running.ids().collect());
    let probe = Probe::on();
    let loss = forward(model, &probe);
    let grads = GradientsParams::from_grads(loss.backward(), model);
    let loss = look("loss", loss.without_autodiff());
    running.settle(model);
    let mut largest = Largest(None);
    model.visit(&mut largest);
    let mut largest = largest.0;
    if let Some((id, found)) = &mut largest {
        found.name = monitor.layout().path(*id).to_string();
    }
    let culprits = culprits(model, Some(&grads), &monitor);
    Blame {
        activations: probe.into_seen(),
        loss_is_finite: loss.is_some_and(|loss| loss.is_finite()),
        culprits,
        largest_parameter: largest.map(|(_, found)| found),
        gradients: grads.len(),
    }
}

struct Largest(Option<(burn::module::ParamId, Watched)>);

impl ModuleVisitor for Largest {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let Some(seen) = look("", param.base().without_autodiff()) else { return };
        if self.0.as_ref().is_none_or(|(_, most)| seen.largest > most.largest) {
            self.0 = Some((param.id, seen));
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::Part;
        writeln!(f, "forward pass")?;
        let mut broken = false;
        for (at, seen) in self.activations.iter().enumerate() {
            let mark = if !seen.is_finite() && !broken { '>' } else { ' ' };
            write!(f, "  {mark} {:<24} {seen}", seen.name)?;
            match (seen.is_finite(), broken, at) {
                (true, ..) => {}
                (false, true, _) => write!(f, ": passed on")?,
                (false, false, 0) => write!(f, ": it came so")?,
                (false, false, _) => write!(f, ": produced here, from finite inputs")?,
            }
            broken |= !seen.is_finite();
            writeln!(f)?;
        }
        writeln!(
            f,
            "    {:<24} {}",
            "loss",
            if self.loss_is_finite { "finite" } else { "NaN or infinite" }
        )?;

        let parts = |part| self.culprits.iter().filter(move |c| c.part == part);
        write!(f, "{:<28} ", "parameters")?;
        match (parts(Part::Parameter).next(), &self.largest_parameter) {
            (Some(culprit), _) => writeln!(f, "broken: {culprit}")?,
            (None, Some(most)) => {
                writeln!(f, "all finite, largest {:.1e} in `{}`", most.largest, most.name)?;
            }
            (None, None) => writeln!(f, "none")?,
        }
        write!(f, "{:<28} ", "gradients")?;
        let bad: Vec<&str> = parts(Part::Gradient).map(|c| c.path.as_str()).collect();
        match bad.as_slice() {
            [] if self.gradients == 0 => {
                writeln!(f, "none: the loss does not depend on the model's parameters")?;
            }
            [] => writeln!(f, "all {} finite", self.gradients)?,
            [first, others @ ..] => {
                write!(f, "non-finite in {} of {}", bad.len(), self.gradients)?;
                write!(f, "; from the end of the model: `{first}`")?;
                writeln!(f, "{}", if others.is_empty() { "" } else { ", …" })?;
            }
        }
        write!(f, "{:<28} {}", "origin", self.origin())
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.elements;
        match (self.nan, self.infinite) {
            (0, 0) => write!(
                f,
                "finite, largest {:.1e}, {:.0} doublings below overflow",
                self.largest, self.headroom
            ),
            (nan, 0) => write!(f, "{nan} of {all} NaN"),
            (0, infinite) => write!(f, "{infinite} of {all} infinite"),
            (nan, infinite) => write!(f, "{nan} NaN and {infinite} infinite of {all}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing is wrong with this batch and these weights"),
            Self::Parameter(path) => {
                write!(f, "parameter `{path}` was non-finite before the batch came")
            }
            Self::Batch(name) => write!(f, "the batch: `{name}`, the first that is seen of it"),
            Self::Activation(name) => {
                write!(f, "`{name}` turns finite values into non-finite ones")
            }
            Self::Loss => f.write_str("the loss itself, after the last activation that is shown"),
            Self::Gradient(path) => write!(f, "the backward pass, at `{path}`"),
        }
    }
}

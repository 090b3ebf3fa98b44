//! Layer-sequential unit-variance initialization.

use burn::module::{Module, ParamId};

use super::{Change, Changes};
use crate::error::check::Param;
use crate::monitor::Probe;
use crate::running_statistics::Running;
use crate::{Error, fit, tie};

/// Initializes layers so that each one's output has a variance of 1 on a batch of data: layer-sequential unit-variance
/// initialization (LSUV).
///
/// Each weight is replaced by one with orthonormal rows or columns. Then, layer by layer in the order given, the batch
/// is run through the model and the weight is divided by the standard deviation of the layer's output,
///
/// ```text
/// W ← W/std(output)    until |std² − 1| ≤ tolerance
/// ```
///
/// so that neither the signal nor the gradient vanishes or explodes with depth, whatever the activation function.
///
/// The model's forward pass shows the outputs to a [`Probe`], each under the path of its layer: the output watched as
/// `blocks.0.first` is that of the weight `blocks.0.first.weight`. Watch them before the activation function.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::init::Lsuv;
/// use evenkeel::monitor::Probe;
///
/// #[derive(Module, Debug)]
/// struct Net { first: Linear, last: Linear }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>, probe: &Probe) -> Tensor<2> {
///         let x = probe.watch("first", self.first.forward(x)).tanh();
///         probe.watch("last", self.last.forward(x))
///     }
/// }
///
/// let device = Device::default().autodiff();
/// let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
/// let net = Net { first: linear(8, 32), last: linear(32, 4) };
/// let batch = Tensor::random([64, 8], Distribution::Normal(0.0, 30.0), &device);
///
/// let fit = Lsuv::new(["first", "last"])?
///     .fit(&net, |net, probe| { net.forward(batch.clone(), probe); })?;
/// assert!(fit.layers.iter().all(|layer| (layer.std.powi(2) - 1.0).abs() <= 0.1));
/// let net = fit.model;
/// # let _ = net;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Edges
/// Weights are drawn from the device's generator: seed it for a repeatable result. Biases are left as they are. Frozen
/// weights are changed too. A weight that is used in several places is changed in all of them; only one of its layers can
/// be named. Running statistics, such as BatchNorm's, are restored after the last pass. The forward pass should not use
/// dropout, which changes the variance.
///
/// # Source
/// Mishkin & Matas, "All you need is a good init", 2016. Like there, the tolerance is 0.1 and a layer has up to 10
/// attempts; unlike there, a layer that doesn't reach the tolerance is an error.
#[derive(Debug, Clone, PartialEq)]
#[doc(alias = "lsuv_init")]
pub struct Lsuv {
    layers: Vec<String>,
    tolerance: f64,
    attempts: u64,
    orthonormal: bool,
}

/// A model whose layers [`Lsuv`] has initialized.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LsuvFit<M> {
    /// The model.
    pub model: M,
    /// What was done to each layer, in the order given.
    pub layers: Vec<FittedLayer>,
}

/// What [`Lsuv`] did to one layer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FittedLayer {
    /// The path of the layer.
    pub name: String,
    /// The standard deviation of its output when its turn came, before its weight was scaled.
    pub before: f64,
    /// The standard deviation of its output now.
    pub std: f64,
    /// The factor by which its weight was multiplied.
    pub factor: f64,
}

impl Lsuv {
    /// Creates the initialization of these layers, given by their paths, in the order in which the data passes them.
    ///
    /// # Errors
    /// If there is no layer, or one is given twice.
    pub fn new<S: Into<String>>(layers: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let layers: Vec<String> = layers.into_iter().map(Into::into).collect();
        let owner = Param("Lsuv", "layers");
        owner.must(!layers.is_empty(), "at least one path", "none")?;
        for (at, layer) in layers.iter().enumerate() {
            owner.must(
                !layers[..at].contains(layer),
                "different paths",
                format!("`{layer}` twice"),
            )?;
        }
        Ok(Self { layers, tolerance: 0.1, attempts: 10, orthonormal: true })
    }

    /// Sets by how much the variance may differ from 1. The default is 0.1.
    ///
    /// # Errors
    /// If it is not a positive finite number.
    pub fn tolerance(mut self, tolerance: f64) -> Result<Self, Error> {
        self.tolerance = Param("Lsuv", "tolerance").positive(tolerance)?;
        Ok(self)
    }

    /// Sets how often a weight may be scaled before the layer is given up. The default is 10.
    ///
    /// # Errors
    /// If it is 0.
    pub fn attempts(mut self, attempts: u64) -> Result<Self, Error> {
        self.attempts = Param("Lsuv", "attempts").at_least(1, attempts)?;
        Ok(self)
    }

    /// Keeps the weights as they are and only scales them, instead of starting from orthonormal ones. The result is then
    /// a function of the model and the batch.
    #[must_use]
    pub fn keep_weights(mut self) -> Self {
        self.orthonormal = false;
        self
    }

    /// Returns a copy of the model with its layers initialized; `forward` runs a batch through the model it is given.
    ///
    /// # Errors
    /// If a layer has no weight of at least two dimensions, or that of an earlier one, or the forward pass doesn't watch
    /// its output; if an output is not finite or constant, or its variance doesn't come within the tolerance; or if the
    /// device fails. The given model is not changed.
    ///
    /// # Cost
    /// For each layer one forward pass and one readback for each attempt, and one more; and a QR decomposition of each
    /// weight, on the device.
    pub fn fit<M: Module>(
        &self,
        model: &M,
        forward: impl Fn(&M, &Probe),
    ) -> Result<LsuvFit<M>, Error> {
        let (places, shapes) = (fit::places(model), fit::shapes(model));
        let weight = |layer: &String| {
            let path = format!("{layer}.weight");
            let found = places.iter().find(|(id, of)| {
                *of == path && shapes.get(id).is_some_and(|shape| shape.len() >= 2)
            });
            let must = "the path of a layer with a weight of at least two dimensions";
            let missing = || Error::parameter("Lsuv", "layers", must, format_args!("`{layer}`"));
            found.map(|(id, _)| *id).ok_or_else(missing)
        };
        let ids: Vec<ParamId> = self.layers.iter().map(weight).collect::<Result<_, _>>()?;
        if let Some(at) = (1..ids.len()).find(|at| ids[..*at].contains(&ids[*at])) {
            let must = "layers that don't share a weight";
            let got = format_args!("`{}`, whose weight an earlier one has", self.layers[at]);
            return Err(Error::parameter("Lsuv", "layers", must, got));
        }
        let running = Running::of(model);
        let fitted = self.fit_all(model.clone(), &ids, forward);
        // The forward passes have written the given model's statistics too, which its clones share.
        let _ = running.restore(model.clone());
        fitted.map(|fit| LsuvFit { model: tie(running.restore(fit.model)), ..fit })
    }

    fn fit_all<M: Module>(
        &self,
        mut model: M,
        ids: &[ParamId],
        forward: impl Fn(&M, &Probe),
    ) -> Result<LsuvFit<M>, Error> {
        if self.orthonormal {
            let of: Vec<_> = ids.iter().map(|id| (*id, Change::Orthonormal)).collect();
            model = model.map(&mut Changes { of: &of });
        }
        let mut layers = Vec::new();
        for (name, &id) in self.layers.iter().zip(ids) {
            let before = spread(&model, name, &forward)?;
            let (mut std, mut factor) = (before, 1.0);
            for _ in 0..self.attempts {
                if self.is_reached(std) {
                    break;
                }
                factor /= std;
                model = model.map(&mut Changes { of: &[(id, Change::Times(1.0 / std))] });
                std = spread(&model, name, &forward)?;
            }
            if !self.is_reached(std) {
                return Err(Error::model(format_args!(
                    "the output of `{name}` has a standard deviation of {std:.3} after its weight was scaled {} times \
                     (before, it was {before:.3}): watch it before any normalization, and start with biases of 0",
                    self.attempts
                )));
            }
            layers.push(FittedLayer { name: name.clone(), before, std, factor });
        }
        Ok(LsuvFit { model, layers })
    }

    fn is_reached(&self, std: f64) -> bool {
        (std.powi(2) - 1.0).abs() <= self.tolerance
    }
}

/// Runs the batch through the model and returns the standard deviation of a layer's output.
fn spread<M: Module>(model: &M, layer: &str, forward: impl Fn(&M, &Probe)) -> Result<f64, Error> {
    let probe = Probe::every(1)?;
    forward(model, &probe);
    let seen = probe.observe()?;
    let get = |what: &str| seen.as_ref().and_then(|seen| seen.get(&format!("{what}/{layer}")));
    let Some(bad) = get("nonfinite") else {
        let must = "the name of an activation that the forward pass watches";
        return Err(Error::parameter("Lsuv", "layers", must, format_args!("`{layer}`")));
    };
    match get("std") {
        Some(std) if bad == 0.0 && std > 0.0 && std.is_finite() => Ok(std),
        _ if bad > 0.0 => Err(Error::model(format_args!("the output of `{layer}` is not finite"))),
        _ => Err(Error::model(format_args!("the output of `{layer}` is constant"))),
    }
}

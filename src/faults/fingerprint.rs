//! Everything that training changes, bit by bit and by name.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::Error;
use crate::monitor::Layout;

/// Named numbers, used to compare two runs and to check that all values are finite.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use evenkeel::faults::Fingerprint;
///
/// let model = LinearConfig::new(2, 1).init(&Device::default());
/// let before = Fingerprint::of(&model)?.with("position", [3.0]);
/// let after = Fingerprint::of(&model)?.with("position", [4.0]);
/// assert_eq!(before.difference(&after), Some("position"));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint {
    parts: Vec<(String, Vec<u64>)>,
}

impl Fingerprint {
    /// Returns the fingerprint of a model: every float parameter and running statistic, by its
    /// path.
    ///
    /// # Errors
    /// If the device cannot be read.
    ///
    /// # Cost
    /// Copies the model to the host, with one readback per tensor.
    pub fn of<M: Module>(model: &M) -> Result<Self, Error> {
        // Called only for its effect: it lets the last forward pass reach the running statistics.
        let _ = model.valid();
        let layout = Layout::of(model);
        let mut walk = Walk { seen: HashSet::new(), found: Vec::new(), failed: None };
        model.visit(&mut walk);
        match walk.failed {
            Some(cause) => Err(Error::io("reading the model", cause)),
            None => {
                let name = |(id, bits): (ParamId, _)| (layout.path(id).to_string(), bits);
                Ok(Self { parts: walk.found.into_iter().map(name).collect() })
            }
        }
    }

    /// Adds these numbers to the fingerprint: a schedule's position, an averaged weight, or
    /// anything else that must neither break nor differ.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, numbers: impl IntoIterator<Item = f64>) -> Self {
        self.parts.push((name.into(), numbers.into_iter().map(f64::to_bits).collect()));
        self
    }

    /// Adds the fingerprint of another model, such as an average. Its paths are prefixed with
    /// `name`.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn with_model<M: Module>(mut self, name: &str, model: &M) -> Result<Self, Error> {
        let parts = Self::of(model)?.parts;
        self.parts.extend(parts.into_iter().map(|(path, bits)| (format!("{name}.{path}"), bits)));
        Ok(self)
    }

    /// Returns the first name under which a number is NaN or infinite.
    #[must_use]
    pub fn non_finite(&self) -> Option<&str> {
        let finite = |bits: &[u64]| bits.iter().all(|b| f64::from_bits(*b).is_finite());
        self.parts.iter().find(|(_, bits)| !finite(bits)).map(|(name, _)| name.as_str())
    }

    /// Returns the first name under which the two differ in any bit, or that only one of them has.
    #[must_use]
    pub fn difference<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let longer = if self.parts.len() >= other.parts.len() { self } else { other };
        let mut at = 0..longer.parts.len();
        let first = at.find(|&at| self.parts.get(at) != other.parts.get(at))?;
        longer.parts.get(first).map(|(name, _)| name.as_str())
    }
}

struct Walk {
    /// A parameter used in two places is visited twice.
    seen: HashSet<ParamId>,
    found: Vec<(ParamId, Vec<u64>)>,
    failed: Option<String>,
}

impl ModuleVisitor for Walk {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id) {
            return;
        }
        // Every float type widens to f64 without loss.
        match param.base().without_autodiff().try_into_data() {
            Ok(data) => {
                let data = data.convert::<f64>();
                self.found.push((param.id, data.iter::<f64>().map(f64::to_bits).collect()));
            }
            Err(cause) => self.failed = Some(cause.to_string()),
        }
    }
}

//! Looking at activations from inside a forward pass.

use std::fmt;
use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Tensor};

use super::culprits::how_many;
use crate::wide::widened;

/// What a model is handed so that its activations can be watched.
///
/// A model's `forward` takes a `&Probe` and passes activations through [`watch`](Self::watch), which
/// returns them unchanged. With [`Probe::off`] that is all it does. [`blame`](super::blame) runs the
/// forward pass with one that looks.
///
/// ```
/// use burn::nn::{Linear, Relu};
/// use burn::tensor::Tensor;
/// use evenkeel::monitor::Probe;
///
/// struct Net { first: Linear, second: Linear }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>, probe: &Probe) -> Tensor<2> {
///         let x = probe.watch("input", x);
///         let x = probe.watch("first", self.first.forward(x));
///         let x = probe.watch("relu", Relu::new().forward(x));
///         probe.watch("second", self.second.forward(x))
///     }
/// }
/// ```
///
/// # Cost
/// None when it is off.
#[derive(Clone, Default)]
pub struct Probe {
    seen: Option<Arc<Mutex<Vec<Watched>>>>,
}

/// What was seen of one activation.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Watched {
    /// The name that it was watched under.
    pub name: String,
    /// How many of its elements are NaN.
    pub nan: usize,
    /// How many of its elements are infinite.
    pub infinite: usize,
    /// How many elements it has.
    pub elements: usize,
    /// The largest absolute value among the finite ones; 0 if there is none.
    pub largest: f64,
    /// By how many factors of two `largest` may still grow before it overflows the element type.
    pub headroom: f64,
}

impl Watched {
    /// Whether all of it is finite.
    pub fn is_finite(&self) -> bool {
        self.nan == 0 && self.infinite == 0
    }
}

impl Probe {
    /// A probe that does nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// A probe that looks at everything it is shown.
    pub(crate) fn on() -> Self {
        Self { seen: Some(Arc::default()) }
    }

    /// Whether it looks.
    pub fn is_on(&self) -> bool {
        self.seen.is_some()
    }

    /// The activation, unchanged; autodiff does not notice.
    ///
    /// # Cost
    /// None when the probe is off. When it is on, a few passes over the activation and three
    /// readbacks.
    pub fn watch<const D: usize>(&self, name: &str, activation: Tensor<D>) -> Tensor<D> {
        if let Some(seen) = &self.seen
            && let Some(watched) = look(name, activation.clone().without_autodiff())
            && let Ok(mut seen) = seen.lock()
        {
            seen.push(watched);
        }
        activation
    }

    /// Everything that it was shown, in order.
    pub(crate) fn into_seen(self) -> Vec<Watched> {
        let seen = self.seen.as_ref().and_then(|seen| seen.lock().ok());
        seen.map(|seen| seen.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Probe(on)" } else { "Probe(off)" })
    }
}

/// What there is to see of a tensor; `None` if the device cannot be read.
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
    let headroom = (limit / largest).log2();
    Some(Watched { name: name.to_string(), nan, infinite, elements, largest, headroom })
}

fn largest_finite(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 65504.0,
        DType::F64 => f64::MAX,
        // bfloat16 has the exponents of f32.
        _ => f64::from(f32::MAX),
    }
}

//! Standardization of features and targets to zero mean and unit deviation.
//!
//! The units of a column limit the learning rate: the curvature of a loss grows with the square of its inputs, and if
//! one column is in the thousands and another in the thousandths, no rate suits both. [`Standardize`] removes the
//! difference inside the model, so that it is saved with the model. For targets, [`inverse`](Standardize::inverse)
//! turns predictions back into their units. If the data has outliers, [`fit_robust`](Standardize::fit_robust) uses the
//! median and the quartiles instead.
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::standardize::Standardize;
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     standardize: Standardize,
//!     output: Linear,
//! }
//!
//! impl Net {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.output.forward(self.standardize.forward(x))
//!     }
//! }
//!
//! # fn main() -> Result<(), evenkeel::Error> {
//! let device = Device::default().autodiff();
//! let x = Tensor::<2>::from_floats([[1000.0, 0.2], [3000.0, 0.6]], &device);
//! let net = Net {
//!     standardize: Standardize::fit([x.clone()])?,
//!     output: LinearConfig::new(2, 1).init(&device),
//! };
//! let z: Vec<f32> = net.standardize.forward(x).into_data().iter::<f32>().collect();
//! assert!(z.iter().zip([-1.0, -1.0, 1.0, 1.0]).all(|(z, is)| (z - is).abs() < 1e-5));
//! # Ok(())
//! # }
//! ```

mod module;
mod moments;
mod quantiles;

pub use module::Standardize;
pub(crate) use moments::Column;
pub use moments::Moments;
pub use quantiles::Quantiles;
pub(crate) use quantiles::{quantile, spread};

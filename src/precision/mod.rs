//! Training in half precision: keeping small gradients from vanishing.

mod loss_scale;

pub use loss_scale::LossScale;

//! Loss scaling, which keeps small gradients from vanishing in half precision.

mod loss_scale;

pub use loss_scale::LossScale;

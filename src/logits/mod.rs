//! Logits that stay small: [`soft_cap`], [`ZLoss`] and [`QkNorm`].
//!
//! At high rates, the logits of a transformer grow: those of attention, until its softmax is close to one-hot, and those of
//! the output ([Wortsman et al. 2023](https://arxiv.org/abs/2309.14322)). Each of these limits them in the forward pass,
//! with any optimizer:
//!
//! | | what it bounds | how |
//! |---|---|---|
//! | [`QkNorm`] | the logits of attention | normalizes queries and keys |
//! | [`soft_cap`] | any logits | saturates them smoothly |
//! | [`ZLoss`] | the logits of the output | adds a penalty to the loss |
//!
//! Build your model with one of them and give it to the [`Advisor`](crate::advise::Advisor) as a
//! [variant](crate::advise::Advisor::variant) to measure what it is worth on your problem.

mod qk_norm;
mod soft_cap;
mod z_loss;

pub use qk_norm::QkNorm;
pub use soft_cap::soft_cap;
pub use z_loss::ZLoss;

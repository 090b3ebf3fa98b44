//! Logits that stay small: [`soft_cap`], [`ZLoss`] and [`QkNorm`].
//!
//! At high rates, transformers diverge by their logits more often than by their weights: those of attention until each
//! position sees one other, those of the output until the loss of one mistake is huge. Each of these keeps them small
//! from inside the forward pass, whatever the optimizer:
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

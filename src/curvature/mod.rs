//! Curvature of the loss: how high it allows the learning rate to be.
//!
//! Near a point `θ` the loss is `L(θ) + gᵀd + ½dᵀHd`. Along an eigenvector of `H` with eigenvalue `λ`, descent at
//! a constant rate `γ` multiplies the remaining distance by `1 − γλ` per step, which grows it once `γ > 2/λ`. The
//! largest eigenvalue, the *sharpness*, therefore bounds the rate:
//!
//! | | stable up to |
//! |---|---|
//! | descent | `2/λ` |
//! | momentum `μ` | `(2 + 2μ)/λ` |
//! | Nesterov | `(2 + 2μ)/((1 + 2μ)λ)` |
//! | Adam | `(2 + 2β₁)/((1 − β₁)λ)`, with `λ` of `P⁻¹H` and `P = diag(√v̂ + ε)`: `38/λ` for `β₁ = 0.9` |
//!
//! - [`Sharpness`] is `λ`, computed by the [`Lanczos`] method.
//! - [`CriticalRate`] is the rate above which one step along a gradient makes the loss of its batch worse: it takes a
//!   few forward passes, and gives a rate at which a warmup can start.
//! - [`Governor`] caps the rate of descent and momentum at what the curvature along the gradient allows,
//!   throughout training.
//!
//! # How far the bounds hold
//! They are exact for a quadratic. The loss of a network is not quadratic: `2/λ` at the start is certainly a low
//! rate, and training works at rates up to 45 times higher, because a rate that is too high for one place moves
//! on to where the loss is flatter (Lewkowycz et al. 2020). Later in training, a network reaches a region where
//! `λ` is `2/γ` and stays there (Cohen et al. 2021).
//!
//! Second derivatives are computed as differences of gradients, because Burn provides first derivatives only.
//! Every measurement works on a copy: the caller's BatchNorm running statistics, gradients and parameters stay
//! unchanged. A loss that draws random numbers, for dropout say, draws more of them, and its noise is part of the
//! result.

mod critical_rate;
mod diagonal;
mod governor;
mod sharpness;
mod space;
mod tridiagonal;

pub use critical_rate::CriticalRate;
pub use diagonal::Diagonal;
pub use governor::Governor;
pub use sharpness::{Lanczos, Sharpness};

//! How high the curvature of the loss lets the rate go.
//!
//! Near a point `θ` the loss is `L(θ) + gᵀd + ½dᵀHd`. Along an eigenvector of `H` with eigenvalue `λ`,
//! descent with a constant rate `γ` multiplies what is left by `1 − γλ`, and grows it once `γ > 2/λ`. So
//! the largest eigenvalue, the *sharpness*, bounds the rate:
//!
//! | | stable up to |
//! |---|---|
//! | descent | `2/λ` |
//! | momentum `μ` | `(2 + 2μ)/λ` |
//! | Nesterov | `(2 + 2μ)/((1 + 2μ)λ)` |
//! | Adam | `(2 + 2β₁)/((1 − β₁)λ)`, with `λ` of `P⁻¹H` and `P = diag(√v̂ + ε)`: `38/λ` for `β₁ = 0.9` |
//!
//! - [`Sharpness`] is `λ`, by the method of [`Lanczos`].
//! - [`Critical`] is the rate from which on one step along a gradient makes the loss of its batch worse: a
//!   few forward passes, and where a warm-up may begin.
//! - [`Governor`] caps the rate of descent and of momentum at what the curvature along the gradient
//!   allows, all through training.
//!
//! # What the bounds say, and what not
//! They are exact for a quadratic. On networks the loss is no quadratic: `2/λ` at the start is a rate that
//! is certainly low, and what trains is up to 45 times higher, because a rate that is too high for where
//! it is moves on to where the loss is flatter (Lewkowycz et al. 2020). Later in training a network comes
//! to where `λ` is `2/γ` and stays there (Cohen et al. 2021).
//!
//! Second derivatives are differences of gradients: Burn has first derivatives. Every measurement works on
//! a copy: BatchNorm's running statistics, gradients and parameters of the caller stay as they are. A loss
//! that draws random numbers, for dropout say, draws more of them, and its noise is in the result.

mod critical;
mod diagonal;
mod governor;
mod sharpness;
mod space;
mod tridiagonal;

pub use critical::Critical;
pub use diagonal::Diagonal;
pub use governor::Governor;
pub use sharpness::{Lanczos, Sharpness};

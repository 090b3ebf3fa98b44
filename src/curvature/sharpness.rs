//! Sharpness: the largest eigenvalue of the Hessian.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::Diagonal;
use super::space::{How, combined, gradient, moved, random};
use super::tridiagonal::{Top, Tridiagonal};
use crate::Error;
use crate::error::check::Param;
use crate::monitor::{Side, dots};
use crate::tied::apart;

/// The sharpness: the largest eigenvalue of the loss's Hessian, or of `P⁻¹H` with Adam's `P`, and the rates it
/// allows.
///
/// ```
/// use burn::module::Param;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::curvature::Lanczos;
///
/// // ½·(3·w₁² + w₂²): eigenvalues 3 and 1.
/// let device = Device::default().autodiff();
/// let model = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let loss = |model: &Linear| {
///     let scale = Tensor::<2>::from_floats([[1.5], [0.5]], &device);
///     (model.weight.val().powi_scalar(2) * scale).sum()
/// };
/// let sharpness = Lanczos::new().measure(&model, loss)?;
/// assert!((sharpness.value() - 3.0).abs() < 0.01);
/// assert!((sharpness.descent().unwrap() - 2.0 / 3.0).abs() < 0.01);
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(alias = "hessian")]
pub struct Sharpness {
    value: f64,
    residual: f64,
    steps: u64,
    converged: bool,
}

impl Sharpness {
    /// Returns `λ`, in units of loss over units of parameter squared. It is not positive where the loss curves
    /// down in every direction.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns the number of products with the Hessian that were computed.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns `‖Hv − λv‖` for the unit vector `v` along which `λ` was computed: the Hessian has an eigenvalue
    /// within this distance of `λ`, in every case. Usually `λ` is much closer: within `residual²/d`, if the
    /// largest eigenvalue is separated from the others by a gap of `d`.
    #[must_use]
    pub fn residual(&self) -> f64 {
        self.residual
    }

    /// Returns whether the residual has fallen below the requested fraction of `λ`. If not, `λ` is still too low,
    /// or the differences of gradients are too coarse: in half precision, say.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.converged
    }

    fn allows(&self, numerator: f64) -> Option<f64> {
        (self.value > 0.0).then(|| numerator / self.value)
    }

    /// Returns `2/λ`, the highest stable rate of descent. `None` if nothing bounds it.
    #[must_use]
    pub fn descent(&self) -> Option<f64> {
        self.allows(2.0)
    }

    /// Returns `(2 + 2μ)/λ`, the highest stable rate of momentum with dampening 0.
    ///
    /// # Errors
    /// If `μ` is not in `[0, 1)`.
    pub fn momentum(&self, mu: f64) -> Result<Option<f64>, Error> {
        let mu = Param("Sharpness", "momentum").below_one(mu)?;
        Ok(self.allows(2.0 + 2.0 * mu))
    }

    /// Returns `(2 + 2μ)/((1 + 2μ)λ)`, the highest stable rate of Nesterov momentum.
    ///
    /// # Errors
    /// If `μ` is not in `[0, 1)`.
    pub fn nesterov(&self, mu: f64) -> Result<Option<f64>, Error> {
        let mu = Param("Sharpness", "nesterov").below_one(mu)?;
        Ok(self.allows((2.0 + 2.0 * mu) / (1.0 + 2.0 * mu)))
    }

    /// Returns `(2 + 2β₁)/((1 − β₁)λ)`, the highest stable rate of the Adam family, if `λ` was measured with its
    /// [diagonal](Lanczos::measure_scaled). Source: Cohen et al. 2022 (arXiv 2207.14484).
    ///
    /// # Errors
    /// If `β₁` is not in `[0, 1)`.
    pub fn adam(&self, beta_1: f64) -> Result<Option<f64>, Error> {
        let beta_1 = Param("Sharpness", "adam").below_one(beta_1)?;
        Ok(self.allows((2.0 + 2.0 * beta_1) / (1.0 - beta_1)))
    }
}

/// Measures [`Sharpness`] by the Lanczos method, from products of the Hessian with directions.
///
/// ```text
/// w = H·vₖ − αₖ·vₖ − βₖ₋₁·vₖ₋₁        αₖ = vₖᵀH·vₖ        βₖ = ‖w‖        vₖ₊₁ = w/βₖ
/// ```
///
/// `λ` is the largest eigenvalue of the tridiagonal matrix of `α` and `β`, and the residual is `βₖ` times the
/// last element of its eigenvector. The iteration ends when the residual is small, not when `λ` stops changing,
/// which can also happen when many eigenvalues lie close together. A small residual means that there is an
/// eigenvalue at `λ`. That it is the largest is certain only if the random initial direction had a component
/// along the largest one's eigenvector. Another [`seed`](Self::seed) gives another try.
///
/// Power iteration would take the square of this number of products, and where the largest and the lowest
/// eigenvalues are of similar size it does not converge at all. That is not rare: far from a minimum, the Hessian
/// of a network is full of pairs `±λ`.
///
/// `Hv ≈ (∇L(θ + hv) − ∇L(θ − hv))/2h` with `‖v‖ = 1` and `h = 10⁻²·‖θ‖`. Directions are not reorthogonalized
/// against all earlier ones, which would have to be stored. As a result, an eigenvalue may be found twice, but
/// none is wrong because of it.
///
/// # Kinks
/// At a kink of ReLU the gradient jumps, and a difference mistakes the jump for curvature: the sharpness comes
/// out too large, and the rates that it allows too low, by a factor that depends on the step. On a network of
/// 5000 parameters whose sharpness is 27.3 by exact derivatives, the result was 33 to 53 for three initial
/// directions. With steps of 10⁻³ and 10⁻⁴, of which fewer cross a kink but each has a larger effect, it was 70
/// to 200. With tanh instead of ReLU, all results were exact to 1 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lanczos {
    at_most: u64,
    within: f64,
    step: f64,
    seed: u64,
}

/// The step of the differences, as a fraction of `‖θ‖`.
const STEP: f64 = 1e-2;

impl Default for Lanczos {
    fn default() -> Self {
        Self::new()
    }
}

impl Lanczos {
    /// Creates a measurement with at most 100 products, which ends once the residual is a hundredth of `λ`.
    #[must_use]
    pub fn new() -> Self {
        Self { at_most: 100, within: 0.01, step: STEP, seed: 0 }
    }

    /// Sets the maximum number of products with the Hessian.
    ///
    /// # Errors
    /// If it is below 2.
    pub fn steps_at_most(mut self, products: u64) -> Result<Self, Error> {
        self.at_most = Param("Lanczos", "steps_at_most").at_least(2, products)?;
        Ok(self)
    }

    /// Sets the residual at which the measurement ends, as a fraction of `λ`.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn within(mut self, part: f64) -> Result<Self, Error> {
        self.within = Param("Lanczos", "within").positive(part)?;
        Ok(self)
    }

    /// Sets `h` as a fraction of `‖θ‖`; the default is 10⁻². Use a smaller value where the loss is far from
    /// quadratic, a larger one where its gradient is coarse.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn step(mut self, part: f64) -> Result<Self, Error> {
        self.step = Param("Lanczos", "step").positive(part)?;
        Ok(self)
    }

    /// Sets the seed of the initial direction.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Measures the sharpness of `loss` at `model`.
    ///
    /// # Errors
    /// If the loss has not one element, no parameter of `model` has a gradient, one is not finite, or the
    /// device cannot be read.
    ///
    /// # Cost
    /// Two gradients of the loss and two readbacks for each product; five more sets of parameters.
    pub fn measure<M: Module>(
        &self,
        model: &M,
        loss: impl Fn(&M) -> Tensor<1>,
    ) -> Result<Sharpness, Error> {
        self.run(model, &loss, None)
    }

    /// Measures the sharpness that Adam sees, the one of `P⁻¹H`, as the sharpness of `P^-½·H·P^-½`, which has the
    /// same eigenvalues.
    ///
    /// # Errors
    /// As [`measure`](Self::measure), and if the diagonal has seen no gradient.
    ///
    /// # Cost
    /// As [`measure`](Self::measure), and two passes over the parameters for each product.
    pub fn measure_scaled<M: Module>(
        &self,
        model: &M,
        diagonal: &Diagonal,
        loss: impl Fn(&M) -> Tensor<1>,
    ) -> Result<Sharpness, Error> {
        Param("Lanczos", "diagonal").must(
            !diagonal.is_empty(),
            "one that has seen a gradient",
            "an empty one",
        )?;
        self.run(model, &loss, Some(diagonal.root(model)))
    }

    fn run<M: Module>(
        &self,
        model: &M,
        loss: &dyn Fn(&M) -> Tensor<1>,
        root: Option<GradientsParams>,
    ) -> Result<Sharpness, Error> {
        let like = gradient(&apart(model), loss)?;
        let start = random(model, &like, self.seed);
        let norms = [
            (Side::Grads(&like), Side::Grads(&like)),
            (Side::Grads(&start), Side::Grads(&start)),
            (Side::Trained(&like), Side::Trained(&like)),
        ];
        let norms: Vec<f64> = dots(model, &norms)?.into_iter().map(f64::sqrt).collect();
        if !norms.iter().all(|norm| norm.is_finite()) {
            return Err(Error::model("its gradient is not finite, and has no curvature"));
        }
        let h = if norms[2] > 0.0 { self.step * norms[2] } else { self.step };
        let product = |v: &GradientsParams| hessian(model, loss, v, h, root.as_ref());
        let unit = combined(model, &start, &start, How::Sum(1.0 / norms[1], 0.0));

        self.iterate(model, &product, unit)
    }

    fn iterate<M: Module>(
        &self,
        model: &M,
        product: &dyn Fn(&GradientsParams) -> Result<GradientsParams, Error>,
        start: GradientsParams,
    ) -> Result<Sharpness, Error> {
        let (mut v, mut before) = (start, None);
        let mut found = Tridiagonal::default();
        let mut beta = 0.0;
        let mut steps = 0;
        loop {
            steps += 1;
            let hv = product(&v)?;
            let alpha = dots(model, &[(Side::Grads(&v), Side::Grads(&hv))])?[0];
            let mut rest = combined(model, &hv, &v, How::Sum(1.0, -alpha));
            if let Some(before) = &before {
                rest = combined(model, &rest, before, How::Sum(1.0, -beta));
            }
            beta = dots(model, &[(Side::Grads(&rest), Side::Grads(&rest))])?[0].sqrt();
            if !alpha.is_finite() || !beta.is_finite() {
                return Err(Error::model("its gradient is not finite a small step away"));
            }
            let Top { value, last } = found.push(alpha, beta);
            let residual = beta * last;
            let converged = residual <= self.within * value.abs();
            if converged || steps == self.at_most || beta == 0.0 {
                return Ok(Sharpness { value, residual, steps, converged });
            }
            let next = combined(model, &rest, &rest, How::Sum(1.0 / beta, 0.0));
            before = Some(std::mem::replace(&mut v, next));
        }
    }
}

/// Computes `Hv`, or `R·H·R·v` with a diagonal `R`, by moving a distance of `h`.
fn hessian<M: Module>(
    model: &M,
    loss: &dyn Fn(&M) -> Tensor<1>,
    v: &GradientsParams,
    h: f64,
    root: Option<&GradientsParams>,
) -> Result<GradientsParams, Error> {
    let Some(root) = root else { return differences(model, loss, v, h) };
    let along = combined(model, v, root, How::Product);
    // The diagonal has the units of a gradient, so `R·v` may have any length.
    let norm = dots(model, &[(Side::Grads(&along), Side::Grads(&along))])?[0].sqrt();
    if !(norm.is_finite() && norm > 0.0) {
        return Err(Error::model("the diagonal leaves nothing of a direction"));
    }
    let hv = differences(model, loss, &along, h / norm)?;
    Ok(combined(model, &hv, root, How::Product))
}

fn differences<M: Module>(
    model: &M,
    loss: &dyn Fn(&M) -> Tensor<1>,
    along: &GradientsParams,
    h: f64,
) -> Result<GradientsParams, Error> {
    let ahead = gradient(&moved(model, along, h), loss)?;
    let behind = gradient(&moved(model, along, -h), loss)?;
    Ok(combined(model, &ahead, &behind, How::Sum(0.5 / h, -0.5 / h)))
}

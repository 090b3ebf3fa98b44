//! A bound on the sum over layers of relative changes.
//!
//! Invariant: `matrices` has the parameters of rank 2 and higher, in the order of the model, each once; `rms` is
//! known of those that are `active`, and finite.

mod slack;

use std::collections::HashMap;

use slack::Slack;

use super::{Direction, StepBound};
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Layers, Parameter, Reading, Verdict};

/// Bounds the rate by the weights that it changes: the relative changes of all layers together are at most τ.
///
/// ```text
/// rate ≤ τ / Σₗ uₗ/rₗ          over the matrices, that is the parameters of rank 2 and higher
/// rₗ = max(rms(Wₗ), 0.1/√fan-inₗ)
/// uₗ = the size of a step at a rate of 1, in the root mean square:
///      1 for Adam, Lion and their kin; for descent and momentum
///      mₗ ← μ·mₗ + rms(gₗ)     uₗ ← max(0.95·uₗ, mₗ)
/// τ = 0.3·√(1 − μ)            μ = 0 for all but momentum
/// ```
///
/// and up to 4·√(1 − μ), as long as the loss shows that it bears more:
///
/// ```text
/// rate·Σ √nᵢ·‖gᵢ‖ ≤ min(L, L₀ − L)          over all parameters, of nᵢ elements: Adam, Lion and their kin
/// rate·Σ ‖gᵢ‖²/(1 − μ) ≤ min(L, L₀ − L)     descent and momentum
/// ```
///
/// The sum is the most that a step may change the loss by in the first order, so that this is Polyak's step as a bound;
/// `L` and the norms are means over the last ten steps or so, `L₀` is one over the first ten. A deep plain network is
/// that sensitive from the start, and τ stays; a transformer or a recurrent network of the same weights is thirty
/// times less so, and would be held back. τ grows by at most 10 % an update.
///
/// `rate·uₗ/rₗ` is how much of layer `l` one step replaces. What a deep network computes is a product over its
/// layers, and changes at most as the product of one plus these shares: each of 16 layers bears a sixteenth of
/// what a single one does. The bound knows that, and the rate need not.
///
/// How the optimizer steps is not to be told: a keel tries a copy of it when it is built. `mₗ` is the most that
/// an average of such gradients can be; the clips' factor is in it.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Distribution, Tensor};
/// use evenkeel::Keel;
/// use evenkeel::bound::DeepRelativeTrust;
/// use evenkeel::optim::Adam;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::default().autodiff();
/// let mut model = LinearConfig::new(4, 1).init(&device);
/// let mut keel = Keel::wrap(Adam::new()).bound(DeepRelativeTrust::default()).build(&model)?;
/// for _ in 0..20 {
///     let x = Tensor::<2>::random([8, 4], Distribution::Default, &device);
///     let loss = (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean();
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     // Any rate will do.
///     let stepped = keel.step(1e9, model, grads, &loss)?;
///     assert!(stepped.report.rate() < 1.0);
///     model = stepped.model;
/// }
/// # Ok(())
/// # }
/// ```
///
/// # What counts as a layer
/// - Vectors are left out: biases and the gains of normalisation layers start at 0 or 1 and are bounded by what
///   they add to. Embeddings are matrices like others. A weight in two places is one.
/// - A matrix that starts at 0 counts as one of a tenth of the size that keeps the variance of its inputs,
///   `1/√fan-in`: measured by its own size it could never move.
/// - A weight before a normalisation layer has no scale of its own, and grows; then so does the bound.
///   What counts for such a weight is its relative change, which is what is bounded.
/// - Frozen parameters are left out until they have a gradient.
///
/// # Edges
/// An optimizer whose step depends on the gradient's size in another way is refused when a keel is built.
/// Descent and momentum are refused with [`Decide::OnDevice`](crate::Decide::OnDevice): their bound needs the
/// norms of the step's own gradient.
///
/// # What it comes to
/// Training losses after 300 updates with warm-up and cosine, at the best rate of seven decades without a bound, and
/// at a rate of 100 with it; medians of 3 seeds with Adam, of 2 with momentum. `examples/step_bounds`, where held-out
/// losses are too.
///
/// | | Adam | bounded | momentum | bounded |
/// |---|---|---|---|---|
/// | 16 layers, plain | 0.035 | 0.010 | 0.039 | 0.068 |
/// | 16 layers, residual | 0.034 | 0.017 | 0.098 | 0.015 |
/// | 16 layers, residual, LayerNorm | **0.003** | 0.010 | 0.072 | 0.013 |
/// | 16 layers, BatchNorm | **0.020** | 0.062 | **0.026** | 0.256 |
/// | convolutions | 0.001 | 0.001 | 0.001 | 0.008 |
/// | LSTM, letters | 1.78 | 1.73 | 1.77 | 1.66 |
/// | transformer, 2 layers, letters | 2.32 | 2.28 | 2.46 | 2.38 |
/// | transformer, 4 layers, letters | 2.17 | 2.18 | 2.40 | 2.36 |
/// | raw regression | 0.501 | 0.505 | 0.584 | 0.540 |
/// | standardized regression | 0.430 | 0.427 | 0.460 | 0.497 |
/// | raw classification | 0.185 | 0.204 | 0.653 | 0.196 |
/// | heavy-tailed targets | 0.92 | 0.87 | 1.08 | 1.11 |
/// | imbalanced classes | 0.010 | 0.009 | 0.070 | 0.014 |
/// | autoencoder | 0.062 | 0.062 | 0.073 | 0.073 |
///
/// Where every layer has a BatchNorm a step bears more than the weights say, and momentum is held too low.
///
/// # What it does not do
/// It bounds the size of the change and not its direction, so it does not see curvature: with too large a τ a
/// plain deep network still diverges. It is no schedule: a rate that falls at the end is worth as much as ever.
///
/// # Cost
/// A pass over the parameters at each of the first ten updates and then at every tenth, in the readback that
/// there is anyway.
///
/// Source: Bernstein et al. 2020 (arXiv 2002.03432), who bound each layer's relative change by the inverse of
/// the depth; here the sum is bounded, so that layers of different sizes share what there is. Polyak 1987, for the step
/// by the loss; Loizou et al. 2021 (arXiv 2002.10542) for that of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct DeepRelativeTrust {
    tau: f64,
    relaxed: f64,
    /// Whether each matrix is bounded by itself, and not their sum.
    each: bool,
    every: u64,
    direction: Direction,
    matrices: Vec<Matrix>,
    index: HashMap<String, usize>,
    /// The square roots of the numbers of elements of all parameters, in the order of the model.
    roots: Vec<(String, f64)>,
    slack: Slack,
}

#[derive(Debug, Clone, PartialEq)]
struct Matrix {
    /// The square root of the number of elements.
    root: f64,
    /// What the rms counts as at least.
    floor: f64,
    rms: f64,
    active: bool,
    /// What an average of the gradients is at most, and the highest that it was, slowly forgotten.
    average: f64,
    highest: f64,
}

const NAME: &str = "DeepRelativeTrust";

/// What is left of the memory of a step's size after one more.
const FORGET: f64 = 0.95;

/// At each of so many updates at the start the weights are looked at: then they change fastest.
const DENSE: u64 = 10;

impl Default for DeepRelativeTrust {
    /// τ = 0.3, up to 4 where the loss bears it; looks at the weights at every tenth update.
    fn default() -> Self {
        Self { relaxed: 4.0, ..Self::of(0.3) }
    }
}

impl DeepRelativeTrust {
    fn of(tau: f64) -> Self {
        Self {
            tau,
            relaxed: tau,
            each: false,
            every: 10,
            direction: Direction::Normalized { size: 1.0 },
            matrices: Vec::new(),
            index: HashMap::new(),
            roots: Vec::new(),
            slack: Slack::new(tau),
        }
    }

    /// The sum of relative changes is at most `tau`, whatever the loss bears.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn new(tau: f64) -> Result<Self, Error> {
        Ok(Self::of(Param(NAME, "tau").positive(tau)?))
    }

    /// The relative change of each matrix is at most `share`, usually 0.01, however many there are:
    /// `rate ≤ share·minₗ rₗ/uₗ`.
    ///
    /// What LARS, Fromage and others bound. A deep plain network needs less for each layer the deeper it is: of 16
    /// layers 0.01 trained none, where the sum over layers did. For networks whose layers lie side by side.
    ///
    /// # Errors
    /// If it is not positive and finite.
    #[doc(alias = "Fromage")]
    pub fn per_matrix(share: f64) -> Result<Self, Error> {
        let share = Param(NAME, "per_matrix").positive(share)?;
        Ok(Self { each: true, ..Self::of(share) })
    }

    /// Up to `tau` where the loss bears it.
    ///
    /// # Errors
    /// If it is below the τ that there is, or not finite.
    pub fn relaxed_to(mut self, tau: f64) -> Result<Self, Error> {
        let fits = tau.is_finite() && tau >= self.tau;
        let must = format_args!("a finite number of at least {}", self.tau);
        self.relaxed = Param(NAME, "relaxed_to").must(fits, must, tau)?;
        Ok(self)
    }

    /// The τ of the next step: the one that was set, or what the loss [bears](Self).
    pub fn tau(&self) -> f64 {
        self.slack.tau
    }

    /// How many updates lie between looks at the weights, after the first ten.
    ///
    /// # Errors
    /// If it is 0.
    pub fn every(mut self, updates: u64) -> Result<Self, Error> {
        self.every = Param(NAME, "every").at_least(1, updates)?;
        Ok(self)
    }

    /// The bound on the rate for weights and gradients as they were last seen; `None` without a matrix among
    /// them, and for descent and momentum before the first gradient.
    pub fn cap(&self) -> Option<f64> {
        self.cap_of(&self.matrices)
    }

    fn cap_of(&self, matrices: &[Matrix]) -> Option<f64> {
        let tau = match self.direction {
            Direction::Normalized { .. } => self.slack.tau,
            Direction::Gradient { momentum, .. } => self.slack.tau * (1.0 - momentum).sqrt(),
        };
        let share = |matrix: &Matrix| {
            let step = match self.direction {
                Direction::Normalized { size } => size,
                Direction::Gradient { size, .. } => size * matrix.highest,
            };
            step / matrix.rms.max(matrix.floor)
        };
        let shares = matrices.iter().filter(|matrix| matrix.active).map(share);
        let all = if self.each { shares.fold(0.0, f64::max) } else { shares.sum() };
        let cap = tau / all;
        // Without anything to bound it is infinite.
        cap.is_finite().then_some(cap)
    }

    /// Takes in what this reading shows of the matrices, of whose gradients `left` is left.
    fn look(&self, matrices: &mut [Matrix], now: &Reading, left: f64) {
        if let Direction::Gradient { momentum, .. } = self.direction {
            self.each(matrices, &now.layers, |matrix, norm| {
                matrix.average = momentum * matrix.average + left * norm / matrix.root;
                matrix.highest = (FORGET * matrix.highest).max(matrix.average);
            });
        }
        self.each(matrices, &now.sizes, |matrix, norm| matrix.rms = norm / matrix.root);
    }

    /// The most that a step at a rate of 1 changes the loss by in the first order.
    fn slope(&self, now: &Reading, left: f64) -> f64 {
        match self.direction {
            Direction::Normalized { size } => size * self.absolute(now),
            Direction::Gradient { size, momentum } => {
                let squares = now.layers.iter().map(|(_, norm)| norm * norm).sum::<f64>();
                size * left * squares / (1.0 - momentum)
            }
        }
    }

    /// What no sum of absolute values of the gradient exceeds.
    fn absolute(&self, now: &Reading) -> f64 {
        let mut roots = self.roots.iter();
        // In the same order, with some left out. Of what isn't among them nothing is known.
        let each = now.layers.iter().map(|(path, norm)| {
            let mut ahead = roots.clone();
            match ahead.find(|(own, _)| own == path) {
                Some((_, root)) => {
                    roots = ahead;
                    root * norm
                }
                None => f64::INFINITY,
            }
        });
        each.sum()
    }

    /// What has a norm here is active.
    fn each(&self, matrices: &mut [Matrix], norms: &Layers, take: impl Fn(&mut Matrix, f64)) {
        for (path, norm) in norms.iter().filter(|(_, norm)| norm.is_finite()) {
            if let Some(matrix) = self.index.get(path).and_then(|&at| matrices.get_mut(at)) {
                take(matrix, norm);
                matrix.active = true;
            }
        }
    }
}

/// Inputs of one output. Burn's linear layers have `[in, out]`, its convolutions `[out, in, …]`.
fn fan_in(shape: &[usize]) -> f64 {
    let inputs = match shape {
        [inputs, _] => *inputs,
        [_, inner @ ..] => inner.iter().product(),
        [] => 1,
    };
    inputs.max(1) as f64
}

impl StepBound for DeepRelativeTrust {
    fn start(
        &mut self,
        parameters: &[Parameter],
        direction: Option<Direction>,
    ) -> Result<(), Error> {
        let must = "one whose step has the size of the rate, or of the gradient";
        let Some(direction) = direction else {
            return Err(Error::parameter(NAME, "optimizer", must, "one of another kind"));
        };
        self.direction = direction;
        (self.matrices, self.index) = (Vec::new(), HashMap::new());
        self.slack = Slack::new(self.tau);
        let elements = |of: &Parameter| of.shape.iter().product::<usize>() as f64;
        self.roots = parameters.iter().map(|of| (of.path.clone(), elements(of).sqrt())).collect();
        for parameter in parameters.iter().filter(|parameter| parameter.shape.len() > 1) {
            let root = (parameter.shape.iter().product::<usize>() as f64).sqrt();
            if root == 0.0 || self.index.contains_key(&parameter.path) {
                continue;
            }
            let floor = 0.1 / fan_in(&parameter.shape).sqrt();
            let rms = if parameter.norm.is_finite() { parameter.norm / root } else { 0.0 };
            self.index.insert(parameter.path.clone(), self.matrices.len());
            let active = parameter.trainable;
            let matrix = Matrix { root, floor, rms, active, average: 0.0, highest: 0.0 };
            self.matrices.push(matrix);
        }
        Ok(())
    }

    fn looks_at_direction(&self) -> bool {
        true
    }

    fn looks_at_gradients(&self) -> bool {
        matches!(self.direction, Direction::Gradient { .. })
    }

    fn looks_at_sizes(&self, update: u64) -> bool {
        update < DENSE || update.is_multiple_of(self.every)
    }

    fn rate_at_most(&self, now: &Reading, left: f64) -> Option<f64> {
        if now.sizes.is_empty() && !self.looks_at_gradients() {
            return self.cap();
        }
        let mut matrices = self.matrices.clone();
        self.look(&mut matrices, now, left);
        self.cap_of(&matrices)
    }

    fn record(&mut self, now: &Reading, left: f64, ruling: Verdict) {
        if ruling == Verdict::Apply {
            let mut matrices = std::mem::take(&mut self.matrices);
            self.look(&mut matrices, now, left);
            self.matrices = matrices;
            if self.relaxed > self.tau {
                let unit = self.cap().map(|cap| cap / self.slack.tau);
                let slope = self.slope(now, left);
                self.slack.push(now.loss, slope, unit, [self.tau, self.relaxed]);
            }
        }
    }

    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> State {
        let list = |of: fn(&Matrix) -> f64| self.matrices.iter().map(of).collect();
        State::new()
            .with_list("rms", list(|matrix| matrix.rms))
            .with_list("active", list(|matrix| f64::from(u8::from(matrix.active))))
            .with_list("average", list(|matrix| matrix.average))
            .with_list("highest", list(|matrix| matrix.highest))
            .with_list("direction", self.direction.parts())
            .with_part("slack", self.slack.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let names = ["rms", "active", "average", "highest"];
        state.clone().without_part("slack").only(&[&names[..], &["direction"]].concat())?;
        let direction = self.direction.as_saved(state.list("direction")?)?;
        let slack = Slack::restored(&state.part("slack"), [self.tau, self.relaxed])?;
        let mut matrices = self.matrices.clone();
        for name in names {
            let list = state.list(name)?;
            if list.len() != matrices.len() {
                return Err(Error::record(format_args!(
                    "a {NAME} of {} matrices does not fit a model of {}",
                    list.len(),
                    matrices.len()
                )));
            }
            if !list.iter().all(|x| x.is_finite() && *x >= 0.0) {
                return Err(Error::record(format_args!(
                    "a {name} of a {NAME} is below 0 or not finite"
                )));
            }
            for (matrix, &x) in matrices.iter_mut().zip(list) {
                match name {
                    "rms" => matrix.rms = x,
                    "active" => matrix.active = x != 0.0,
                    "average" => matrix.average = x,
                    _ => matrix.highest = x,
                }
            }
        }
        (self.matrices, self.slack, self.direction) = (matrices, slack, direction);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! A bound on the sum of the layers' relative changes.
//!
//! Invariant: `matrices` holds the parameters of rank 2 and higher, in model order, each once; `rms` is known for
//! those that are `active`, and is finite.

mod matrix;
mod slack;

use std::collections::HashMap;

use matrix::{FORGET, Matrix, by_gradient, fan_in};
use slack::Slack;

use super::{Direction, StepBound};
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::{Error, Layers, Parameter, Reading, Verdict};

/// Bounds the rate by how much it changes the weights: the relative changes of all layers add up to at most τ.
///
/// ```text
/// rate ≤ τ / (Σₗ uₗ/rₗ + √Σₙ(uₙ/rₙ)²)
///      l: the matrices, that is, the parameters of rank 2 and higher, but for n: those before a normalization
/// rₗ = max(rms(Wₗ), 0.1/√fan-inₗ), and at most 1.5 times its initial value
/// uₗ = the root mean square of a step at a rate of 1:
///      1 for Adam and similar optimizers, 3 for Lion, about 3/√(the longer side) for Muon; for descent and momentum
///      mₗ ← μ·mₗ + rms(gₗ)     uₗ ← max(0.95·uₗ, mₗ)
/// τ = 0.3·√(1 − μ)            μ = 0 without momentum
/// ```
///
/// and up to 4·√(1 − μ), as long as the loss shows that it can bear more:
///
/// ```text
/// rate·Σ sᵢ·√nᵢ·‖gᵢ‖ ≤ min(L, L₀ − L)       over all parameters, of nᵢ elements: Adam, Lion and similar, whose step
///                                            at a rate of 1 has a root mean square of sᵢ
/// rate·Σ ‖gᵢ‖²/(1 − μ) ≤ min(L, L₀ − L)     descent and momentum
/// ```
///
/// The sum is the most by which a step can change the loss to first order, so this is Polyak's step size used as
/// a bound. `L` and the norms are means over roughly the last ten steps, and `L₀` is a mean over the first ten. A
/// deep plain network is that sensitive from the start, and τ stays where it is; a transformer or a recurrent
/// network with the same weights is thirty times less sensitive and would be held back. τ grows by at most 10 %
/// per update.
///
/// `rate·uₗ/rₗ` is the share of layer `l` that one step replaces. A deep network computes a product over its
/// layers, which changes at most by the product of one plus each of these shares: each of 16 layers can bear a
/// sixteenth of what a single layer can. The bound accounts for depth, so the rate need not.
///
/// Behind a normalization only the direction of a layer's output counts, and the changes of such layers do not
/// compound: they are unrelated, and add up like the sides of a right angle. Which matrices these are does not
/// have to be specified either. The scale of such a matrix has no effect, so its gradient is at a right angle to
/// it: a matrix counts among `n` once `|⟨W, g⟩|·√elements ≤ 0.02·‖W‖·‖g‖` has held in five of the first ten
/// updates and has failed in none. An update in which its gradient is 0 says nothing. With a bound [for each
/// matrix](Self::per_matrix), all count among `l`.
///
/// A step that does not fade counts three times in `uₗ`. Adam divides an average of gradients by their size: of unrelated
/// ones, √(0.1/1.9) = 0.23 is left, so its steps get smaller as gradients disagree. Lion takes the sign of an average,
/// and Muon its singular directions, and both step as far as before.
///
/// How the optimizer steps each parameter does not have to be specified: a keel finds out by trying a copy of it
/// when it is built. Mixtures, such as Muon on the hidden matrices and AdamW on the rest, are therefore bounded
/// by one sum. `mₗ` is the largest that an average of such gradients can be; it includes the clips' factor.
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
/// - Vectors are excluded: biases and the gains of normalization layers start at 0 or 1 and are bounded by what
///   they add to. Embeddings count as matrices like any other. A weight used in two places counts once.
/// - A matrix that starts at 0 counts as a tenth of the size that preserves the variance of its inputs,
///   `1/√fan-in`: measured by its own size it could never move.
/// - A weight that grows counts as at most 1.5 times its initial size: a bound that grew with the weights would
///   allow larger steps, which make the weights grow further. With Muon, whose steps are large in all directions,
///   that ended in losses of 100 to 250 at high rates.
/// - Frozen parameters are excluded until they have a gradient.
///
/// # Edges
/// An optimizer whose step for a matrix depends on the gradient's size in any other way is refused when a keel is
/// built. Descent and momentum are refused with [`Decide::OnDevice`](crate::Decide::OnDevice), because their
/// bound needs the norms of the step's own gradient.
///
/// # Results
/// Training losses after 300 updates with warmup and cosine decay: without a bound, at the best rate within seven
/// decades; with it, at a rate of 100. Medians of 5 seeds and rates half a decade apart with Adam, and of 3 seeds and
/// rates a decade apart with momentum. `examples/step_bounds` also shows held-out losses.
///
/// | | Adam | bounded | momentum | bounded |
/// |---|---|---|---|---|
/// | 16 layers, plain | 0.023 | 0.016 | **0.039** | 0.088 |
/// | 16 layers, residual | **0.007** | 0.015 | 0.098 | 0.032 |
/// | 16 layers, residual, LayerNorm | **0.003** | 0.011 | 0.051 | 0.014 |
/// | 16 layers, BatchNorm | 0.020 | 0.027 | **0.026** | 0.040 |
/// | convolutions | 0.000 | 0.001 | **0.001** | 0.011 |
/// | LSTM, letters | 1.76 | 1.76 | 1.77 | 1.69 |
/// | transformer, 2 layers, letters | 2.26 | 2.28 | 2.46 | 2.38 |
/// | transformer, 4 layers, letters | 2.18 | 2.18 | 2.39 | 2.36 |
/// | raw regression | **0.491** | 0.518 | 0.584 | 0.524 |
/// | standardized regression | 0.456 | 0.464 | **0.460** | 0.501 |
/// | raw classification | 0.191 | 0.209 | 0.533 | 0.203 |
/// | heavy-tailed targets | 0.82 | 0.83 | **0.95** | 1.19 |
/// | imbalanced classes | 0.015 | 0.012 | 0.024 | 0.011 |
/// | autoencoder | 0.061 | 0.061 | 0.070 | 0.073 |
///
/// With Adam, the loss at a rate of 100 is above the best unbounded one by at most 3.9 % of the distance to the
/// loss of guessing on thirteen of the fourteen, and by 16 % on the raw regression, where a single large step
/// helps. From the lowest rate that trains, every higher one does, and no run is lost; without a bound a quarter
/// to three fifths of the higher rates train, and up to 14 of 75 runs end in a non-finite loss. With momentum, it
/// is above by 6 to 8 % on standardized regression and heavy-tailed targets, and below on eight of the fourteen.
/// The autoencoder does not train with momentum either way, where guessing gives 0.073.
///
/// Over all seven decades, the loss exceeds the lowest by 0.43 of what it does without the bound (median of the
/// fourteen), nearly all of it at rates that are too low. A bound does nothing about those: if every rate were as good
/// as the best one up to it, this would be 0.43 as well. Above the best rate alone it is 0.01.
///
/// With other optimizers, at rates a decade apart: AdamW (3 seeds) ends above the best unbounded loss by at most
/// 4.4 % on thirteen, and by 16 % on the raw regression. Gradient descent (2 seeds) ends below it on twelve, and
/// trains neither the raw classification nor the autoencoder at a rate of 100. Lion (2 seeds, half decades) ends below
/// it or above it by at most 1.2 % on ten, by 9, 14 and 27 % on the transformers and the LSTM, and trains neither of
/// the raw tables.
/// Muon with AdamW on vectors (2 seeds, half decades) ends below it or above it by at most 0.6 % on ten, by 10, 10
/// and 17 % on the transformers and the LSTM, and does not train the autoencoder, which it does without a bound.
///
/// With ten times as many updates (3000, Adam, 2 seeds, the seven small problems), the loss at a rate of 100 is above the
/// best unbounded one by at most 1.9 % of the distance to guessing on six, and by 6.5 % for the autoencoder. With batches
/// of 512 rows instead of 64 (2 seeds, six tables), it is above by at most 1.6 %. With batches of 8 (2 seeds, all
/// fourteen), it is below on nine, above by 3 and 7 % on the transformers and by 2.5 % on the plain network; the raw
/// regression does not train, and the autoencoder gets stuck with some seeds (2.6 % above in the median of 6).
///
/// # Limitations
/// It bounds the size of the change and not its direction, so it does not see curvature: if τ is too large, a
/// plain deep network still diverges. It does not replace a schedule: decaying the rate at the end helps as much
/// as ever.
///
/// # Cost
/// One pass over the parameters at each of the first ten updates and then at every tenth, and one over parameters and
/// gradients at the first ten, using the readback that takes place anyway.
///
/// Source: Bernstein et al. 2020 (arXiv 2002.03432), who bound each layer's relative change by the inverse of the
/// depth; here the sum is bounded, so that layers of different sizes share the total. Heo et al. 2021 (arXiv
/// 2006.08217), AdamP, for the angle that shows which weights have no scale. Polyak 1987 for the step
/// size from the loss; Loizou et al. 2021 (arXiv 2002.10542) for the step size of a single batch.
#[derive(Debug, Clone, PartialEq)]
pub struct DeepRelativeTrust {
    tau: f64,
    relaxed: f64,
    /// Whether each matrix is bounded separately, rather than their sum.
    each: bool,
    every: u64,
    matrices: Vec<Matrix>,
    index: HashMap<String, usize>,
    /// All parameters, in model order.
    steps: Vec<Step>,
    slack: Slack,
}

/// How a parameter is stepped.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    path: String,
    /// The square root of the number of elements.
    root: f64,
    /// `None` for a vector that is stepped in an unsupported way.
    direction: Option<Direction>,
}

const NAME: &str = "DeepRelativeTrust";

/// The weights are measured at each of this many initial updates, because they change fastest then.
const DENSE: u64 = 10;

impl Default for DeepRelativeTrust {
    /// Creates a bound with τ = 0.3, up to 4 where the loss can bear it, that measures the weights at every tenth
    /// update.
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
            matrices: Vec::new(),
            index: HashMap::new(),
            steps: Vec::new(),
            slack: Slack::new(tau),
        }
    }

    /// Bounds the sum of relative changes by `tau`, whatever the loss can bear.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn new(tau: f64) -> Result<Self, Error> {
        Ok(Self::of(Param(NAME, "tau").positive(tau)?))
    }

    /// Bounds the relative change of each matrix by `share`, usually 0.01, however many matrices there are:
    /// `rate ≤ share·minₗ rₗ/uₗ`.
    ///
    /// This is what LARS, Fromage and others bound. In a deep plain network, the share that each layer can bear
    /// falls with depth: with 16 layers, 0.01 did not train at all, whereas the sum over layers did. Suited to
    /// networks whose layers lie in parallel.
    ///
    /// # Errors
    /// If it is not positive and finite.
    #[doc(alias = "Fromage")]
    pub fn per_matrix(share: f64) -> Result<Self, Error> {
        let share = Param(NAME, "per_matrix").positive(share)?;
        Ok(Self { each: true, ..Self::of(share) })
    }

    /// Allows τ to grow up to `tau` where the loss can bear it.
    ///
    /// # Errors
    /// If it is below the current τ, or not finite.
    pub fn relaxed_to(mut self, tau: f64) -> Result<Self, Error> {
        let fits = tau.is_finite() && tau >= self.tau;
        let must = format_args!("a finite number of at least {}", self.tau);
        self.relaxed = Param(NAME, "relaxed_to").must(fits, must, tau)?;
        Ok(self)
    }

    /// Returns the τ of the next step: the one that was set, or what the loss [can bear](Self).
    #[must_use]
    pub fn tau(&self) -> f64 {
        self.slack.tau
    }

    /// Sets how many updates lie between measurements of the weights, after the first ten.
    ///
    /// # Errors
    /// If it is 0.
    pub fn every(mut self, updates: u64) -> Result<Self, Error> {
        self.every = Param(NAME, "every").at_least(1, updates)?;
        Ok(self)
    }

    /// Returns the bound on the rate for the weights and gradients as last measured. `None` if there is no matrix
    /// among them, and for descent and momentum before the first gradient.
    #[must_use]
    pub fn cap(&self) -> Option<f64> {
        self.cap_of(&self.matrices)
    }

    fn cap_of(&self, matrices: &[Matrix]) -> Option<f64> {
        let active = matrices.iter().filter(|matrix| matrix.active);
        let all = if self.each {
            active.map(Matrix::share).fold(0.0, f64::max)
        } else {
            let (mut sum, mut squares) = (0.0, 0.0);
            for matrix in active {
                let share = matrix.share();
                match matrix.has_no_scale() {
                    true => squares += share * share,
                    false => sum += share,
                }
            }
            sum + f64::sqrt(squares)
        };
        let cap = self.slack.tau / all;
        // It is infinite if there is nothing to bound.
        cap.is_finite().then_some(cap)
    }

    /// Updates the matrices from this reading, where `left` is the share of the gradient that the clips kept.
    fn look(&self, matrices: &mut [Matrix], now: &Reading, left: f64) {
        if by_gradient(matrices) {
            self.each(matrices, &now.layers, |matrix, norm| {
                if let Direction::Gradient { momentum, .. } = matrix.direction {
                    matrix.average = momentum * matrix.average + left * norm / matrix.root;
                    matrix.highest = (FORGET * matrix.highest).max(matrix.average);
                }
            });
        }
        // A reading may also hold what others have asked for, who must not change what this bound knows.
        if self.looks_at_sizes(now.update) {
            self.each(matrices, &now.sizes, |matrix, norm| matrix.rms = norm / matrix.root);
        }
        if self.looks_at_alignments(now.update) {
            self.each(matrices, &now.alignments, Matrix::turn);
        }
    }

    /// Returns the most by which a step at a rate of 1 changes the loss, to first order.
    fn slope(&self, now: &Reading, left: f64) -> f64 {
        let mut steps = self.steps.iter();
        // In the same order, with some left out. Nothing is known about a layer that is not among them.
        let each = now.layers.iter().map(|(path, norm)| {
            let mut ahead = steps.clone();
            let Some(step) = ahead.find(|step| step.path == path) else { return f64::INFINITY };
            steps = ahead;
            match step.direction {
                // An upper bound on the sum of the gradient's absolute values.
                Some(Direction::Normalized { size, .. }) => size * step.root * norm,
                Some(Direction::Gradient { size, momentum }) => {
                    size * left * norm * norm / (1.0 - momentum)
                }
                None => f64::INFINITY,
            }
        });
        each.sum()
    }

    /// A matrix that has a norm here is active.
    fn each(&self, matrices: &mut [Matrix], norms: &Layers, take: impl Fn(&mut Matrix, f64)) {
        for (path, norm) in norms.iter().filter(|(_, norm)| norm.is_finite()) {
            if let Some(matrix) = self.index.get(path).and_then(|&at| matrices.get_mut(at)) {
                take(matrix, norm);
                matrix.active = true;
            }
        }
    }
}

impl Step {
    /// Returns how the matrix is stepped, as numbers that can be saved.
    fn parts(&self) -> [f64; 2] {
        self.direction.map_or([-1.0; 2], Direction::parts)
    }
}

impl StepBound for DeepRelativeTrust {
    fn start(&mut self, parameters: &[Parameter]) -> Result<(), Error> {
        let elements = |of: &Parameter| of.shape.iter().product::<usize>() as f64;
        let is_matrix = |of: &&Parameter| of.shape.len() > 1 && elements(of) > 0.0;
        let mut known = parameters.iter().filter(is_matrix).filter_map(|of| of.direction);
        // A frozen parameter may be unfrozen, and is then stepped like the others.
        let usual = known.next().unwrap_or(Direction::Normalized { size: 1.0, fades: true });
        let (mut matrices, mut index) = (Vec::new(), HashMap::new());
        for parameter in parameters.iter().filter(is_matrix) {
            if index.contains_key(&parameter.path) {
                continue;
            }
            let direction = match parameter.direction {
                None if parameter.trainable => {
                    let must = "one whose step has the size of the rate, or of the gradient";
                    let got = format_args!("one of another kind for `{}`", parameter.path);
                    return Err(Error::parameter(NAME, "optimizer", must, got));
                }
                direction => direction.unwrap_or(usual),
            };
            let root = elements(parameter).sqrt();
            let floor = 0.1 / fan_in(&parameter.shape).sqrt();
            let rms = if parameter.norm.is_finite() { parameter.norm / root } else { 0.0 };
            index.insert(parameter.path.clone(), matrices.len());
            let active = parameter.trainable;
            let (average, highest, orthogonal) = (0.0, 0.0, 0.0);
            matrices.push(Matrix {
                direction,
                root,
                floor,
                rms,
                first: rms,
                active,
                orthogonal,
                average,
                highest,
            });
        }
        let step = |of: &Parameter| Step {
            path: of.path.clone(),
            root: elements(of).sqrt(),
            // An unfrozen parameter is stepped like the others here too.
            direction: if of.trainable { of.direction } else { Some(usual) },
        };
        self.steps = parameters.iter().map(step).collect();
        (self.matrices, self.index, self.slack) = (matrices, index, Slack::new(self.tau));
        Ok(())
    }

    fn looks_at_direction(&self) -> bool {
        true
    }

    fn looks_at_gradients(&self) -> bool {
        by_gradient(&self.matrices)
    }

    fn looks_at_sizes(&self, update: u64) -> bool {
        update < DENSE || update.is_multiple_of(self.every)
    }

    fn looks_at_alignments(&self, update: u64) -> bool {
        update < DENSE && !self.each
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
            .with_list("first", list(|matrix| matrix.first))
            .with_list("active", list(|matrix| f64::from(u8::from(matrix.active))))
            .with_list("orthogonal", list(|matrix| matrix.orthogonal))
            .with_list("average", list(|matrix| matrix.average))
            .with_list("highest", list(|matrix| matrix.highest))
            .with_list("steps", self.steps.iter().flat_map(Step::parts).collect())
            .with_part("slack", self.slack.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let names = ["rms", "first", "active", "orthogonal", "average", "highest"];
        state.clone().without_part("slack").only(&[names.as_slice(), &["steps"]].concat())?;
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
            let least = if name == "orthogonal" { -1.0 } else { 0.0 };
            if !list.iter().all(|x| x.is_finite() && *x >= least) {
                return Err(Error::record(format_args!(
                    "a number `{name}` of a {NAME} is below {least} or not finite"
                )));
            }
            for (matrix, &x) in matrices.iter_mut().zip(list) {
                match name {
                    "rms" => matrix.rms = x,
                    "first" => matrix.first = x,
                    "active" => matrix.active = x != 0.0,
                    "orthogonal" => matrix.orthogonal = x,
                    "average" => matrix.average = x,
                    _ => matrix.highest = x,
                }
            }
        }
        let (saved, _) = state.list("steps")?.as_chunks::<2>();
        if saved.len() != self.steps.len() {
            return Err(Error::record(format_args!(
                "a {NAME} of {} parameters does not fit a model of {}",
                saved.len(),
                self.steps.len()
            )));
        }
        let mut steps = self.steps.clone();
        for (step, &saved) in steps.iter_mut().zip(saved) {
            step.direction = Direction::went_on(step.direction, saved);
            let matrix = self.index.get(&step.path).and_then(|&at| matrices.get_mut(at));
            if let Some((matrix, direction)) = matrix.zip(step.direction) {
                matrix.direction = direction;
            }
        }
        (self.matrices, self.steps, self.slack) = (matrices, steps, slack);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! A bound on the sum over layers of relative changes.
//!
//! Invariant: `matrices` has the parameters of rank 2 and higher, in the order of the model, each once; `rms` is
//! known of those that are `active`, and finite.

use std::collections::HashMap;

use super::{Direction, StepBound};
use crate::checkpoint::State;
use crate::error::check::Param;
use crate::stat::Ema;
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
/// and for Adam, Lion and their kin up to τ = 4, as long as the loss shows that it bears more:
///
/// ```text
/// rate·Σ √nᵢ·‖gᵢ‖ ≤ min(L, L₀ − L)        over all parameters, of nᵢ elements
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
    every: u64,
    direction: Direction,
    matrices: Vec<Matrix>,
    index: HashMap<String, usize>,
    /// The square roots of the numbers of elements of all parameters, in the order of the model.
    roots: Vec<(String, f64)>,
    slack: Slack,
}

/// How much more than τ the loss bears.
#[derive(Debug, Clone, PartialEq)]
struct Slack {
    /// The τ that is allowed now.
    tau: f64,
    loss: Ema<f64>,
    slope: Ema<f64>,
    /// The mean of so many first losses.
    first: f64,
    seen: u64,
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

/// What τ may be multiplied by at an update.
const GROWTH: f64 = 1.1;

/// So many losses are the first ones.
const FIRST: u64 = 10;

impl Slack {
    fn new(tau: f64) -> Self {
        Self { tau, loss: Ema::new(0.9), slope: Ema::new(0.9), first: 0.0, seen: 0 }
    }

    /// A step was applied, of this loss, which would change it by `slope` times the rate at most; `unit` is the cap
    /// of τ = 1.
    fn push(&mut self, loss: f64, slope: f64, unit: Option<f64>, [least, most]: [f64; 2]) {
        if self.seen < FIRST {
            self.seen += 1;
            self.first += (loss - self.first) / self.seen as f64;
        }
        if !slope.is_finite() {
            self.tau = least;
            return;
        }
        self.loss.push(loss);
        self.slope.push(slope);
        let (Some(loss), Some(slope), Some(unit)) = (self.loss.mean(), self.slope.mean(), unit)
        else {
            return;
        };
        // A loss may have any number added to it: what it has come down by is what it is about.
        let down = self.first - loss;
        let at_stake = if loss > 0.0 { loss.min(down) } else { down };
        let borne = at_stake / (slope * unit);
        // Of a slope of 0 nobody knows what it bears.
        let borne = if borne.is_finite() { borne } else { least };
        self.tau = borne.min(self.tau * GROWTH).min(most).max(least);
    }
}

impl Slack {
    fn state(&self) -> State {
        let ((losses, loss), (slopes, slope)) = (self.loss.parts(), self.slope.parts());
        State::new()
            .with_number("tau", self.tau)
            .with_count("losses", losses)
            .with_list("loss", loss.to_vec())
            .with_count("slopes", slopes)
            .with_list("slope", slope.to_vec())
            .with_number("first", self.first)
            .with_count("seen", self.seen)
    }

    fn restored(state: &State, [least, most]: [f64; 2]) -> Result<Self, Error> {
        let fresh = Self::new(least);
        let (tau, first) = (state.number("tau")?, state.number("first")?);
        if !(tau.is_finite() && first.is_finite()) {
            return Err(Error::record(format_args!("a number of a {NAME} is not finite")));
        }
        Ok(Self {
            // The bound that goes on may be set differently.
            tau: tau.min(most).max(least),
            loss: fresh.loss.refilled(state.counter("losses")?, state.list("loss")?)?,
            slope: fresh.slope.refilled(state.counter("slopes")?, state.list("slope")?)?,
            first,
            seen: state.counter("seen")?,
        })
    }
}

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

    /// Up to `tau` where the loss bears it; for optimizers whose step has the size of the rate.
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
            Direction::Gradient { momentum, .. } => self.tau * (1.0 - momentum).sqrt(),
        };
        let share = |matrix: &Matrix| {
            let step = match self.direction {
                Direction::Normalized { size } => size,
                Direction::Gradient { size, .. } => size * matrix.highest,
            };
            step / matrix.rms.max(matrix.floor)
        };
        let active = matrices.iter().filter(|matrix| matrix.active);
        let cap = tau / active.map(share).sum::<f64>();
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
    fn slope(&self, now: &Reading, size: f64) -> f64 {
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
        size * each.sum::<f64>()
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
            if let Direction::Normalized { size } = self.direction
                && self.relaxed > self.tau
            {
                let (slope, unit) =
                    (self.slope(now, size), self.cap().map(|cap| cap / self.slack.tau));
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
            .with_part("slack", self.slack.state())
    }

    fn restore(&mut self, state: &State) -> Result<(), Error> {
        let names = ["rms", "active", "average", "highest"];
        state.clone().without_part("slack").only(&names)?;
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
        (self.matrices, self.slack) = (matrices, slack);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(tau: f64) -> DeepRelativeTrust {
        let mut bound = DeepRelativeTrust::new(tau).unwrap();
        let mut frozen = Parameter::new("c.weight", [5, 5], 50.0);
        frozen.trainable = false;
        // Of rms 0.5 and 0.25, and one of zeros: 0.1/√16.
        let parameters = [
            Parameter::new("a.weight", [4, 4], 2.0),
            Parameter::new("a.bias", [4], 9.0),
            Parameter::new("b.weight", [2, 2, 4, 4], 2.0),
            Parameter::new("zero.weight", [16, 3], 0.0),
            frozen,
        ];
        bound.start(&parameters, Some(Direction::Normalized { size: 1.0 })).unwrap();
        bound
    }

    fn sizes(of: &[(&str, f64)]) -> Reading {
        let paths: Vec<String> = of.iter().map(|(path, _)| path.to_string()).collect();
        let mut now = Reading::new(20);
        now.sizes = Layers::new(paths, of.iter().map(|(_, norm)| *norm).collect()).unwrap();
        now
    }

    #[test]
    fn the_bound_is_that_of_the_formula() {
        let bound = started(0.46);
        assert!((bound.cap().unwrap() - 0.46 / (2.0 + 4.0 + 40.0)).abs() < 1e-15);
        // What a reading shows counts at once, and is kept if the step is applied.
        let now = sizes(&[("a.weight", 1.0), ("a.bias", 3.0), ("c.weight", 5.0)]);
        let seen = 0.46 / (4.0 + 4.0 + 40.0 + 1.0);
        assert!((bound.rate_at_most(&now, 0.1).unwrap() - seen).abs() < 1e-15);
        for (verdict, cap) in [(Verdict::Skip, 0.01), (Verdict::Apply, seen)] {
            let mut bound = bound.clone();
            bound.record(&now, 1.0, verdict);
            assert!((bound.cap().unwrap() - cap).abs() < 1e-15, "{verdict}");
        }
        // Nothing is bounded by a model without a matrix.
        let mut none = DeepRelativeTrust::default();
        let adam = Some(Direction::Normalized { size: 1.0 });
        let vectors = [Parameter::new("bias", [4], 1.0), Parameter::new("empty", [0, 4], 0.0)];
        none.start(&vectors, adam).unwrap();
        assert_eq!(none.rate_at_most(&Reading::new(0), 1.0), None);
    }

    /// Gradients of rms 3 and 0 in two matrices, with momentum ½: sizes of 3, 4.5 and 5.25 times 2.
    #[test]
    fn descent_is_bounded_by_its_gradients() {
        let mut bound = DeepRelativeTrust::new(0.4).unwrap();
        let parameters = [Parameter::new("a", [4, 4], 2.0), Parameter::new("b", [4, 4], 2.0)];
        bound.start(&parameters, Some(Direction::Gradient { size: 2.0, momentum: 0.5 })).unwrap();
        assert!(bound.looks_at_gradients() && bound.cap().is_none());
        let paths = ["a".to_string(), "b".to_string()];
        let now = Reading::new(0).with_layers(Layers::new(paths, vec![24.0, 0.0]).unwrap());
        let tau = 0.4 * 0.5f64.sqrt();
        for size in [3.0, 4.5, 5.25] {
            let cap = bound.rate_at_most(&now, 0.5).unwrap();
            assert!((cap / (tau * 0.5 / (2.0 * size)) - 1.0).abs() < 1e-12, "{cap}");
            bound.record(&now, 0.5, Verdict::Skip);
            bound.record(&now, 0.5, Verdict::Apply);
        }
        // It is forgotten slowly.
        bound.record(&now, 0.0, Verdict::Apply);
        let cap = bound.cap().unwrap();
        assert!((cap / (tau * 0.5 / (2.0 * 5.25 * FORGET)) - 1.0).abs() < 1e-12, "{cap}");

        let error = DeepRelativeTrust::default().start(&parameters, None).unwrap_err();
        assert!(
            error.to_string().starts_with("`optimizer` of DeepRelativeTrust must be one whose")
        );
    }

    /// Two matrices of 16 elements and rms ½, of whose gradients the slope is known: τ grows slowly up to what the
    /// loss bears, falls at once, and knows nothing before the loss has come down.
    #[test]
    fn it_is_relaxed_as_far_as_the_loss_bears() {
        let parameters = [Parameter::new("a", [4, 4], 2.0), Parameter::new("b", [4, 4], 2.0)];
        let started = || {
            let mut bound = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(2.0).unwrap();
            bound.start(&parameters, Some(Direction::Normalized { size: 0.5 })).unwrap();
            bound
        };
        // A cap of ½ at τ = 1, and a slope of ½·(4 + 4)·norm.
        let step = |bound: &mut DeepRelativeTrust, loss: f64, norm: f64| {
            let paths = ["a".to_string(), "b".to_string()];
            let layers = Layers::new(paths, vec![norm; 2]).unwrap();
            let now = Reading::new(50).with_loss(loss).with_layers(layers);
            bound.record(&now, 1.0, Verdict::Apply);
        };
        let mut bound = started();
        assert_eq!(bound.cap(), Some(0.15));
        (0..12).for_each(|_| step(&mut bound, 4.0, 1.0));
        assert_eq!(bound.tau(), 0.3, "the loss has not come down");
        // It comes down to 2, which is as much as is left: 2/(4·½) = 1 for a norm of 1.
        (0..5).for_each(|_| step(&mut bound, 2.0, 1.0));
        let grown = bound.tau();
        step(&mut bound, 2.0, 1.0);
        assert!(grown > 0.3 && (bound.tau() / grown - GROWTH).abs() < 1e-9);
        (0..200).for_each(|_| step(&mut bound, 2.0, 1.0));
        assert!((bound.tau() - 1.0).abs() < 1e-9, "{}", bound.tau());
        assert!((bound.cap().unwrap() - 0.5).abs() < 1e-9);
        // With a loss of 1 left, of 4, it is half of that; and no less than it was set to.
        (0..200).for_each(|_| step(&mut bound, 1.0, 1.0));
        assert!((bound.tau() - 0.5).abs() < 1e-9, "{}", bound.tau());
        (0..200).for_each(|_| step(&mut bound, 1.0, 1e9));
        assert_eq!(bound.tau(), 0.3);
        (0..400).for_each(|_| step(&mut bound, 1.0, 1e-9));
        assert_eq!(bound.tau(), 2.0);
        // What is added to a loss takes nothing away: 101 have come down by 3.
        let mut other = started();
        (0..10).for_each(|_| step(&mut other, 104.0, 2.0));
        (0..300).for_each(|_| step(&mut other, 101.0, 2.0));
        assert!((other.tau() - 0.75).abs() < 1e-9, "{}", other.tau());
        // Nor is anything known of a parameter that is none of the model's, or of a slope of 0.
        let foreign = Layers::new(["c".to_string()], vec![1.0]).unwrap();
        bound.record(&Reading::new(9).with_layers(foreign), 1.0, Verdict::Apply);
        assert_eq!(bound.tau(), 0.3);
        let mut flat = started();
        (0..50).for_each(|k| step(&mut flat, 1.0 / f64::from(k + 1), 0.0));
        assert_eq!(flat.tau(), 0.3);

        let mut resumed = started();
        resumed.restore(&other.state()).unwrap();
        assert_eq!(resumed, other);
        let mut narrow = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(0.5).unwrap();
        narrow.start(&parameters, Some(Direction::Normalized { size: 0.5 })).unwrap();
        narrow.restore(&other.state()).unwrap();
        assert_eq!(narrow.tau(), 0.5);
        let said = DeepRelativeTrust::new(0.3).unwrap().relaxed_to(0.2).unwrap_err().to_string();
        assert_eq!(
            said,
            "`relaxed_to` of DeepRelativeTrust must be a finite number of at least 0.3, got 0.2"
        );
    }

    #[test]
    fn it_looks_at_first_and_then_now_and_then() {
        let bound = DeepRelativeTrust::default();
        let looks: Vec<u64> = (0..40).filter(|&update| bound.looks_at_sizes(update)).collect();
        assert_eq!(looks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30]);
    }

    #[test]
    fn its_state_resumes_it_and_what_is_wrong_is_named() {
        let mut bound = started(0.3);
        let now = sizes(&[("c.weight", 5.0), ("b.weight", 7.0)]);
        bound.record(&now, 1.0, Verdict::Apply);
        let mut fresh = started(0.3);
        fresh.restore(&bound.state()).unwrap();
        assert_eq!(fresh, bound);
        let mut other = DeepRelativeTrust::default();
        let adam = Some(Direction::Normalized { size: 1.0 });
        other.start(&[Parameter::new("weight", [2, 2], 1.0)], adam).unwrap();
        let said = other.restore(&bound.state()).unwrap_err().to_string();
        assert!(said.contains("of 4 matrices does not fit a model of 1"), "{said}");
        let names = ["rms", "active", "average", "highest"];
        let broken = names.iter().fold(State::new(), |s, name| s.with_list(name, vec![f64::NAN]));
        assert!(other.restore(&broken).is_err());
        assert!(other.rate_at_most(&Reading::new(0), 1.0).is_some_and(f64::is_finite));

        let said = DeepRelativeTrust::new(0.0).unwrap_err().to_string();
        assert!(said.starts_with("`tau` of DeepRelativeTrust must be a positive"), "{said}");
        assert!(DeepRelativeTrust::default().every(0).is_err());
    }
}

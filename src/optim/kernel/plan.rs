//! One update of one tensor in plain numbers: all that a kernel needs to know.
//!
//! Everything that is the same for every element is computed here, in `f64`: products of rates, bias corrections, the
//! special cases of the first update. Kernels are left with the minimum of work per element.

/// The update of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plan {
    Momentum(Momentum),
    Adam(Adam),
    Free(Free),
}

/// Preprocessing of the gradient: `g' = sign·factor·g + λp`, clamped to [`Limits::gradient`](super::Limits), is what
/// every rule calls the gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Incoming<T = f64> {
    /// The clips' factor; negative to ascend instead of descend.
    pub(crate) factor: T,
    /// Coupled weight decay `λ`.
    pub(crate) coupled: T,
}

/// `V = c·V + k·g'`, `p = (1 − s)·p − (a·g' + b·V)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Momentum<T = f64> {
    pub(crate) incoming: Incoming<T>,
    /// `c`, `k`; `None` where there is no velocity.
    pub(crate) velocity: Option<(T, T)>,
    /// `s`: the rate times the decoupled weight decay.
    pub(crate) shrink: T,
    /// `a`
    pub(crate) by_gradient: T,
    /// `b`
    pub(crate) by_velocity: T,
}

/// The Adam family. With `d` the second moment as in [`Second`], `m = β₁m + κ₁g'` and
/// `p = (1 − s)·p − (a·g' + b·m)/(k·√d + ε)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Adam<T = f64> {
    pub(crate) incoming: Incoming<T>,
    pub(crate) second: Second,
    /// `β₁` and `κ₁`, which is `1 − β₁` except at the first update of some rules.
    pub(crate) first: (T, T),
    /// `β₂` and `κ₂`.
    pub(crate) squares: (T, T),
    /// Factor on the previous maximum of AMSGrad: 1, or 0 when the moments restart.
    pub(crate) keep: T,
    /// `s`
    pub(crate) shrink: T,
    /// `a`
    pub(crate) by_gradient: T,
    /// `b`
    pub(crate) by_moment: T,
    /// `k`: corrects the bias of the root; 0 for a step that is not normalized.
    pub(crate) root: T,
    /// `ε`
    pub(crate) epsilon: T,
    /// Added to the second moment at every update (AdaBelief), or the bound on the normalized `g'` (ADOPT).
    pub(crate) extra: T,
    /// `θ`: `g'` is cut to `√(θ·v)` where `v > 0`, with the previous `v`; infinite for no cut.
    pub(crate) spike: T,
    pub(crate) scaling: Scaling,
}

/// How the second moment is kept, and which form of it normalizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    /// `v = β₂v + κ₂g'²`, `d = v`.
    Square,
    /// As `Square`, and `w = max(keep·w, v)`, `d = w`.
    Largest,
    /// `v = β₂v + κ₂(g' − m)² + extra`, `d = v`.
    Belief,
    /// `v = max(β₂v, |g'| + ε)`, and the step is `(a·g' + b·m)/v`.
    Infinity,
    /// `ĝ = g'/max(√v, ε)` clamped to `±extra`, `m = β₁m + κ₁ĝ`, the step is `b·m`, and only then `v = β₂v + κ₂g'²`.
    Adopt,
}

/// What depends on all elements of a tensor at once, and therefore takes a second pass.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Scaling {
    /// StableAdamW: rate and decay are divided by `max(1, RMS/threshold)`, with
    /// `RMS = √mean(g'²/max(k²d, ε²))`.
    pub(crate) rms: Option<f64>,
    /// Cautious: elements of the step that do not point along the gradient are dropped, and the others divided by their
    /// share, taken as at least 0.001.
    pub(crate) cautious: bool,
}

impl Scaling {
    /// Returns whether a step depends on all elements.
    #[cfg(any(feature = "flex", feature = "cube"))]
    pub(super) fn is_needed(self) -> bool {
        self.rms.is_some() || self.cautious
    }
}

/// Schedule-free. With `d = g'`, or `g'/(k·√v + ε) + λp`:
/// `y = (1 − c)·y + c·z − q·d`, `z = z − γ·d`, where `p` is `y` and `q = γ(1 − β(1 − c))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Free<T = f64> {
    pub(crate) incoming: Incoming<T>,
    /// `c`: the weight of `z` in the average.
    pub(crate) average: T,
    /// `γ`
    pub(crate) rate: T,
    /// `q`
    pub(crate) pull: T,
    /// The additional numbers of the normalized form.
    pub(crate) normal: Option<Normal<T>>,
}

/// The normalized form of [`Free`]: `v = β₂v + κ₂g'²`, then `k`, `ε` and `λ`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Normal<T = f64> {
    pub(crate) squares: (T, T),
    pub(crate) root: T,
    pub(crate) epsilon: T,
    pub(crate) decay: T,
}

impl Plan {
    /// Returns how many tensors of state it reads and writes.
    pub(crate) fn slots(&self) -> usize {
        match self {
            Self::Momentum(plan) => usize::from(plan.velocity.is_some()),
            Self::Adam(plan) => 2 + usize::from(plan.second == Second::Largest),
            Self::Free(plan) => 1 + usize::from(plan.normal.is_some()),
        }
    }
}

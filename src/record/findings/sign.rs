//! The signs that are looked for in the record of a run.

/// A sign that [`findings`](super::findings) looks for in the record of a run. The limits are in the table there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum FindingKind {
    /// The run was halted.
    Halted,
    /// Losses, gradients or other numbers were not finite.
    NonFinite,
    /// Many steps were not applied.
    ManySkips,
    /// Several consecutive steps were not applied.
    SkipsInARow,
    /// The run was rewound.
    Rewinds,
    /// The keel or a policy reported that it was getting in the way, or that it has stood down.
    Notice,
    /// Most updates were clipped.
    MostlyClipped,
    /// The loss never fell.
    LossNeverFell,
    /// The loss fell and rose again.
    LossRose,
    /// The loss fell and then stopped falling.
    Plateau,
    /// The loss on held-out data rose while the training loss fell.
    Overfitting,
    /// Most of the run used a rate far from the one at which the loss fell fastest.
    RateFarFromFastest,
    /// Updates move the weights far.
    LargeUpdates,
    /// Updates hardly move the weights.
    SmallUpdates,
    /// Successive gradients point against each other.
    Overshoot,
    /// The gradient norm became much larger.
    GradientGrew,
    /// Single gradients are much larger than those around them.
    GradientSpikes,
    /// A layer's gradient is far smaller than another's.
    VanishingGradient,
    /// A layer's gradient was 0 throughout.
    NoGradient,
    /// Units are 0 for every input.
    DeadUnits,
    /// Units are at the flat ends of their activation function.
    SaturatedUnits,
    /// Activations are close to overflow.
    LittleHeadroom,
}

//! What is looked for in the record of a run.

/// What is looked for in the record of a run. The limits are in the table of
/// [`findings`](super::findings).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Sign {
    /// The run was halted.
    Halted,
    /// Losses, gradients or other numbers that were not finite.
    NonFinite,
    /// Many steps were not applied.
    ManySkips,
    /// Steps in a row were not applied.
    SkipsInARow,
    /// The run was rewound.
    Rewinds,
    /// The keel or a policy said that it was in the way, or that it has stood down.
    Notice,
    /// Most updates were clipped.
    MostlyClipped,
    /// The loss never fell.
    LossNeverFell,
    /// The loss fell, and rose again.
    LossRose,
    /// The loss fell, and then no more.
    Plateau,
    /// The loss on held-out data rose while the training loss fell.
    Overfitting,
    /// Most of the run had a rate far from where the loss fell fastest.
    RateFarFromFastest,
    /// Updates that move the weights far.
    LargeUpdates,
    /// Updates that hardly move the weights.
    SmallUpdates,
    /// Successive gradients point against each other.
    Overshoot,
    /// The gradient became much longer.
    GradientGrew,
    /// Single gradients much longer than those around them.
    GradientSpikes,
    /// A layer whose gradient is far shorter than another's.
    VanishingGradient,
    /// A layer whose gradient was 0 throughout.
    NoGradient,
    /// Units that are 0 for every input.
    DeadUnits,
    /// Units at the flat ends of their function.
    SaturatedUnits,
    /// Activations close to overflow.
    LittleHeadroom,
}

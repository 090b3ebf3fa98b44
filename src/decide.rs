//! Deciding a step on the host or on the device.

/// Where a step is decided, on the host or on the device: see [`Builder::decide`](crate::Builder::decide).
///
/// A readback makes the host wait until a GPU has finished all queued work. On a CPU there is nothing to wait for, so
/// [`Now`](Self::Now) is the default.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::AdamConfig;
/// use burn::tensor::Device;
/// use evenkeel::clip::GlobalNorm;
/// use evenkeel::{Decide, Keel};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
/// let keel = Keel::wrap(AdamConfig::new().init())
///     .clip(GlobalNorm::at_most(1.0)?)
///     .decide(Decide::OnDevice { every: 20 })
///     .build(&model)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decide {
    /// On the host, before the update: exact for every guard, clip and optimizer. Two readbacks per step, or one for an
    /// optimizer that vouches for its updates.
    #[default]
    Now,
    /// On the device: no readback, except one after every `every` steps for all of their numbers.
    ///
    /// What stays the same: nothing non-finite reaches a parameter, a running statistic or an average. Within the step
    /// itself, selections on the device check finiteness, clip the gradient and drop the step.
    ///
    /// What is delayed: the numbers, and everything that the host concludes from them. Until they are read, a step's
    /// report is [`pending`](crate::Report::pending). Then the steps are judged, in order, and
    /// [`Stepped::late`](crate::Stepped::late) has the reports.
    ///
    /// - The schedule counts every step, and is moved back by the number of dropped steps when they are read. The same
    ///   holds for [`Keel::updates`](crate::Keel::updates), and for the counts that an average's weights depend on.
    /// - The loss scale changes when the numbers are read. Until then, every step that overflows is dropped.
    /// - Guards other than the finiteness check see a step long after it was applied. By then it can't be skipped:
    ///   where they would skip, training rewinds, or halts if it can't rewind.
    /// - Snapshots are taken only when the numbers are read.
    ///
    /// A rule of [`evenkeel::optim`](crate::optim), given to a keel directly or in
    /// [`ParamGroups`](crate::optim::ParamGroups), is put back exactly: its moments by selection, and its bias
    /// corrections by a count on the device. Only the weights of a [schedule-free](crate::optim::ScheduleFree) average
    /// count a dropped step until it is read. These updates are tensor operations, not the fused kernels.
    ///
    /// An optimizer in Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer), including a rule or a wrapper of this
    /// crate, sees a dropped step as a gradient of zero: its parameters stay exactly as they are, but its moments
    /// shrink by one step, and its own step count goes on.
    ///
    /// Sums are in `f32` on the device: a step whose squared norm overflows `f32` is dropped too. A checkpoint can be
    /// made only when nothing is pending: after every `every`-th step, or after a [`flush`](crate::Keel::flush).
    ///
    /// This mode doesn't support guards that look at updates, checks of the optimizer's state, or clips that are not a
    /// bound on the global norm; [`build`](crate::Builder::build) returns an error for them.
    OnDevice {
        /// Number of steps between readbacks; at least 1.
        every: u64,
    },
}

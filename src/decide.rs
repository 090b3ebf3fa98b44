//! Where a step is decided.

/// Where it is decided what becomes of a step: see
/// [`Builder::decide`](crate::Builder::decide).
///
/// A readback makes the host wait until a GPU has done everything that it was given. On a CPU there is
/// nothing to wait for, so [`Now`](Self::Now) is the default.
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
    /// On the host, before the update: exact for every guard, every clip and every optimizer. Two
    /// readbacks a step, one for an optimizer that vouches for its updates.
    #[default]
    Now,
    /// On the device: no readback, but for one after every `every` steps, for all of their numbers.
    ///
    /// What is as ever: nothing non-finite reaches a parameter, a running statistic or an average.
    /// Finiteness is checked, the gradient is clipped and the step is dropped by selections on the
    /// device, in the step itself.
    ///
    /// What is late: the numbers, and all that is concluded from them on the host. Until they are read
    /// a step's report is [`pending`](crate::Report::pending). Then they are judged, in order, and
    /// [`Stepped::late`](crate::Stepped::late) has the reports.
    ///
    /// - The schedule counts every step, and is put back by the steps that were dropped when they are
    ///   read. So do [`Keel::updates`](crate::Keel::updates), and the counts that an average's weights
    ///   depend on.
    /// - The loss scale moves when the numbers are read. Until then an overflow drops each step.
    /// - Guards other than the one for finiteness see a step when it has long been applied. It cannot
    ///   be skipped any more: where they would skip, training rewinds, or halts if it cannot.
    /// - Snapshots are taken when the numbers are read, and only then.
    ///
    /// A rule of [`evenkeel::optim`](crate::optim), given to a keel as it is or in [`Groups`](crate::optim::Groups), is
    /// put back exactly: its moments by selection, and its corrections of bias by a count on the device. Only the weights of a
    /// [schedule-free](crate::optim::ScheduleFree) average count a dropped step until it is read. These
    /// updates are tensor operations, and not the fused kernels.
    ///
    /// What an optimizer in Burn's [`ModuleOptimizer`](burn::optim::ModuleOptimizer) sees of a dropped step, a rule or
    /// a wrapper of this crate included, is a gradient of zero: its parameters
    /// stay exactly as they are, but its moments shrink by one step, and its own count of steps goes on.
    ///
    /// Sums are in `f32` on the device: a norm whose square overflows it is dropped too. A checkpoint
    /// can be made only when nothing is pending: after every `every`-th step, or after a
    /// [`flush`](crate::Keel::flush).
    ///
    /// Not to be had in this mode: guards that look at updates, checks of the optimizer's state, and
    /// clips that are not a bound on the global norm. [`build`](crate::Builder::build) says so.
    OnDevice {
        /// After how many steps the numbers are read; at least 1.
        every: u64,
    },
}

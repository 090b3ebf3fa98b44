//! How far a rewind has gone back.

use std::fmt;

/// How far a rewind went.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// use evenkeel::{Keel, Reading, Rewind, Verdict};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let mut model = LinearConfig::new(4, 1).init(&device);
/// let mut keel = Keel::wrap(SgdConfig::new().init())
///     .guard(|now: &Reading| if now.attempt == 2 { Verdict::Rewind } else { Verdict::Apply })
///     .rewind(Rewind::every(100)?)
///     .build(&model)?;
/// # let mut rewound = None;
/// # for _ in 0..3 {
/// #     let loss = model.forward(Tensor::<2>::ones([2, 4], &device)).powi_scalar(2).mean();
/// #     let grads = GradientsParams::from_grads(loss.backward(), &model);
/// #     let stepped = keel.step(0.01, model, grads, &loss)?;
/// #     (model, rewound) = (stepped.model, stepped.report.rewound);
/// # }
/// // After the third step, with `rewound` from its report:
/// let back = rewound.expect("the guard asked for it");
/// assert_eq!((back.to, back.updates, back.batches), (0, 2, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rewound {
    /// Index of the next update, which is the snapshot's.
    pub to: u64,
    /// Number of updates that were taken back.
    pub updates: u64,
    /// Number of batches since the snapshot, including this one; training goes on without them.
    pub batches: u64,
}

impl Rewound {
    pub(crate) fn new(to: u64, updates: u64, batches: u64) -> Self {
        Self { to, updates, batches }
    }
}

impl fmt::Display for Rewound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, updates, batches } = self;
        write!(f, "back to update {to}: {updates} updates taken back, {batches} batches left out")
    }
}

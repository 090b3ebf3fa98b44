//! Readings, verdicts and reports: what was measured, what was decided and what was done, as plain numbers.
//!
//! Nothing in this module computes any of it. Every policy decides from a [`Reading`] and nothing else.

mod culprit;
mod fault;
mod layers;
mod reading;
mod rewound;
mod verdict;

pub use culprit::{Culprit, Part};
pub use fault::Fault;
pub use layers::Layers;
pub(crate) use layers::is_under;
pub use reading::Reading;
pub use rewound::Rewound;
pub use verdict::Verdict;

use std::fmt;

/// What one step did, and why.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// use evenkeel::{Keel, Verdict};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = Device::default().autodiff();
/// # let model = LinearConfig::new(4, 1).init(&device);
/// # let mut keel = Keel::wrap(SgdConfig::new().init()).build(&model)?;
/// let x = Tensor::<2>::full([2, 4], f64::NAN, &device);
/// let loss = model.forward(x).powi_scalar(2).mean();
/// let grads = GradientsParams::from_grads(loss.backward(), &model);
/// let report = keel.step(0.1, model, grads, &loss)?.report;
///
/// assert_eq!((report.verdict, report.rejected), (Verdict::Skip, 1));
/// assert_eq!(report.by.as_deref(), Some("non-finite loss"));
/// assert!(report.to_string().starts_with("update 0 skipped: loss NaN"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// What was measured.
    pub reading: Reading,
    /// What was done.
    pub verdict: Verdict,
    /// Whether the verdict isn't known yet, because the device has decided and hasn't been read: only with
    /// [`Decide::OnDevice`](crate::Decide::OnDevice). Loss and norm are then NaN and the verdict reads
    /// [`Verdict::Apply`]; the true report comes in a later [`Stepped::late`](crate::Stepped::late).
    pub pending: bool,
    /// What asked for the verdict, if it isn't [`Verdict::Apply`]: the name of a guard, or a [`Fault`].
    pub by: Option<String>,
    /// The factor that the clips put on the gradient; 1 if none was active. If they treat parameters differently, it is
    /// the remaining share of the gradient's norm.
    pub factor: f64,
    /// The share of the requested rate that the bounds left; 1 if none was active.
    pub share: f64,
    /// The highest rate that the bounds allowed; `None` without a bound.
    pub cap: Option<f64>,
    /// Number of steps rejected in a row, including this one; 0 after an applied step.
    pub rejected: u64,
    /// How far a rewind went, if there was one.
    pub rewound: Option<Rewound>,
    /// After a fault, the tensors that held non-finite values, the likeliest origin first. Empty if the fault is the
    /// loss and no parameter or statistic is broken; the cause is then the batch or the forward pass.
    pub culprits: Vec<Culprit>,
    /// New notices from guards and clips, such as that one of them has stood down.
    pub notices: Vec<String>,
}

impl Report {
    pub(crate) fn applied(reading: Reading, factor: f64) -> Self {
        Self {
            reading,
            verdict: Verdict::Apply,
            pending: false,
            by: None,
            factor,
            share: 1.0,
            cap: None,
            rejected: 0,
            rewound: None,
            culprits: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Returns the report with the share and cap that the bounds left.
    pub(crate) fn held(mut self, share: f64, cap: Option<f64>) -> Self {
        (self.share, self.cap) = (share, cap);
        self
    }

    pub(crate) fn unread(mut reading: Reading) -> Self {
        (reading.loss, reading.grad_norm) = (f64::NAN, f64::NAN);
        Self { pending: true, ..Self::applied(reading, 1.0) }
    }

    pub(crate) fn rejected(
        reading: Reading,
        factor: f64,
        verdict: Verdict,
        by: String,
        rejected: u64,
        culprits: Vec<Culprit>,
    ) -> Self {
        Self {
            reading,
            verdict,
            pending: false,
            by: Some(by),
            factor,
            share: 1.0,
            cap: None,
            rejected,
            rewound: None,
            culprits,
            notices: Vec::new(),
        }
    }

    /// Returns whether the update was applied, as far as is known.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.verdict == Verdict::Apply && !self.pending
    }

    /// Returns the rate that was used: the requested rate, as limited by the bounds (the base rate, if parameter groups
    /// have their own).
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.reading.lr * self.share
    }

    /// Returns whether a bound lowered the rate.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.share < 1.0
    }

    /// Returns whether a clip shrank the gradient.
    #[must_use]
    pub fn is_clipped(&self) -> bool {
        self.factor < 1.0
    }
}

impl fmt::Display for Report {
    /// Writes one line, suitable for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = &self.reading;
        if self.pending {
            return write!(f, "update {} pending: rate {:.3e}", now.update, now.lr);
        }
        write!(
            f,
            "update {} {}: loss {:.4e}, gradient norm {:.3e}, rate {:.3e}",
            now.update, self.verdict, now.loss, now.grad_norm, now.lr
        )?;
        if self.is_held() {
            write!(f, ", held at {:.3e}", self.rate())?;
        }
        if self.is_clipped() {
            write!(f, ", clipped by {:.3e}", self.factor)?;
        }
        if let Some(by) = &self.by {
            write!(f, " ({by}")?;
            if let Some(first) = self.culprits.first() {
                write!(f, ", first in {first}")?;
            }
            f.write_str(")")?;
        }
        if let Some(rewound) = &self.rewound {
            write!(f, ", {rewound}")?;
        }
        self.notices.iter().try_for_each(|text| write!(f, "; {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_one_line() {
        let mut report = Report {
            reading: Reading::new(12).with_loss(0.5).with_grad_norm(4.0).with_lr(1e-3),
            verdict: Verdict::Apply,
            pending: false,
            by: None,
            factor: 0.25,
            share: 1.0,
            cap: None,
            rejected: 0,
            rewound: None,
            culprits: vec![],
            notices: Vec::new(),
        };
        assert_eq!(
            report.to_string(),
            "update 12 applied: loss 5.0000e-1, gradient norm 4.000e0, rate 1.000e-3, \
             clipped by 2.500e-1"
        );
        report.reading = Reading::new(12).with_loss(f64::NAN);
        report.verdict = Verdict::Rewind;
        report.factor = 1.0;
        report.by = Some(Fault::Loss.to_string());
        report.culprits = vec![Culprit::new("l1.weight".into(), Part::Gradient, [3, 1, 64])];
        report.rewound = Some(Rewound::new(8, 4, 6));
        assert_eq!(
            report.to_string(),
            "update 12 rewound: loss NaN, gradient norm 0.000e0, rate 0.000e0 (non-finite loss, \
             first in the gradient of `l1.weight`: 3 NaN and 1 infinite of 64), back to update 8: \
             4 updates taken back, 6 batches left out"
        );
    }
}

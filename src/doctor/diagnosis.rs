//! All findings together.

use std::fmt;

use super::{Check, Finding, Severity};

/// The findings of a [`Doctor`](super::Doctor), the worst first.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use evenkeel::doctor::{Check, Doctor, Severity};
///
/// let rows = [[0.1, 5000.0], [0.3, 9000.0], [0.2, 1000.0]];
/// let x = Tensor::<2>::from_floats(rows, &Device::default());
/// let diagnosis = Doctor::new().features(&x)?.finish();
///
/// println!("{diagnosis}");
/// assert_eq!(diagnosis.worst(), Some(Severity::Severe));
/// assert_eq!(diagnosis.findings()[0].check, Check::FeatureScale);
/// assert!(diagnosis.found(Check::NonFiniteData).is_none());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Diagnosis {
    findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn new(mut findings: Vec<Finding>) -> Self {
        // A stable sort: within a severity, findings stay in the order in which the parts were shown.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Self { findings }
    }

    /// Returns all findings, the worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the worst finding of this check, if there is any.
    #[must_use]
    pub fn found(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }

    /// Returns the severity of the worst finding; `None` if there are no findings.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.first().map(|finding| finding.severity)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return f.write_str("nothing found in what was shown");
        }
        for (at, finding) in self.findings.iter().enumerate() {
            let end = if at + 1 < self.findings.len() { "\n" } else { "" };
            write!(f, "{finding}{end}")?;
        }
        Ok(())
    }
}

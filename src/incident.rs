//! Incidents: steps that were not applied, and what was done about them.

use std::collections::VecDeque;
use std::fmt;

use crate::Verdict;
use crate::report::{Culprit, Report, Rewound};

/// One step that was not applied.
///
/// With the `serde` feature it can be serialized, as a line of JSON for example.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::{GradientsParams, SgdConfig};
/// # use burn::tensor::{Device, Tensor};
/// use evenkeel::{Incident, Keel, Verdict};
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
/// let incident = Incident::from(&report);
/// assert_eq!((incident.attempt, incident.verdict), (0, Verdict::Skip));
/// assert!(incident.to_string().starts_with("batch 0: update 0 skipped (non-finite loss)"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Incident {
    /// Number of steps requested before this one, which identifies the batch.
    pub attempt: u64,
    /// Index of the update that was not made.
    pub update: u64,
    /// What was done instead.
    pub verdict: Verdict,
    /// What asked for it: the name of a guard, or a fault.
    pub by: String,
    /// The loss.
    #[cfg_attr(feature = "serde", serde(with = "crate::incident::any_number"))]
    pub loss: f64,
    /// The norm of the whole gradient.
    #[cfg_attr(feature = "serde", serde(with = "crate::incident::any_number"))]
    pub grad_norm: f64,
    /// The learning rate.
    #[cfg_attr(feature = "serde", serde(with = "crate::incident::any_number"))]
    pub lr: f64,
    /// How far a rewind went, if there was one.
    pub rewound: Option<Rewound>,
    /// The tensors that held non-finite values.
    pub culprits: Vec<Culprit>,
}

impl From<&Report> for Incident {
    fn from(report: &Report) -> Self {
        let now = &report.reading;
        Self {
            attempt: now.attempt,
            update: now.update,
            verdict: report.verdict,
            by: report.by.clone().unwrap_or_default(),
            loss: now.loss,
            grad_norm: now.grad_norm,
            lr: now.lr,
            rewound: report.rewound,
            culprits: report.culprits.clone(),
        }
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "batch {}: update {} {} ({}), loss {:.4e}, gradient norm {:.3e}, rate {:.3e}",
            self.attempt, self.update, self.verdict, self.by, self.loss, self.grad_norm, self.lr
        )?;
        if let Some(rewound) = &self.rewound {
            write!(f, ", {rewound}")?;
        }
        match self.culprits.first() {
            Some(first) => write!(f, ", first in {first}"),
            None => Ok(()),
        }
    }
}

/// The incidents of a run, oldest first.
///
/// The latest 1000 are kept; all are counted. A resumed run starts with none.
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
/// let model = keel.step(0.1, model, grads, &loss)?.model;
/// # let _ = model;
///
/// let incidents = keel.incidents();
/// assert_eq!(incidents.count(Verdict::Skip), 1);
/// assert!(incidents.iter().all(|incident| incident.by == "non-finite loss"));
/// assert!(incidents.to_string().ends_with("1 skips, 0 rewinds, 0 halts"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Incidents {
    latest: VecDeque<Incident>,
    counts: [u64; 3],
    notices: Vec<(u64, String)>,
}

const KEPT: usize = 1000;

impl Incidents {
    pub(crate) fn push(&mut self, report: &Report) {
        match report.verdict {
            Verdict::Apply => return,
            Verdict::Skip => self.counts[0] += 1,
            Verdict::Rewind => self.counts[1] += 1,
            Verdict::Halt => self.counts[2] += 1,
        }
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(report.into());
    }

    /// Adds a notice from a policy. Returns `false` if it is already known.
    pub(crate) fn notice(&mut self, attempt: u64, text: &str) -> bool {
        // Numbers in a notice change from step to step; its subject does not.
        let about = |text: &str| text.split_once(':').map_or(text, |(about, _)| about).to_string();
        let known = self.notices.iter().any(|(_, known)| about(known) == about(text));
        let new = self.notices.len() < KEPT && !known;
        if new {
            self.notices.push((attempt, text.to_string()));
        }
        new
    }

    /// Iterates over the notices of guards and clips, each text once, with the number of steps requested before it.
    #[must_use]
    pub fn notices(&self) -> impl ExactSizeIterator<Item = (u64, &str)> {
        self.notices.iter().map(|(attempt, text)| (*attempt, text.as_str()))
    }

    /// Iterates over the latest incidents, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Incident> {
        self.latest.iter()
    }

    /// Returns the number of steps with this verdict; 0 for [`Verdict::Apply`], which is not an incident.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        match verdict {
            Verdict::Apply => 0,
            Verdict::Skip => self.counts[0],
            Verdict::Rewind => self.counts[1],
            Verdict::Halt => self.counts[2],
        }
    }
}

impl fmt::Display for Incidents {
    /// Writes one line per incident, and the total.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for incident in &self.latest {
            writeln!(f, "{incident}")?;
        }
        for (attempt, text) in &self.notices {
            writeln!(f, "batch {attempt}: {text}")?;
        }
        let [skips, rewinds, halts] = self.counts;
        write!(f, "{skips} skips, {rewinds} rewinds, {halts} halts")
    }
}

/// Writes numbers that JSON can't represent as text.
#[cfg(feature = "serde")]
pub(crate) mod any_number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(x: &f64, to: S) -> Result<S::Ok, S::Error> {
        match x.is_finite() {
            true => Written::Number(*x),
            false => Written::Text(x.to_string()),
        }
        .serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        match Written::deserialize(from)? {
            Written::Number(x) => Ok(x),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

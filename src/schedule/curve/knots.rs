//! Points that a curve passes through.

use crate::Error;
use crate::error::check::Param;

/// An update and the value there.
pub(in crate::schedule) type Knot = (u64, f64);

/// Knots in order of their updates.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub(in crate::schedule) struct Knots(Vec<Knot>);

impl Knots {
    pub(super) fn new(
        owner: &'static str,
        knots: impl IntoIterator<Item = Knot>,
    ) -> Result<Self, Error> {
        let knots: Vec<_> = knots.into_iter().collect();
        for (_, value) in &knots {
            Param(owner, "knots").finite(*value)?;
        }
        for pair in knots.windows(2) {
            let ((before, _), (at, _)) = (pair[0], pair[1]);
            let must = format_args!("in increasing order, so past {before}");
            Param(owner, "knots").must(before < at, must, at)?;
        }
        Ok(Self(knots))
    }

    pub(in crate::schedule) fn pairs(&self) -> &[Knot] {
        &self.0
    }

    #[cfg(feature = "serde")]
    pub(in crate::schedule) fn into_pairs(self) -> Vec<Knot> {
        self.0
    }

    /// Returns the last knot at or before `t`, and the first after it.
    pub(super) fn around(&self, t: u64) -> (Option<Knot>, Option<Knot>) {
        let after = self.0.partition_point(|(at, _)| *at <= t);
        let before = after.checked_sub(1).and_then(|before| self.0.get(before));
        (before.copied(), self.0.get(after).copied())
    }
}

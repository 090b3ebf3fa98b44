//! One sweep, and what can be read off it.

use super::{Refusal, Suggestion, median};
use crate::Error;
use crate::error::check::Param;

/// The curve of one sweep: rates that rise, each with the loss before the update at it.
///
/// It ends before the first loss that is not finite, or with the first that is lost: whose smoothed value is
/// above the best by more than three times `max(|best|, first − best)`. For a positive loss that has not
/// halved that is fastai's "above 4 times the best"; it also works for one that is negative, or gets to 0.
///
/// Curves from elsewhere can be read too:
///
/// ```
/// use evenkeel::finder::{Suggestion, Sweep};
///
/// let rates: Vec<f64> = (0..100).map(|k| 1e-6 * 10f64.powf(k as f64 / 14.0)).collect();
/// let loss = |rate: f64| 2.0 - 1.5 * rate / (rate + 1e-3) + 3.0 * rate * rate;
/// let losses: Vec<f64> = rates.iter().map(|rate| loss(*rate)).collect();
///
/// let sweep = Sweep::new(&rates, &losses, 0.98)?;
/// assert!(sweep.refusal().is_none());
/// assert!(sweep.suggestion(Suggestion::Valley).unwrap() < sweep.edge().unwrap());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sweep {
    rates: Vec<f64>,
    losses: Vec<f64>,
    smooth: Vec<f64>,
    diverged: bool,
    /// What is left out at the start of what the rules see.
    skip: usize,
}

/// What is left out at the end of what the rules see.
const SKIP_END: usize = 5;
/// How many points make a curve that anything can be said of.
pub(super) const POINTS: usize = 20;
/// The widest window of a level.
const WINDOW: usize = 5;
/// A fall has to be so many of its standard errors,
const CERTAIN: f64 = 5.0;
/// and this part of the loss at the start.
const LEAST: f64 = 1e-3;
/// The fall that noise may not hide, in parts of the loss at the start.
const VISIBLE: f64 = 0.1;

impl Sweep {
    /// The curve of these points. `smoothing` is `β` of the smoothed loss.
    ///
    /// ```text
    /// s ← β·s + (1 − β)·loss        smoothed loss = s/(1 − βᵗ)
    /// ```
    ///
    /// # Errors
    /// If rates are not positive and rising, there are more losses than rates, or `smoothing` is not in
    /// `[0, 1)`.
    pub fn new(rates: &[f64], losses: &[f64], smoothing: f64) -> Result<Self, Error> {
        let param = |name| Param("Sweep", name);
        let beta = param("smoothing").below_one(smoothing)?;
        let rise = rates.iter().all(|rate| rate.is_finite() && *rate > 0.0)
            && rates.windows(2).all(|pair| pair[0] < pair[1]);
        param("rates").must(rise, "positive and rising", "others")?;
        let must = format_args!("at most as many as rates, {}", rates.len());
        param("losses").must(losses.len() <= rates.len(), must, losses.len())?;
        Ok(Self::read(rates, losses, beta))
    }

    /// The same, of what is known to be right.
    pub(super) fn read(rates: &[f64], losses: &[f64], beta: f64) -> Self {
        let mut smoothed = Smoothed::new(beta);
        // A tenth of what was planned, as in fastai, whatever came of it.
        let skip = rates.len() / 10;
        let mut sweep = Self {
            rates: Vec::new(),
            losses: Vec::new(),
            smooth: Vec::new(),
            diverged: false,
            skip,
        };
        for (rate, loss) in rates.iter().zip(losses) {
            if !loss.is_finite() {
                sweep.diverged = true;
                break;
            }
            sweep.rates.push(*rate);
            sweep.losses.push(*loss);
            sweep.smooth.push(smoothed.push(*loss));
            if smoothed.is_lost() {
                sweep.diverged = true;
                break;
            }
        }
        sweep
    }

    /// The rates, lowest first.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// The loss before the update at each rate. What a rate does is in the next one.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The smoothed loss at each rate.
    pub fn smooth(&self) -> &[f64] {
        &self.smooth
    }

    /// Whether it ended because the loss was lost or not finite.
    pub fn diverged(&self) -> bool {
        self.diverged
    }

    /// What a rule says to the smoothed curve without its first tenth and its last 5 points, as in fastai.
    /// `None` if what is left is too short, whatever [`refusal`](Self::refusal) says.
    pub fn suggestion(&self, rule: Suggestion) -> Option<f64> {
        let end = self.smooth.len().checked_sub(SKIP_END).filter(|end| *end > self.skip)?;
        rule.rate(&self.rates[self.skip..end], &self.smooth[self.skip..end])
    }

    /// The edge of divergence: the highest rate after which the loss was still as low as anywhere on the
    /// curve, within its noise. From there on it only rose, to where it was lost. `None` if it was not.
    ///
    /// "As low as anywhere" is a median of 5 losses at most 3 standard deviations above the lowest.
    ///
    /// A sweep sees the edge late: what grows from an update to the next has to grow out of what else is
    /// in the loss before it shows, and the rates go on rising meanwhile. On quadratics with 14 rates
    /// a decade it is 0.8 to 2.5 times `2/λ`; [`StableRate`](super::StableRate) is exact.
    pub fn edge(&self) -> Option<f64> {
        if !self.diverged {
            return None;
        }
        let levels = self.levels(WINDOW);
        let lowest = levels.iter().copied().reduce(f64::min)?;
        let good = lowest + 3.0 * self.noise();
        let last = levels.iter().rposition(|level| *level <= good)?;
        // Its loss is the work of the rates before it.
        self.rates.get(last.saturating_sub(1)).copied()
    }

    /// Why no rate should be read off this curve, if so.
    ///
    /// The loss at the start is the median of the first tenth of the points (at least 5), the lowest that of
    /// the lowest such stretch. A fall counts if it is five times its standard error, from the noise
    /// between neighbouring losses, and a thousandth of the loss at the start.
    pub fn refusal(&self) -> Option<Refusal> {
        let points = self.losses.len();
        if points < POINTS {
            return Some(match self.diverged {
                true => Refusal::AtOnce { updates: points as u64 },
                false => Refusal::TooShort { updates: points as u64 },
            });
        }
        let width = (points / 10).max(WINDOW);
        let levels: Vec<f64> = self.losses.windows(width).map(median).collect();
        let (first, last) = (*levels.first()?, *levels.last()?);
        let (at, lowest) =
            levels.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
        // Of the difference of two medians.
        let error = (std::f64::consts::PI / width as f64).sqrt() * self.noise();
        let enough = (CERTAIN * error).max(LEAST * first.abs());
        if first - lowest > enough {
            let open = !self.diverged && at + width.div_ceil(2) >= levels.len();
            return open.then(|| Refusal::StillFalling { at: self.rates[points - 1] });
        }
        let fall = (first - lowest).max(0.0);
        Some(if CERTAIN * error > VISIBLE * first.abs() {
            Refusal::Noisy { fall, needed: enough }
        } else if self.diverged || last - first > enough {
            Refusal::Rising { from: first, to: last }
        } else {
            Refusal::Flat { fall, needed: enough }
        })
    }

    /// The standard deviation between neighbouring losses, whatever the trend: from the median of
    /// `|lossₖ₋₁ − 2·lossₖ + lossₖ₊₁|`, as if the noise were normal.
    pub fn noise(&self) -> f64 {
        let bends: Vec<f64> =
            self.losses.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).collect();
        match bends.is_empty() {
            true => 0.0,
            // The median of |x| of a normal x is 0.6745 deviations; the bend of three has √6 of theirs.
            false => median(&bends) / (0.6745 * 6f64.sqrt()),
        }
    }

    /// Medians of `width` losses around each, fewer at the ends.
    fn levels(&self, width: usize) -> Vec<f64> {
        let (half, count) = (width / 2, self.losses.len());
        let level = |at: usize| {
            median(&self.losses[at.saturating_sub(half)..(at + half + 1).min(count)])
        };
        (0..count).map(level).collect()
    }
}

/// The smoothed loss as it comes in, and whether it is lost.
#[derive(Debug, Clone)]
pub(super) struct Smoothed {
    beta: f64,
    sum: f64,
    weight: f64,
    first: f64,
    best: f64,
    now: f64,
}

impl Smoothed {
    pub(super) fn new(beta: f64) -> Self {
        Self { beta, sum: 0.0, weight: 1.0, first: f64::NAN, best: f64::INFINITY, now: f64::NAN }
    }

    pub(super) fn push(&mut self, loss: f64) -> f64 {
        self.sum = self.beta * self.sum + (1.0 - self.beta) * loss;
        self.weight *= self.beta;
        self.now = self.sum / (1.0 - self.weight);
        if self.first.is_nan() {
            self.first = self.now;
        }
        self.best = self.best.min(self.now);
        self.now
    }

    pub(super) fn is_lost(&self) -> bool {
        self.now - self.best > 3.0 * self.best.abs().max(self.first - self.best)
    }
}

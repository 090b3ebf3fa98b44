//! One sweep, and what can be read off it.

use super::{LossCurve, Refusal, Suggestion, median};
use crate::Error;
use crate::error::check::Param;

/// The curve of one sweep: rates that rise, each with the loss before the update at it.
///
/// It ends where the network [died](LossCurve): what a dead network's biases learn says nothing of a rate. It also
/// ends before the first loss that is not finite, or with the first that is lost: whose smoothed value is above the best by more than three times `max(|best|, first − best)`, all of them from the fifth loss on. For
/// a positive loss that has not halved that is fastai's "above 4 times the best"; it also works for one that is
/// negative, or gets to 0, and one low loss at the very start does not end it.
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
    #[cfg_attr(feature = "serde", serde(default))]
    died: bool,
    /// What is left out at the start of what the rules see.
    skip: usize,
}

/// What is left out at the end of what the rules see.
const SKIP_END: usize = 5;
/// From which loss on the smoothed one is not that of chance alone.
const SETTLED: usize = 5;
/// How many points make a curve that anything can be said of.
pub(super) const POINTS: usize = 20;
/// The widest window of a level.
const WINDOW: usize = 5;
/// How near to its lowest a loss is a low one, in parts of its fall.
const NEAR: f64 = 0.1;
/// A fall has to be so many of its standard errors,
const CERTAIN: f64 = 4.0;
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
        Ok(Self::read(rates, &LossCurve::new(losses.to_vec()), beta))
    }

    /// The same, of what is known to be right.
    pub(super) fn read(rates: &[f64], curve: &LossCurve, beta: f64) -> Self {
        let mut smoothed = Smoothed::new(beta);
        // A tenth of what was planned, as in fastai, whatever came of it.
        let skip = rates.len() / 10;
        let mut sweep = Self {
            rates: Vec::new(),
            losses: Vec::new(),
            smooth: Vec::new(),
            diverged: false,
            died: false,
            skip,
        };
        let dead_from = curve.dead_from.unwrap_or(u64::MAX);
        for (at, (rate, loss)) in (0..).zip(rates.iter().zip(&curve.losses)) {
            if !loss.is_finite() {
                sweep.diverged = true;
                break;
            }
            if at >= dead_from {
                sweep.died = true;
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

    /// Whether it ended because the network [died](LossCurve).
    pub fn died(&self) -> bool {
        self.died
    }

    /// Whether it ended before its time.
    pub(super) fn ended(&self) -> bool {
        self.diverged || self.died
    }

    /// What a rule says to the smoothed curve without its first tenth and its last 5 points, as in fastai.
    /// `None` if what is left is too short, whatever [`refusal`](Self::refusal) says.
    pub fn suggestion(&self, rule: Suggestion) -> Option<f64> {
        let end = self.smooth.len().checked_sub(SKIP_END).filter(|end| *end > self.skip)?;
        rule.rate(&self.rates[self.skip..end], &self.smooth[self.skip..end])
    }

    /// The edge of divergence: the highest rate after which the loss was still near its lowest. From there on
    /// it only rose, to where it was lost or the network died. `None` if neither was.
    ///
    /// "Near its lowest" is a median of 5 losses that is above the lowest one by a tenth of the whole fall at
    /// most, or by 3 standard deviations of the noise.
    ///
    /// It is vague, for every rate has one update only. On noiseless quadratics it was up to 6 times what the
    /// curvature allows for plain descent, where what will grow has all but died out by then, and down to a
    /// tenth of it for momentum, whose swings look like a rise. [`StableRate`](super::StableRate) finds it to a
    /// few per cent.
    pub fn edge(&self) -> Option<f64> {
        if !self.ended() {
            return None;
        }
        let levels = self.levels(WINDOW);
        let (first, lowest) = (*levels.first()?, levels.iter().copied().reduce(f64::min)?);
        let good = lowest + (NEAR * (first - lowest)).max(3.0 * self.noise());
        let last = levels.iter().rposition(|level| *level <= good)?;
        // Its loss is the work of the rates before it.
        self.rates.get(last.saturating_sub(1)).copied()
    }

    /// Why no rate should be read off this curve, if so.
    ///
    /// A level is the median of a stretch of losses: of a tenth of the points, and again of a fifth. The fall is
    /// from the first level to the lowest one. It counts if it is four times its standard error, which
    /// comes from the [noise](Self::noise), and a thousandth of the first level. Of curves of pure noise, one in
    /// several hundred passes; of three sweeps two have to.
    pub fn refusal(&self) -> Option<Refusal> {
        let points = self.losses.len();
        if points < POINTS {
            let updates = points as u64;
            return Some(match (self.died, self.diverged) {
                (true, _) => Refusal::Dead { updates },
                // What is before the first update is the work of no rate.
                (_, true) if points == 0 => Refusal::NotFinite,
                (_, true) => Refusal::AtOnce { updates },
                _ => Refusal::TooShort { updates },
            });
        }
        let narrow = Levels::new(self, (points / 10).max(WINDOW))?;
        let wide = Levels::new(self, (points / 5).max(WINDOW))?;
        if let Some(fallen) = [&narrow, &wide].into_iter().find(|of| of.fall > of.enough) {
            let open = !self.ended() && fallen.ends_lowest;
            return open.then(|| Refusal::StillFalling { at: self.rates[points - 1] });
        }
        if self.died {
            return Some(Refusal::Dead { updates: points as u64 });
        }
        let Levels { first, last, middle, fall, enough, hidden, .. } = wide;
        // One that is lost at its end has risen there, whatever came before.
        let late = if self.diverged { middle } else { narrow.last.max(last) };
        Some(if late - first > enough {
            Refusal::Rising { from: first, to: narrow.last }
        } else if hidden {
            Refusal::Noisy { fall, needed: enough }
        } else if self.diverged {
            Refusal::Rising { from: first, to: narrow.last }
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
        let level =
            |at: usize| median(&self.losses[at.saturating_sub(half)..(at + half + 1).min(count)]);
        (0..count).map(level).collect()
    }
}

/// The medians of stretches of one width, and what they say.
struct Levels {
    first: f64,
    middle: f64,
    last: f64,
    /// From the first to the lowest.
    fall: f64,
    /// What a fall has to be to count.
    enough: f64,
    /// Whether the noise would hide a fall that matters.
    hidden: bool,
    /// Whether the lowest is at the end.
    ends_lowest: bool,
}

impl Levels {
    fn new(sweep: &Sweep, width: usize) -> Option<Self> {
        let levels: Vec<f64> = sweep.losses.windows(width).map(median).collect();
        let (at, lowest) = levels.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
        let (first, last, middle) = (*levels.first()?, *levels.last()?, levels[levels.len() / 2]);
        // Of the difference of two medians.
        let error = (std::f64::consts::PI / width as f64).sqrt() * sweep.noise();
        Some(Self {
            first,
            middle,
            last,
            fall: first - lowest,
            enough: (CERTAIN * error).max(LEAST * first.abs()),
            hidden: CERTAIN * error > VISIBLE * first.abs(),
            ends_lowest: at + width.div_ceil(2) >= levels.len(),
        })
    }
}

/// The smoothed loss as it comes in, and whether it is lost.
#[derive(Debug, Clone)]
pub(super) struct Smoothed {
    beta: f64,
    sum: f64,
    weight: f64,
    count: usize,
    first: f64,
    best: f64,
    now: f64,
}

impl Smoothed {
    pub(super) fn new(beta: f64) -> Self {
        let (first, best, now) = (f64::INFINITY, f64::INFINITY, f64::NAN);
        Self { beta, sum: 0.0, weight: 1.0, count: 0, first, best, now }
    }

    pub(super) fn push(&mut self, loss: f64) -> f64 {
        self.sum = self.beta * self.sum + (1.0 - self.beta) * loss;
        self.weight *= self.beta;
        self.now = self.sum / (1.0 - self.weight);
        self.count += 1;
        if self.count == SETTLED {
            self.first = self.now;
        }
        if self.count >= SETTLED {
            self.best = self.best.min(self.now);
        }
        self.now
    }

    pub(super) fn is_lost(&self) -> bool {
        self.count > SETTLED
            && self.now - self.best > 3.0 * self.best.abs().max(self.first - self.best)
    }
}

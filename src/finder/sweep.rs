//! One sweep of the rate, and what can be read off its curve.

use super::{LossCurve, Refusal, Suggestion, median};
use crate::Error;
use crate::error::check::Param;

/// The curve of one sweep: increasing rates, each with the loss before the update at that rate.
///
/// It ends where the network [died](LossCurve), because what a dead network's biases learn says nothing about the
/// rate. It also ends before the first loss that is not finite, and with the first loss that is lost: one whose
/// smoothed value exceeds the best by more than three times `max(|best|, first − best)`, where all of these are
/// taken from the fifth loss on. For a positive loss that has not halved, this is fastai's "above 4 times the
/// best". It also works for a loss that is negative or reaches 0, and one low loss at the very start does not end
/// the sweep.
///
/// Curves from other sources can be read too:
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
    /// The number of points left out at the start for the rules.
    skip: usize,
}

/// The number of points left out at the end for the rules.
const SKIP_END: usize = 5;
/// The number of losses from which the smoothed loss is no longer just chance.
const SETTLED: usize = 5;
/// The minimum number of points of a meaningful curve.
pub(super) const POINTS: usize = 20;
/// The widest window of a level.
const WINDOW: usize = 5;
/// How near its lowest value a loss must be to count as low, as a share of its fall.
const NEAR: f64 = 0.1;
/// The minimum size of a fall, in its standard errors.
const CERTAIN: f64 = 4.0;
/// The minimum size of a fall, as a share of the initial loss.
const LEAST: f64 = 1e-3;
/// The size of a fall that noise must not hide, as a share of the initial loss.
const VISIBLE: f64 = 0.1;

impl Sweep {
    /// Creates the curve from these points. `smoothing` is the `β` of the smoothed loss.
    ///
    /// ```text
    /// s ← β·s + (1 − β)·loss        smoothed loss = s/(1 − βᵗ)
    /// ```
    ///
    /// # Errors
    /// If rates are not positive and increasing, there are more losses than rates, or `smoothing` is not in
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

    /// Creates the curve from points that are known to be valid.
    pub(super) fn read(rates: &[f64], curve: &LossCurve, beta: f64) -> Self {
        let mut smoothed = Smoothed::new(beta);
        // A tenth of what was planned, as in fastai, however many updates were made.
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

    /// Returns the rates, lowest first.
    #[must_use]
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// Returns the loss before the update at each rate. The effect of a rate shows in the next loss.
    #[must_use]
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// Returns the smoothed loss at each rate.
    #[must_use]
    pub fn smooth(&self) -> &[f64] {
        &self.smooth
    }

    /// Returns whether the sweep ended because the loss was lost or not finite.
    #[must_use]
    pub fn diverged(&self) -> bool {
        self.diverged
    }

    /// Returns whether the sweep ended because the network [died](LossCurve).
    #[must_use]
    pub fn died(&self) -> bool {
        self.died
    }

    /// Returns whether the sweep ended early.
    pub(super) fn ended(&self) -> bool {
        self.diverged || self.died
    }

    /// Returns the rate that a rule suggests for the smoothed curve without its first tenth and its last 5
    /// points, as in fastai. `None` if the rest is too short; [`refusal`](Self::refusal) is not taken into
    /// account.
    #[must_use]
    pub fn suggestion(&self, rule: Suggestion) -> Option<f64> {
        let kept = self.skip..self.smooth.len().checked_sub(SKIP_END)?;
        rule.rate(self.rates.get(kept.clone())?, self.smooth.get(kept)?)
    }

    /// Returns the edge of divergence: the highest rate after which the loss was still near its lowest. From
    /// there on it only rose, until it was lost or the network died. `None` if neither happened.
    ///
    /// "Near its lowest" means that a median of 5 losses is above the lowest one by at most a tenth of the whole
    /// fall, or by at most 3 standard deviations of the noise.
    ///
    /// The edge is imprecise, because every rate gets only one update. On noiseless quadratics it was up to 6
    /// times what the curvature allows for plain descent, where the component that will grow has almost vanished
    /// by then; and as low as a tenth of it for momentum, whose oscillations look like a rise.
    /// [`StableRate`](super::StableRate) finds it to within a few per cent.
    pub fn edge(&self) -> Option<f64> {
        if !self.ended() {
            return None;
        }
        let levels = self.levels(WINDOW);
        let (first, lowest) = (*levels.first()?, levels.iter().copied().reduce(f64::min)?);
        let good = lowest + (NEAR * (first - lowest)).max(3.0 * self.noise());
        let last = levels.iter().rposition(|level| *level <= good)?;
        // Its loss is the effect of the rates before it.
        self.rates.get(last.saturating_sub(1)).copied()
    }

    /// Returns the reason why no rate should be read off this curve, if there is one.
    ///
    /// A level is the median of a stretch of losses: of a tenth of the points, and then of a fifth. The fall is
    /// measured from the first level to the lowest one. It counts if it is more than four times its standard
    /// error, which is computed from the [noise](Self::noise), and more than a thousandth of the first level. Of
    /// curves of pure noise, one in several hundred passes; of three sweeps, two must pass.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        let points = self.losses.len();
        if points < POINTS {
            let updates = points as u64;
            return Some(match (self.died, self.diverged) {
                (true, _) => Refusal::Dead { updates },
                // The loss before the first update is not the effect of any rate.
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
        // A loss that is lost at its end has risen there, whatever came before.
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

    /// Returns the standard deviation of the noise between neighboring losses, independent of the trend:
    /// computed from the median of `|lossₖ₋₁ − 2·lossₖ + lossₖ₊₁|`, assuming normal noise.
    #[must_use]
    pub fn noise(&self) -> f64 {
        let bends: Vec<f64> =
            self.losses.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).collect();
        match bends.is_empty() {
            true => 0.0,
            // The median of |x| of a normal x is 0.6745 deviations; the second difference has √6 times the
            // deviation of a loss.
            false => median(&bends) / (0.6745 * 6f64.sqrt()),
        }
    }

    /// Returns the medians of `width` losses around each loss, fewer at the ends.
    fn levels(&self, width: usize) -> Vec<f64> {
        let (half, count) = (width / 2, self.losses.len());
        let level =
            |at: usize| median(&self.losses[at.saturating_sub(half)..(at + half + 1).min(count)]);
        (0..count).map(level).collect()
    }
}

/// The medians of stretches of one width, and what follows from them.
struct Levels {
    first: f64,
    middle: f64,
    last: f64,
    /// The fall from the first to the lowest.
    fall: f64,
    /// The minimum fall that counts.
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
        // The standard error of the difference of two medians.
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

/// The smoothed loss, updated loss by loss, and whether it is lost.
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
        // Never before the best and the first have settled, while both are infinite.
        self.now - self.best > 3.0 * self.best.abs().max(self.first - self.best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sweep over the rates 1, 2, 3 and so on, whose loss is not smoothed.
    fn sweep(parts: &[&[f64]]) -> Sweep {
        let losses = parts.concat();
        let rates: Vec<f64> = (1..=losses.len()).map(|k| k as f64).collect();
        Sweep::new(&rates, &losses, 0.0).unwrap()
    }

    #[test]
    fn rates_must_be_positive_and_rise() {
        for bad in [[0.0, 1.0], [1.0, 1.0], [1.0, f64::INFINITY]] {
            assert!(Sweep::new(&bad, &[1.0], 0.0).is_err(), "{bad:?}");
        }
        assert!(Sweep::new(&[f64::MIN_POSITIVE, 1.0], &[1.0], 0.0).is_ok());
    }

    /// It falls from 110 to 100: what is at most 101 is near the lowest.
    #[test]
    fn the_edge_is_the_last_rate_at_which_a_tenth_of_the_fall_was_lost() {
        let levels: [&[f64]; 5] =
            [&[110.0; 10], &[100.0; 10], &[101.0; 5], &[102.0; 5], &[f64::NAN]];
        // The last loss of 101 is the effect of the rate before.
        assert_eq!(sweep(&levels).edge(), Some(24.0));
    }

    #[test]
    fn twenty_points_make_a_curve() {
        assert_eq!(sweep(&[&[2.0; 19]]).refusal(), Some(Refusal::TooShort { updates: 19 }));
        let flat = Refusal::Flat { fall: 0.0, needed: 2e-3 };
        assert_eq!(sweep(&[&[2.0; 20]]).refusal(), Some(flat));
    }

    /// Neither a fall, nor a rise, nor noise: each of them is 0, and so is what it would need.
    #[test]
    fn a_loss_of_zero_is_flat() {
        let flat = Refusal::Flat { fall: 0.0, needed: 0.0 };
        assert_eq!(sweep(&[&[0.0; 30]]).refusal(), Some(flat));
    }

    /// Nine losses of a hundred are most of the last tenth, and less than half of the last fifth.
    #[test]
    fn a_loss_that_rises_in_the_last_tenth_is_rising() {
        let risen = Refusal::Rising { from: 1.0, to: 2.0 };
        assert_eq!(sweep(&[&[1.0; 91], &[2.0; 9]]).refusal(), Some(risen));
    }

    /// The last of the lowest levels has three of its five losses, or two, before the rise.
    #[test]
    fn a_loss_is_still_falling_if_its_lowest_level_is_the_last_whole_one() {
        let fallen = |updates: i32| {
            let down: Vec<f64> = (0..updates).map(|k| 100.0 - f64::from(k)).collect();
            sweep(&[&down, &vec![200.0; 20 - updates as usize]]).refusal()
        };
        assert_eq!(fallen(17), None);
        assert_eq!(fallen(18), Some(Refusal::StillFalling { at: 20.0 }));
    }

    /// Of losses that go up and down by 1, every second difference is 4.
    #[test]
    fn a_fall_must_exceed_four_standard_errors_and_a_thousandth() {
        let losses: Vec<f64> = (0..40).map(|k| 10.0 + f64::from(k % 2)).collect();
        let noisy = sweep(&[&losses]);
        let sigma = 2.0 / (0.6745 * 6f64.sqrt());
        assert!((noisy.noise() - sigma).abs() < 1e-12, "{}", noisy.noise());
        let needed = Levels::new(&noisy, 8).unwrap().enough;
        let expected = 4.0 * sigma * (std::f64::consts::PI / 8.0).sqrt();
        assert!((needed - expected).abs() < 1e-12, "{needed} is not {expected}");
        assert_eq!(Levels::new(&sweep(&[&[-5.0; 20]]), 8).unwrap().enough, 5e-3);
    }

    #[test]
    fn a_loss_is_lost_above_four_times_the_best_from_the_fifth_on() {
        let lost = |losses: &[f64]| {
            let mut smoothed = Smoothed::new(0.0);
            losses.iter().map(|loss| smoothed.push(*loss)).count();
            smoothed.is_lost()
        };
        assert!(!lost(&[1.0, 1.0, 1.0, 1.0, 1.0, 4.0]) && lost(&[1.0, 1.0, 1.0, 1.0, 1.0, 4.1]));
        // One low loss at the start is not the best, and no loss is lost before there is one.
        assert!(!lost(&[0.1, 1.0, 1.0, 1.0, 1.0, 2.0]));
        assert!(!lost(&[]) && !lost(&[1.0, 1.0, 1.0, 1e9]) && !lost(&[1.0, 1.0, 1.0, 1.0, 1e9]));
    }
}

//! Results of a learning rate range test.

use std::fmt;

use super::{Estimate, Refusal, Suggestion, Sweep, median};
use crate::text::short;

/// The result of a range test: the sweeps, the rates that the rules suggest, and whether these can be trusted.
///
/// It [prints](fmt::Display) as a table and a line of the curve.
///
/// ```
/// use evenkeel::finder::{LrFinder, Suggestion};
///
/// // A loss that falls at first, and rises from a rate of about 0.06 on.
/// let loss = |rate: f64| 2.0 - 1.5 * rate / (rate + 1e-3) + 3.0 * rate * rate;
/// let found = LrFinder::new(1e-6, 12.0)?.find(|sweep| {
///     let losses = (0..sweep.over).map(|k| loss(sweep.rate(k)));
///     Ok::<_, evenkeel::Error>(losses.collect::<Vec<f64>>())
/// })?;
/// assert!(found.refusal().is_none());
/// assert!(found.suggestion(Suggestion::Valley).unwrap().rate < found.edge().unwrap().rate);
/// println!("{found}");
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LrRange {
    sweeps: Vec<Sweep>,
    updates: u64,
}

/// The ratio above which the repeats disagree.
const DISAGREE: f64 = 10.0;

impl LrRange {
    pub(super) fn new(sweeps: Vec<Sweep>, updates: u64) -> Self {
        Self { sweeps, updates }
    }

    /// Returns the reason why no rate should be taken from these sweeps, if there is one: a problem in any sweep
    /// before its first update, that is, a loss that is [not finite](Refusal::NotFinite) or a network that is
    /// [dead](Refusal::Dead); or the most common refusal of the sweeps, unless more than half of them are usable;
    /// or that the rates of the [valley](Suggestion::Valley) differ by more than a factor of ten.
    pub fn refusal(&self) -> Option<Refusal> {
        let reasons: Vec<Refusal> = self.sweeps.iter().filter_map(Sweep::refusal).collect();
        let at_start =
            |why: &&Refusal| matches!(why, Refusal::NotFinite | Refusal::Dead { updates: 0 });
        if let Some(why) = reasons.iter().find(at_start) {
            return Some(*why);
        }
        if 2 * reasons.len() >= self.sweeps.len().max(1) {
            let kind = std::mem::discriminant::<Refusal>;
            let count = |of: &Refusal| reasons.iter().filter(|r| kind(r) == kind(of)).count();
            // Of the most common reasons, the first.
            return reasons.iter().rev().max_by_key(|reason| count(reason)).copied();
        }
        let said = self.of_sound(|sweep| sweep.suggestion(Suggestion::Valley))?;
        let apart = said.high / said.low > DISAGREE;
        apart.then_some(Refusal::Disagreeing { low: said.low, high: said.high })
    }

    /// Returns the rate that a rule suggests, from the sweeps that are not refused. `None` if the
    /// [result as a whole](Self::refusal) is refused, or the rule gives no rate.
    #[must_use]
    pub fn suggestion(&self, rule: Suggestion) -> Option<Estimate> {
        match self.refusal() {
            None => self.of_sound(|sweep| sweep.suggestion(rule)),
            Some(_) => None,
        }
    }

    /// Returns the [edge of divergence](Sweep::edge), from the sweeps that were lost or died and are not refused.
    /// `None` as for [`suggestion`](Self::suggestion), or if no sweep was lost.
    pub fn edge(&self) -> Option<Estimate> {
        match self.refusal() {
            None => self.of_sound(Sweep::edge),
            Some(_) => None,
        }
    }

    fn of_sound(&self, read: impl Fn(&Sweep) -> Option<f64>) -> Option<Estimate> {
        let sound = self.sweeps.iter().filter(|sweep| sweep.refusal().is_none());
        Estimate::of(&sound.filter_map(read).collect::<Vec<_>>())
    }

    /// Returns the sweeps.
    #[must_use]
    pub fn sweeps(&self) -> &[Sweep] {
        &self.sweeps
    }

    /// Returns the number of updates that the sweeps took.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Returns the median of the sweeps' losses at each rate that more than half of them reached.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let longest = self.sweeps.iter().max_by_key(|sweep| sweep.rates().len());
        let rates = longest.map_or(&[][..], Sweep::rates);
        let at = |(place, rate): (usize, &f64)| {
            let losses = self.sweeps.iter().filter_map(|s| s.losses().get(place)).copied();
            let losses: Vec<f64> = losses.collect();
            (2 * losses.len() > self.sweeps.len()).then(|| (*rate, median(&losses)))
        };
        rates.iter().enumerate().map_while(at).collect()
    }
}

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The width, in blocks.
const WIDTH: usize = 60;

/// Draws one block for each part of the curve, between the lowest loss and the initial one; anything above that
/// is a full block.
fn blocks(curve: &[(f64, f64)]) -> String {
    let width = WIDTH.min(curve.len());
    let bound = |part: usize| part * curve.len() / width.max(1);
    let part = |at: usize| {
        let losses: Vec<f64> = curve[bound(at)..bound(at + 1)].iter().map(|p| p.1).collect();
        median(&losses)
    };
    let levels: Vec<f64> = (0..width).map(part).collect();
    let low = levels.iter().copied().fold(f64::INFINITY, f64::min);
    let high = levels.iter().take(width.div_ceil(10)).copied().fold(low, f64::max);
    let block = |level: &f64| match (level - low) / (high - low) {
        share if share.is_finite() => BLOCKS[((share * 8.0) as usize).min(7)],
        _ => BLOCKS[3],
    };
    levels.iter().map(block).collect()
}

impl fmt::Display for LrRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let curve = self.curve();
        if let (Some(first), Some(last)) = (curve.first(), curve.last()) {
            let (from, to) = (short(first.0), short(last.0));
            writeln!(f, "{}  loss over the rate, {from} to {to}", blocks(&curve))?;
        }
        let lost = self.sweeps.iter().filter(|sweep| sweep.ended()).count();
        let (of, updates) = (self.sweeps.len(), self.updates);
        writeln!(f, "{of} sweeps, {updates} updates, {lost} lost")?;
        if let Some(why) = self.refusal() {
            return write!(f, "no rate: {why}");
        }
        for rule in Suggestion::ALL {
            match self.suggestion(rule) {
                Some(said) => writeln!(f, "{rule:<20} {said}")?,
                None => writeln!(f, "{rule:<20} –")?,
            }
        }
        match self.edge() {
            Some(edge) => write!(f, "{:<20} {edge}", "edge of divergence"),
            None => write!(f, "{:<20} none up to the highest rate", "edge of divergence"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sweep over the rates 1, 2, 3 and so on, times `unit`.
    fn sweep(losses: &[f64], unit: f64) -> Sweep {
        let rates: Vec<f64> = (1..=losses.len()).map(|k| k as f64 * unit).collect();
        Sweep::new(&rates, losses, 0.0).unwrap()
    }

    fn range(sweeps: &[Sweep]) -> LrRange {
        LrRange::new(sweeps.to_vec(), 0)
    }

    /// Down a slope and up again, to where it is lost.
    fn valley() -> Vec<f64> {
        (0..20).map(|k| 30.0 - f64::from(k)).chain([60.0, 1e3]).collect()
    }

    #[test]
    fn the_most_common_refusal_is_given_and_of_those_the_first() {
        let short = sweep(&[1.0; 10], 1.0);
        let lost = |losses: usize| sweep(&[&vec![1.0; losses][..], &[f64::NAN]].concat(), 1.0);
        let refusal = |sweeps: &[Sweep]| range(sweeps).refusal().unwrap();
        assert_eq!(refusal(&[short.clone(), lost(3), lost(4)]), Refusal::AtOnce { updates: 3 });
        assert_eq!(refusal(&[short, lost(3)]), Refusal::TooShort { updates: 10 });
    }

    #[test]
    fn half_of_the_sweeps_are_not_enough() {
        let (good, bad) = (sweep(&valley(), 1.0), sweep(&[1.0; 10], 1.0));
        assert_eq!(good.refusal(), None);
        let refusal = |sweeps: &[Sweep]| range(sweeps).refusal();
        let short = Refusal::TooShort { updates: 10 };
        assert_eq!(refusal(&[good.clone(), bad.clone()]), Some(short));
        assert_eq!(refusal(&[good.clone(), bad, good]), None);
    }

    #[test]
    fn rates_disagree_if_they_are_more_than_a_factor_of_ten_apart() {
        let refusal = |unit: f64| range(&[sweep(&valley(), 1.0), sweep(&valley(), unit)]).refusal();
        assert_eq!(refusal(10.0), None);
        assert!(matches!(refusal(11.0), Some(Refusal::Disagreeing { .. })));
    }

    #[test]
    fn the_curve_ends_where_only_half_of_the_sweeps_go_on() {
        let of = |losses: &[f64]| sweep(losses, 1.0);
        let (long, short) = (of(&[1.0, 2.0, 3.0, 4.0]), of(&[5.0, 6.0]));
        let both = vec![(1.0, 5.0), (2.0, 6.0)];
        assert_eq!(range(&[long.clone(), short.clone()]).curve(), both);
        assert_eq!(range(&[long.clone(), short, long]).curve().len(), 4);
    }

    #[test]
    fn blocks_go_from_the_lowest_loss_to_the_first() {
        let drawn = |losses: &[f64]| {
            let curve: Vec<(f64, f64)> = losses.iter().map(|loss| (1.0, *loss)).collect();
            blocks(&curve)
        };
        assert_eq!(drawn(&[3.0, 2.5, 2.0, 1.5, 1.0, 9.0]), "█▇▅▃▁█");
        assert_eq!(drawn(&[3.0, 3.0]), "▄▄");
        assert_eq!(drawn(&[]), "");
        let long: Vec<f64> = (0..120).map(f64::from).collect();
        assert_eq!(drawn(&long).chars().count(), WIDTH);
    }
}

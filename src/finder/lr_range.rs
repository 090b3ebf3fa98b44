//! What the sweeps have found.

use std::fmt;

use super::{Estimate, Refusal, Suggestion, Sweep, median};
use crate::text::short;

/// The sweeps, what the rules say to them, and whether that is to be believed.
///
/// It [prints](fmt::Display) as a table and a line of the curve.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LrRange {
    sweeps: Vec<Sweep>,
    updates: u64,
}

/// How far apart the repeats may be.
const DISAGREE: f64 = 10.0;

impl LrRange {
    pub(super) fn new(sweeps: Vec<Sweep>, updates: u64) -> Self {
        Self { sweeps, updates }
    }

    /// Why no rate should be taken from this, if so: what is wrong in any sweep before its first update, a loss
    /// that is [not finite](Refusal::NotFinite) or a network that is [dead](Refusal::Dead); or the commonest reason of the sweeps, if not more than
    /// half of them say something; or that the [valley](Suggestion::Valley) is at rates further apart than
    /// ten to one.
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
            // The first of the commonest.
            return reasons.iter().rev().max_by_key(|reason| count(reason)).copied();
        }
        let said = self.of_sound(|sweep| sweep.suggestion(Suggestion::Valley))?;
        let apart = said.high / said.low > DISAGREE;
        apart.then_some(Refusal::Disagreeing { low: said.low, high: said.high })
    }

    /// What a rule says to the sweeps that are not refused. `None` if [all of it is](Self::refusal), or the
    /// rule says nothing.
    pub fn suggestion(&self, rule: Suggestion) -> Option<Estimate> {
        match self.refusal() {
            None => self.of_sound(|sweep| sweep.suggestion(rule)),
            Some(_) => None,
        }
    }

    /// The [edge of divergence](Sweep::edge) of the sweeps that were lost or died, and are not refused. `None` as for
    /// [`suggestion`](Self::suggestion), or if none was lost.
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

    /// Each sweep.
    pub fn sweeps(&self) -> &[Sweep] {
        &self.sweeps
    }

    /// How many updates it took.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The median of the sweeps' losses at each rate that more than half of them have come to.
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
/// How many blocks wide.
const WIDTH: usize = 60;

/// One block for each part of the curve, between the lowest loss and the one at the start: what is above that
/// is full.
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

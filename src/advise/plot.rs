//! Charts of loss against rate: one of all recipes, and one of each of the best ones.

use super::{Advice, Outcome, Point};
use crate::Error;
use crate::chart::{Axis, Chart, LineChart, Series};
use crate::page::Width;

/// The number of recipes drawn in colour.
const NAMED: usize = 6;
/// The colour of plain descent: ink, as it is the baseline.
const PLAIN: usize = 6;
/// How far above the best loss a chart extends, as a factor.
const FAR: f64 = 10.0;

impl Advice {
    /// Draws the median loss over the rate, one curve for each recipe: the best six and plain descent in colour, the
    /// rest in grey. A cross above the curves marks a rate at which a run broke or was hopeless; a loss far above the
    /// best is drawn at the upper edge.
    ///
    /// # Errors
    /// If nothing was measured.
    pub fn to_svg(&self) -> Result<String, Error> {
        Ok(self.overview((900, 560))?.to_svg())
    }

    /// The same chart, and for each of the best recipes one with the range over seeds.
    pub(super) fn charts(&self) -> Result<Vec<(Width, Chart)>, Error> {
        let (wide, tall) = Width::Full.size();
        let mut charts = vec![(Width::Full, self.overview((wide, tall + 160))?)];
        for (place, outcome) in self.coloured() {
            let is_plain = self.is_plain(outcome);
            if !is_plain && outcome.best(self.objective()).is_some() {
                charts.push((Width::Half, self.alone(place, outcome)?));
            }
        }
        Ok(charts)
    }

    fn overview(&self, size: (u32, u32)) -> Result<Chart, Error> {
        let mut chart = self.chart(format!("Loss after {} updates", self.over()), size)?;
        // Drawn last to first, so that the best lie on top.
        let outcomes = || self.outcomes().iter().enumerate();
        let faint = outcomes().filter(|(place, o)| !self.is_coloured(*place, o));
        for (_, outcome) in faint {
            chart = chart.series(medians(outcome, outcome.recipe.to_string()).faint());
        }
        for (place, outcome) in self.coloured() {
            let (name, color) = match self.is_plain(outcome) {
                true => (format!("{} (plain)", outcome.recipe), PLAIN),
                false => (outcome.recipe.to_string(), place),
            };
            chart = chart.series(medians(outcome, name).markers().color(color));
        }
        Ok(chart.draw())
    }

    fn alone(&self, place: usize, outcome: &Outcome) -> Result<Chart, Error> {
        let mut chart = self.chart(outcome.recipe.to_string(), Width::Half.size())?;
        if let Some(plain) = self.baseline() {
            chart = chart
                .series(medians(plain, format!("{} (plain)", plain.recipe)).thin().color(PLAIN));
        }
        let ends = |point: &Point| {
            let (low, high) = point.spread();
            (point.rate, low, high)
        };
        let named = format!("median and range of {} seeds", self.seeds());
        let own = medians(outcome, named).markers().color(place);
        Ok(chart.series(own.band(outcome.points.iter().map(ends))).draw())
    }

    fn chart(&self, title: String, (width, height): (u32, u32)) -> Result<LineChart, Error> {
        let chart = LineChart::new(title).size(width, height)?.breaks("broke");
        Ok(chart.across(self.rates()?).up(self.losses()?))
    }

    /// The best recipes and plain descent, with their ranks.
    fn coloured(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        let outcomes = self.outcomes().iter().enumerate();
        outcomes.filter(|(place, outcome)| self.is_coloured(*place, outcome))
    }

    fn is_coloured(&self, place: usize, outcome: &Outcome) -> bool {
        place < NAMED || self.is_plain(outcome)
    }

    fn is_plain(&self, outcome: &Outcome) -> bool {
        self.baseline().is_some_and(|plain| plain.recipe == outcome.recipe)
    }

    /// The range of all rates that were tried, the same on every chart, so that they can be compared.
    fn rates(&self) -> Result<Axis, Error> {
        let points = self.outcomes().iter().flat_map(|outcome| &outcome.points);
        let (low, high) = points.fold((f64::INFINITY, 0f64), |(low, high), point| {
            (low.min(point.rate), high.max(point.rate))
        });
        match low < high {
            true => Axis::log("rate").between(low / 1.2, high * 1.2),
            false => Ok(Axis::log("rate")),
        }
    }

    /// From the best stable loss to the worst, but not far above the best, where differences don't matter.
    fn losses(&self) -> Result<Axis, Error> {
        let points = self.outcomes().iter().flat_map(|outcome| &outcome.points);
        let stable = points.filter(|point| point.stable).map(Point::loss);
        let mut stable: Vec<f64> = stable.filter(|loss| loss.is_finite()).collect();
        stable.sort_by(f64::total_cmp);
        let [low, .., high] = *stable.as_slice() else {
            let Some(only) = stable.first() else {
                return Err(Error::parameter("Advice", "outcomes", "stable somewhere", "none"));
            };
            return Axis::even("median loss").between(only - 1.0, only + 1.0);
        };
        if low > 0.0 {
            return Axis::log("median loss").between(low / 1.1, high.min(FAR * low) * 1.2);
        }
        let middle = stable[stable.len() / 2];
        let high = high.min(low + FAR * (middle - low).max(0.1 * (high - low))).max(low + 1e-9);
        let room = 0.06 * (high - low);
        Axis::even("median loss").between(low - room, high + room)
    }
}

fn medians(outcome: &Outcome, name: String) -> Series {
    Series::new(name, outcome.points.iter().map(|point| (point.rate, point.loss())))
}

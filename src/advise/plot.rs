//! Charts of loss against rate: one of all recipes, and one of each of the best ones.

use super::{Advice, Outcome, Point};
use crate::Error;
use crate::chart::{Axis, Chart, LineChart, Series};
use crate::page::Width;

/// The number of recipes drawn in color.
const NAMED: usize = 6;
/// The color of plain descent: ink, as it is the baseline.
const PLAIN: usize = 6;
/// How far above the best loss a chart extends, as a factor.
const FAR: f64 = 10.0;

impl Advice {
    /// Draws the median loss over the rate, one curve for each recipe: the best six and plain descent in color, the
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
        for (place, outcome) in self.colored() {
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
        let faint = outcomes().filter(|(place, o)| !self.is_colored(*place, o));
        for (_, outcome) in faint {
            chart = chart.series(medians(outcome, outcome.recipe.to_string()).faint());
        }
        for (place, outcome) in self.colored() {
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
        let own = medians(outcome, "median and range over seeds".into()).markers().color(place);
        Ok(chart.series(own.band(outcome.points.iter().map(ends))).draw())
    }

    fn chart(&self, title: String, (width, height): (u32, u32)) -> Result<LineChart, Error> {
        let chart = LineChart::new(title).size(width, height)?.breaks("broke");
        Ok(chart.across(self.rates()?).up(self.losses()?))
    }

    /// The best recipes and plain descent, with their ranks.
    fn colored(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        let outcomes = self.outcomes().iter().enumerate();
        outcomes.filter(|(place, outcome)| self.is_colored(*place, outcome))
    }

    fn is_colored(&self, place: usize, outcome: &Outcome) -> bool {
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
        let (Some(&low), Some(&high)) = (stable.first(), stable.last()) else {
            return Err(Error::parameter("Advice", "outcomes", "stable somewhere", "none"));
        };
        if low > 0.0 {
            return Axis::log("median loss").between(low / 1.1, high.min(FAR * low) * 1.2);
        }
        // Without a ratio to the best, the distance from it to the middle one says what is far, unless half of all are
        // as good as the best.
        let middle = stable[stable.len() / 2];
        let far = if middle > low { low + FAR * (middle - low) } else { high };
        let high = high.min(far);
        // A single loss has room around it too.
        let room = if low < high { 0.06 * (high - low) } else { low.abs().max(1.0) };
        Axis::even("median loss").between(low - room, high + room)
    }
}

fn medians(outcome: &Outcome, name: String) -> Series {
    Series::new(name, outcome.points.iter().map(|point| (point.rate, point.loss())))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WANTED, advice, outcome, plain, point, variant};
    use super::*;

    /// Variants that get worse from 1 on, by 1, with plain descent as the last of all.
    fn ranked(variants: u32) -> Advice {
        let of = |k: u32| {
            let loss = 1.0 + 0.5 * f64::from(k);
            outcome(variant(&format!("v{k}")), [point(0.1, &[loss]), point(1.0, &[loss])])
        };
        let plain = outcome(plain(), [point(0.1, &[9.0]), point(1.0, &[9.5])]);
        advice(WANTED, (0..variants).map(of).chain([plain]))
    }

    #[test]
    fn the_best_six_and_plain_descent_are_colored_and_the_others_faint() {
        let places = |advice: &Advice| advice.colored().map(|(at, _)| at).collect::<Vec<_>>();
        let advice = ranked(9);
        assert_eq!(places(&advice), [0, 1, 2, 3, 4, 5, 9]);
        assert_eq!(places(&ranked(3)), [0, 1, 2, 3]);
        let svg = advice.to_svg().unwrap();
        assert_eq!(svg.matches("class=\"faint\"").count(), 3, "{svg}");
        assert!(svg.contains("SGD (plain)") && svg.contains("SGD + v5"));
    }

    #[test]
    fn each_of_the_best_that_is_stable_somewhere_has_a_chart() {
        let count = |advice: &Advice| advice.charts().unwrap().len();
        // Besides the one of all of them.
        assert_eq!(count(&ranked(9)), 1 + 6);
        assert_eq!(count(&ranked(3)), 1 + 3);
        let never = outcome(variant("never"), [point(0.1, &[f64::INFINITY])]);
        let all = ranked(3).outcomes().iter().cloned().chain([never]).collect::<Vec<_>>();
        assert_eq!(count(&advice(WANTED, all)), 1 + 3);
    }

    fn of(points: impl IntoIterator<Item = (f64, f64)>) -> Advice {
        let points = points.into_iter().map(|(rate, loss)| point(rate, &[loss]));
        advice(WANTED, [outcome(plain(), points)])
    }

    #[test]
    fn the_rates_are_all_that_were_tried() {
        let rates = |advice: Advice| advice.rates().unwrap();
        let log = |low, high| Axis::log("rate").between(low, high).unwrap();
        let broken = of([(1.2, 2.0), (12.0, 1.0), (5.0, f64::INFINITY), (120.0, f64::INFINITY)]);
        assert_eq!(rates(broken), log(1.0, 144.0));
        // A single rate leaves its ends to the chart.
        assert_eq!(rates(of([(1.2, 2.0)])), Axis::log("rate"));
    }

    fn losses(losses: &[f64]) -> Axis {
        of((1u32..).map(f64::from).zip(losses.iter().copied())).losses().unwrap()
    }

    #[test]
    fn losses_above_zero_reach_to_ten_times_the_best() {
        let log = |low, high| Axis::log("median loss").between(low, high).unwrap();
        assert_eq!(losses(&[2.5, 1.1, 5.0]), log(1.0, 6.0));
        assert_eq!(losses(&[1.1, 10.0]), log(1.0, 12.0));
        // What is not stable does not count, nor what is more than ten times the best.
        assert_eq!(losses(&[0.55, 1e6, f64::INFINITY]), log(0.5, 0.66));
        assert_eq!(losses(&[0.55, 10.0]), log(0.5, 6.6));
        assert_eq!(losses(&[1.1, 1.1]), log(1.0, 1.32));
        assert_eq!(losses(&[1.1]), log(1.0, 1.32));
    }

    #[test]
    fn losses_around_zero_reach_to_ten_times_the_distance_of_the_middle_one() {
        let even = |low, high| Axis::even("median loss").between(low, high).unwrap();
        // All of them are near: from −50 to 0, and 6 % of that on both sides.
        assert_eq!(losses(&[-50.0, -20.0, 0.0]), even(-53.0, 3.0));
        assert_eq!(losses(&[0.0, 4.0, 5.0]), even(-0.3, 5.3));
        // The middle one is 5 above the best, and 50 above it ends the chart.
        assert_eq!(losses(&[-150.0, -145.0, 0.0]), even(-153.0, -97.0));
        // If half of them are the best, there is no such distance.
        assert_eq!(losses(&[-100.0, -100.0, 0.0]), even(-106.0, 6.0));
    }

    #[test]
    fn equal_losses_have_room_around_them() {
        let even = |low, high| Axis::even("median loss").between(low, high).unwrap();
        assert_eq!(losses(&[0.0]), even(-1.0, 1.0));
        assert_eq!(losses(&[0.0, 0.0]), even(-1.0, 1.0));
        assert_eq!(losses(&[-0.5]), even(-1.5, 0.5));
        assert_eq!(losses(&[-1e20, -1e20]), even(-2e20, 0.0));
    }

    #[test]
    fn there_is_no_chart_where_nothing_is_stable() {
        let error = of([(0.1, f64::INFINITY)]).to_svg().unwrap_err().to_string();
        assert_eq!(error, "`outcomes` of Advice must be stable somewhere, got none");
    }
}

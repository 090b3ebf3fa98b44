//! The loss over the rate, of all recipes in one picture.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::Advice;
use crate::Error;
use crate::text::short;

/// Okabe and Ito's colours, which differ for every kind of colour vision.
const COLORS: [RGBColor; 7] = [
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
];

const SIZE: (u32, u32) = (900, 640);

/// How far above the best loss a picture goes.
const FAR: f64 = 10.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Advice {
    /// The median loss over the rate, one curve for each recipe: the best six and plain descent in colour,
    /// the rest in grey. A cross above the curves is a rate at which a run broke or was hopeless.
    ///
    /// # Errors
    /// If nothing was measured.
    pub fn to_svg(&self) -> Result<String, Error> {
        let points = || self.outcomes().iter().flat_map(|outcome| &outcome.points);
        let rates = range(points().map(|point| point.rate));
        // Above the worst stable loss there is nothing to be told apart, and little far above the best.
        let stable = || {
            let stable = points().filter(|point| point.stable).map(|point| point.loss());
            stable.filter(|loss| *loss > 0.0)
        };
        let far = FAR * stable().fold(f64::INFINITY, f64::min);
        let losses = range(stable().map(|loss| loss.min(far)));
        let (Some(rates), Some(losses)) = (rates, losses) else {
            return Err(Error::parameter("Advice", "outcomes", "stable somewhere", "none"));
        };
        let mut picture = String::new();
        {
            let sheet = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
            let failed = |cause: String| Error::io("drawing advice", cause);
            sheet.fill(&WHITE).map_err(|e| failed(e.to_string()))?;
            draw(self, &sheet, rates, losses).map_err(|e| failed(e.to_string()))?;
            sheet.present().map_err(|e| failed(e.to_string()))?;
        }
        Ok(picture)
    }
}

/// From a bit below the least to a bit above the largest.
fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (low, high) =
        values.fold((f64::INFINITY, 0f64), |(low, high), x| (low.min(x), high.max(x)));
    (low <= high).then(|| low / 1.3..high * 1.6)
}

fn draw(
    advice: &Advice,
    area: &Area<'_>,
    rates: Range<f64>,
    losses: Range<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let top = losses.end;
    // Room for the legend above all curves, the best of which lie at the bottom.
    let losses = losses.start..top * (top / losses.start).powf(0.4);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("loss after {} updates", advice.over()), ("sans-serif", 20))
        .margin(12)
        .margin_right(20)
        .x_label_area_size(42)
        .y_label_area_size(70)
        .build_cartesian_2d(rates.log_scale(), losses.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .x_desc("rate (log scale)")
        .y_desc("median loss (log scale)")
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .label_style(("sans-serif", 14))
        .draw()?;

    let baseline = advice.baseline().map(|outcome| &outcome.recipe);
    let style = |place: usize, plain: bool| {
        let color = match (place, plain) {
            (_, true) => Some(COLORS[6]),
            (0..6, _) => Some(COLORS[place]),
            _ => None,
        };
        let (color, stroke_width) = match color {
            Some(color) => (color.to_rgba(), 2),
            None => (BLACK.mix(0.18), 1),
        };
        (stroke_width == 2, ShapeStyle { color, filled: true, stroke_width })
    };
    // The names first, from the best on, and the lines from the last on, so that the best lie on top.
    for (place, outcome) in advice.outcomes().iter().enumerate() {
        let plain = baseline == Some(&outcome.recipe);
        if let (true, style) = style(place, plain) {
            let name = match plain {
                true => format!("{} (plain)", outcome.recipe),
                false => outcome.recipe.to_string(),
            };
            let line = chart.draw_series(LineSeries::new(Vec::<(f64, f64)>::new(), style))?;
            line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
    }
    for (place, outcome) in advice.outcomes().iter().enumerate().rev() {
        let (named, style) = style(place, baseline == Some(&outcome.recipe));
        let shown: Vec<(f64, f64)> = outcome
            .points
            .iter()
            .filter(|point| point.loss().is_finite())
            .map(|point| (point.rate, point.loss().min(top)))
            .collect();
        chart.draw_series(LineSeries::new(shown.clone(), style))?;
        if named {
            chart.draw_series(shown.into_iter().map(|at| Circle::new(at, 3, style)))?;
        }
        let broken = outcome.points.iter().filter(|point| !point.loss().is_finite());
        chart.draw_series(broken.map(|point| Cross::new((point.rate, top), 4, style)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

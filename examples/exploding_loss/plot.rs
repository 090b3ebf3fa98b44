//! The picture: loss curves before and after.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::run::Outcome;

const SIZE: (u32, u32) = (1080, 470);
const LOSSES: Range<f64> = 0.1..1e5;

/// One curve: a rate and what it led to.
pub type Curve = (f64, Outcome);

/// Draws two panels side by side, on the same axes.
pub fn draw(
    path: &Path,
    steps: usize,
    before: &[Curve],
    after: &[Curve],
) -> Result<(), Box<dyn Error>> {
    let sheet = SVGBackend::new(path, SIZE).into_drawing_area();
    sheet.fill(&WHITE)?;
    let (left, right) = sheet.split_horizontally(SIZE.0 as i32 / 2);
    panel(&left, "Burn's SGD, bare", steps, before)?;
    panel(&right, "the same optimizer through evenkeel", steps, after)?;
    sheet.present()?;
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend, Shift>,
    title: &str,
    steps: usize,
    curves: &[Curve],
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .margin_right(26)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d((1.0..steps as f64).log_scale(), LOSSES.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .x_desc("step (log scale)")
        .y_desc("training loss (log scale)")
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{y}"))
        .label_style(("sans-serif", 14))
        .draw()?;

    for (at, (rate, outcome)) in curves.iter().enumerate() {
        let color = shade(at);
        let line = ShapeStyle { color, filled: false, stroke_width: 2 };
        let points = smoothed(&outcome.losses);
        let end = points.last().copied().unwrap_or((1.0, LOSSES.end));
        let mut label = format!("rate {}", crate::table::rate(*rate));
        if let Some(step) = outcome.broke_at {
            label += &format!(": NaN at step {step}");
        }
        chart
            .draw_series(LineSeries::new(points, line))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line));
        if outcome.broke_at.is_some() {
            chart.draw_series([Cross::new(end, 6, line)])?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

/// Okabe and Ito's colours, which differ for every kind of colour vision, from cold to warm.
fn shade(at: usize) -> RGBAColor {
    const COLORS: [RGBColor; 6] = [
        RGBColor(0x00, 0x3f, 0x7d),
        RGBColor(0x56, 0xb4, 0xe9),
        RGBColor(0x00, 0x9e, 0x73),
        RGBColor(0xe6, 0x9f, 0x00),
        RGBColor(0xd5, 0x5e, 0x00),
        RGBColor(0xa0, 0x2c, 0x6f),
    ];
    COLORS[at % COLORS.len()].to_rgba()
}

/// A running mean over a tenth of the steps so far, so that early steps are seen one by one and late
/// ones do not paint a band. It ends where the loss is not finite, and stays inside the panel.
fn smoothed(losses: &[f64]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut mean = 0.0;
    for (step, loss) in losses.iter().enumerate() {
        if !loss.is_finite() {
            break;
        }
        let weight = 1.0 / (1.0 + step as f64 / 10.0).min(20.0);
        mean += (loss - mean) * weight;
        points.push((step as f64 + 1.0, mean.clamp(LOSSES.start, LOSSES.end)));
    }
    points
}

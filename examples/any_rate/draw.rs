//! The picture.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::{Panel, rates};

const BARE: RGBColor = RGBColor(200, 80, 40);
const OURS: RGBColor = RGBColor(30, 110, 180);
const GREY: RGBColor = RGBColor(120, 120, 120);

pub fn draw(path: &Path, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (960, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let (title, rest) = root.split_vertically(34);
    let text = |size: i32| ("sans-serif", size).into_font();
    title.draw(&Text::new(
        "Training loss against learning rate: bare, and with the recommended set-up",
        (16, 10),
        text(17),
    ))?;
    title.draw(&PathElement::new([(640, 18), (664, 18)], BARE.stroke_width(2)))?;
    title.draw(&Text::new("bare", (670, 11), text(14)))?;
    title.draw(&PathElement::new([(720, 18), (744, 18)], OURS.stroke_width(2)))?;
    title.draw(&Text::new("recommended", (750, 11), text(14)))?;
    for (area, panel) in rest.split_evenly((2, 3)).iter().zip(panels) {
        one(area, panel)?;
    }
    root.present()?;
    Ok(())
}

fn one(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> Result<(), Box<dyn Error>> {
    let rates = rates();
    let finite = panel.losses.iter().flatten().map(|of| of[0]).filter(|loss| loss.is_finite());
    let low = finite.fold(panel.target, f64::min) / 1.3;
    // What is above is drawn at the edge: it has not trained.
    let high = panel.target * 20.0;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(46)
        .build_cartesian_2d(
            (rates[0]..rates[rates.len() - 1]).log_scale(),
            (low..high).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(5)
        .y_labels(4)
        .x_label_formatter(&|rate| format!("{rate:.0e}"))
        .y_label_formatter(&|loss| format!("{loss:.2}"))
        .draw()?;
    let ends = [rates[0], rates[rates.len() - 1]].map(|rate| (rate, panel.target));
    chart.draw_series(DashedLineSeries::new(ends, 4, 4, GREY.into()))?;
    for (side, color) in [BARE, OURS].into_iter().enumerate() {
        let points = rates.iter().zip(&panel.losses);
        let points: Vec<(f64, f64)> =
            points.map(|(rate, of)| (*rate, of[side][0].clamp(low, high))).collect();
        chart.draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?;
        chart.draw_series(points.into_iter().map(|at| Circle::new(at, 2, color.filled())))?;
    }
    Ok(())
}

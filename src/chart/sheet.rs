//! Several charts in one image.

use std::path::Path;

use super::frame::{Key, width};
use super::{Chart, LineChart, save, style, whole};
use crate::Error;
use crate::error::check::Param;
use crate::text::escaped;

/// Several charts in one image, arranged in rows.
///
/// ```
/// use evenkeel::chart::{LineChart, Series, Sheet};
///
/// let half = |title: &str, factor: f64| {
///     let line = Series::new("loss", (0..50).map(move |k| (f64::from(k), factor / f64::from(k + 1))));
///     LineChart::new(title).series(line).draw()
/// };
/// let sheet = Sheet::new("two runs").grid(2, [half("first", 1.0), half("second", 2.0)])?;
/// assert!(sheet.to_svg().contains("second"));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "`to_svg` or `save` draws it"]
pub struct Sheet {
    title: String,
    rows: Vec<Vec<Chart>>,
    keys: Vec<Key>,
    gap: u32,
}

impl Sheet {
    /// Creates an empty sheet. The title is drawn above the charts, unless it is empty.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new(), keys: Vec::new(), gap: 16 }
    }

    /// Adds a row of charts below the existing ones.
    pub fn row(mut self, charts: impl IntoIterator<Item = Chart>) -> Self {
        self.rows.push(charts.into_iter().collect());
        self
    }

    /// Adds charts in rows of `columns`.
    ///
    /// # Errors
    /// If `columns` is 0.
    pub fn grid(
        mut self,
        columns: usize,
        charts: impl IntoIterator<Item = Chart>,
    ) -> Result<Self, Error> {
        Param("Sheet", "columns").at_least(1, columns as u64)?;
        let charts: Vec<Chart> = charts.into_iter().collect();
        self.rows.extend(charts.chunks(columns).map(<[Chart]>::to_vec));
        Ok(self)
    }

    /// Puts the legend of this chart beside the title, for all charts that share the same lines. A level is named
    /// without its value, which may differ between charts.
    pub fn legend_of(self, chart: &LineChart) -> Self {
        Self { keys: chart.legend(), ..self }
    }

    /// Sets the distance between charts, and to the edge. The default is 16.
    pub fn gap(self, gap: u32) -> Self {
        Self { gap, ..self }
    }

    /// Returns the sheet as SVG.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let gap = self.gap;
        let heading = !self.title.is_empty() || !self.keys.is_empty();
        let (mut body, mut y) = (String::new(), gap + if heading { 34 } else { 0 });
        let mut wide = 0;
        for row in &self.rows {
            let mut x = gap;
            for chart in row {
                body.push_str(&chart.nested((x, y)));
                x += chart.size.0 + gap;
            }
            wide = wide.max(x);
            y += row.iter().map(|chart| chart.size.1).max().unwrap_or(0) + gap;
        }
        let title = escaped(&self.title);
        let mut inside = format!(
            "<title>{title}</title>\n<style>{}</style>\n<rect class=\"paper\" width=\"{wide}\" \
             height=\"{y}\"/>\n",
            style::alone()
        );
        if heading {
            let (x, y) = (gap + 8, gap + 20);
            inside += &format!("<text class=\"big\" x=\"{x}\" y=\"{y}\">{title}</text>\n");
            let mut x = f64::from(x) + width(&self.title, 18.0) + 30.0;
            for key in &self.keys {
                key.draw(x, f64::from(gap + 14), &mut inside);
                x += key.width();
            }
        }
        whole((wide, y), &(inside + &body))
    }

    /// Writes the sheet to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_svg())
    }
}

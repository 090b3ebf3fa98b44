//! A summary of a run: findings and charts, as an HTML page, as SVG files, or for a terminal.

mod html;
mod pictures;
mod terminal;

pub use html::html;

use std::path::Path;

use super::columns::Columns;
use super::findings::found_in;
use super::{Entry, FindingKind, History};
use crate::chart::{Chart, Sheet, save};
use crate::doctor::Finding;
use crate::stat::median;
use crate::{Error, Verdict};

/// A summary of a run: findings from its record, and charts of it.
///
/// It can be written as an HTML page, as SVG files, or to a terminal with its `Display`:
///
/// ```
/// use evenkeel::record::{Entry, History, Overview};
///
/// let mut history = History::default();
/// for k in 0..200 {
///     let loss = 2.0 / (1.0 + k as f64 / 20.0);
///     history.push(&Entry::new(k, k).value("loss", loss).value("lr", 0.1));
/// }
/// let overview = Overview::of(&history).title("digits");
/// println!("{overview}");
/// let page = overview.to_html();
/// assert!(page.contains("<h1>digits</h1>") && page.contains("</svg>"));
/// ```
///
/// # Pictures
///
/// | name | content | drawn if there is |
/// |---|---|---|
/// | `loss` | the loss of applied steps, and a mark for each step that was not applied | `loss` |
/// | `rate` | the learning rate, and what the clips left of it | `lr`, `effective_lr` |
/// | `gradient` | the gradient norm, and the norm it was clipped to | `grad_norm`, `clip_bound` |
/// | `update` | the norm of the update relative to that of the weights | `update_ratio` |
/// | `weights` | the norm of the weights | `param_norm` |
/// | `layers` | the gradient norm of every layer over time, as colors | `grad_norm/…` |
/// | `updates` | the update ratio of every layer over time | `update_norm/…`, `param_norm/…` |
/// | `dead`, `saturated` | the share of units at every probe over time | `dead/…`, `saturated/…` |
/// | `deviation` | the standard deviation at every probe over time | `std/…` |
/// | the name | any other number without a slash in its name, the first nine of them | |
///
/// A layer is all parameters whose paths differ only in the last name. At most 64 rows are drawn: if there are
/// more layers, paths are cut shorter. The horizontal axis is the attempt, which, unlike the update, never goes
/// back.
///
/// # Cost
/// Each line is drawn with four points for every three pixels, including the lowest and the highest value, so
/// that a single step that stands out is visible however long the run was. A page of 100 000 steps and 50 layers
/// is below 1 MB.
#[derive(Debug)]
#[must_use = "`save_html`, `save_svgs` or `Display` show it"]
pub struct Overview<'a> {
    title: String,
    history: &'a History,
    columns: Columns<'a>,
    findings: Vec<Finding<FindingKind>>,
}

impl<'a> Overview<'a> {
    /// Creates an overview of the steps recorded so far.
    pub fn of(history: &'a History) -> Self {
        let columns = Columns::of(history);
        let findings = found_in(history, &columns);
        Self { title: "a training run".into(), history, columns, findings }
    }

    /// Sets the title.
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// Returns the findings, the most severe first.
    #[must_use]
    pub fn findings(&self) -> &[Finding<FindingKind>] {
        &self.findings
    }

    /// Returns all charts for which there are numbers.
    #[must_use]
    pub fn charts(&self) -> Vec<Chart> {
        pictures::all(self).into_iter().map(|(_, chart)| chart).collect()
    }

    /// Returns findings, charts and incidents as one self-contained HTML page that needs no other file and no
    /// network.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// Writes the [HTML page](Self::to_html) to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_html(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_html())
    }

    /// Returns all charts in one SVG image, stacked in rows.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let charts = pictures::all(self);
        let mut sheet = Sheet::new(&self.title);
        // Charts of the same width that fit side by side.
        for same in charts.chunk_by(|a, b| a.0 == b.0) {
            for row in same.chunks(same[0].0.beside()) {
                sheet = sheet.row(row.iter().map(|(_, chart)| chart.clone()));
            }
        }
        sheet.to_svg()
    }

    /// Writes every chart to a file `<name>.svg` in this folder, which is created if it does not exist.
    ///
    /// # Errors
    /// If the folder cannot be created, or a file cannot be written.
    pub fn save_svgs(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = folder.as_ref();
        let failed = |cause| Error::io(format_args!("making {}", folder.display()), cause);
        std::fs::create_dir_all(folder).map_err(failed)?;
        for chart in self.charts() {
            save(&folder.join(format!("{}.svg", chart.name)), &chart.to_svg())?;
        }
        Ok(())
    }

    fn incidents(&self) -> Vec<&'a Entry> {
        let mut incidents = self.columns.entries.clone();
        incidents.retain(|entry| entry.verdict != Verdict::Apply);
        incidents
    }

    /// Returns the median loss of the first and of the last tenth of the kept steps, and the lowest loss.
    fn losses(&self) -> Option<[f64; 3]> {
        let losses = self.columns.finite("loss");
        let few = losses.len().div_ceil(10).min(50);
        let mut first = losses.get(..few)?.to_vec();
        let mut last = losses.get(losses.len() - few..)?.to_vec();
        let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        Some([median(&mut first)?, median(&mut last)?, lowest])
    }

    /// Returns the number of steps that were not applied.
    fn rejected(&self) -> u64 {
        self.history.steps() - self.history.count(Verdict::Apply)
    }

    /// Returns the share of updates that were clipped.
    fn clipped(&self) -> f64 {
        self.history.clipped() as f64 / self.history.count(Verdict::Apply).max(1) as f64
    }
}

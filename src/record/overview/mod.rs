//! A run at a glance: findings and pictures, as a page, as files, and for a terminal.

mod html;
mod pictures;
mod terminal;

pub use html::html;

use std::path::Path;

use super::columns::Columns;
use super::findings::found_in;
use super::{Entry, History, Sign};
use crate::chart::{Chart, Sheet, save};
use crate::doctor::Finding;
use crate::stat::median;
use crate::{Error, Verdict};

/// A run at a glance: what its record gives away, and pictures of it.
///
/// It is written as a page of HTML, as SVG files, or for a terminal, as its `Display`:
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
/// | name | of | drawn where there is |
/// |---|---|---|
/// | `loss` | the loss of applied steps, and a mark for each step that was not applied | `loss` |
/// | `rate` | the learning rate, and what the clips left of it | `lr`, `effective_lr` |
/// | `gradient` | the gradient's norm, and to what it was clipped | `grad_norm`, `clip_bound` |
/// | `update` | the update's share of the weights' norm | `update_ratio` |
/// | `weights` | the norm of the weights | `param_norm` |
/// | `layers` | every layer's gradient norm over time, as colours | `grad_norm/…` |
/// | `updates` | every layer's update ratio over time | `update_norm/…`, `param_norm/…` |
/// | `dead`, `saturated` | the share of units at every probe over time | `dead/…`, `saturated/…` |
/// | `deviation` | the standard deviation at every probe over time | `std/…` |
/// | the name | any other number without a slash, the first nine of them | |
///
/// Layers are all that have their path in common but the last name, in at most 64 rows: where there are
/// more, paths are cut shorter. The axis is the step asked for, which, other than the update, never goes
/// back.
///
/// # Cost
/// Each line is drawn with four points for every three pixels, of which the lowest and the highest are
/// two: one step that stands out is seen however long the run was. A page of 100 000 steps and 50 layers is
/// below 1 MB.
#[derive(Debug)]
#[must_use = "`save_html`, `save_svgs` or `Display` show it"]
pub struct Overview<'a> {
    title: String,
    history: &'a History,
    columns: Columns<'a>,
    findings: Vec<Finding<Sign>>,
}

impl<'a> Overview<'a> {
    /// Of what is recorded so far.
    pub fn of(history: &'a History) -> Self {
        let columns = Columns::of(history);
        let findings = found_in(history, &columns);
        Self { title: "a training run".into(), history, columns, findings }
    }

    /// What stands above it.
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// What the record gives away, the worst first.
    pub fn findings(&self) -> &[Finding<Sign>] {
        &self.findings
    }

    /// All pictures for which there are numbers.
    pub fn charts(&self) -> Vec<Chart> {
        pictures::all(self).into_iter().map(|(_, chart)| chart).collect()
    }

    /// Findings, pictures and incidents as one page of HTML that needs nothing beside it, and no network.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// Writes that page to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save_html(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_html())
    }

    /// All pictures in one, below each other.
    pub fn to_svg(&self) -> String {
        let charts = pictures::all(self);
        let mut sheet = Sheet::new(&self.title);
        // Neighbours of one width that have place beside each other.
        for same in charts.chunk_by(|a, b| a.0 == b.0) {
            for row in same.chunks(same[0].0.beside()) {
                sheet = sheet.row(row.iter().map(|(_, chart)| chart.clone()));
            }
        }
        sheet.to_svg()
    }

    /// Writes every picture to a file `<name>.svg` in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be made, or a file cannot be written.
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

    /// The median loss of the first and of the last tenth of what is kept, and the lowest loss.
    fn losses(&self) -> Option<[f64; 3]> {
        let losses = self.columns.finite("loss");
        let few = losses.len().div_ceil(10).min(50);
        let mut first = losses.get(..few)?.to_vec();
        let mut last = losses.get(losses.len() - few..)?.to_vec();
        let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
        Some([median(&mut first)?, median(&mut last)?, lowest])
    }

    /// Steps that were not applied.
    fn rejected(&self) -> u64 {
        self.history.steps() - self.history.count(Verdict::Apply)
    }

    /// The share of updates that were clipped.
    fn clipped(&self) -> f64 {
        self.history.clipped() as f64 / self.history.count(Verdict::Apply).max(1) as f64
    }
}

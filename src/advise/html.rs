//! The advice as a single page.

use std::fmt::Write;
use std::path::Path;

use super::{Advice, Outcome, Point, table};
use crate::Error;
use crate::chart::{counted, save};
use crate::page::{Page, Tile, coded};
use crate::text::{escaped, short};

impl Advice {
    /// Returns charts, table and code as a single HTML page that needs no other files and no network.
    ///
    /// # Errors
    /// See [`to_svg`](Self::to_svg).
    pub fn to_html(&self) -> Result<String, Error> {
        let mut page = Page::new("What helps", &table::heading(self));
        page.tiles(&tiles(self));
        page.push("<section class=\"card text\">\n<h2>What came of it</h2>\n");
        for sentence in table::summary(self) {
            page.push(&format!("<p>{}</p>\n", coded(&sentence)));
        }
        page.push("</section>\n");
        page.charts(&self.charts()?);
        if let Some(code) = self.code() {
            page.push(&format!(
                "<section class=\"card text\">\n<h2>The recommended recipe, to paste</h2>\n<pre><code>{}</code></pre>\n\
                 </section>\n",
                escaped(&code)
            ));
        }
        page.push(&rows(self));
        Ok(page.finish(&format!("{} updates were run.", counted(self.updates()))))
    }

    /// Writes the page to a file.
    ///
    /// # Errors
    /// See [`to_svg`](Self::to_svg); also if the file cannot be written.
    pub fn save_html(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        save(path.as_ref(), &self.to_html()?)
    }
}

/// The results of the recommended recipe, next to those of plain descent.
fn tiles(advice: &Advice) -> Vec<Tile> {
    let objective = advice.objective();
    let believed = |outcome: &Outcome| {
        let point = outcome.confirmed.as_ref().or(outcome.best(objective))?;
        Some(Point::loss(point)).filter(|loss| loss.is_finite())
    };
    let plain = advice.baseline();
    let mut tiles = Vec::new();
    if let Some(best) = advice.recommended() {
        let than = match plain.and_then(believed) {
            Some(loss) => format!("{} with plain descent", short(loss)),
            None => "plain descent trains at no rate".into(),
        };
        let loss = believed(best).map_or("–".into(), short);
        tiles.push(Tile::new("loss of the recommended recipe", loss, than));
        let rate = best.rate(objective).map_or("–".into(), short);
        let upto = best.highest_stable().map_or("–".into(), short);
        tiles.push(Tile::new("its rate", rate, format!("stable up to {upto}")));
    }
    let than = plain.and_then(Outcome::highest_stable).map_or("none".into(), short);
    let all = advice.outcomes().iter().filter_map(Outcome::highest_stable);
    let highest = all.reduce(f64::max).map_or("none".into(), short);
    let more = format!("{than} with plain descent");
    tiles.push(Tile::new("highest stable rate of all", highest, more));
    let recipes = advice.outcomes().len();
    let as_good = advice.as_good().len();
    let more = format!("{as_good} not told apart from the best");
    tiles.push(Tile::new("recipes", recipes.to_string(), more));
    tiles
}

/// The table, with the columns that contain anything.
fn rows(advice: &Advice) -> String {
    let shown = table::shown(advice);
    let row = |tag: &str, cells: &[String; table::COLUMNS], class: &str| {
        let cell = |(place, at): (usize, &usize)| {
            let class = if place > 0 { " class=\"number\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escaped(&cells[*at]))
        };
        let cells: String = shown.iter().enumerate().map(cell).collect();
        format!("<tr{class}>{cells}</tr>\n")
    };
    let mut rows = format!(
        "<section class=\"card text wide\">\n<h2>All recipes</h2>\n<table><thead>{}</thead><tbody>\n",
        row("th", &table::HEADS.map(String::from), "")
    );
    for outcome in advice.outcomes() {
        let chosen = advice.recommended().is_some_and(|chosen| chosen.recipe == outcome.recipe);
        let class = if chosen { " class=\"first\"" } else { "" };
        let _ = write!(rows, "{}", row("td", &table::cells(advice, outcome), class));
    }
    rows + "</tbody></table>\n</section>\n"
}

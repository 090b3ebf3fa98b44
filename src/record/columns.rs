//! The entries of a run, transposed from rows to columns.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Entry, History};
use crate::Verdict;

/// A number in a run: index of the entry, attempt, value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) entry: usize,
    pub(super) attempt: u64,
    pub(super) value: f64,
}

/// One number of one part of the model over the run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

impl Row {
    pub(super) fn finite(&self) -> impl DoubleEndedIterator<Item = f64> {
        self.points.iter().map(|p| p.value).filter(|x| x.is_finite())
    }
}

/// All numbers of applied steps, by name, and the entries they come from.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    pub(super) entries: Vec<&'a Entry>,
    names: Vec<&'a str>,
    series: HashMap<&'a str, Vec<Point>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let entries: Vec<&Entry> = history.entries().collect();
        let names: Vec<&str> = history.names().collect();
        let mut series: HashMap<&str, Vec<Point>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if entry.verdict != Verdict::Apply {
                continue;
            }
            for (name, value) in entry.iter() {
                let point = Point { entry: at, attempt: entry.attempt, value };
                series.entry(name).or_default().push(point);
            }
        }
        Self { entries, names, series }
    }

    /// Returns the first and the last step, even if steps were recorded out of order.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let attempts = || self.entries.iter().map(|entry| entry.attempt);
        Some((attempts().min()?, attempts().max()?))
    }

    /// Returns the number with this name in all applied steps that have it.
    pub(super) fn line(&self, name: &str) -> &[Point] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the finite values of that series.
    pub(super) fn finite(&self, name: &str) -> Vec<f64> {
        self.line(name).iter().map(|p| p.value).filter(|x| x.is_finite()).collect()
    }

    /// Iterates over the names of numbers that belong to no part of the model.
    pub(super) fn whole(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied().filter(|name| !name.contains('/'))
    }

    /// Returns a quantity for every part of the model that is not a group of others, in the model's order.
    pub(super) fn parts(&self, quantity: &str) -> Vec<Row> {
        let parts: Vec<(&str, &str)> = self
            .names
            .iter()
            .filter_map(|name| Some((*name, name.strip_prefix(quantity)?.strip_prefix('/')?)))
            .collect();
        // A path that lies above another one is that of a group.
        let above: HashSet<&str> = parts
            .iter()
            .flat_map(|(_, path)| path.match_indices('.').map(|(dot, _)| &path[..dot]))
            .collect();
        let leaves = parts.into_iter().filter(|(_, path)| !above.contains(path));
        let row = |(name, path): (&str, &str)| {
            let points = self.line(name).to_vec();
            Row { name: path.to_string(), points }
        };
        leaves.map(row).filter(|row| !row.points.is_empty()).collect()
    }

    /// Returns a norm of every layer: `√Σᵢ‖xᵢ‖²` over the parameters whose paths differ only in the last name.
    pub(super) fn layers(&self, quantity: &str) -> Vec<Row> {
        folded(self.parts(quantity), |path| path.rsplit_once('.').map_or(path, |(layer, _)| layer))
    }

    /// Returns the norms of the layers in at most `most` rows: paths are cut shorter, or if that is not enough,
    /// neighbors are merged.
    pub(super) fn layers_within(&self, quantity: &str, most: usize) -> Vec<Row> {
        let mut rows = self.layers(quantity);
        let mut depth = rows.iter().map(|row| row.name.split('.').count()).max().unwrap_or(0);
        while rows.len() > most && depth > 1 {
            depth -= 1;
            rows = folded(rows, |path| match path.match_indices('.').nth(depth - 1) {
                Some((dot, _)) => &path[..dot],
                None => path,
            });
        }
        if rows.len() > most {
            let together = rows.len().div_ceil(most);
            rows = rows
                .chunks(together)
                .filter_map(|chunk| {
                    let (first, last) = (chunk.first()?, chunk.last()?);
                    let name = match chunk {
                        [one] => one.name.clone(),
                        _ => format!("{} to {}", first.name, last.name),
                    };
                    Some(Row { points: sum(chunk.iter()), name })
                })
                .collect();
        }
        rows
    }

    /// Returns `‖Δp‖/‖p‖` of every layer, where both are known.
    pub(super) fn update_ratios(&self) -> Vec<Row> {
        ratios(self.layers("update_norm"), &self.layers("param_norm"))
    }

    /// Returns the update ratios in at most `most` rows.
    pub(super) fn update_ratios_within(&self, most: usize) -> Vec<Row> {
        let norms = self.layers_within("param_norm", most);
        ratios(self.layers_within("update_norm", most), &norms)
    }
}

fn folded<'r>(rows: Vec<Row>, layer: impl for<'p> Fn(&'p str) -> &'p str + 'r) -> Vec<Row> {
    let mut order: Vec<String> = Vec::new();
    let mut members: HashMap<String, Vec<Row>> = HashMap::new();
    for row in rows {
        let name = layer(&row.name).to_string();
        if !members.contains_key(&name) {
            order.push(name.clone());
        }
        members.entry(name).or_default().push(row);
    }
    let row = |name: String| {
        let points = members.get(&name).map(|rows| sum(rows.iter())).unwrap_or_default();
        Row { name, points }
    };
    order.into_iter().map(row).collect()
}

/// Returns `√Σᵢxᵢ²` for every entry that has any of these numbers.
fn sum<'r>(rows: impl Iterator<Item = &'r Row>) -> Vec<Point> {
    let mut squares: BTreeMap<usize, Point> = BTreeMap::new();
    for point in rows.flat_map(|row| &row.points) {
        let sum = squares.entry(point.entry).or_insert(Point { value: 0.0, ..*point });
        sum.value = sum.value.hypot(point.value);
    }
    squares.into_values().collect()
}

fn ratios(updates: Vec<Row>, norms: &[Row]) -> Vec<Row> {
    let of = |row: Row| {
        let norms = norms.iter().find(|norm| norm.name == row.name)?;
        let norms: HashMap<usize, f64> = norms.points.iter().map(|p| (p.entry, p.value)).collect();
        let ratio = |p: &Point| {
            let norm = norms.get(&p.entry).copied().filter(|norm| *norm > 0.0)?;
            Some(Point { value: p.value / norm, ..*p })
        };
        let points: Vec<Point> = row.points.iter().filter_map(ratio).collect();
        (!points.is_empty()).then_some(Row { name: row.name, points })
    };
    updates.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(parts: &[(&str, f64)]) -> History {
        let mut history = History::default();
        for k in 0..3 {
            let entry = parts.iter().fold(Entry::new(k, k), |e, (name, x)| e.value(name, *x));
            history.push(&entry);
        }
        history
    }

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn layers_are_the_root_of_the_sum_of_squares_and_groups_do_not_count_twice() {
        let history = history(&[
            ("grad_norm", 9.0),
            ("grad_norm/body.a.weight", 3.0),
            ("grad_norm/body.a.bias", 4.0),
            ("grad_norm/head.weight", 1.0),
            ("grad_norm/body", 5.0),
        ]);
        let columns = Columns::of(&history);
        let layers = columns.layers("grad_norm");
        assert_eq!(names(&layers), ["body.a", "head"]);
        assert_eq!(layers[0].points.iter().map(|p| p.value).collect::<Vec<_>>(), [5.0; 3]);
        assert_eq!(columns.whole().collect::<Vec<_>>(), ["grad_norm"]);
        assert!(columns.parts("grad").is_empty());
    }

    #[test]
    fn many_layers_are_taken_together() {
        let many: Vec<(String, f64)> =
            (0..12).map(|k| (format!("grad_norm/b{}.l{k}.weight", k / 4), 1.0)).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|(name, x)| (name.as_str(), *x)).collect();
        let history = history(&many);
        let columns = Columns::of(&history);
        assert_eq!(columns.layers_within("grad_norm", 12).len(), 12);
        let blocks = columns.layers_within("grad_norm", 11);
        assert_eq!(names(&blocks), ["b0", "b1", "b2"]);
        assert!((blocks[0].points[0].value - 2.0).abs() < 1e-12);
        let pairs = columns.layers_within("grad_norm", 2);
        assert_eq!(names(&pairs), ["b0 to b1", "b2"]);
    }

    #[test]
    fn ratios_are_of_layers_and_need_both_norms() {
        let history = history(&[
            ("update_norm/a.weight", 0.3),
            ("update_norm/a.bias", 0.4),
            ("param_norm/a.weight", 5.0),
            ("param_norm/a.bias", 0.0),
            ("update_norm/b.weight", 1.0),
            ("param_norm/b.weight", 0.0),
        ]);
        let rows = Columns::of(&history).update_ratios();
        assert_eq!(names(&rows), ["a"]);
        assert!((rows[0].points[2].value - 0.1).abs() < 1e-12);
    }

    #[test]
    fn steps_that_were_not_applied_have_no_place_in_a_line() {
        let mut history = History::default();
        history.push(&Entry::new(0, 0).value("loss", 1.0));
        history.push(&Entry::new(1, 1).value("loss", 9.0).not_applied(Verdict::Skip, "no"));
        let columns = Columns::of(&history);
        assert_eq!(columns.finite("loss"), [1.0]);
        assert_eq!((columns.entries.len(), columns.span()), (2, Some((0, 1))));
    }
}

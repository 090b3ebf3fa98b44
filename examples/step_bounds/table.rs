//! Losses by rate, and their summary.

use std::fmt;

use evenkeel::Error;
use rayon::prelude::*;

use crate::Arguments;
use crate::losses::{median, short};
use crate::run::{Setting, Side, run};
use crate::tasks::Task;

/// One optimizer on one problem.
pub struct Table {
    name: String,
    target: f64,
    trivial: f64,
    rates: Vec<f64>,
    sides: Vec<(Side, Column)>,
}

/// The results of one side at each rate.
struct Column {
    /// Medians of training and held-out losses.
    medians: Vec<[f64; 2]>,
    /// Runs that ended with a non-finite value, or in a halt.
    broken: usize,
}

/// From 10⁻⁵ to 100.
fn rates(coarse: bool) -> Vec<f64> {
    let all = (-10..=4).step_by(if coarse { 2 } else { 1 });
    all.map(|half: i32| 10f64.powf(f64::from(half) / 2.0)).collect()
}

impl Table {
    pub fn of<T: Task>(task: &T, arguments: &Arguments, sides: &[Side]) -> Result<Self, Error> {
        let rates = match arguments.rate.as_slice() {
            [] => rates(arguments.coarse),
            chosen => chosen.to_vec(),
        };
        let Arguments { optimizer: method, seeds, steps, batch, constant, .. } = *arguments;
        let column = |side: Side| -> Result<(Side, Column), Error> {
            let settings: Vec<Setting> = rates
                .iter()
                .flat_map(|&rate| (0..seeds).map(move |seed| (rate, seed)))
                .map(|(rate, seed)| Setting { method, side, rate, seed, steps, batch, constant })
                .collect();
            let ends: Vec<[f64; 2]> =
                settings.par_iter().map(|one| run(task, one)).collect::<Result<_, _>>()?;
            let broken = ends.iter().filter(|end| !end[0].is_finite()).count();
            let medians = ends.chunks(seeds as usize).map(|ends| [0, 1].map(|of| median(ends, of)));
            Ok((side, Column { medians: medians.collect(), broken }))
        };
        let sides = sides.iter().map(|&side| column(side)).collect::<Result<_, _>>()?;
        let name = format!("{} {:?}", task.name(), method).to_lowercase();
        Ok(Self { name, target: task.target(), trivial: task.trivial(), rates, sides })
    }

    /// One line for each side, for programs to read.
    ///
    /// `of_bare` is the sensitivity as a share of that without a bound, both above the lowest loss in the table, and
    /// `least` what that share would be if each rate did as well as the best rate up to it: nothing that only lowers
    /// rates to a constant gets below.
    pub fn lines(&self) -> Vec<String> {
        let bare = self.sides.iter().find(|(side, _)| *side == Side::Bare);
        let best_bare = bare.map_or(f64::NAN, |(_, column)| column.best());
        let lowest =
            self.sides.iter().map(|(_, column)| column.best()).fold(f64::INFINITY, f64::min);
        let above = |losses: &[f64], lowest: f64| -> f64 {
            losses.iter().map(|loss| loss.min(self.trivial) - lowest).sum()
        };
        let of_bare = |losses: &[f64]| {
            let bare = bare.map_or(f64::NAN, |(_, bare)| above(&bare.training(), lowest));
            above(losses, lowest) / bare
        };
        let least = bare.map_or(f64::NAN, |(_, bare)| of_bare(&bare.with_lower_rates()));
        let line = |(side, column): &(Side, Column)| {
            let reached: Vec<bool> =
                column.medians.iter().map(|[train, _]| *train <= self.target).collect();
            // All rates from the lowest one that trains upwards should train.
            let from = reached.iter().position(|reached| *reached);
            let upwards = from.map_or(0.0, |from| {
                let all = &reached[from..];
                all.iter().filter(|reached| **reached).count() as f64 / all.len() as f64
            });
            let best = column.best();
            let sensitivity = above(&column.training(), best) / self.rates.len() as f64;
            let top = column.medians.last().copied().unwrap_or([f64::NAN; 2]);
            let held_out = column.medians.iter().map(|[_, out]| *out).fold(f64::INFINITY, f64::min);
            format!(
                "bench step_bounds {} {side} reached={}/{} upwards={upwards:.2} sensitivity={sensitivity:.4} of_bare={:.3} \
                 least={least:.3} best={best:.4} top={:.4} gap={:.3} held_out={held_out:.4} held_out_top={:.4} broken={}",
                self.name,
                reached.iter().filter(|reached| **reached).count(),
                reached.len(),
                of_bare(&column.training()),
                top[0],
                (top[0] - best_bare) / (self.trivial - best_bare),
                top[1],
                column.broken
            )
        };
        self.sides.iter().map(line).collect()
    }
}

impl Column {
    fn training(&self) -> Vec<f64> {
        self.medians.iter().map(|[train, _]| *train).collect()
    }

    /// The lowest training loss at each rate or a lower one.
    fn with_lower_rates(&self) -> Vec<f64> {
        let lowest = |so_far: &mut f64, loss: f64| {
            *so_far = so_far.min(loss);
            Some(*so_far)
        };
        self.training().into_iter().scan(f64::INFINITY, lowest).collect()
    }

    fn best(&self) -> f64 {
        self.training().into_iter().fold(f64::INFINITY, f64::min)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, target, trivial, rates, sides } = self;
        writeln!(f, "{name} (counts as trained: {target:.4}; trivial: {trivial:.4})")?;
        write!(f, "{:>9}", "rate")?;
        sides.iter().try_for_each(|(side, _)| write!(f, "  {side:>21}"))?;
        writeln!(f)?;
        for (at, rate) in rates.iter().enumerate() {
            write!(f, "{rate:>9.1e}")?;
            for (_, column) in sides {
                let [train, held_out] = column.medians[at].map(short);
                write!(f, "  {train:>10} {held_out:>10}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

//! The advice held against a grid: every recipe at every rate, with seeds that the advice never had.

use evenkeel::Error;
use evenkeel::advise::{Advice, Outcome};

/// One recipe in both.
struct Both<'a> {
    advised: &'a Outcome,
    /// The median loss at the grid's best rate.
    grid: f64,
    rate: f64,
}

/// Says how far the two agree.
pub fn compare(advice: &Advice, grid: &Advice) -> Result<(), Error> {
    let aim = advice.aim();
    let mut both: Vec<Both> = Vec::new();
    for advised in advice.outcomes() {
        let same = grid.outcomes().iter().find(|o| o.recipe == advised.recipe);
        if let Some(point) = same.and_then(|o| o.best(aim)) {
            both.push(Both { advised, grid: point.loss(), rate: point.rate });
        }
    }
    let place = |of: &Both| both.iter().filter(|other| other.grid < of.grid).count() + 1;
    println!(
        "\nThe grid: every rate for every recipe, {} other seeds, {} updates in all.\n",
        grid.seeds(),
        grid.updates()
    );
    println!("{:>6}  {:>6}  {:>10}  {:>10}  recipe", "advice", "grid", "grid loss", "grid rate");
    for (at, of) in both.iter().enumerate() {
        let (loss, rate) = (of.grid, of.rate);
        println!(
            "{:>6}  {:>6}  {loss:>10.4}  {rate:>10.2e}  {}",
            at + 1,
            place(of),
            of.advised.recipe
        );
    }
    let losses: Vec<f64> = both.iter().map(|of| of.grid).collect();
    println!(
        "\nKendall's τ of the two orders: {:.2}, over {} recipes.",
        tau(&losses),
        losses.len()
    );
    if let (Some(first), Some(best)) = (losses.first(), losses.iter().copied().reduce(f64::min)) {
        let top = both.iter().take(5).any(|of| of.grid == best);
        println!(
            "The grid's best comes to {best:.4}, the advice's first to {first:.4} there; the grid's best is \
             {} the advice's first five.",
            if top { "among" } else { "not among" }
        );
    }
    Ok(())
}

/// Kendall's τ-a of a list against its own order: 1 if it rises, −1 if it falls.
fn tau(values: &[f64]) -> f64 {
    let pairs =
        values.iter().enumerate().flat_map(|(at, a)| values[at + 1..].iter().map(move |b| (a, b)));
    let signs: Vec<f64> = pairs
        .map(|(a, b)| {
            if a < b {
                1.0
            } else if a > b {
                -1.0
            } else {
                0.0
            }
        })
        .collect();
    signs.iter().sum::<f64>() / (signs.len() as f64).max(1.0)
}

//! Compares the advice with a grid: every recipe at every rate, with seeds that the advice never saw.

use evenkeel::advise::{Advice, Outcome, Recipe};

/// How close to the best of the grid a recipe has to be to count as equally good, as a share of the gap between plain
/// descent and the best.
const NEAR: f64 = 0.02;

/// Prints how far the two agree.
pub fn compare(advice: &Advice, grid: &Advice) {
    let objective = advice.objective();
    let of_grid = |recipe: &Recipe| grid.outcomes().iter().find(|o| o.recipe == *recipe);
    // The median loss at the grid's best rate.
    let lowest = |outcome: &Outcome| {
        let best = of_grid(&outcome.recipe)?.best(objective)?;
        Some((best.loss(), best.rate))
    };
    let both = advice.outcomes().iter();
    let both: Vec<(&Outcome, f64, f64)> =
        both.filter_map(|o| lowest(o).map(|(loss, rate)| (o, loss, rate))).collect();
    let place = |of: f64| both.iter().filter(|other| other.1 < of).count() + 1;
    println!(
        "\nThe grid: every rate for every recipe, {} other seeds, {} updates in all.\n",
        grid.seeds(),
        grid.updates()
    );
    println!(
        "{:>6}  {:>6}  {:>10}  {:>10}  {:>10}  recipe",
        "advice", "grid", "grid loss", "grid rate", "rate"
    );
    for (at, (outcome, loss, rate)) in both.iter().enumerate() {
        let mine = outcome.rate(objective).unwrap_or(f64::NAN);
        let (at, place) = (at + 1, place(*loss));
        println!(
            "{at:>6}  {place:>6}  {loss:>10.4}  {rate:>10.2e}  {mine:>10.2e}  {}",
            outcome.recipe
        );
    }
    let losses: Vec<f64> = both.iter().map(|of| of.1).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let plain =
        grid.baseline().and_then(|plain| plain.best(objective)).map_or(f64::NAN, |p| p.loss());
    let gap = plain - best;
    let first_three = losses.iter().take(3).copied().fold(f64::INFINITY, f64::min);
    println!(
        "\nKendall's τ of the two orders: {:.2}, over {} recipes.",
        tau(&losses),
        losses.len()
    );
    println!(
        "The grid's best comes to {best:.4}, plain descent to {plain:.4}. Among the advice's first three: {}, and {} \
         within {:.0} % of the gap.",
        if first_three == best { "yes" } else { "no" },
        if first_three <= best + NEAR * gap { "yes" } else { "no" },
        100.0 * NEAR
    );
    // The result of following the advice, at the rung nearest to the recommended rate.
    let Some((followed, rate)) = advice.recommended().and_then(|o| Some((o, o.rate(objective)?)))
    else {
        println!("Nothing is recommended.");
        return;
    };
    let away = |at: f64| (at / rate).ln().abs();
    let points =
        of_grid(&followed.recipe).map(|outcome| outcome.points.as_slice()).unwrap_or_default();
    let nearest = points.iter().min_by(|a, b| away(a.rate).total_cmp(&away(b.rate)));
    let (loss, at) = nearest.map_or((f64::NAN, f64::NAN), |point| (point.loss(), point.rate));
    println!(
        "Recommended: {} at {rate:.2e}. At {at:.1e} the grid has {loss:.4}: regret {:.1} % of the gap, and by the \
         recipe alone {:.1} %.",
        followed.recipe,
        100.0 * (loss - best) / gap,
        100.0 * (lowest(followed).map_or(f64::NAN, |of| of.0) - best) / gap
    );
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

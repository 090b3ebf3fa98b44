//! Compares the advice with a grid: every recipe at every rate, with seeds that the advice never saw.

use evenkeel::Error;
use evenkeel::advise::{Advice, Outcome, Recipe};

/// How close to the best of the grid a recipe has to be to count as equally good, as a share of the gap between plain
/// descent and the best.
const NEAR: f64 = 0.02;

/// Prints how far the two agree; `again` trains a recipe at one rate with seeds that neither has seen, and returns the
/// losses.
pub fn compare(
    advice: &Advice,
    grid: &Advice,
    again: impl Fn(&Recipe, f64) -> Result<Vec<f64>, Error>,
) -> Result<(), Error> {
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
        return Ok(());
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
    // The lowest of many losses of few seeds is lower than what its recipe comes to: without that advantage.
    let top = both.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let plain = grid.baseline().and_then(|plain| Some((plain, plain.best(objective)?.rate)));
    let (Some((top, _, top_rate)), Some((plain, plain_rate))) = (top, plain) else {
        return Ok(());
    };
    let [top, plain, mine] = [(*top, *top_rate), (plain, plain_rate), (followed, rate)]
        .map(|(outcome, rate)| again(&outcome.recipe, rate));
    let (top, plain, mine) = (top?, plain?, mine?);
    let (gap, behind) = (mean(&less(&plain, &top)), less(&mine, &top));
    let error = spread(&behind) / (behind.len() as f64).sqrt();
    println!(
        "With {} seeds that neither has seen, mean losses: the grid's best {:.4}, plain descent {:.4}, the recommended \
         {:.4}: regret {:.1} ± {:.1} % of the gap.",
        behind.len(),
        mean(&top),
        mean(&plain),
        mean(&mine),
        100.0 * mean(&behind) / gap,
        100.0 * error / gap
    );
    Ok(())
}

fn less(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation.
fn spread(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: Vec<f64> = values.iter().map(|x| (x - middle).powi(2)).collect();
    (squares.iter().sum::<f64>() / (values.len() as f64 - 1.0)).sqrt()
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

//! Whether the advice holds for longer runs: plain descent, the recommended recipe and the best ones, each at the rate
//! found for it, trained several times as long with other seeds.

use evenkeel::Error;
use evenkeel::advise::{Advice, Advisor, Outcome, Point};

use crate::at_rate;

/// The number of recipes ahead of plain descent that are trained, in addition to the recommended one.
const AHEAD: usize = 3;

/// Trains each recipe for each of these multiples of the updates; `advisor` creates an advisor for each of the runs.
pub fn compare<'a, B>(
    advice: &Advice,
    times: &[u64],
    advisor: impl Fn() -> Result<Advisor<'a, B>, Error>,
) -> Result<(), Error> {
    let objective = advice.objective();
    let mut those: Vec<&Outcome> = advice.baseline().into_iter().collect();
    let ahead = advice.outcomes().iter().take(AHEAD);
    for outcome in advice.recommended().into_iter().chain(ahead) {
        if those.iter().all(|other| other.recipe != outcome.recipe) {
            those.push(outcome);
        }
    }
    println!(
        "\nHeld-out loss after longer runs, the median of {SEEDS} other seeds, with the range:\n"
    );
    for outcome in those {
        let Some(rate) = outcome.rate(objective) else { continue };
        println!("{} at {rate:.2e}", outcome.recipe);
        for factor in [1].iter().chain(times) {
            let search = advisor()?.over(factor * advice.over())?.seeds(SEEDS)?.seeds_from(2000);
            let point = at_rate(search, &outcome.recipe, rate)?;
            println!("  {factor:>3} times as long: {}", ended(point.as_ref()));
        }
    }
    Ok(())
}

const SEEDS: u64 = 3;

fn ended(point: Option<&Point>) -> String {
    match point {
        Some(point) if point.stable => {
            let (low, high) = point.spread();
            let (held_out, rate) = (point.loss(), point.rate);
            format!(
                "{held_out:.4} ({low:.4} to {high:.4}) at {rate:.1e}, training {:.4}",
                point.training_loss()
            )
        }
        Some(_) => "not stable".to_string(),
        None => "not measured".to_string(),
    }
}

//! What a set-up costs.

use std::time::Instant;

use burn::tensor::Device;
use evenkeel::Error;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::method::Method;
use crate::setup::{Setup, With};
use crate::sweep::draw;
use crate::tasks::Task;

/// The title of each column, and what it stands for.
const COLUMNS: [(&str, With); 5] = [
    ("clip at 1", With::Clip),
    ("recommended", With::Recommended),
    ("1 % a matrix", With::PerMatrix),
    ("governor", With::Governor),
    ("trust region", With::Trust),
];

pub fn head() -> Vec<String> {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    vec![
        format!("| problem | {} |", names.join(" | ")),
        format!("|---|{}", "---|".repeat(COLUMNS.len())),
    ]
}

/// One row: the costs on one problem, with Adam, and for the governor with momentum.
pub fn row<T: Task>(task: &T, batch: usize) -> Result<String, Error> {
    let mut line = format!("| {} |", task.name());
    for (_, with) in COLUMNS {
        let method = if with == With::Governor { Method::Momentum } else { Method::Adam };
        let setup = Setup { method, scheduled: true, with };
        line += &format!(" {:+.0} % |", 100.0 * cost(task, setup, batch)?);
    }
    Ok(line)
}

/// How much longer an update takes than one of Burn's optimizer, at a rate that changes next to nothing: from the least of
/// eight rounds of each, in turn. The first ten updates, in which bounds measure more often, don't count.
fn cost<T: Task>(task: &T, setup: Setup, batch: usize) -> Result<f64, Error> {
    let device = Device::flex().autodiff();
    let mut least = [f64::INFINITY; 2];
    let mut sides = Vec::new();
    for setup in [Setup { with: With::Nothing, ..setup }, setup] {
        let net = task.net(0, &device)?;
        let stepper = setup.stepper(&net, task.trust()?)?;
        sides.push((Some(net), stepper));
    }
    let mut draws = StdRng::seed_from_u64(0);
    for round in 0..9 {
        for ((net, stepper), least) in sides.iter_mut().zip(&mut least) {
            let begun = Instant::now();
            for _ in 0..10 {
                let Some(before) = net.take() else { return Ok(f64::NAN) };
                let rows = draw(task, batch, &mut draws);
                let loss = task.loss(&before, &rows, &device);
                *net = stepper.step(task, (1e-9, &rows), before, loss)?;
            }
            if round > 0 {
                *least = least.min(begun.elapsed().as_secs_f64());
            }
        }
    }
    Ok(least[1] / least[0] - 1.0)
}

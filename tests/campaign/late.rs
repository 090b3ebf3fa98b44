//! The same cases decided on the device: what holds before the numbers have been read.

use burn::tensor::Device;
use evenkeel::{Halted, Stepped};

use crate::case::{Case, Tiny};
use crate::run::{Run, Tally};

pub fn run(case: &Case) -> Result<Tally, String> {
    let device = Device::flex().autodiff();
    let mut tally = Tally::default();
    let mut run = Run::new(case, Tiny::new(case.normalized, 0, &device));
    let mut faults = case.faults.clone();
    let every = case.late.unwrap_or(1);
    for at in 0..case.steps {
        let batches: Vec<u64> = (at * case.micro..(at + 1) * case.micro).collect();
        let (told, _) = run.step(&batches, &mut faults);
        let halted = told.map_err(Halted::into_model).err();
        let ended = halted.is_some();
        run.net = halted.unwrap_or(run.net);
        tally.count(if ended { "late: halted" } else { "late: stepped" });
        sound(&run, at)?;
        if run.keel.pending() >= every {
            return Err(format!("step {at}: {} steps are pending", run.keel.pending()));
        }
        if ended {
            break;
        }
    }
    let net = run.net.clone();
    let flushed = match &mut run.rates {
        Some(rates) => run.keel.flush(rates.step(), net),
        None => run.keel.flush(case.rate, net),
    };
    run.net = match flushed {
        Ok(Stepped { model, .. }) => model,
        Err(halted) => halted.into_model(),
    };
    sound(&run, case.steps)?;
    run.keel.incidents().iter().for_each(|incident| {
        tally.count(&format!("late: {}", incident.verdict));
    });
    Ok(tally)
}

fn sound(run: &Run, at: u64) -> Result<(), String> {
    match run.state().poisoned() {
        Some(path) => Err(format!("step {at}: `{path}` is poisoned, and nothing has been read")),
        None => Ok(()),
    }
}

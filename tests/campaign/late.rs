//! The same cases decided on the device: what holds before the numbers have been read, and that a dropped step leaves
//! no trace.

use burn::module::Module;
use burn::tensor::Device;
use evenkeel::{Halted, Stepped, Verdict, tie};

use crate::case::{Case, Curve, Mean, Optimizer, Tiny};
use crate::run::{Run, Tally};

/// Whether all that a dropped step has moved is put back exactly, and no later step was told anything else for it.
fn is_exact(case: &Case) -> bool {
    let every = case.late == Some(1);
    let own = matches!(
        case.optimizer,
        Optimizer::OwnMomentum
            | Optimizer::OwnAdam
            | Optimizer::OwnAdamW
            | Optimizer::OwnRAdam
            | Optimizer::OwnAdopt
    );
    let constant = matches!(case.curve, Curve::Plain | Curve::Constant);
    let counted = matches!(case.average, Some(Mean::WarmEma(_) | Mean::Swa(_)));
    own && case.around.is_none()
        && case.loss_scale.is_none()
        && (every || (constant && !counted && case.frozen.is_none() && !case.bounded))
}

pub fn run(case: &Case) -> Result<Tally, String> {
    let device = Device::flex().autodiff();
    let mut tally = Tally::default();
    let start = Tiny::new(case, 0, &device);
    let mut twin = Run::new(case, tie(start.valid().train()));
    let mut run = Run::new(case, start);
    let mut faults = case.faults.clone();
    // What was taken in for each step that has not been read, and for those that were applied.
    let (mut waiting, mut applied) = (Vec::new(), Vec::new());
    let mut straight = true;
    let every = case.late.unwrap_or(1);
    for at in 0..case.steps {
        let batches: Vec<u64> = (at * case.micro..(at + 1) * case.micro).collect();
        let (told, window) = run.step(&batches, &mut faults);
        waiting.push(window.accepted);
        // Each report is of one step, in order.
        let read = waiting.drain(..window.late.len().min(waiting.len())).zip(&window.late);
        let read: Vec<_> = read.collect();
        for (accepted, report) in read {
            straight &= report.verdict <= Verdict::Skip;
            if report.is_applied() {
                applied.push(accepted);
            }
        }
        straight &= told.is_ok();
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
        Ok(Stepped { model, late, .. }) => {
            for (accepted, report) in waiting.into_iter().zip(&late) {
                straight &= report.verdict <= Verdict::Skip;
                if report.is_applied() {
                    applied.push(accepted);
                }
            }
            model
        }
        Err(halted) => {
            straight = false;
            halted.into_model()
        }
    };
    if straight && is_exact(case) {
        for accepted in applied {
            if let (Err(halted), _) = twin.step(&accepted, &mut case.faults.clone()) {
                return Err(format!("the twin halted: {halted}"));
            }
        }
        let net = twin.net.clone();
        let flushed = match &mut twin.rates {
            Some(rates) => twin.keel.flush(rates.step(), net),
            None => twin.keel.flush(case.rate, net),
        };
        twin.net = flushed.map(|stepped| stepped.model).map_err(|halted| halted.to_string())?;
        let (now, clean) = (run.state(), twin.state());
        if now != clean {
            return Err(format!("a trace of dropped steps in {}", now.difference(&clean)));
        }
        tally.count("late: compared");
    }
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

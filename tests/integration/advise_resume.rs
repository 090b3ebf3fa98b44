//! Searches that are interrupted and continued.

use std::cell::Cell;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::advise::{Advice, Advisor, Objective};

use crate::common::{filled, noise};

type Batch = (Tensor<2>, Tensor<2>);

/// Eight rows of a regression on three columns, `scale` times as large.
fn rows(k: u64, scale: f32, device: &Device) -> Batch {
    let x = noise(40 + k % 20, 24);
    let y: Vec<f32> = x.chunks(3).map(|r| scale * (2.0 * r[0] - r[1]) + 0.1 * r[2]).collect();
    let tensor = |values, columns| Tensor::from_data(TensorData::new(values, [8, columns]), device);
    (tensor(x, 3), tensor(y, 1))
}

fn loss(model: &Linear, (x, y): Batch) -> Tensor<1> {
    (model.forward(x) - y).powi_scalar(2).mean()
}

fn of(scale: f32, device: &Device) -> Advisor<'_, Batch> {
    let build = |seed| filled(LinearConfig::new(3, 1).init(device), seed);
    Advisor::new(build, loss, move |k| rows(k, scale, device))
        .held_out(2, move |k| rows(100 + k, scale, device))
        .unwrap()
        .between(1e-2, 1.0)
        .unwrap()
        .over(10)
        .unwrap()
        .confirm(1, 3)
}

fn advisor(device: &Device) -> Advisor<'_, Batch> {
    of(1.0, device)
}

/// In plain descent, in every part of the search, and a few updates before its end.
#[test]
fn interrupting_and_resuming_changes_nothing() {
    let device = Device::flex().autodiff();
    let whole = advisor(&device).run().unwrap();
    assert!(whole.is_complete() && whole.updates() > 1000, "{}", whole.updates());
    let last = whole.updates() - 5;
    for stop in [0, 1, 30, 300, last / 2, last] {
        let part = advisor(&device).budget(stop).run().unwrap();
        assert_eq!((part.is_complete(), part.updates()), (false, stop));
        let made = Cell::new(0);
        let resumed = advisor(&device)
            .watch(|_| {
                made.set(made.get() + 1);
                std::ops::ControlFlow::Continue(())
            })
            .resume(part)
            .run()
            .unwrap();
        assert!(resumed == whole, "stopped after {stop} of {}", whole.updates());
        // Nothing is made twice, but for the run that was interrupted, and plain descent before it is whole.
        let again = made.get() + stop - whole.updates();
        assert!(again <= if stop < 300 { stop } else { 10 }, "{again} again after {stop}");
    }
    // All of it is known.
    let again = advisor(&device).budget(0).resume(whole.clone()).run().unwrap();
    assert!(again == whole);
}

#[test]
fn a_search_can_be_interrupted_again_and_again() {
    let device = Device::flex().autodiff();
    let whole = advisor(&device).objective(Objective::FastestTo(0.01)).unwrap().run().unwrap();
    let mut part: Option<Advice> = None;
    for budget in (0..).step_by(200) {
        let next = advisor(&device).objective(Objective::FastestTo(0.01)).unwrap().budget(budget);
        let next = match part.take() {
            Some(part) => next.resume(part),
            None => next,
        };
        let now = next.run().unwrap();
        if now.is_complete() {
            assert!(now == whole);
            return;
        }
        part = Some(now);
    }
}

/// Other settings ask for other runs; those that are known are not made again.
#[test]
fn a_search_can_be_made_closer() {
    let device = Device::flex().autodiff();
    let closer = || advisor(&device).confirm(2, 4).tolerance(0.1).unwrap();
    let quick = advisor(&device).run().unwrap();
    let (resumed, once) = (closer().resume(quick).run().unwrap(), closer().run().unwrap());
    // The quick search has measured every recipe with every seed, and knows more runs than were asked for here.
    assert_eq!(resumed.outcomes(), once.outcomes());
    assert_eq!((resumed.updates(), resumed.to_string()), (once.updates(), once.to_string()));
}

#[test]
fn what_is_of_another_search_is_refused() {
    let device = Device::flex().autodiff();
    let part = advisor(&device).budget(300).run().unwrap();
    let said =
        |advisor: Advisor<'_, Batch>| advisor.resume(part.clone()).run().unwrap_err().to_string();
    let must =
        "`resume` of Advisor must be an advice of a search with the same settings, got one with";
    for (other, got) in [
        (advisor(&device).over(30).unwrap(), "runs of 10 updates, not 30 updates"),
        (advisor(&device).by_training_loss(), "a number of held-out batches of 2, not none"),
        (advisor(&device).seeds(3).unwrap(), "seeds 2 from 0 on, not 3 from 0 on"),
        (advisor(&device).target(0.5).unwrap(), "a target of none, not 0.5"),
        (
            advisor(&device).objective(Objective::HighestRate).unwrap(),
            "the objective LowestLoss, not HighestRate",
        ),
        (advisor(&device).every_rate(), "rates from 0.01 to 1, not 0.01 to 1, all of them"),
    ] {
        assert_eq!(said(other), format!("{must} {got}"));
    }
    let other = said(of(2.0, &device));
    assert!(other.contains("must be of this model and data, whose untrained loss is "), "{other}");
}

#[cfg(feature = "serde")]
#[test]
fn a_search_can_go_on_from_a_file() {
    let device = Device::flex().autodiff();
    let part = advisor(&device).budget(800).run().unwrap();
    let text = serde_json::to_string(&part).unwrap();
    let read: Advice = serde_json::from_str(&text).unwrap();
    assert!(advisor(&device).resume(read).run().unwrap() == advisor(&device).run().unwrap());
}

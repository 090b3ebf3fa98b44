//! The code that advice ends with, pasted. Written by `advise_code.rs` with `EVENKEEL_PASTE` set.

use burn::nn::Linear;
use burn::tensor::Tensor;

type Pasted = Result<Tensor<2>, Box<dyn std::error::Error>>;
type Batches<'a> = &'a dyn Fn(u64) -> (Tensor<2>, Tensor<2>);
type Case = fn(Linear, Tensor<2>, Tensor<2>, Batches<'_>) -> Pasted;

fn loss_of(model: &Linear, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    (model.forward(x) - y).powi_scalar(2).mean()
}

/// Nesterov.
#[rustfmt::skip]
pub fn case_0(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Momentum::new(0.9)?.nesterov())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// momentum + standardized targets.
#[rustfmt::skip]
pub fn case_1(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// momentum + governor + standardized targets.
#[rustfmt::skip]
pub fn case_2(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let governor = Governor::new(0.9)?;
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .bound(governor.clone())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss_now = |model: &_| loss_of(model, x.clone(), y.clone());
    let loss = loss_now(&model);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    governor.watch(keel.updates(), &model, &grads, loss_now)?;
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// AdamW, updates clipped + clip 1 + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_3(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// Adam + clip 1 + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_4(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(Adam::new())
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD + standardized targets.
#[rustfmt::skip]
pub fn case_5(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD + standardized targets + "quoted".
#[rustfmt::skip]
pub fn case_6(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`, which is the variant "\"quoted\"".
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// AdamW, updates clipped + standardized targets.
#[rustfmt::skip]
pub fn case_7(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// momentum + governor + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_8(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Cosine, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Cosine::new(0.03, 0.0, updates)?.start();
let governor = Governor::new(0.9)?;
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .bound(governor.clone())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss_now = |model: &_| loss_of(model, x.clone(), y.clone());
    let loss = loss_now(&model);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    governor.watch(keel.updates(), &model, &grads, loss_now)?;
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// Adam + standardized targets.
#[rustfmt::skip]
pub fn case_9(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Adam::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// momentum + clip 1 + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_10(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// Adam + recommended set-up + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_11(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(Adam::new())
    .recommended()
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD.
#[rustfmt::skip]
pub fn case_12(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + "quoted".
#[rustfmt::skip]
pub fn case_13(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`, which is the variant "\"quoted\"".
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + ZClip.
#[rustfmt::skip]
pub fn case_14(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::ZScore;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(ZScore::default())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + governor.
#[rustfmt::skip]
pub fn case_15(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let governor = Governor::new(0.0)?;
let mut keel = Keel::wrap(Sgd::new())
    .bound(governor.clone())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss_now = |model: &_| loss_of(model, x.clone(), y.clone());
    let loss = loss_now(&model);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    governor.watch(keel.updates(), &model, &grads, loss_now)?;
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + spike guard.
#[rustfmt::skip]
pub fn case_16(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::guard::LossSpike;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .guard(LossSpike::default())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + recommended set-up.
#[rustfmt::skip]
pub fn case_17(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .recommended()
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// AdamW, updates clipped + recommended set-up + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_18(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .recommended()
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD + AutoClip.
#[rustfmt::skip]
pub fn case_19(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::Percentile;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(Percentile::default())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + warmup 5.
#[rustfmt::skip]
pub fn case_20(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Ramp, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Constant::new(0.03)?).start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// momentum.
#[rustfmt::skip]
pub fn case_21(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + standardized features + standardized targets.
#[rustfmt::skip]
pub fn case_22(mut model: Linear, x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
let features = x_all.clone();
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let inputs = Standardize::fit_robust([features.clone()])?;
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let x = inputs.forward(x);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(inputs.forward(x)));
Ok(predict(x_all))
}

/// momentum + recommended set-up + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_23(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .recommended()
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD + recommended set-up + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_24(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(Sgd::new())
    .recommended()
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD + clip 1 + warmup 5 + cosine + standardized targets.
#[rustfmt::skip]
pub fn case_25(mut model: Linear, _x_all: Tensor<2>, targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 0.03, updates / 10)?.then(updates / 10, Cosine::new(0.03, 0.0, updates - updates / 10)?).start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let y = outputs.forward(y);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(x));
Ok(predict(_x_all))
}

/// SGD + standardized features.
#[rustfmt::skip]
pub fn case_26(mut model: Linear, x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
let features = x_all.clone();
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

// Fitted once, on the training rows; save them with the model.
let inputs = Standardize::fit_robust([features.clone()])?;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let x = inputs.forward(x);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(inputs.forward(x_all)))
}

/// SGD + cosine.
#[rustfmt::skip]
pub fn case_27(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Cosine, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Cosine::new(0.03, 0.0, updates)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// Adam.
#[rustfmt::skip]
pub fn case_28(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Adam::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// AdamW, updates clipped.
#[rustfmt::skip]
pub fn case_29(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + clip 1.
#[rustfmt::skip]
pub fn case_30(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

/// SGD + adaptive clip.
#[rustfmt::skip]
pub fn case_31(mut model: Linear, _x_all: Tensor<2>, _targets: Tensor<2>, batch: Batches<'_>) -> Pasted {
use burn::optim::{GradientsParams, ModuleOptimizer};
use evenkeel::Keel;
use evenkeel::optim::{AdaptiveClip, Sgd};
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 50.
let updates: u64 = 50;

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(ModuleOptimizer::from(AdaptiveClip::new(0.01, Sgd::new())?))
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
Ok(model.forward(_x_all))
}

pub const CASES: [Case; 32] = [
    case_0,
    case_1,
    case_2,
    case_3,
    case_4,
    case_5,
    case_6,
    case_7,
    case_8,
    case_9,
    case_10,
    case_11,
    case_12,
    case_13,
    case_14,
    case_15,
    case_16,
    case_17,
    case_18,
    case_19,
    case_20,
    case_21,
    case_22,
    case_23,
    case_24,
    case_25,
    case_26,
    case_27,
    case_28,
    case_29,
    case_30,
    case_31,
];

//! The code that advice ends with, pasted: it compiles, and it is what is said.
#![allow(dead_code, unused_variables)]

use burn::nn::Linear;
use burn::tensor::Tensor;

type Pasted = Result<Linear, Box<dyn std::error::Error>>;

/// SGD + standardized.
pub fn case_0(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + clip 1 + warm-up 5 + cosine + standardized.
pub fn case_1(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Ramp::new(0.0, 0.03, 5)?.then(5, Cosine::new(0.03, 0.0, 45)?).start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// momentum + governor + cosine + standardized.
pub fn case_2(mut model: Linear, features: Tensor<2>, loss: Tensor<1>, loss_of: impl Fn(&Linear) -> Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Cosine, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Cosine::new(0.03, 0.0, 50)?.start();
let governor = Governor::new(0.9)?;
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .bound(governor.clone())
    .build(&model)?;

// For each batch, after `let loss = loss_of(&model);`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
governor.watch(keel.updates(), &model, &grads, loss_of)?;
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// Adam + clip 1 + warm-up 5 + cosine + standardized.
pub fn case_3(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Ramp::new(0.0, 0.03, 5)?.then(5, Cosine::new(0.03, 0.0, 45)?).start();
let mut keel = Keel::wrap(Adam::new())
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// AdamW, updates clipped + clip 1 + warm-up 5 + cosine + standardized.
pub fn case_4(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Ramp::new(0.0, 0.03, 5)?.then(5, Cosine::new(0.03, 0.0, 45)?).start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// Adam + standardized.
pub fn case_5(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Adam::new())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// AdamW, updates clipped + standardized.
pub fn case_6(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// momentum + clip 1 + warm-up 5 + cosine + standardized.
pub fn case_7(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Ramp::new(0.0, 0.03, 5)?.then(5, Cosine::new(0.03, 0.0, 45)?).start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// momentum + standardized.
pub fn case_8(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// momentum + governor + standardized.
pub fn case_9(mut model: Linear, features: Tensor<2>, loss: Tensor<1>, loss_of: impl Fn(&Linear) -> Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};
use evenkeel::standardize::Standardize;

// Once, on the training features. As a field of the model it is saved with it.
let standardize = Standardize::fit([features.clone()])?;
let features = standardize.forward(features);

let mut schedule = Constant::new(0.03)?.start();
let governor = Governor::new(0.9)?;
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .bound(governor.clone())
    .build(&model)?;

// For each batch, after `let loss = loss_of(&model);`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
governor.watch(keel.updates(), &model, &grads, loss_of)?;
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + governor.
pub fn case_10(mut model: Linear, features: Tensor<2>, loss: Tensor<1>, loss_of: impl Fn(&Linear) -> Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let governor = Governor::new(0.0)?;
let mut keel = Keel::wrap(Sgd::new())
    .bound(governor.clone())
    .build(&model)?;

// For each batch, after `let loss = loss_of(&model);`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
governor.watch(keel.updates(), &model, &grads, loss_of)?;
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// AdamW, updates clipped.
pub fn case_11(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::AdamW;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(AdamW::new().update_rms_at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// Adam.
pub fn case_12(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Adam;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Adam::new())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + clip 1.
pub fn case_13(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::GlobalNorm;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(GlobalNorm::at_most(1.0)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + adaptive clip.
pub fn case_14(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::{GradientsParams, ModuleOptimizer};
use evenkeel::Keel;
use evenkeel::optim::{AdaptiveClip, Sgd};
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(ModuleOptimizer::from(AdaptiveClip::new(0.01, Sgd::new())?))
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD.
pub fn case_15(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + warm-up 10.
pub fn case_16(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Ramp, Schedule};

let mut schedule = Ramp::new(0.0, 0.03, 10)?.then(10, Constant::new(0.03)?).start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + cosine.
pub fn case_17(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Cosine, Schedule};

let mut schedule = Cosine::new(0.03, 0.0, 50)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + AutoClip.
pub fn case_18(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::Percentile;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(Percentile::default())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// SGD + ZClip.
pub fn case_19(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::clip::ZScore;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .clip(ZScore::default())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// momentum.
pub fn case_20(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Momentum::new(0.9)?)
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

/// Nesterov.
pub fn case_21(mut model: Linear, features: Tensor<2>, loss: Tensor<1>) -> Pasted {
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Constant, Schedule};

let mut schedule = Constant::new(0.03)?.start();
let mut keel = Keel::wrap(Momentum::new(0.9)?.nesterov())
    .build(&model)?;

// For each batch, after `let loss = …`:
let grads = GradientsParams::from_grads(loss.backward(), &model);
model = keel.step(schedule.step(), model, grads, &loss)?.model;
let _ = features;
Ok(model)
}

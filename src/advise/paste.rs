//! Recipes as code.

use super::recipe::{Bound, Recipe, Safety};
use crate::text::short;

impl Recipe {
    /// Returns the code of this recipe at `rate`, which was measured with runs of `over` updates: a whole training
    /// loop, with the number of updates as a variable that warmup and decay follow.
    ///
    /// Its first lines name what it needs from your program: a `model`, a `batch(k)` of features and targets, and a
    /// function `loss_of` of model, features and targets; if something is standardized, all of the training features or
    /// targets.
    #[must_use]
    pub fn code(&self, rate: f64, over: u64) -> String {
        let mut code = self.imports();
        code.push_str("\n// Yours: `batch(k)`, `loss_of(&model, x, y)`, and ");
        code.push_str(&match self.variant.as_str() {
            "" => "`model`.\n".to_string(),
            name => format!("`model`, which is the variant \"{}\".\n", name.escape_debug()),
        });
        code.push_str(&format!(
            "// How many updates your run will make. This was measured with {over}.\nlet updates: u64 = {over};\n"
        ));
        code.push_str(&self.fitting());
        code.push_str(&format!("\nlet mut schedule = {};\n", self.schedule_code(rate, over)));
        if self.governed {
            let momentum = float(&self.momentum().to_string());
            code.push_str(&format!("let governor = Governor::new({momentum})?;\n"));
        }
        code.push_str(&self.keel_code());
        code.push_str(&self.stepping());
        if self.standardized_targets {
            let x = if self.standardized { "inputs.forward(x)" } else { "x" };
            code.push_str(&format!(
                "// What the model says, in the units of the targets:\n\
                 let predict = |x| outputs.inverse(model.forward({x}));\n"
            ));
        }
        code
    }

    fn imports(&self) -> String {
        let (rule, _) = self.method.code();
        let adaptive = self.bound == Bound::Adaptive;
        let curve = if self.cosine { "Cosine" } else { "Constant" };
        let curves = match self.warmup {
            0 => format!("{curve}, Schedule"),
            _ => format!("{curve}, Ramp, Schedule"),
        };
        let mut lines = vec![
            match adaptive {
                true => "burn::optim::{GradientsParams, ModuleOptimizer}".to_string(),
                false => "burn::optim::GradientsParams".into(),
            },
            "evenkeel::Keel".into(),
        ];
        lines.extend(self.bound.clip().map(|(name, _)| format!("evenkeel::clip::{name}")));
        if self.governed {
            lines.push("evenkeel::curvature::Governor".into());
        }
        if self.safety == Safety::Spikes {
            lines.push("evenkeel::guard::LossSpike".into());
        }
        lines.push(match adaptive {
            true => format!("evenkeel::optim::{{AdaptiveClip, {rule}}}"),
            false => format!("evenkeel::optim::{rule}"),
        });
        lines.push(format!("evenkeel::schedule::{{{curves}}}"));
        if self.standardized || self.standardized_targets {
            lines.push("evenkeel::standardize::Standardize".into());
        }
        lines.iter().map(|line| format!("use {line};\n")).collect()
    }

    /// The code that fits standardizations before training.
    fn fitting(&self) -> String {
        if !self.standardized && !self.standardized_targets {
            return String::new();
        }
        let mut code =
            String::from("\n// Fitted once, on the training rows; save them with the model.\n");
        if self.standardized {
            code.push_str("let inputs = Standardize::fit_robust([features.clone()])?;\n");
        }
        if self.standardized_targets {
            code.push_str("let outputs = Standardize::fit_robust([targets.clone()])?;\n");
        }
        code
    }

    fn schedule_code(&self, rate: f64, over: u64) -> String {
        let rate = float(&short(rate));
        let warmup = match self.warmup {
            0 => None,
            n if over.is_multiple_of(n) => Some(format!("updates / {}", over / n)),
            n => Some(format!("updates * {n} / {over}")),
        };
        let rest = match &warmup {
            Some(warmup) => format!("updates - {warmup}"),
            None => "updates".into(),
        };
        let curve = match self.cosine {
            true => format!("Cosine::new({rate}, 0.0, {rest})?"),
            false => format!("Constant::new({rate})?"),
        };
        match warmup {
            None => format!("{curve}.start()"),
            Some(n) => format!("Ramp::new(0.0, {rate}, {n})?.then({n}, {curve}).start()"),
        }
    }

    fn keel_code(&self) -> String {
        let (_, rule) = self.method.code();
        let optimizer = match self.bound {
            Bound::Adaptive => format!("ModuleOptimizer::from(AdaptiveClip::new(0.01, {rule})?)"),
            _ => rule.to_string(),
        };
        let mut code = format!("let mut keel = Keel::wrap({optimizer})\n");
        if let Some((_, clip)) = self.bound.clip() {
            code.push_str(&format!("    .clip({clip})\n"));
        }
        if self.governed {
            code.push_str("    .bound(governor.clone())\n");
        }
        code.push_str(match self.safety {
            Safety::Bare => "",
            Safety::Spikes => "    .guard(LossSpike::default())\n",
            Safety::Recommended => "    .recommended()\n",
        });
        code.push_str("    .build(&model)?;\n");
        code
    }

    /// The training loop.
    fn stepping(&self) -> String {
        let mut code = String::from("for k in 0..updates {\n    let (x, y) = batch(k);\n");
        if self.standardized {
            code.push_str("    let x = inputs.forward(x);\n");
        }
        if self.standardized_targets {
            code.push_str("    let y = outputs.forward(y);\n");
        }
        code.push_str(match self.governed {
            true => "    let loss_now = |model: &_| loss_of(model, x.clone(), y.clone());\n    let loss = loss_now(&model);\n",
            false => "    let loss = loss_of(&model, x, y);\n",
        });
        code.push_str("    let grads = GradientsParams::from_grads(loss.backward(), &model);\n");
        if self.governed {
            code.push_str("    governor.watch(keel.updates(), &model, &grads, loss_now)?;\n");
        }
        code.push_str("    model = keel.step(schedule.step(), model, grads, &loss)?.model;\n}\n");
        code
    }
}

/// Formats a number so that Rust parses it as a float.
fn float(number: &str) -> String {
    match number.contains(['.', 'e']) {
        true => number.to_string(),
        false => format!("{number}.0"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::super::tests::{plain, with};
    use super::*;

    #[test]
    fn plain_descent_is_a_loop_and_no_more() {
        assert_eq!(
            plain().code(0.1, 100),
            "\
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::optim::Sgd;
use evenkeel::schedule::{Constant, Schedule};

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 100.
let updates: u64 = 100;

let mut schedule = Constant::new(0.1)?.start();
let mut keel = Keel::wrap(Sgd::new())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let loss = loss_of(&model, x, y);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
"
        );
    }

    #[test]
    fn each_part_has_its_lines() {
        let recipe = Recipe {
            standardized: true,
            standardized_targets: true,
            governed: true,
            safety: Safety::Spikes,
            warmup: 10,
            cosine: true,
            ..with(Method::Nesterov)
        };
        assert_eq!(
            Recipe { variant: "wide".into(), ..recipe }.code(1.0, 100),
            "\
use burn::optim::GradientsParams;
use evenkeel::Keel;
use evenkeel::curvature::Governor;
use evenkeel::guard::LossSpike;
use evenkeel::optim::Momentum;
use evenkeel::schedule::{Cosine, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`, which is the variant \"wide\".
// How many updates your run will make. This was measured with 100.
let updates: u64 = 100;

// Fitted once, on the training rows; save them with the model.
let inputs = Standardize::fit_robust([features.clone()])?;
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 1.0, updates / 10)?.then(updates / 10, Cosine::new(1.0, 0.0, updates - updates / 10)?).start();
let governor = Governor::new(0.9)?;
let mut keel = Keel::wrap(Momentum::new(0.9)?.nesterov())
    .bound(governor.clone())
    .guard(LossSpike::default())
    .build(&model)?;
for k in 0..updates {
    let (x, y) = batch(k);
    let x = inputs.forward(x);
    let y = outputs.forward(y);
    let loss_now = |model: &_| loss_of(model, x.clone(), y.clone());
    let loss = loss_now(&model);
    let grads = GradientsParams::from_grads(loss.backward(), &model);
    governor.watch(keel.updates(), &model, &grads, loss_now)?;
    model = keel.step(schedule.step(), model, grads, &loss)?.model;
}
// What the model says, in the units of the targets:
let predict = |x| outputs.inverse(model.forward(inputs.forward(x)));
"
        );
    }

    #[test]
    fn a_clip_per_unit_is_an_optimizer_and_targets_may_be_standardized_alone() {
        let recipe = Recipe {
            standardized_targets: true,
            bound: Bound::Adaptive,
            safety: Safety::Recommended,
            // No whole part of the run.
            warmup: 30,
            ..with(Method::Adam)
        };
        assert_eq!(
            recipe.code(2e-7, 100),
            "\
use burn::optim::{GradientsParams, ModuleOptimizer};
use evenkeel::Keel;
use evenkeel::optim::{AdaptiveClip, Adam};
use evenkeel::schedule::{Constant, Ramp, Schedule};
use evenkeel::standardize::Standardize;

// Yours: `batch(k)`, `loss_of(&model, x, y)`, and `model`.
// How many updates your run will make. This was measured with 100.
let updates: u64 = 100;

// Fitted once, on the training rows; save them with the model.
let outputs = Standardize::fit_robust([targets.clone()])?;

let mut schedule = Ramp::new(0.0, 2e-7, updates * 30 / 100)?.then(updates * 30 / 100, Constant::new(2e-7)?).start();
let mut keel = Keel::wrap(ModuleOptimizer::from(AdaptiveClip::new(0.01, Adam::new())?))
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
"
        );
    }

    #[test]
    fn features_may_be_standardized_alone() {
        let recipe = Recipe { standardized: true, bound: Bound::Global, ..plain() };
        let code = recipe.code(0.1, 100);
        for line in [
            "use evenkeel::clip::GlobalNorm;",
            "use evenkeel::standardize::Standardize;",
            "let inputs = Standardize::fit_robust([features.clone()])?;",
            "    .clip(GlobalNorm::at_most(1.0)?)",
            "    let x = inputs.forward(x);",
        ] {
            assert_eq!(code.lines().filter(|found| *found == line).count(), 1, "{line}: {code}");
        }
        assert!(!code.contains("targets") && !code.contains("outputs"), "{code}");
    }
}

//! Optimizers in configuration files.
//!
//! Each rule is written as a table of the settings that differ from its defaults, under the names of its setters.
//! Reading goes through those setters, so a file is checked like a program.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::adam::kind;
use super::hyper::Source;
use super::rule::Erased;
use super::{
    AdaBelief, Adam, AdamW, Adamax, Adaptive, Adopt, Descent, Heavy, HyperParam, Momentum, NAdam,
    ParamGroups, Plain, RAdam, Rule, ScheduleFree, ScheduleFreeAdamW, ScheduleFreeSgd, Sgd, Spam,
    descent, schedule_free,
};
use crate::Error;
use crate::schedule::ScheduleConfig;

/// A rule that can be read from a configuration file and written back, in any format that has a serde
/// crate.
///
/// In a file it is a table under its name, in lower case, with the settings that differ from their defaults. A number
/// that may be a curve over the updates is a number or a schedule, in the form of [`ScheduleConfig`]; a closure cannot
/// be written. Switches are `true` or `false`: `without_bias_correction` is `bias_correction = false`, and ADOPT's
/// `without_bound` is `bound = false`. Momentum requires `momentum`. Each rule can be read and written by itself, too.
///
/// ```
/// use evenkeel::Keel;
/// use evenkeel::optim::{AdamW, OptimizerConfig};
/// # use burn::{nn::LinearConfig, tensor::Device};
///
/// let text = r#"
///     [adamw]
///     weight_decay = 0.05
///     amsgrad = true
///     beta_1.ramp = { from = 0.85, to = 0.95, over = 1000 }
/// "#;
/// let config: OptimizerConfig = toml::from_str(text)?;
/// # let model = LinearConfig::new(2, 1).init(&Device::default().autodiff());
/// let keel = Keel::wrap(config.groups()).build(&model)?;
/// # let _ = keel;
///
/// let written = toml::to_string(&OptimizerConfig::from(AdamW::new().cautious()))?;
/// assert_eq!(written, "[adamw]\ncautious = true\n");
///
/// let wrong = text.replace("0.05", "-1");
/// let error = toml::from_str::<OptimizerConfig>(&wrong).unwrap_err().to_string();
/// assert!(error.contains("`weight_decay` of AdamW must be a finite number of at least 0, got -1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// [`Sgd`].
    Sgd(Sgd),
    /// [`Momentum`].
    Momentum(Momentum),
    /// [`Adam`].
    Adam(Adam),
    /// [`AdamW`].
    AdamW(AdamW),
    /// [`NAdam`].
    NAdam(NAdam),
    /// [`RAdam`].
    RAdam(RAdam),
    /// [`AdaBelief`].
    AdaBelief(AdaBelief),
    /// [`Adamax`].
    Adamax(Adamax),
    /// [`Adopt`].
    Adopt(Adopt),
    /// [`ScheduleFreeSgd`].
    #[serde(rename = "schedule_free_sgd")]
    ScheduleFreeSgd(ScheduleFreeSgd),
    /// [`ScheduleFreeAdamW`].
    #[serde(rename = "schedule_free_adamw")]
    ScheduleFreeAdamW(ScheduleFreeAdamW),
}

/// Implements what is the same for each rule.
macro_rules! members {
    ($($name:ident),*) => {
        impl OptimizerConfig {
            fn erased(self) -> Erased {
                match self {
                    $(Self::$name(rule) => rule.erased(),)*
                }
            }
        }
        $(
            impl From<$name> for OptimizerConfig {
                fn from(rule: $name) -> Self {
                    Self::$name(rule)
                }
            }
        )*
    };
}

members!(
    Sgd,
    Momentum,
    Adam,
    AdamW,
    NAdam,
    RAdam,
    AdaBelief,
    Adamax,
    Adopt,
    ScheduleFreeSgd,
    ScheduleFreeAdamW
);

impl OptimizerConfig {
    /// Returns the rule over all parameters, as [`Keel::wrap`](crate::Keel::wrap) accepts it.
    #[must_use]
    pub fn groups(self) -> ParamGroups {
        ParamGroups::of(self.erased())
    }
}

impl Serialize for HyperParam {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        match self.source() {
            Source::Number(x) => x.serialize(to),
            Source::Written(schedule) => schedule.serialize(to),
            Source::Curve(_) => Err(serde::ser::Error::custom(
                "a curve that is a closure cannot be written; give it as a ScheduleConfig",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for HyperParam {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = HyperParam;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a schedule")
            }

            fn visit_f64<E: serde::de::Error>(self, x: f64) -> Result<HyperParam, E> {
                Ok(x.into())
            }

            fn visit_i64<E: serde::de::Error>(self, x: i64) -> Result<HyperParam, E> {
                Ok((x as f64).into())
            }

            fn visit_u64<E: serde::de::Error>(self, x: u64) -> Result<HyperParam, E> {
                Ok((x as f64).into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HyperParam, A::Error> {
                ScheduleConfig::deserialize(MapAccessDeserializer::new(map)).map(HyperParam::from)
            }
        }

        from.deserialize_any(Either)
    }
}

/// Defines a table in which every setting may be left out, and is left out at its default.
macro_rules! form {
    ($name:ident { $($field:ident: $kind:ty),* }) => {
        #[derive(Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct $name {
            $(#[serde(skip_serializing_if = "Option::is_none")] $field: Option<$kind>,)*
        }
    };
}

/// Returns the setting, if it differs from the default.
fn changed(now: &HyperParam, default: &HyperParam) -> Option<HyperParam> {
    let same = now.constant().is_some() && now.constant() == default.constant();
    (!same).then(|| now.clone())
}

fn unless<T: PartialEq>(now: T, default: T) -> Option<T> {
    Some(now).filter(|now| *now != default)
}

/// Calls a setter, if there is a value to set.
fn set<R, V>(
    rule: R,
    value: Option<V>,
    setter: impl FnOnce(R, V) -> Result<R, Error>,
) -> Result<R, Error> {
    match value {
        Some(value) => setter(rule, value),
        None => Ok(rule),
    }
}

form!(DescentForm {
    momentum: HyperParam,
    dampening: HyperParam,
    nesterov: bool,
    weight_decay: HyperParam,
    decoupled: bool,
    decay_matrices_only: bool,
    centralized: bool,
    maximize: bool
});

impl<K: descent::Kind> Serialize for Descent<K> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let zero = HyperParam::from(0.0);
        DescentForm {
            momentum: K::HEAVY.then(|| self.momentum.clone()),
            dampening: changed(&self.dampening, &zero),
            nesterov: unless(self.nesterov, false),
            weight_decay: changed(&self.decay.rate, &zero),
            decoupled: unless(self.decay.decoupled, false),
            decay_matrices_only: unless(self.decay.matrices_only, false),
            centralized: unless(self.centralized, false),
            maximize: unless(self.maximize, false),
        }
        .serialize(to)
    }
}

/// Applies the settings that both kinds have.
fn descent<K: descent::Kind>(mut rule: Descent<K>, form: DescentForm) -> Result<Descent<K>, Error> {
    rule = set(rule, form.weight_decay, Descent::weight_decay)?;
    rule.decay.decoupled = form.decoupled.unwrap_or(false);
    rule.decay.matrices_only = form.decay_matrices_only.unwrap_or(false);
    rule.centralized = form.centralized.unwrap_or(false);
    rule.maximize = form.maximize.unwrap_or(false);
    Ok(rule)
}

impl<'de> Deserialize<'de> for Descent<Plain> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let form = DescentForm::deserialize(from)?;
        let foreign = [
            ("momentum", form.momentum.is_some()),
            ("dampening", form.dampening.is_some()),
            ("nesterov", form.nesterov.is_some()),
        ];
        refuse("Sgd", &foreign).and_then(|()| descent(Sgd::new(), form)).map_err(Z::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Descent<Heavy> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let mut form = DescentForm::deserialize(from)?;
        let momentum = form.momentum.take().ok_or_else(|| Z::Error::missing_field("momentum"))?;
        let build = || {
            let mut rule = Momentum::new(momentum)?;
            rule = set(rule, form.dampening.take(), Momentum::dampening)?;
            rule.nesterov = form.nesterov.unwrap_or(false);
            descent(rule, form)
        };
        build().map_err(Z::Error::custom)
    }
}

/// Refuses settings that are given but do not apply to a rule.
fn refuse(rule: &'static str, settings: &[(&'static str, bool)]) -> Result<(), Error> {
    match settings.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Error::parameter(rule, name, "left out", "a value")),
        None => Ok(()),
    }
}

form!(AdaptiveForm {
    beta_1: HyperParam,
    beta_2: HyperParam,
    epsilon: HyperParam,
    weight_decay: HyperParam,
    decoupled: bool,
    decay_matrices_only: bool,
    bias_correction: bool,
    amsgrad: bool,
    momentum_decay: HyperParam,
    bound: bool,
    update_rms_at_most: f64,
    gradient_start: bool,
    spam: SpamForm,
    cautious: bool,
    centralized: bool,
    maximize: bool
});

form!(SpamForm { threshold: f64, reset_every: u64, warmup: u64 });

impl From<Spam> for SpamForm {
    fn from(spam: Spam) -> Self {
        Self {
            threshold: Some(spam.threshold),
            reset_every: Some(spam.reset_every),
            warmup: Some(spam.warmup),
        }
    }
}

impl SpamForm {
    fn build(self) -> Result<Spam, Error> {
        let spam = set(Spam::default(), self.threshold, Spam::threshold)?;
        let spam = set(spam, self.reset_every, Spam::reset_every)?;
        set(spam, self.warmup, |spam, over| Ok(spam.warmup(over)))
    }
}

impl<K: kind::Kind> Serialize for Adaptive<K> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let has = Self::new();
        AdaptiveForm {
            beta_1: changed(&self.betas[0], &has.betas[0]),
            beta_2: changed(&self.betas[1], &has.betas[1]),
            epsilon: changed(&self.epsilon, &has.epsilon),
            weight_decay: changed(&self.decay.rate, &has.decay.rate),
            decoupled: unless(self.decay.decoupled, has.decay.decoupled),
            decay_matrices_only: unless(self.decay.matrices_only, false),
            bias_correction: unless(self.corrected, true),
            amsgrad: unless(self.amsgrad, false),
            momentum_decay: changed(&self.momentum_decay, &has.momentum_decay),
            bound: unless(self.bound.is_some(), true),
            update_rms_at_most: self.scaling.rms,
            gradient_start: unless(self.gradient_start, false),
            spam: self.spam.map(SpamForm::from),
            cautious: unless(self.scaling.cautious, false),
            centralized: unless(self.centralized, false),
            maximize: unless(self.maximize, false),
        }
        .serialize(to)
    }
}

impl<'de, K: kind::Kind> Deserialize<'de> for Adaptive<K> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        adaptive(AdaptiveForm::deserialize(from)?).map_err(Z::Error::custom)
    }
}

fn adaptive<K: kind::Kind>(form: AdaptiveForm) -> Result<Adaptive<K>, Error> {
    let given = [
        ("amsgrad", form.amsgrad.is_some()),
        ("momentum_decay", form.momentum_decay.is_some()),
        ("bound", form.bound.is_some()),
        ("update_rms_at_most", form.update_rms_at_most.is_some()),
        ("gradient_start", form.gradient_start.is_some()),
        ("spam", form.spam.is_some()),
    ];
    let foreign = given.map(|(name, given)| (name, given && !K::DEFAULTS.own.contains(&name)));
    refuse(K::DEFAULTS.name, &foreign)?;
    let mut rule = Adaptive::<K>::new();
    rule = set(rule, form.beta_1, Adaptive::beta_1)?;
    rule = set(rule, form.beta_2, Adaptive::beta_2)?;
    rule = set(rule, form.epsilon, Adaptive::epsilon)?;
    rule = set(rule, form.weight_decay, Adaptive::weight_decay)?;
    rule = set(rule, form.momentum_decay, Adaptive::with_momentum_decay)?;
    rule = set(rule, form.update_rms_at_most, Adaptive::with_rms)?;
    rule.decay.decoupled = form.decoupled.unwrap_or(rule.decay.decoupled);
    rule.decay.matrices_only = form.decay_matrices_only.unwrap_or(false);
    rule.corrected = form.bias_correction.unwrap_or(true);
    rule.amsgrad = form.amsgrad.unwrap_or(false);
    rule.bound = rule.bound.filter(|_| form.bound.unwrap_or(true));
    rule.gradient_start = form.gradient_start.unwrap_or(false);
    rule.spam = form.spam.map(SpamForm::build).transpose()?;
    rule.scaling.cautious = form.cautious.unwrap_or(false);
    rule.centralized = form.centralized.unwrap_or(false);
    rule.maximize = form.maximize.unwrap_or(false);
    Ok(rule)
}

form!(FreeForm {
    beta: f64,
    beta_2: HyperParam,
    epsilon: HyperParam,
    weight_decay: HyperParam,
    decay_matrices_only: bool,
    weight_power: f64,
    maximize: bool
});

impl<K: schedule_free::Kind> Serialize for ScheduleFree<K> {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        let has = Self::new();
        FreeForm {
            beta: unless(self.beta, has.beta),
            beta_2: changed(&self.beta_2, &has.beta_2),
            epsilon: changed(&self.epsilon, &has.epsilon),
            weight_decay: changed(&self.decay.rate, &has.decay.rate),
            decay_matrices_only: unless(self.decay.matrices_only, false),
            weight_power: unless(self.power, has.power),
            maximize: unless(self.maximize, false),
        }
        .serialize(to)
    }
}

impl<'de, K: schedule_free::Kind> Deserialize<'de> for ScheduleFree<K> {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let form = FreeForm::deserialize(from)?;
        let build = || {
            let foreign = [("beta_2", form.beta_2.is_some()), ("epsilon", form.epsilon.is_some())];
            refuse(K::NAME, if K::ADAPTED { &[] } else { &foreign })?;
            let mut rule = ScheduleFree::<K>::new();
            rule = set(rule, form.beta, ScheduleFree::beta)?;
            rule = set(rule, form.beta_2, ScheduleFree::with_beta_2)?;
            rule = set(rule, form.epsilon, ScheduleFree::with_epsilon)?;
            rule = set(rule, form.weight_decay, ScheduleFree::weight_decay)?;
            rule = set(rule, form.weight_power, ScheduleFree::weight_power)?;
            rule.decay.matrices_only = form.decay_matrices_only.unwrap_or(false);
            rule.maximize = form.maximize.unwrap_or(false);
            Ok::<_, Error>(rule)
        };
        build().map_err(Z::Error::custom)
    }
}

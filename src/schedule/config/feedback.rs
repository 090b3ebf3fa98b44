//! Feedback in files: its settings, without its memory.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::set;
use crate::Error;
use crate::schedule::feedback::Threshold;
use crate::schedule::{Backoff, Greedy, Plateau};

/// Whether the metric is to be minimized or maximized.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Min,
    Max,
}

impl Mode {
    fn of(higher: bool) -> Self {
        if higher { Self::Max } else { Self::Min }
    }

    fn higher(self) -> bool {
        matches!(self, Self::Max)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlateauForm {
    mode: Mode,
    factor: Option<f64>,
    patience: Option<u64>,
    threshold: Option<Threshold>,
    cooldown: Option<u64>,
    floor: Option<f64>,
    average: Option<u64>,
}

impl Serialize for Plateau {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        PlateauForm {
            mode: Mode::of(self.better.higher),
            factor: Some(self.factor),
            patience: Some(self.patience),
            threshold: Some(self.better.threshold),
            cooldown: Some(self.cooldown),
            floor: Some(self.floor),
            average: Some(self.average),
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Plateau {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let form = PlateauForm::deserialize(from)?;
        let build = || -> Result<Self, Error> {
            let plateau = set(Self::of(form.mode.higher()), form.factor, Self::factor)?;
            let plateau = set(plateau, form.patience, |p, count| Ok(p.patience(count)))?;
            let plateau = set(plateau, form.cooldown, |p, count| Ok(p.cooldown(count)))?;
            let plateau = set(plateau, form.threshold, |p, threshold| match threshold {
                Threshold::Relative(fraction) => p.relative(fraction),
                Threshold::Absolute(amount) => p.absolute(amount),
            })?;
            let plateau = set(plateau, form.floor, Self::floor)?;
            set(plateau, form.average, Self::average)
        };
        build().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GreedyForm {
    mode: Mode,
    factor: Option<f64>,
    patience: Option<u64>,
    threshold: Option<Threshold>,
    warmup: Option<u64>,
    cooldown: Option<u64>,
    between: Option<(f64, f64)>,
    average: Option<u64>,
    reset_after: Option<u64>,
}

impl Serialize for Greedy {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        GreedyForm {
            mode: Mode::of(self.better.higher),
            factor: Some(self.factor),
            patience: Some(self.patience),
            threshold: Some(self.better.threshold),
            warmup: Some(self.warmup),
            cooldown: Some(self.cooldown),
            between: Some((self.floor, self.ceiling)),
            average: Some(self.average),
            reset_after: Some(self.reset_after),
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Greedy {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        let form = GreedyForm::deserialize(from)?;
        let build = || -> Result<Self, Error> {
            let greedy = set(Self::of(form.mode.higher()), form.factor, Self::factor)?;
            let greedy = set(greedy, form.patience, |g, count| Ok(g.patience(count)))?;
            let greedy = set(greedy, form.warmup, |g, count| Ok(g.warmup(count)))?;
            let greedy = set(greedy, form.cooldown, |g, count| Ok(g.cooldown(count)))?;
            let greedy = set(greedy, form.threshold, |g, threshold| match threshold {
                Threshold::Relative(fraction) => g.relative(fraction),
                Threshold::Absolute(amount) => g.absolute(amount),
            })?;
            let greedy = set(greedy, form.between, |g, (low, high)| g.between(low, high))?;
            let greedy = set(greedy, form.average, Self::average)?;
            set(greedy, form.reset_after, Self::reset_after)
        };
        build().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackoffForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    recover: Option<u64>,
}

impl Serialize for Backoff {
    fn serialize<Z: Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
        BackoffForm { recover: Some(self.recover()).filter(|over| *over > 0) }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<Z: Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
        match BackoffForm::deserialize(from)?.recover {
            None => Ok(Self::default()),
            Some(over) => Self::recovering(over).map_err(serde::de::Error::custom),
        }
    }
}

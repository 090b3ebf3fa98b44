//! The optimizers, in a keel, and their schedule.

use std::str::FromStr;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::{AdamWConfig, LionConfig, ModuleOptimizer, MuonConfig};
use burn::tensor::Tensor;
use evenkeel::optim::{Adam, AdamW, Momentum, Sgd};
use evenkeel::schedule::{Boxed, Cosine, Ramp, Schedule};
use evenkeel::{Builder, Error, Keel};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    Sgd,
    Momentum,
    Adam,
    AdamW,
    Lion,
    /// Muon for matrices, AdamW for all other parameters.
    Muon,
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "sgd" => Self::Sgd,
            "momentum" => Self::Momentum,
            "adam" => Self::Adam,
            "adamw" => Self::AdamW,
            "lion" => Self::Lion,
            "muon" => Self::Muon,
            other => {
                let known = "sgd, momentum, adam, adamw, lion, muon";
                return Err(format!("{other:?} is none of {known}"));
            }
        })
    }
}

impl Method {
    pub fn keel<M: Module + 'static>(self, net: &M) -> Result<Builder<M>, Error> {
        Ok(match self {
            Self::Sgd => Keel::wrap(Sgd::new()),
            Self::Momentum => Keel::wrap(Momentum::new(0.9)?),
            Self::Adam => Keel::wrap(Adam::new()),
            Self::AdamW => Keel::wrap(AdamW::new()),
            Self::Lion => Keel::wrap(LionConfig::new().init()),
            Self::Muon => Keel::wrap(muon(net)),
        })
    }
}

/// Muon for matrices, AdamW for all other parameters.
pub fn muon<M: Module>(net: &M) -> ModuleOptimizer {
    let mut others = Others(Vec::new());
    net.visit(&mut others);
    let rest = AdamWConfig::new().build();
    let muon = ModuleOptimizer::from(MuonConfig::new().build());
    muon.with_group(ParamGroup::from_ids(others.0), rest, None)
}

/// The parameters that are not matrices.
struct Others(Vec<ParamId>);

impl ModuleVisitor for Others {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D != 2 {
            self.0.push(param.id);
        }
    }
}

/// A warmup over a twentieth of the updates, and then a cosine to 0.
pub fn warm_cosine(rate: f64, updates: u64) -> Result<Boxed, Error> {
    let warmup = (updates / 20).max(1);
    let cosine = Cosine::new(rate, 0.0, updates - warmup)?;
    Ok(Ramp::new(0.0, rate, warmup)?.then(warmup, cosine).boxed())
}

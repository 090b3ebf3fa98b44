//! Bounds that hold nothing, and keep what they are shown.

use std::sync::{Arc, Mutex};

use burn::module::Module;
use evenkeel::bound::StepBound;
use evenkeel::{Builder, Error, Parameter, Reading, Verdict};

/// What a keel is told of a model's parameters when it is built, with how the optimizer steps them.
pub fn told<M: Module + 'static>(keel: Builder<M>, model: &M) -> Vec<Parameter> {
    let told = Told::default();
    keel.bound(told.clone()).build(model).unwrap();
    let told = told.0.lock().unwrap();
    told.clone()
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Parameter>>>);

impl StepBound for Told {
    fn looks_at_direction(&self) -> bool {
        true
    }

    fn start(&mut self, parameters: &[Parameter]) -> Result<(), Error> {
        *self.0.lock().unwrap() = parameters.to_vec();
        Ok(())
    }

    fn rate_at_most(&self, _: &Reading, _: f64) -> Option<f64> {
        None
    }
}

/// Looks at angles before this update, and at sizes before that one.
#[derive(Clone, Default)]
pub struct Seen {
    pub angles: Option<u64>,
    pub sizes: Option<u64>,
    pub readings: Arc<Mutex<Vec<Reading>>>,
}

impl StepBound for Seen {
    fn looks_at_alignments(&self, update: u64) -> bool {
        self.angles == Some(update)
    }

    fn looks_at_sizes(&self, update: u64) -> bool {
        self.sizes == Some(update)
    }

    fn rate_at_most(&self, _: &Reading, _: f64) -> Option<f64> {
        None
    }

    fn record(&mut self, now: &Reading, _: f64, _: Verdict) {
        self.readings.lock().unwrap().push(now.clone());
    }
}

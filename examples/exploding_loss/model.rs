//! A plain network of two hidden layers, with BatchNorm or without.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};

use crate::data::FEATURES;

const WIDTH: usize = 64;

#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<Linear>,
    norms: Vec<BatchNorm>,
    output: Linear,
}

impl Mlp {
    /// The same seed gives the same weights, unless something else draws from the device's generator in the meantime.
    pub fn new(normalized: bool, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let norm = |_| BatchNormConfig::new(WIDTH).init(device);
        let mlp = Self {
            hidden: [FEATURES, WIDTH]
                .map(|inputs| LinearConfig::new(inputs, WIDTH).init(device))
                .into(),
            norms: (0..if normalized { 2 } else { 0 }).map(norm).collect(),
            output: LinearConfig::new(WIDTH, 1).init(device),
        };
        mlp.visit(&mut Draw);
        mlp
    }

    pub fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (layer, hidden) in self.hidden.iter().enumerate() {
            x = hidden.forward(x);
            if let Some(norm) = self.norms.get(layer) {
                x = norm.forward(x);
            }
            x = Relu::new().forward(x);
        }
        self.output.forward(x)
    }

    /// Mean squared error.
    pub fn loss(&self, (x, y): (Tensor<2>, Tensor<2>)) -> Tensor<1> {
        (self.forward(x) - y).powi_scalar(2).mean()
    }
}

/// Draws all weights now; Burn would draw them on first use.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        let _ = weight.val();
    }
}

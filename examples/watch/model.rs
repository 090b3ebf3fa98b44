//! Two convolutions and two linear layers.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};

#[derive(Module, Debug)]
pub struct Net {
    first: Conv2d,
    second: Conv2d,
    hidden: Linear,
    output: Linear,
}

impl Net {
    pub fn new(device: &Device) -> Self {
        Self {
            first: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            second: Conv2dConfig::new([8, 16], [3, 3]).with_stride([2, 2]).init(device),
            hidden: LinearConfig::new(16 * 2 * 2, 48).init(device),
            output: LinearConfig::new(48, 10).init(device),
        }
    }

    /// The logits, and on the way what the units gave: rows, units, and places if there are any.
    pub fn forward(&self, x: Tensor<4>) -> (Tensor<2>, [(&'static str, Tensor<3>); 3]) {
        let relu = Relu::new();
        let first = relu.forward(self.first.forward(x));
        let second = relu.forward(self.second.forward(first.clone()));
        let hidden = relu.forward(self.hidden.forward(second.clone().flatten(1, 3)));
        let logits = self.output.forward(hidden.clone());
        let units = [
            ("first", first.flatten(2, 3)),
            ("second", second.flatten(2, 3)),
            ("hidden", hidden.unsqueeze_dim(2)),
        ];
        (logits, units)
    }
}

/// The share of units that are 0 for every row and at every place.
pub fn dead(units: Tensor<3>) -> Tensor<1> {
    let largest = units.abs().max_dim(0).max_dim(2);
    largest.equal_elem(0.0).float().mean()
}

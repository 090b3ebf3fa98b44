//! Two convolutions and two linear layers.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use evenkeel::monitor::Probe;

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

    pub fn forward(&self, x: Tensor<4>, probe: &Probe) -> Tensor<2> {
        let relu = Relu::new();
        let x = probe.watch("first", relu.forward(self.first.forward(x)));
        let x = probe.watch("second", relu.forward(self.second.forward(x)));
        let x = probe.watch("hidden", relu.forward(self.hidden.forward(x.flatten(1, 3))));
        self.output.forward(x)
    }
}

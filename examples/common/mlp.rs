//! A model shared by two of the examples: a network of three layers, with one of three optimizers.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use evenkeel::optim::{Adam, Momentum, Sgd};
use evenkeel::{Builder, Error, Keel};
use rand::SeedableRng;
use rand::rngs::StdRng;

#[derive(Module, Debug)]
pub struct Mlp {
    pub first: Linear,
    pub second: Linear,
    pub last: Linear,
}

impl Mlp {
    /// Creates a network whose weights `draw` draws, given the number of inputs. Each network has a separate random
    /// number generator, as runs are parallel.
    pub fn new(
        [inputs, hidden, outputs]: [usize; 3],
        seed: u64,
        draw: fn(&mut StdRng, f32) -> f32,
        device: &Device,
    ) -> Self {
        let net = Self {
            first: LinearConfig::new(inputs, hidden).init(device),
            second: LinearConfig::new(hidden, hidden).init(device),
            last: LinearConfig::new(hidden, outputs).init(device),
        };
        net.map(&mut Fill { draws: StdRng::seed_from_u64(seed), draw })
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = relu(self.first.forward(x));
        self.last.forward(relu(self.second.forward(x)))
    }
}

struct Fill {
    draws: StdRng,
    draw: fn(&mut StdRng, f32) -> f32,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let shape = tensor.shape();
            let n = shape.num_elements();
            let inputs = shape[0] as f32;
            // Biases start at 0, but use up the same number of draws.
            let mut value = || match (self.draw)(&mut self.draws, inputs) {
                _ if D == 1 => 0.0,
                weight => weight,
            };
            let values: Vec<f32> = (0..n).map(|_| value()).collect();
            Tensor::from_data(TensorData::new(values, shape), &tensor.device()).require_grad()
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    Sgd,
    Momentum,
    Adam,
}

impl Method {
    pub const ALL: [Self; 3] = [Self::Sgd, Self::Momentum, Self::Adam];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "SGD",
            Self::Momentum => "momentum",
            Self::Adam => "Adam",
        }
    }

    pub fn keel(self) -> Result<Builder<Mlp>, Error> {
        Ok(match self {
            Self::Sgd => Keel::wrap(Sgd::new()),
            Self::Momentum => Keel::wrap(Momentum::new(0.9)?),
            Self::Adam => Keel::wrap(Adam::new()),
        })
    }
}

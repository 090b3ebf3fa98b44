//! Models that consist of matrices only: a few large ones, or many small ones.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};

/// A number of square matrices of equal width.
#[derive(Module, Debug)]
pub struct Matrices {
    pub all: Vec<Param<Tensor<2>>>,
}

impl Matrices {
    pub fn new(count: usize, width: usize, device: &Device) -> Self {
        let matrix = |_| {
            let value = Tensor::random([width, width], Distribution::Uniform(-0.1, 0.1), device);
            Param::from_tensor(value)
        };
        Self { all: (0..count).map(matrix).collect() }
    }

    /// Gradients in separate buffers, as a backward pass leaves them.
    pub fn gradients(&self, of: &[Tensor<2>]) -> GradientsParams {
        let mut grads = GradientsParams::new();
        for (param, grad) in self.all.iter().zip(of) {
            grads.register(param.id, grad.clone().add_scalar(0.0));
        }
        grads
    }
}

/// The tensors that gradients of such a model are copied from.
pub fn random(count: usize, width: usize, device: &Device) -> Vec<Tensor<2>> {
    let noise = Distribution::Normal(0.0, 0.01);
    (0..count).map(|_| Tensor::random([width, width], noise, device)).collect()
}

/// Name, number of matrices, and their width.
pub const CASES: [(&str, usize, usize); 6] = [
    ("0.04M few", 2, 141),
    ("0.04M many", 100, 20),
    ("4M few", 4, 1024),
    ("4M many", 1000, 64),
    ("25M few", 6, 2048),
    ("25M many", 6144, 64),
];

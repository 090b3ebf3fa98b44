//! Five nets that are hard to train at a high rate, for different reasons.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use evenkeel::monitor::Probe;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sixteen layers, one after the other.
    Plain,
    /// The same with a residual connection around each layer.
    Residual,
    /// The same with a LayerNorm before each layer as well.
    PreNorm,
    /// Four convolutions and a layer.
    Conv,
    /// Sixteen layers, each with a BatchNorm.
    BatchNorm,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Plain, Self::Residual, Self::PreNorm, Self::Conv, Self::BatchNorm];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Residual => "residual",
            Self::PreNorm => "pre-norm",
            Self::Conv => "conv",
            Self::BatchNorm => "batch-norm",
        }
    }
}

#[derive(Module, Debug)]
pub struct Net {
    first: Linear,
    middle: Vec<Linear>,
    layer_norms: Vec<LayerNorm>,
    batch_norms: Vec<BatchNorm>,
    convs: Vec<Conv2d>,
    last: Linear,
    #[module(skip)]
    kind: Kind,
}

const WIDTH: usize = 64;
const DEPTH: usize = 16;

impl Net {
    pub fn new(kind: Kind, device: &Device) -> Self {
        // A residual connection adds to the output of a layer: with a higher gain, the last layers would drown the
        // first.
        let gain = if kind == Kind::Residual { 1.0 } else { 2f64.sqrt() };
        let he = Initializer::KaimingNormal { gain, fan_out_only: false };
        let linear =
            |from, to| LinearConfig::new(from, to).with_initializer(he.clone()).init(device);
        let conv = |from, to| {
            let padding = burn::nn::PaddingConfig2d::Same;
            Conv2dConfig::new([from, to], [3, 3])
                .with_padding(padding)
                .with_initializer(he.clone())
                .init(device)
        };
        let layers = if kind == Kind::Conv { 0 } else { DEPTH - 2 };
        let some = |yes: bool| if yes { layers } else { 0 };
        Self {
            first: linear(64, WIDTH),
            middle: (0..layers).map(|_| linear(WIDTH, WIDTH)).collect(),
            layer_norms: (0..some(kind == Kind::PreNorm))
                .map(|_| LayerNormConfig::new(WIDTH).init(device))
                .collect(),
            batch_norms: (0..some(kind == Kind::BatchNorm))
                .map(|_| BatchNormConfig::new(WIDTH).init(device))
                .collect(),
            convs: match kind {
                Kind::Conv => vec![conv(1, 8), conv(8, 8), conv(8, 8), conv(8, 8)],
                _ => Vec::new(),
            },
            last: linear(if kind == Kind::Conv { 8 * 64 } else { WIDTH }, 10),
            kind,
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.watched(x, &Probe::off())
    }

    /// The same, with the outputs of all linear layers shown under their paths.
    pub fn watched(&self, x: Tensor<2>, probe: &Probe) -> Tensor<2> {
        if self.kind == Kind::Conv {
            let [rows, _] = x.dims();
            let images = x.reshape([rows, 1, 8, 8]);
            let seen = self.convs.iter().fold(images, |x, conv| relu(conv.forward(x)));
            return self.last.forward(seen.reshape([rows, 8 * 64]));
        }
        let mut x = probe.watch("first", self.first.forward(x));
        for (at, layer) in self.middle.iter().enumerate() {
            let layer = |x| probe.watch(&format!("middle.{at}"), layer.forward(x));
            x = match self.kind {
                Kind::Residual => x.clone() + layer(relu(x)),
                Kind::PreNorm => x.clone() + layer(relu(self.layer_norms[at].forward(x))),
                Kind::BatchNorm => layer(relu(self.batch_norms[at].forward(x))),
                _ => layer(relu(x)),
            };
        }
        probe.watch("last", self.last.forward(relu(x)))
    }
}

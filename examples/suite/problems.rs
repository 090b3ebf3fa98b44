//! Problems that only the suite has: a transformer whose logits can be limited, a recurrent net without gates, and
//! other starts for networks of sixteen layers.

use std::num::ParseFloatError;
use std::ops::Range;

use burn::module::{Module, ParamGroup};
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::activation::{gelu, log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor};
use evenkeel::Error;
use evenkeel::init::{Lsuv, scale_residuals};
use evenkeel::logits::{QkNorm, ZLoss, soft_cap};
use evenkeel::trust::TrustRegion;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::nets::Net;
use crate::tasks::{Chars, Cost, Data, Deep, LENGTH, Row, Rows, Tabular, Task, digits, seeded};

/// What the weights of a network start from, instead of He's initialization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Each layer's output has a variance of 1 on a batch.
    Lsuv,
    /// Branches are divided by the root of their number.
    ScaledResiduals,
}

/// A network of sixteen layers with another start.
pub struct Started {
    pub deep: Deep,
    pub start: Start,
}

impl Tabular for Started {
    type Net = Net;

    fn name(&self) -> String {
        Tabular::name(&self.deep)
    }

    fn target(&self) -> f64 {
        Tabular::target(&self.deep)
    }

    fn data(&self) -> &Data {
        &self.deep.data
    }

    fn net(&self, seed: u64, device: &Device) -> Result<Net, Error> {
        let net = Tabular::net(&self.deep, seed, device)?;
        match self.start {
            Start::ScaledResiduals => {
                scale_residuals(net, 14, &ParamGroup::from_predicate("middle"))
            }
            Start::Lsuv => {
                let middle = (0..14).map(|at| format!("middle.{at}"));
                let layers = ["first".to_string()].into_iter().chain(middle);
                let layers = layers.chain(["last".to_string()]);
                let rows: Vec<usize> = (0..256).collect();
                let (x, _) = self.deep.data.batch(&rows, device);
                // The weights stay as drawn, since orthonormal ones would be drawn from the generator of all runs.
                let lsuv = Lsuv::new(layers)?.keep_weights();
                Ok(lsuv.fit(&net, |net, probe| drop(net.watched(x.clone(), probe)))?.model)
            }
        }
    }

    fn forward(&self, net: &Net, x: Tensor<2>) -> Tensor<2> {
        net.forward(x)
    }
}

/// Digits, through eight layers without a norm.
pub fn eight_layers() -> Result<Rows, ParseFloatError> {
    let data = Data::new(digits()?, Cost::CrossEntropy);
    Ok(Rows { name: "eight-layers", data, hidden: vec![64; 7], share: 0.1 })
}

/// What limits the logits of a transformer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    pub qk_norm: bool,
    /// Attention's at 20, the output's at 30.
    pub caps: bool,
    pub z_loss: bool,
}

impl Limits {
    pub const NONE: Self = Self { qk_norm: false, caps: false, z_loss: false };
    pub const ALL: Self = Self { qk_norm: true, caps: true, z_loss: true };
}

const WIDTH: usize = 32;
const HEADS: usize = 4;

/// Predicting the next letter of English prose with two layers of attention, each after a LayerNorm.
pub struct Letters {
    pub limits: Limits,
    /// The text.
    chars: Chars,
}

impl Letters {
    pub fn new(limits: Limits) -> Self {
        Self { limits, chars: Chars::transformer(WIDTH, 2) }
    }
}

#[derive(Module, Debug)]
struct Block {
    before: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    qk: Option<QkNorm>,
    between: LayerNorm,
    wide: Linear,
    narrow: Linear,
}

#[derive(Module, Debug)]
pub struct Transformer {
    letters: Embedding,
    places: Embedding,
    blocks: Vec<Block>,
    last: LayerNorm,
    output: Linear,
}

fn heads(x: Tensor<3>) -> Tensor<4> {
    let [rows, length, width] = x.dims();
    x.reshape([rows, length, HEADS, width / HEADS]).swap_dims(1, 2)
}

impl Block {
    fn new(limits: Limits, device: &Device) -> Result<Self, Error> {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        let norm = || LayerNormConfig::new(WIDTH).init(device);
        Ok(Self {
            before: norm(),
            query: linear(WIDTH, WIDTH),
            key: linear(WIDTH, WIDTH),
            value: linear(WIDTH, WIDTH),
            output: linear(WIDTH, WIDTH),
            qk: limits.qk_norm.then(|| QkNorm::new(WIDTH / HEADS, device)).transpose()?,
            between: norm(),
            wide: linear(WIDTH, 2 * WIDTH),
            narrow: linear(2 * WIDTH, WIDTH),
        })
    }

    fn forward(&self, x: Tensor<3>, limits: Limits) -> Tensor<3> {
        let [rows, length, width] = x.dims();
        let seen = self.before.forward(x.clone());
        let (mut q, mut k) =
            (heads(self.query.forward(seen.clone())), heads(self.key.forward(seen.clone())));
        if let Some(norm) = &self.qk {
            (q, k) = norm.forward(q, k).expect("both are heads of one size");
        }
        let mut scores = q.matmul(k.swap_dims(2, 3)) / ((width / HEADS) as f64).sqrt();
        if limits.caps {
            scores = soft_cap(scores, 20.0).expect("20 is a cap");
        }
        let mask = generate_autoregressive_mask(rows, length, &x.device());
        let scores = scores.mask_fill(mask.unsqueeze_dim::<4>(1), -1e4);
        let said = softmax(scores, 3).matmul(heads(self.value.forward(seen)));
        let said = said.swap_dims(1, 2).reshape([rows, length, width]);
        let x = x + self.output.forward(said);
        let wide = gelu(self.wide.forward(self.between.forward(x.clone())));
        x + self.narrow.forward(wide)
    }
}

impl Task for Letters {
    type Net = Transformer;

    fn name(&self) -> String {
        "letters".to_string()
    }

    fn target(&self) -> f64 {
        self.chars.target()
    }

    fn trivial(&self) -> f64 {
        self.chars.trivial()
    }

    fn net(&self, seed: u64, device: &Device) -> Result<Transformer, Error> {
        let classes = self.chars.classes;
        seeded(seed, device, || {
            let blocks: Result<Vec<Block>, Error> =
                (0..2).map(|_| Block::new(self.limits, device)).collect();
            Ok(Transformer {
                letters: EmbeddingConfig::new(classes, WIDTH).init(device),
                places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
                blocks: blocks?,
                last: LayerNormConfig::new(WIDTH).init(device),
                output: LinearConfig::new(WIDTH, classes).init(device),
            })
        })
    }

    fn loss(&self, net: &Transformer, rows: &[usize], device: &Device) -> Tensor<1> {
        let next = self.chars.window(rows, 1, device).flatten::<1>(0, 1).unsqueeze_dim::<2>(1);
        let logits = self.seen(net, rows, device);
        let loss = -log_softmax(logits.clone(), 1).gather(1, next).mean();
        // Only while it trains: what is reported is the cross entropy.
        match self.limits.z_loss && device.is_autodiff() {
            true => loss + ZLoss::new(1e-4).expect("a coefficient").forward(logits),
            false => loss,
        }
    }

    fn seen(&self, net: &Transformer, rows: &[usize], device: &Device) -> Tensor<2> {
        let letters = self.chars.window(rows, 0, device);
        let at = Tensor::<1, Int>::arange(0..LENGTH as i64, device).unsqueeze::<2>();
        let x = net.letters.forward(letters) + net.places.forward(at);
        let x = net.blocks.iter().fold(x, |x, block| block.forward(x, self.limits));
        let logits = net.output.forward(net.last.forward(x)).flatten::<2>(0, 1);
        match self.limits.caps {
            true => soft_cap(logits, 30.0).expect("30 is a cap"),
            false => logits,
        }
    }

    fn trust(&self) -> Result<TrustRegion, Error> {
        self.chars.trust()
    }

    fn train(&self) -> Range<usize> {
        self.chars.train()
    }

    fn held_out(&self) -> Range<usize> {
        self.chars.held_out()
    }
}

/// A recurrent net without gates, whose recurrence starts with a gain of 1.5: its gradient explodes with the length.
pub struct Recurrence {
    name: &'static str,
    data: Data,
    /// The number of inputs of each step.
    step: usize,
    target: f64,
}

impl Recurrence {
    /// Digits, read in sixteen parts of four pixels.
    pub fn digits() -> Result<Self, ParseFloatError> {
        let data = Data::new(digits()?, Cost::CrossEntropy);
        Ok(Self { name: "sequence", data, step: 4, target: 0.69 })
    }

    /// The sum of the two numbers, of thirty, that are marked.
    pub fn adding() -> Self {
        let mut draws = StdRng::seed_from_u64(11);
        let row = |_: usize| -> Row {
            let mut x = vec![0.0; 60];
            (0..30).for_each(|at| x[2 * at] = draws.random::<f32>());
            let marked = [draws.random_range(0..15), draws.random_range(15..30)];
            marked.iter().for_each(|at| x[2 * at + 1] = 1.0);
            let sum = marked.iter().map(|at| x[2 * at]).sum();
            (x, vec![sum])
        };
        let data = Data::new((0..2000).map(row).collect(), Cost::Squared);
        let target = 0.9 * data.trivial;
        Self { name: "adding", data, step: 2, target }
    }
}

#[derive(Module, Debug)]
pub struct Cells {
    reads: Linear,
    repeats: Linear,
    output: Linear,
}

impl Tabular for Recurrence {
    type Net = Cells;

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn target(&self) -> f64 {
        self.target
    }

    fn data(&self) -> &Data {
        &self.data
    }

    fn net(&self, seed: u64, device: &Device) -> Result<Cells, Error> {
        let gain = Initializer::XavierNormal { gain: 1.5 };
        let outputs = self.data.rows[0].1.len();
        seeded(seed, device, || {
            let repeats = LinearConfig::new(WIDTH, WIDTH).with_initializer(gain.clone());
            Ok(Cells {
                reads: LinearConfig::new(self.step, WIDTH).init(device),
                repeats: repeats.init(device),
                output: LinearConfig::new(WIDTH, outputs).init(device),
            })
        })
    }

    fn forward(&self, net: &Cells, x: Tensor<2>) -> Tensor<2> {
        let [rows, inputs] = x.dims();
        let start = Tensor::zeros([rows, WIDTH], &x.device());
        let state = (0..inputs / self.step).fold(start, |state, at| {
            let part = x.clone().narrow(1, at * self.step, self.step);
            (net.reads.forward(part) + net.repeats.forward(state)).tanh()
        });
        net.output.forward(state)
    }
}

//! The problems: model, data, and the loss that counts as trained.

use std::num::ParseFloatError;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig, Lstm, LstmConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::Error;
use evenkeel::trust::TrustRegion;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::nets::{Kind, Net};

/// A problem.
pub trait Task: Sync {
    type Net: Module + 'static;

    fn name(&self) -> String;

    /// The training loss from which a run counts as trained.
    fn target(&self) -> f64;

    /// The loss of the best constant prediction.
    fn trivial(&self) -> f64;

    fn net(&self, seed: u64, device: &Device) -> Result<Self::Net, Error>;

    /// The mean loss over these rows.
    fn loss(&self, net: &Self::Net, rows: &[usize], device: &Device) -> Tensor<1>;

    /// The outputs that a trust region limits: the logits for these rows, or the errors of a regression.
    fn seen(&self, net: &Self::Net, rows: &[usize], device: &Device) -> Tensor<2>;

    /// The trust region that matches these outputs.
    fn trust(&self) -> Result<TrustRegion, Error>;

    fn train(&self) -> Range<usize>;

    fn held_out(&self) -> Range<usize>;
}

/// A problem whose batches are rows of features and targets.
pub trait Tabular: Sync {
    type Net: Module + 'static;

    fn name(&self) -> String;

    fn target(&self) -> f64;

    fn data(&self) -> &Data;

    fn net(&self, seed: u64, device: &Device) -> Result<Self::Net, Error>;

    fn forward(&self, net: &Self::Net, x: Tensor<2>) -> Tensor<2>;
}

impl<T: Tabular> Task for T {
    type Net = T::Net;

    fn name(&self) -> String {
        Tabular::name(self)
    }

    fn target(&self) -> f64 {
        Tabular::target(self)
    }

    fn trivial(&self) -> f64 {
        self.data().trivial
    }

    fn net(&self, seed: u64, device: &Device) -> Result<T::Net, Error> {
        Tabular::net(self, seed, device)
    }

    fn loss(&self, net: &T::Net, rows: &[usize], device: &Device) -> Tensor<1> {
        let (x, y) = self.data().batch(rows, device);
        self.data().cost.of(self.forward(net, x), y)
    }

    fn seen(&self, net: &T::Net, rows: &[usize], device: &Device) -> Tensor<2> {
        let (x, y) = self.data().batch(rows, device);
        self.data().cost.seen(self.forward(net, x), y)
    }

    fn trust(&self) -> Result<TrustRegion, Error> {
        self.data().cost.trust()
    }

    fn train(&self) -> Range<usize> {
        0..self.data().train
    }

    fn held_out(&self) -> Range<usize> {
        self.data().train..self.data().rows.len()
    }
}

/// The loss of a trained net over training rows and over held-out rows; infinite if it is not a number.
pub fn final_losses<T: Task>(task: &T, net: &T::Net, device: &Device) -> [f64; 2] {
    [task.train(), task.held_out()].map(|range| {
        // A subset that is large enough, at regular intervals over the whole.
        let step = (range.len() / 512).max(1);
        let rows: Vec<usize> = range.step_by(step).collect();
        let loss = f64::from(task.loss(net, &rows, device).into_scalar::<f32>());
        if loss.is_finite() { loss } else { f64::INFINITY }
    })
}

/// Initializes a net from the device's generator, which parallel runs share: one net at a time, and all of it.
pub fn seeded<M: Module>(
    seed: u64,
    device: &Device,
    make: impl FnOnce() -> Result<M, Error>,
) -> Result<M, Error> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    Ok(make()?.materialize())
}

fn numbers(text: &str, header: usize) -> Result<Vec<Vec<f32>>, ParseFloatError> {
    let row = |line: &str| line.split(',').map(str::parse).collect();
    text.lines().skip(header).map(row).collect()
}

fn one_hot(class: usize, of: usize) -> Vec<f32> {
    (0..of).map(|k| f32::from(u8::from(k == class))).collect()
}

pub type Row = (Vec<f32>, Vec<f32>);

/// Pixels from 0 to 1, and the class.
pub fn digits() -> Result<Vec<Row>, ParseFloatError> {
    let row = |cells: Vec<f32>| {
        let (pixels, class) = cells.split_at(64);
        (pixels.iter().map(|ink| ink / 16.0).collect(), one_hot(class[0] as usize, 10))
    };
    Ok(numbers(include_str!("../data/digits.csv"), 0)?.into_iter().map(row).collect())
}

fn wine() -> Result<Vec<Row>, ParseFloatError> {
    let row = |mut cells: Vec<f32>| {
        let mark = cells.pop().unwrap_or_default();
        (cells, vec![mark])
    };
    Ok(numbers(include_str!("../data/wine_quality_red.csv"), 1)?.into_iter().map(row).collect())
}

/// Standardizes each column by its mean and deviation.
fn standardize(rows: &mut [Row], of: fn(&mut Row) -> &mut Vec<f32>) {
    let (n, columns) = (rows.len() as f32, rows.first_mut().map_or(0, |row| of(row).len()));
    for column in 0..columns {
        let mean = rows.iter_mut().map(|row| of(row)[column]).sum::<f32>() / n;
        let square = rows.iter_mut().map(|row| (of(row)[column] - mean).powi(2)).sum::<f32>() / n;
        rows.iter_mut().for_each(|row| of(row)[column] = (of(row)[column] - mean) / square.sqrt());
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cost {
    CrossEntropy,
    Squared,
}

impl Cost {
    pub fn of(self, out: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        match self {
            Self::CrossEntropy => -(log_softmax(out, 1) * y).sum_dim(1).mean(),
            Self::Squared => (out - y).powi_scalar(2).mean(),
        }
    }

    pub fn seen(self, out: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        match self {
            Self::CrossEntropy => out,
            Self::Squared => out - y,
        }
    }

    pub fn trust(self) -> Result<TrustRegion, Error> {
        match self {
            Self::CrossEntropy => TrustRegion::mean_kl(0.03),
            Self::Squared => TrustRegion::residual(0.3),
        }
    }

    /// The loss of the best constant prediction: the entropy of the classes, or the variance.
    fn trivial(self, rows: &[Row]) -> f64 {
        let (n, columns) = (rows.len() as f64, rows[0].1.len());
        let mean = |of: &dyn Fn(f64) -> f64, column: usize| {
            rows.iter().map(|(_, y)| of(f64::from(y[column]))).sum::<f64>() / n
        };
        let each = (0..columns).map(|column| {
            let level = mean(&|y| y, column);
            match self {
                Self::CrossEntropy if level == 0.0 => 0.0,
                Self::CrossEntropy => -level * level.ln(),
                Self::Squared => mean(&|y| (y - level).powi(2), column) / columns as f64,
            }
        });
        each.sum()
    }
}

/// Rows of features and targets.
pub struct Data {
    pub rows: Vec<Row>,
    pub train: usize,
    pub cost: Cost,
    pub trivial: f64,
}

impl Data {
    pub fn new(mut rows: Vec<Row>, cost: Cost) -> Self {
        rows.shuffle(&mut StdRng::seed_from_u64(1));
        let train = rows.len() * 4 / 5;
        let trivial = cost.trivial(&rows[..train]);
        Self { rows, train, cost, trivial }
    }

    pub fn batch(&self, at: &[usize], device: &Device) -> (Tensor<2>, Tensor<2>) {
        let of = |part: fn(&Row) -> &Vec<f32>| {
            let values: Vec<f32> =
                at.iter().flat_map(|&row| part(&self.rows[row]).iter().copied()).collect();
            let columns = part(&self.rows[0]).len();
            Tensor::from_data(TensorData::new(values, [at.len(), columns]), device)
        };
        (of(|row| &row.0), of(|row| &row.1))
    }
}

/// Sixteen layers on digits.
pub struct Deep {
    pub kind: Kind,
    pub data: Data,
}

impl Deep {
    pub fn digits(kind: Kind) -> Result<Self, ParseFloatError> {
        let mut rows = digits()?;
        rows.iter_mut().for_each(|(x, _)| x.iter_mut().for_each(|ink| *ink = 2.0 * *ink - 1.0));
        Ok(Self { kind, data: Data::new(rows, Cost::CrossEntropy) })
    }
}

impl Tabular for Deep {
    type Net = Net;

    fn name(&self) -> String {
        self.kind.name().to_string()
    }

    fn target(&self) -> f64 {
        0.347
    }

    fn data(&self) -> &Data {
        &self.data
    }

    fn net(&self, seed: u64, device: &Device) -> Result<Net, Error> {
        seeded(seed, device, || Ok(Net::new(self.kind, device)))
    }

    fn forward(&self, net: &Net, x: Tensor<2>) -> Tensor<2> {
        net.forward(x)
    }
}

#[derive(Module, Debug)]
pub struct Stack {
    layers: Vec<Linear>,
}

impl Stack {
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().enumerate().fold(x, |x, (at, layer)| match at {
            0 => layer.forward(x),
            _ => layer.forward(relu(x)),
        })
    }
}

/// A few layers on the rows of a table.
pub struct Rows {
    pub name: &'static str,
    pub data: Data,
    pub hidden: Vec<usize>,
    /// The share of the trivial loss that counts as trained.
    pub share: f64,
}

impl Rows {
    /// Eleven raw measurements with scales from 0.001 to 100, and a quality score.
    pub fn raw_wine() -> Result<Self, ParseFloatError> {
        let data = Data::new(wine()?, Cost::Squared);
        Ok(Self { name: "raw-wine", data, hidden: vec![64, 64], share: 0.9 })
    }

    pub fn standardized_wine() -> Result<Self, ParseFloatError> {
        let mut rows = wine()?;
        standardize(&mut rows, |row| &mut row.0);
        standardize(&mut rows, |row| &mut row.1);
        let data = Data::new(rows, Cost::Squared);
        Ok(Self { name: "standardized-wine", data, hidden: vec![64, 64], share: 0.65 })
    }

    /// Thirty measurements with scales from 0.001 to 4000.
    pub fn raw_cancer() -> Result<Self, ParseFloatError> {
        let row = |mut cells: Vec<f32>| {
            let class = cells.pop().unwrap_or_default();
            (cells, one_hot(class as usize, 2))
        };
        let rows = numbers(include_str!("../data/breast_cancer.csv"), 0)?;
        let data = Data::new(rows.into_iter().map(row).collect(), Cost::CrossEntropy);
        Ok(Self { name: "raw-cancer", data, hidden: vec![32, 32], share: 0.4 })
    }

    /// Digits, compressed to eight numbers and reconstructed.
    pub fn autoencoder() -> Result<Self, ParseFloatError> {
        let rows = digits()?.into_iter().map(|(x, _)| (x.clone(), x)).collect();
        let data = Data::new(rows, Cost::Squared);
        Ok(Self { name: "autoencoder", data, hidden: vec![32, 8, 32], share: 0.5 })
    }

    /// A smooth function of eight numbers, with noise of which one in fifty values is ten times as large.
    pub fn heavy_tails() -> Self {
        let mut draws = StdRng::seed_from_u64(7);
        let mut even = move || 2.0 * draws.random::<f32>() - 1.0;
        let rows = (0..2000).map(|row| {
            let x: Vec<f32> = (0..8).map(|_| 2.0 * even()).collect();
            let noise = even() * if row % 50 == 0 { 10.0 } else { 0.5 };
            let y = 2.0 * (x[0] + x[1]).sin() + x[2] * x[3] + noise;
            (x, vec![y])
        });
        let data = Data::new(rows.collect(), Cost::Squared);
        Self { name: "heavy-tails", data, hidden: vec![64, 64], share: 0.7 }
    }

    /// Whether a digit is an eight; few of them are kept.
    pub fn imbalanced() -> Result<Self, ParseFloatError> {
        let rows = digits()?.into_iter().enumerate().filter_map(|(at, (x, y))| {
            let eight = y[8] == 1.0;
            (!eight || at % 5 == 0).then(|| (x, one_hot(usize::from(eight), 2)))
        });
        let data = Data::new(rows.collect(), Cost::CrossEntropy);
        Ok(Self { name: "imbalanced", data, hidden: vec![32, 32], share: 0.4 })
    }
}

impl Tabular for Rows {
    type Net = Stack;

    fn name(&self) -> String {
        self.name.to_string()
    }

    fn target(&self) -> f64 {
        self.share * self.data.trivial
    }

    fn data(&self) -> &Data {
        &self.data
    }

    fn net(&self, seed: u64, device: &Device) -> Result<Stack, Error> {
        let (x, y) = &self.data.rows[0];
        let mut sizes = vec![x.len()];
        sizes.extend(&self.hidden);
        sizes.push(y.len());
        let he = Initializer::KaimingUniform { gain: 2f64.sqrt(), fan_out_only: false };
        seeded(seed, device, || {
            let layer = |pair: &[usize]| {
                LinearConfig::new(pair[0], pair[1]).with_initializer(he.clone()).init(device)
            };
            Ok(Stack { layers: sizes.windows(2).map(layer).collect() })
        })
    }

    fn forward(&self, net: &Stack, x: Tensor<2>) -> Tensor<2> {
        net.forward(x)
    }
}

#[derive(Module, Debug)]
pub struct Reader {
    letters: Embedding,
    places: Option<Embedding>,
    blocks: Option<TransformerEncoder>,
    cells: Option<Lstm>,
    output: Linear,
}

pub const LENGTH: usize = 32;

/// Predicting the next letter of English prose.
pub struct Chars {
    name: String,
    text: Vec<i64>,
    pub classes: usize,
    trivial: f64,
    width: usize,
    /// Layers of the transformer; 0 for a recurrent net.
    layers: usize,
}

impl Chars {
    pub fn recurrent() -> Self {
        Self::new("lstm".to_string(), 32, 0)
    }

    pub fn transformer(width: usize, layers: usize) -> Self {
        Self::new(format!("transformer-{width}x{layers}"), width, layers)
    }

    fn new(name: String, width: usize, layers: usize) -> Self {
        let text = include_str!("../data/prose.txt").as_bytes();
        let mut known = text.to_vec();
        known.sort_unstable();
        known.dedup();
        let number = |letter: &u8| known.binary_search(letter).map_or(0, |at| at as i64);
        let text: Vec<i64> = text.iter().map(number).collect();
        let share = |k: usize| {
            text.iter().filter(|letter| **letter == k as i64).count() as f64 / text.len() as f64
        };
        let trivial = (0..known.len()).map(|k| -share(k) * share(k).ln()).sum();
        Self { name, classes: known.len(), text, trivial, width, layers }
    }

    /// Windows of letters, shifted by `by` from the start of each row.
    pub fn window(&self, rows: &[usize], by: usize, device: &Device) -> Tensor<2, Int> {
        // A row of 32 letters counts as eight rows of other problems.
        let starts = rows.iter().step_by(8);
        let values: Vec<i64> =
            starts.clone().flat_map(|&at| &self.text[at + by..][..LENGTH]).copied().collect();
        Tensor::from_data(TensorData::new(values, [starts.len(), LENGTH]), device)
    }

    /// The end of the training windows.
    fn split(&self) -> usize {
        self.text.len() * 4 / 5
    }
}

impl Task for Chars {
    type Net = Reader;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn target(&self) -> f64 {
        2.45
    }

    fn trivial(&self) -> f64 {
        self.trivial
    }

    fn net(&self, seed: u64, device: &Device) -> Result<Reader, Error> {
        let Self { width, layers, classes, .. } = *self;
        seeded(seed, device, || {
            Ok(Reader {
                letters: EmbeddingConfig::new(classes, width).init(device),
                places: (layers > 0).then(|| EmbeddingConfig::new(LENGTH, width).init(device)),
                blocks: (layers > 0).then(|| {
                    TransformerEncoderConfig::new(width, 2 * width, 4, layers)
                        .with_dropout(0.0)
                        .with_norm_first(true)
                        .init(device)
                }),
                cells: (layers == 0).then(|| LstmConfig::new(width, 64, true).init(device)),
                output: LinearConfig::new(if layers == 0 { 64 } else { width }, classes)
                    .init(device),
            })
        })
    }

    fn loss(&self, net: &Reader, rows: &[usize], device: &Device) -> Tensor<1> {
        let next = self.window(rows, 1, device).flatten::<1>(0, 1).unsqueeze_dim::<2>(1);
        -log_softmax(self.seen(net, rows, device), 1).gather(1, next).mean()
    }

    fn seen(&self, net: &Reader, rows: &[usize], device: &Device) -> Tensor<2> {
        let letters = self.window(rows, 0, device);
        let rows = letters.dims()[0];
        let mut seen = net.letters.forward(letters);
        if let Some(places) = &net.places {
            let at = Tensor::<1, Int>::arange(0..LENGTH as i64, device).unsqueeze::<2>();
            seen = seen + places.forward(at);
        }
        if let Some(blocks) = &net.blocks {
            let mask = generate_autoregressive_mask(rows, LENGTH, device);
            seen = blocks.forward(TransformerEncoderInput::new(seen).mask_attn(mask));
        }
        if let Some(cells) = &net.cells {
            seen = cells.forward(seen, None).0;
        }
        net.output.forward(seen).flatten::<2>(0, 1)
    }

    fn trust(&self) -> Result<TrustRegion, Error> {
        TrustRegion::mean_kl(0.03)
    }

    fn train(&self) -> Range<usize> {
        0..self.split() - LENGTH
    }

    fn held_out(&self) -> Range<usize> {
        self.split()..self.text.len() - LENGTH - 1
    }
}

//! Healthy set-ups of the eight problems that the advice is tried on: nothing worse than a note is found.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, Lstm, LstmConfig, PaddingConfig2d,
};
use burn::optim::GradientsParams;
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::doctor::{Diagnosis, Doctor, Severity};
use evenkeel::standardize::Standardize;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

#[path = "../../examples/common/rows.rs"]
mod rows;

use rows::{Row, letters, numbers, one_hot};

/// The number of rows of a batch.
const BATCH: usize = 32;

/// Draws weights as Burn does by default, from a generator that no other test uses.
struct Draw(StdRng);

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let shape = tensor.shape();
            let most = match D {
                0 | 1 => return tensor,
                2 => (shape[0] as f32).powf(-0.5),
                _ => (shape[1..].iter().product::<usize>() as f32).powf(-0.5),
            };
            let mut draw = || self.0.random_range(-most..most);
            let values: Vec<f32> = (0..shape.num_elements()).map(|_| draw()).collect();
            Tensor::from_data(TensorData::new(values, shape), &tensor.device()).require_grad()
        })
    }
}

fn drawn<M: Module>(model: M) -> M {
    model.map(&mut Draw(StdRng::seed_from_u64(8)))
}

fn shuffled(mut rows: Vec<Row>) -> Vec<Row> {
    rows.shuffle(&mut StdRng::seed_from_u64(1));
    rows
}

fn tensors(rows: &[Row], device: &Device) -> (Tensor<2>, Tensor<2>) {
    let of = |part: fn(&Row) -> &Vec<f32>| {
        let columns = part(&rows[0]).len();
        let values: Vec<f32> = rows.iter().flat_map(|row| part(row).iter().copied()).collect();
        Tensor::from_data(TensorData::new(values, [rows.len(), columns]), device)
    };
    (of(|row| &row.0), of(|row| &row.1))
}

#[derive(Module, Debug)]
struct Layers {
    reads: Option<Lstm>,
    convs: Vec<Conv2d>,
    batch_norms: Vec<BatchNorm>,
    layers: Vec<Linear>,
    layer_norms: Vec<LayerNorm>,
}

impl Layers {
    fn new(sizes: &[usize], device: &Device) -> Self {
        let layer = |pair: &[usize]| LinearConfig::new(pair[0], pair[1]).init(device);
        let layers = sizes.windows(2).map(layer).collect();
        let (convs, batch_norms) = (Vec::new(), Vec::new());
        Self { reads: None, convs, batch_norms, layers, layer_norms: Vec::new() }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [rows, columns] = x.dims();
        let mut x = match &self.reads {
            // Letters, eight of them.
            Some(lstm) => lstm.forward(x.reshape([rows, 8, columns / 8]), None).1.hidden,
            None => x,
        };
        if !self.convs.is_empty() {
            let mut image = x.reshape([rows, 1, 8, 8]);
            for (conv, norm) in self.convs.iter().zip(&self.batch_norms) {
                image = relu(norm.forward(conv.forward(image)));
            }
            x = image.flatten(1, 3);
        }
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(if at == 0 { x } else { relu(x) });
            if let Some(norm) = self.layer_norms.get(at) {
                x = norm.forward(x);
            }
        }
        x
    }
}

fn squares(said: &Tensor<2>, is: &Tensor<2>) -> Tensor<1> {
    (said.clone() - is.clone()).powi_scalar(2).mean()
}

fn entropy(said: &Tensor<2>, is: &Tensor<2>) -> Tensor<1> {
    -(log_softmax(said.clone(), 1) * is.clone()).sum_dim(1).mean()
}

/// Shows the doctor all that there is.
fn examined(net: &Layers, (x, y): (Tensor<2>, Tensor<2>), classes: Option<usize>) -> Diagnosis {
    let out = net.forward(x.clone());
    let loss = if classes.is_some() { entropy(&out, &y) } else { squares(&out, &y) };
    let grads = GradientsParams::from_grads(loss.backward(), net);
    let doctor = match net.convs.is_empty() {
        true => Doctor::new().features(&x),
        false => Doctor::new().features(&x.clone().reshape([-1, 1, 8, 8])),
    };
    let doctor = doctor.unwrap().batch(BATCH).unwrap();
    let doctor = match classes {
        Some(classes) => {
            let labels: Tensor<2, Int> = y.argmax(1);
            doctor.labels(&labels, classes).unwrap().order(&labels.float()).unwrap()
        }
        None => doctor.targets(&y).unwrap().order(&y).unwrap(),
    };
    let doctor = doctor.outputs(&out).unwrap().loss(&loss).unwrap().model(net).unwrap();
    let doctor = doctor.gradients(net, &grads).unwrap();
    doctor.function(&x.narrow(0, 0, BATCH), |x| net.forward(x)).unwrap().finish()
}

#[track_caller]
fn healthy(diagnosis: &Diagnosis) {
    assert!(diagnosis.worst() <= Some(Severity::Note), "{diagnosis}");
}

fn wine() -> Vec<Row> {
    let rows = numbers(include_str!("../../examples/data/wine_quality_red.csv")).into_iter();
    let row = |mut cells: Vec<f32>| {
        let mark = cells.pop().unwrap();
        (cells, vec![mark])
    };
    shuffled(rows.map(row).collect())
}

fn cancer() -> Vec<Row> {
    let rows = numbers(include_str!("../../examples/data/breast_cancer.csv")).into_iter();
    let row = |mut cells: Vec<f32>| {
        let class = cells.pop().unwrap();
        (cells, one_hot(class as usize, 2))
    };
    shuffled(rows.map(row).collect())
}

/// Pixels from -1 to 1.
fn digits() -> Vec<Row> {
    let rows = numbers(include_str!("../../examples/data/digits.csv")).into_iter();
    let row = |cells: Vec<f32>| {
        let x = cells[..64].iter().map(|ink| ink / 8.0 - 1.0).collect();
        (x, one_hot(cells[64] as usize, 10))
    };
    shuffled(rows.map(row).collect())
}

#[test]
fn standardized_regression_is_healthy() {
    let device = Device::flex().autodiff();
    let (x, y) = tensors(&wine(), &device);
    let inputs = Standardize::fit_robust([x.clone()]).unwrap();
    let targets = Standardize::fit_robust([y.clone()]).unwrap();
    let net = drawn(Layers::new(&[11, 32, 32, 1], &device));
    healthy(&examined(&net, (inputs.forward(x), targets.forward(y)), None));
}

#[test]
fn a_standardized_classifier_is_healthy() {
    let device = Device::flex().autodiff();
    let (x, y) = tensors(&cancer(), &device);
    let inputs = Standardize::fit_robust([x.clone()]).unwrap();
    let net = drawn(Layers::new(&[30, 32, 32, 2], &device));
    healthy(&examined(&net, (inputs.forward(x), y), Some(2)));
}

#[test]
fn regression_without_outliers_is_healthy() {
    let device = Device::flex().autodiff();
    let mut draws = StdRng::seed_from_u64(5);
    let row = |_: usize| {
        let x: Vec<f32> = (0..8).map(|_| draws.random_range(-1.7..1.7)).collect();
        let y = x[0] * x[1] + x[2].sin() - 0.5 * x[3];
        (x, vec![y])
    };
    let rows: Vec<Row> = (0..2000).map(row).collect();
    let net = drawn(Layers::new(&[8, 32, 32, 1], &device));
    healthy(&examined(&net, tensors(&rows, &device), None));
}

#[test]
fn an_autoencoder_of_scaled_pixels_is_healthy() {
    let device = Device::flex().autodiff();
    let (x, _) = tensors(&digits(), &device);
    let net = drawn(Layers::new(&[64, 32, 8, 32, 64], &device));
    healthy(&examined(&net, (x.clone(), x), None));
}

#[test]
fn twenty_normalized_layers_are_healthy() {
    let device = Device::flex().autodiff();
    let mut sizes = vec![64];
    sizes.extend([32; 20]);
    sizes.push(10);
    let mut net = Layers::new(&sizes, &device);
    net.layer_norms = (0..20).map(|_| LayerNormConfig::new(32).init(&device)).collect();
    healthy(&examined(&drawn(net), tensors(&digits(), &device), Some(10)));
}

#[test]
fn convolutions_with_batch_norm_are_healthy() {
    let device = Device::flex().autodiff();
    let mut net = Layers::new(&[512, 10], &device);
    let conv = |from, to| {
        let config = Conv2dConfig::new([from, to], [3, 3]);
        config.with_padding(PaddingConfig2d::Same).init(&device)
    };
    net.convs = vec![conv(1, 8), conv(8, 8)];
    net.batch_norms = (0..2).map(|_| BatchNormConfig::new(8).init(&device)).collect();
    let rows = digits();
    healthy(&examined(&drawn(net), tensors(&rows[..400], &device), Some(10)));
}

#[test]
fn a_recurrent_net_is_healthy() {
    let device = Device::flex().autodiff();
    let rows = shuffled(letters(8, 20));
    let (inputs, classes) = (rows[0].0.len() / 8, rows[0].1.len());
    let mut net = Layers::new(&[32, 32, classes], &device);
    net.reads = Some(LstmConfig::new(inputs, 32, true).init(&device));
    healthy(&examined(&drawn(net), tensors(&rows, &device), Some(classes)));
}

#[derive(Module, Debug)]
struct Transformer {
    letters: Embedding,
    blocks: TransformerEncoder,
    output: Linear,
}

#[test]
fn a_transformer_is_healthy() {
    let device = Device::flex().autodiff();
    let rows = shuffled(letters(16, 40));
    let classes = rows[0].1.len();
    let net = drawn(Transformer {
        letters: EmbeddingConfig::new(classes, 32).init(&device),
        blocks: TransformerEncoderConfig::new(32, 64, 4, 2)
            .with_dropout(0.0)
            .with_norm_first(true)
            .init(&device),
        output: LinearConfig::new(32, classes).init(&device),
    });
    let (x, y) = tensors(&rows[..256], &device);
    let letters: Tensor<2, Int> = x.reshape([256, 16, classes]).argmax(2).squeeze_dim(2);
    let mask = generate_autoregressive_mask(256, 16, &device);
    let seen = TransformerEncoderInput::new(net.letters.forward(letters)).mask_attn(mask);
    let seen = net.blocks.forward(seen);
    let out = net.output.forward(seen.narrow(1, 15, 1).squeeze_dim::<2>(1));
    let loss = entropy(&out, &y);
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    let labels: Tensor<2, Int> = y.argmax(1);
    let doctor = Doctor::new().labels(&labels, classes).unwrap().outputs(&out).unwrap();
    let doctor = doctor.order(&labels.float()).unwrap().loss(&loss).unwrap().model(&net).unwrap();
    healthy(&doctor.gradients(&net, &grads).unwrap().finish());
}

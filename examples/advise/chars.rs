//! Predicting the next letter of English prose with a small transformer.

use burn::module::Module;
use burn::nn::attention::generate_autoregressive_mask;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::Error;
use evenkeel::advise::Advisor;
use evenkeel::doctor::{Diagnosis, Doctor};

/// Letters, and the letter that follows each.
pub type Batch = (Tensor<2, Int>, Tensor<2, Int>);

const TEXT: &str = include_str!("../data/prose.txt");
const ROWS: usize = 8;
const LENGTH: usize = 32;
const WIDTH: usize = 32;

/// The text, with its letters numbered from 0, and the number of distinct letters.
fn letters() -> (Vec<i64>, usize) {
    let mut known: Vec<u8> = TEXT.bytes().collect();
    known.sort_unstable();
    known.dedup();
    let number = |letter: u8| known.binary_search(&letter).map_or(0, |at| at as i64);
    (TEXT.bytes().map(number).collect(), known.len())
}

/// Splits the text: the second part is held out.
fn cut(text: &[i64]) -> (&[i64], &[i64]) {
    text.split_at(text.len() / 5 * 4)
}

/// Windows from all over the text: each begins 1009 letters after the last one, wrapping around.
fn batch(k: u64, text: &[i64], rows: usize, device: &Device) -> Batch {
    let begin = |row: usize| (k as usize * rows + row) * 1009 % (text.len() - LENGTH - 1);
    let window = |by: usize| -> Vec<i64> {
        (0..rows).flat_map(|row| &text[begin(row) + by..][..LENGTH]).copied().collect()
    };
    let tensor = |values| Tensor::from_data(TensorData::new(values, [rows, LENGTH]), device);
    (tensor(window(0)), tensor(window(1)))
}

#[derive(Module, Debug)]
struct Net {
    letters: Embedding,
    places: Embedding,
    blocks: TransformerEncoder,
    output: Linear,
}

impl Net {
    /// With the norms after each block, as in the first transformers, or before it.
    fn new(norm_first: bool, classes: usize, seed: u64, device: &Device) -> Self {
        device.seed(seed);
        let blocks = TransformerEncoderConfig::new(WIDTH, 2 * WIDTH, 4, 2)
            .with_dropout(0.0)
            .with_norm_first(norm_first)
            .init(device);
        Self {
            letters: EmbeddingConfig::new(classes, WIDTH).init(device),
            places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            blocks,
            output: LinearConfig::new(WIDTH, classes).init(device),
        }
    }

    fn loss(&self, (x, y): Batch) -> Tensor<1> {
        let (device, [rows, length]) = (x.device(), x.dims());
        let places = Tensor::<1, Int>::arange(0..length as i64, &device).unsqueeze::<2>();
        let seen = self.letters.forward(x) + self.places.forward(places);
        let mask = generate_autoregressive_mask(rows, length, &device);
        let seen = self.blocks.forward(TransformerEncoderInput::new(seen).mask_attn(mask));
        let logits = self.output.forward(seen).flatten::<2>(0, 1);
        CrossEntropyLossConfig::new().init(&device).forward(logits, y.flatten::<1>(0, 1))
    }
}

pub fn examine(device: &Device) -> Result<Diagnosis, Error> {
    let (text, classes) = letters();
    let (x, y) = batch(0, cut(&text).0, 128, device);
    let net = Net::new(false, classes, 0, device);
    let loss = net.loss((x, y.clone()));
    let grads = GradientsParams::from_grads(loss.backward(), &net);
    let doctor = Doctor::new().labels(&y, classes)?.loss(&loss)?;
    Ok(doctor.model(&net)?.gradients(&net, &grads)?.finish())
}

pub fn advisor(device: &Device) -> Result<Advisor<'_, Batch>, Error> {
    let (text, classes) = letters();
    let (seen, held) = cut(&text);
    let (seen, held) = (seen.to_vec(), held.to_vec());
    let batch = move |k: u64, text: &[i64]| batch(k, text, ROWS, device);
    let net = move |norm_first| move |seed| Net::new(norm_first, classes, seed, device);
    Advisor::new(net(false), Net::loss, move |k| batch(k, &seen))
        .variant("norm first", net(true), Net::loss)
        .held_out(8, move |k| batch(k, &held))
}

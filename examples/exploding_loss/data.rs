//! The wine quality data: raw measurements, a raw target, and batches of both.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;

const CSV: &str = include_str!("../data/wine_quality_red.csv");
pub const FEATURES: usize = 11;

/// Rows of eleven measurements and the quality score given by tasters.
#[derive(Clone)]
pub struct Table {
    rows: Vec<([f32; FEATURES], f32)>,
}

/// Training rows and test rows.
pub struct Split {
    pub train: Table,
    pub test: Table,
}

/// The data, shuffled by `seed`; four fifths of it is for training.
pub fn wine(seed: u64) -> Split {
    let row = |line: &str| {
        let mut columns = line.split(',').map(|number| number.parse().expect("a number"));
        let features = std::array::from_fn(|_| columns.next().expect("eleven measurements"));
        (features, columns.next().expect("the quality"))
    };
    let mut rows: Vec<_> = CSV.lines().skip(1).map(row).collect();
    rows.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
    let test = rows.split_off(rows.len() * 4 / 5);
    Split { train: Table { rows }, test: Table { rows: test } }
}

impl Table {
    /// Standardizes each column by its mean and its standard deviation in `train`.
    pub fn standardized(&self, train: &Table) -> Self {
        let n = train.rows.len() as f32;
        let mut rows = self.rows.clone();
        for column in 0..FEATURES {
            let values = || train.rows.iter().map(|(x, _)| x[column]);
            let mean = values().sum::<f32>() / n;
            let std = (values().map(|x| (x - mean).powi(2)).sum::<f32>() / n).sqrt();
            for (x, _) in &mut rows {
                x[column] = (x[column] - mean) / std;
            }
        }
        Self { rows }
    }

    /// The mean squared error of always predicting `train`'s mean: the baseline for any model.
    pub fn error_of_the_mean(&self, train: &Table) -> f64 {
        let mean =
            train.rows.iter().map(|(_, y)| f64::from(*y)).sum::<f64>() / train.rows.len() as f64;
        self.rows.iter().map(|(_, y)| (f64::from(*y) - mean).powi(2)).sum::<f64>()
            / self.rows.len() as f64
    }

    pub fn all(&self, device: &Device) -> (Tensor<2>, Tensor<2>) {
        tensors(self.rows.iter(), self.rows.len(), device)
    }

    /// The `k`-th batch of `size` rows, from an endless sequence.
    pub fn batch(&self, k: usize, size: usize, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let rows = self.rows.iter().cycle().skip(k * size % self.rows.len()).take(size);
        tensors(rows, size, device)
    }
}

fn tensors<'a>(
    rows: impl Iterator<Item = &'a ([f32; FEATURES], f32)>,
    n: usize,
    device: &Device,
) -> (Tensor<2>, Tensor<2>) {
    let (x, y): (Vec<_>, Vec<_>) = rows.copied().unzip();
    (
        Tensor::from_data(TensorData::new(x.concat(), [n, FEATURES]), device),
        Tensor::from_data(TensorData::new(y, [n, 1]), device),
    )
}

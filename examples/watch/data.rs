//! The digits: pixels from 0 to 1; the last 297 rows are kept for testing.

use burn::tensor::{Device, Int, Tensor, TensorData};
use evenkeel::monitor::Probe;

use crate::model::Net;

const BATCH: usize = 64;
const TEST: usize = 297;

pub struct Digits {
    x: Vec<f32>,
    y: Vec<i32>,
}

impl Digits {
    pub fn read() -> Result<Self, Box<dyn std::error::Error>> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for line in include_str!("../data/digits.csv").lines() {
            let row = line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>()?;
            let (label, pixels) = row.split_last().ok_or("an empty line")?;
            x.extend(pixels.iter().map(|pixel| pixel / 16.0));
            y.push(*label as i32);
        }
        Ok(Self { x, y })
    }

    /// Rows in a different order for each seed. One batch in a hundred has a broken pixel.
    pub fn batch(&self, seed: u64, step: u64, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let rows = (self.y.len() - TEST) as u64;
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for k in 0..BATCH as u64 {
            // A stride that shares no divisor with the number of rows visits each of them.
            let at = ((step * BATCH as u64 + k) * 577 + 31 * seed) % rows;
            let at = at as usize;
            x.extend_from_slice(&self.x[64 * at..64 * (at + 1)]);
            y.push(self.y[at]);
        }
        if step % 100 == 60 {
            x[64 * 5 + 20] = f32::NAN;
        }
        shaped(x, y, device)
    }

    /// The share of the test rows that are classified correctly.
    pub fn accuracy(&self, model: &Net, device: &Device) -> f64 {
        let from = self.y.len() - TEST;
        let (x, y) = (self.x[64 * from..].to_vec(), self.y[from..].to_vec());
        let (x, y) = shaped(x, y, device);
        let said = model.forward(x, &Probe::off()).argmax(1).flatten::<1>(0, 1);
        let right: f32 = said.equal(y).float().mean().into_scalar();
        f64::from(right)
    }
}

fn shaped(x: Vec<f32>, y: Vec<i32>, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let rows = y.len();
    (
        Tensor::from_data(TensorData::new(x, [rows, 1, 8, 8]), device),
        Tensor::from_data(TensorData::new(y, [rows]), device),
    )
}

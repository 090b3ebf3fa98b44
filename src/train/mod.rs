#![doc = include_str!("../docs/train.md")]

mod factor;
mod guarded;
mod inner;
mod loss;
mod metric;
mod rates;
mod slot;
mod trainer;
mod window;

pub use factor::LossFactor;
pub use guarded::Guarded;
pub use loss::TrainLoss;
pub use metric::KeelMetric;
pub use rates::Rates;
pub use trainer::KeelTrainer;

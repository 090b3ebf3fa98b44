//! What would help *this* model on *this* data: remedies, measured one by one and together.
//!
//! An [`Advisor`] is told how the model is built, what its loss on a batch is, what the batches are, and what is
//! held out. It trains fresh models by each [`Recipe`], at all rates from the lowest to the highest, over several
//! seeds, and says which recipe to use, at which rate, what each part of it is worth, and what is reached by it.
//!
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::advise::{Advisor, Aim};
//!
//! # fn main() -> Result<(), evenkeel::Error> {
//! let device = Device::default().autodiff();
//! // Ten rows, again and again.
//! let row = |k: u64| {
//!     let k = k % 10;
//!     Tensor::<2>::from_floats([[k as f32 - 5.0, (k * k % 7) as f32]], &device)
//! };
//!
//! let advice = Advisor::new(
//!     |seed| {
//!         device.seed(seed);
//!         LinearConfig::new(2, 1).init(&device)
//!     },
//!     |model: &Linear, x: Tensor<2>| (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean(),
//!     row,
//! )
//! .holding_out(10)?
//! .aim(Aim::LowestLoss)?
//! .over(20)?
//! .seeds(1)?
//! .rates(1e-3, 1.0)?
//! .run()?;
//!
//! println!("{advice}");
//! assert!(advice.outcomes().len() > 5);
//! # Ok(())
//! # }
//! ```
//!
//! # What is measured
//!
//! Plain descent first, and what is done to data and model: standardized features, standardized targets with
//! predictions turned back, both, and the variants that were supplied. Then each remedy of training alone: a
//! warm-up over a tenth of the run, a cosine, a clip of the whole gradient, one of each unit, AutoClip, ZClip, the
//! governor, a guard against spikes, the [recommended set-up](crate::Builder::recommended), momentum, Nesterov's,
//! Adam, AdamW with bounded updates. Then what was best of the data and the model with each optimizer: bare, with
//! clip, warm-up and cosine, with the recommended set-up, warm-up and cosine, and under the governor.
//!
//! A run's loss is that on the [held-out](Advisor::held_out) batches: their median, and of that the median of five
//! looks in the last quarter of the run. Its training loss, the median of its last tenth, stands beside it. Means
//! would be led by a single wild batch. A run of `over` updates is
//!
//! - *stable*, if everything stays finite and its training loss is not above that of the untrained model, by more than
//!   the first batches differ; a rate is stable if all seeds are, and so are all lower rates down to the best one;
//! - *hopeless*, and ended early, once the median of 10 losses is further above the start than 100 times the start,
//!   or what was gained by then, whichever is the most: losses around 0, and below, are losses like any other.
//!
//! Each recipe is looked at at one rate a decade with one seed, from the highest down to where nothing is learnt,
//! and then more closely where it is good, with every seed. What was best for another recipe says nothing of this
//! one, and a plateau is no end. The best recipes, and plain descent, are looked at
//! [between those rates](Advisor::confirm), and run with fresh seeds; where those are not all stable, a lower rate is
//! taken. What was best among many rates is a little lucky with the seeds that it was chosen by, and these were not.
//!
//! # What is recommended
//!
//! Not the lowest loss, but the simplest recipe that is not worse than that by more than chance, nor by more than a
//! [tolerance](Advisor::tolerance), a share of what there is to gain over plain descent. To find it the best one is
//! measured without each of its parts, and without all that it can do without, until nothing simpler is as good.
//! What the loss of each part costs is said in the text, the most important part first. Where nothing comes below
//! the untrained model by more than chance, nothing is recommended.
//!
//! A highest stable rate is no aim of its own: what is stable may learn nothing, which is why the best rate
//! and what is reached at it stand beside it. And short runs favour what is fast early: high rates without a decay,
//! large momentum, little regularization. Give a run as many updates as decide the matter. A tenth of a training
//! run is a start.
//!
//! # What the order is worth
//!
//! Among 35 recipes and with 3 seeds somebody is ahead by chance, so the search alone says nothing of that
//! kind. The recipes that were confirmed are ranked by fresh seeds alone, compared seed by seed by
//! [Wilcoxon's signed ranks](Advice::chance), and the chance is multiplied by the number of all pairs, since
//! it is the same seeds that say which one is first. The text says how many of them cannot be told apart from
//! the first.
//!
//! Held-out batches that chose a recipe are a little too kind to it, as validation data always is. Keep a test set
//! for the end.
//!
//! # Why it does not search as the finder does
//!
//! [`StableRate`](crate::finder::StableRate) searches one edge from below, seed by seed, at a constant rate, from copies
//! of one model. Here a rate has to hold for all seeds at once, the models are fresh, the rate may follow a
//! schedule, and the valley counts, not the edge. What both share is [`Keel`](crate::Keel).

mod advice;
mod advisor;
mod confidence;
mod decision;
mod html;
mod outcome;
mod paste;
mod plan;
mod plot;
mod predictor;
mod print;
mod recipe;
mod run;
mod search;
mod session;
mod split;
mod table;
mod trial;

pub use advice::Advice;
pub use advisor::{Advisor, Stage};
pub use decision::Worth;
pub use outcome::{Aim, Outcome, Point};
pub use predictor::Predictor;
pub use recipe::{Bound, Change, Method, Recipe, Safety};

//! What would help *this* model on *this* data: remedies, measured one by one and together.
//!
//! An [`Advisor`] is told how the model is built, what its loss on a batch is, and what the batches are.
//! It trains fresh models by each [`Recipe`], at rates up and down from where it works, over several seeds,
//! and says how high the rate may go, which rate is best, and what is reached by it.
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
//! Plain descent first; then each remedy alone on top of it: standardized features, the variants that were
//! supplied, warm-ups of 10 and of 100 updates, a cosine, a clip of the whole gradient, one of each unit,
//! AutoClip, ZClip, the governor, momentum, Nesterov's, Adam, AdamW with bounded updates. Then what was best
//! of the data and the model with each optimizer, bare and with clip, warm-up and cosine, and under the
//! governor. A run of `over` updates is
//!
//! - *stable*, if everything stays finite and the mean loss of its last tenth is not above the loss of the
//!   untrained model; a rate is stable if all seeds are, and so are all lower rates down to the best one;
//! - *hopeless*, and ended early, once the median of 10 losses is above 100 times that of the untrained
//!   model.
//!
//! Rates are two a decade at first. Then the best recipes, and plain descent, are looked at
//! [more closely](Advisor::confirm): the rates beside the best one, and the edge, known to a factor of 1.2
//! then and of √10 elsewhere. Each of them is then run at its best rate with fresh seeds; where those are not
//! all stable, a lower one is taken. What was best among many rates is a little lucky with the seeds that it
//! was chosen by, and these were not.
//!
//! A highest stable rate is no aim of its own: what is stable may learn nothing, which is why the best rate
//! and what is reached at it stand beside it. And short runs favour what is fast early: give a run as many
//! updates as decide the matter. A tenth of a training run is a start.
//!
//! # What the order is worth
//!
//! Among 25 recipes and with 3 seeds somebody is ahead by chance, so the search alone says nothing of that
//! kind. The recipes that were confirmed are ranked by fresh seeds alone, compared seed by seed by
//! [Wilcoxon's signed ranks](Advice::chance), and the chance is multiplied by the number of all pairs, since
//! it is the same seeds that say which one is first. The text says which of them cannot be told apart from
//! the first. 10 seeds are the fewest that can tell six recipes apart at 5 %. All of this is about the
//! training loss of short runs on your batches: what a model is worth on data that it has not seen is
//! another question.
//!
//! Held against a grid of every recipe at every rate, two a decade, with seeds that the advice never had
//! (`examples/advise -- wine --grid`, `-- digits --grid 3`): the first of the advice was the grid's first on
//! both, and Kendall's τ of the two whole orders was 0.83 on the wines (24 recipes, 5 seeds) and 0.64 on the
//! digits (23 recipes, 3 seeds). Of the grid's best five the advice had four in its first six, on
//! both: the first place is to be relied on more than the middle. The grid runs by the same
//! trainer, so that it checks the search and the ranking, and not that.
//!
//! # Why it does not search as the finder does
//!
//! [`StableRate`](crate::finder::StableRate) searches one edge from below, seed by seed, at a constant rate, from copies
//! of one model. Here a rate has to hold for all seeds at once, the models are fresh, the rate may follow a
//! schedule, and the valley counts, not the edge. What both share is [`Keel`](crate::Keel), and the rule that a
//! run is hopeless at 100 times the loss that it began with.

mod advice;
mod advisor;
mod confidence;
mod html;
mod outcome;
mod plan;
mod plot;
mod recipe;
mod search;
mod session;
mod table;
mod trial;

pub use advice::Advice;
pub use advisor::{Advisor, Stage};
pub use outcome::{Aim, Outcome, Point};
pub use recipe::{Bound, Method, Recipe};

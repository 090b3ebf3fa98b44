//! Training advice for *this* model on *this* data: remedies, measured one by one and in combination.
//!
//! An [`Advisor`] is given closures that build the model, compute its loss on a batch, and return the training batches,
//! as well as held-out data. It trains fresh models with each [`Recipe`], over a range of learning rates and several
//! seeds, and reports which recipe to use, at which rate, what each of its parts is worth, and the loss that it
//! reaches.
//!
//! ```
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//! use evenkeel::advise::{Advisor, Objective};
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
//! .objective(Objective::LowestLoss)?
//! .over(20)?
//! .seeds(1)?
//! .between(1e-3, 1.0)?
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
//! First plain gradient descent, and the changes to data and model: standardized features, standardized targets with
//! predictions turned back, both, and the variants that were supplied. Then the best choice of data and model with each
//! optimizer: bare, with clipping, warmup and cosine, with the recommended set-up, warmup and cosine, and under the
//! governor. Then each change to training alone: a warmup over a tenth of the run, cosine decay, clipping of the whole
//! gradient, clipping per unit, AutoClip, ZClip, the governor, a guard against spikes, the
//! [recommended set-up](crate::Builder::recommended), momentum, Nesterov momentum, Adam, and AdamW with bounded updates.
//!
//! The loss of a run is measured on the [held-out](Advisor::held_out) batches: the median over these batches, and of
//! that the median over five evaluations in the last quarter of the run. The training loss, the median over the last
//! tenth of the run, is reported as well. A single outlier batch would dominate a mean. A run of `over` updates is
//!
//! - *stable*, if everything stays finite and its final training loss is not above that of the untrained model by more
//!   than the first batches differ; a rate is stable if it is stable for all seeds, and so are all lower rates down to
//!   the best one;
//! - *hopeless*, and ended early, once the median of 10 losses exceeds the start by more than 100 times the start or
//!   the gain so far, whichever is larger: losses around 0, and negative ones, are treated like any others.
//!
//! Each recipe is first tried at one rate per decade with one seed, from the highest down to where nothing is learned,
//! and then more closely around the best rate. Recipes that are among the best so far go on with every seed around
//! their good rates, until all of the best have been measured so. The best rate of another recipe says nothing about
//! this one, and the search does not stop at a plateau. The best recipes, and plain descent, are then tried
//! [between those rates](Advisor::confirm) and run with fresh seeds; if these are not all stable, a lower rate is
//! taken. The best of many rates is biased towards the seeds that it was chosen by; the fresh seeds are not. At last,
//! the rate of the recommended recipe is chosen among its three best with more seeds.
//!
//! # What is recommended
//!
//! The recommendation is not the recipe with the lowest loss, but the simplest recipe that is as good: worse by no more
//! than a [tolerance](Advisor::tolerance), a share of the possible gain over plain descent, or by no more than a tenth of
//! that gain and not significantly. To find it, the best recipe is measured without each of its parts, and without all
//! the parts that it can do without, until nothing simpler is as good. The text lists the parts, the most important
//! first, with the cost of leaving each one out. If no recipe ends significantly below the untrained model, nothing is
//! recommended.
//!
//! The highest stable rate is not a useful goal in itself: a stable run may learn nothing, which is why the best rate
//! and the loss reached at it are reported as well. And short runs favor recipes that are fast early: high rates
//! without decay, large momentum, little regularization. Choose runs long enough to decide the matter. A tenth of a
//! training run is a start.
//!
//! # How far to trust the ranking
//!
//! Among 35 recipes with 3 seeds, one is ahead by chance, so the search alone does not establish a ranking. The
//! confirmed recipes are ranked by fresh seeds only, compared seed by seed with
//! [Wilcoxon's signed-rank test](Advice::chance), and the chance is multiplied by the number of all pairs, because the
//! same seeds decide which recipe is first. The text says how many of them cannot be told apart from the first.
//!
//! The held-out loss of a recipe that was chosen by it is slightly optimistic, as with any validation data. Keep a test
//! set for the end.
//!
//! # How well it holds
//!
//! `examples/advise` has problems that the advice can be held against. With `--grid 4`, every recipe is trained at every
//! rate, two per decade, with four other seeds. τ is Kendall's, between the order of the advice and that of the grid.
//! What following the advice loses is a share of the gap between plain descent and the grid's best, first by the grid,
//! and then with 20 seeds that neither has seen: the grid's best is the lowest of hundreds of medians of few seeds, which
//! is lower than what its recipe comes to.
//!
//! | held-out loss of | τ | the grid's best is | lost, by the grid | with 20 new seeds |
//! |---|---|---|---|---|
//! | a regression on raw columns (`wine`) | 0.73 | among the first three | 6 % | 5 ± 1 % |
//! | a classifier of raw columns (`cancer`) | 0.75 | seventh | 4 % | 1.7 ± 0.3 % |
//! | a regression with outliers (`outliers`), three other seeds | 0.87 | fourth | 2 % | 1.1 ± 0.1 % |
//! | an autoencoder of raw pixels (`pixels`) | 0.74 | fourth | 4 % | −12 ± 2 % |
//! | twenty layers (`deep`) | 0.79 | among the first three | 8 % | 0 ± 2 % |
//! | a small convolutional network (`digits`) | 0.56 | seventh | 17 % | −8 ± 8 % |
//! | an LSTM (`letters`), two other seeds | 0.74 | among the first three | 19 % | −2 ± 1 % |
//! | a transformer (`chars`), one other seed | 0.69 | among the first three | 8 % | 2 ± 2 % |
//!
//! A negative loss is a gain: the recommended recipe does better than what looked best in the grid. On the classifier and
//! with outliers, one of the first three is within 2 % of the grid's best. `digits` has the noisiest losses, and was
//! measured before rates closer than a factor of 1.8 were no longer looked at. The search takes less than a minute of one
//! core on the first four, two minutes on `digits`, under five on `deep` and `chars`, and more than six on `letters`.
//!
//! Losses are of 200 updates, and with `--longer 5,20` the best recipes are trained for 1000 and 4000. None of them
//! diverged, and the recommended one stayed ahead of plain descent: on `wine` (0.51 and 0.55, descent 0.79 and 0.65), on
//! the classifier (0.0003 and below 0.0001, descent 0.22 and 0.21), with outliers (0.07 and 0.09, descent 3900 and 20),
//! and for pixels (7.5 and 7.4, descent 26 and 19). On `wine` and with outliers, the held-out losses of most other recipes
//! rise again, because they overfit at rates that are best for 200 updates: with outliers,
//! `SGD + clip 1 + warmup 20 + cosine` ends at 0.07 after 200 updates and at 0.31 after 4000. Short runs favor high
//! rates; the text warns of rates that are constant.
//!
//! # How it differs from the finder
//!
//! [`StableRate`](crate::finder::StableRate) searches for one edge from below, seed by seed, at a constant rate, from
//! copies of one model. Here a rate has to hold for all seeds at once, the models are fresh, the rate may follow a
//! schedule, and the goal is the rate of lowest loss, not the edge. Both use [`Keel`](crate::Keel).

mod advice;
mod advisor;
mod confidence;
mod decision;
mod html;
mod log;
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
mod settings;
mod setup;
mod split;
mod table;
mod trial;

#[cfg(test)]
mod tests;

pub use advice::Advice;
pub use advisor::{Advisor, Stage};
pub use decision::Worth;
pub use outcome::{Objective, Outcome, Point};
pub use predictor::Predictor;
pub use recipe::{Bound, Change, Method, Recipe, Safety};

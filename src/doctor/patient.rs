//! What a doctor is shown.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};

use super::features::Seen;
use super::gradients::Slope;
use super::look::{self, Parameter};
use super::targets::Chance;
use super::{
    Diagnosis, Finding, Squash, features, gradients, optimizer, parameters, targets, units,
};
use crate::Error;
use crate::error::check::Param;
use crate::monitor::{integers, numbers, one_number};

/// Looks at a set-up, and says what is wrong: see [the module](super).
///
/// Everything is optional, and shown in any order; each check is made with what there is.
///
/// # Cost
/// Whatever is shown is read back whole, parameters and gradients included: something to do once, before
/// training.
#[derive(Debug, Clone, Default)]
#[must_use = "`finish` gives the diagnosis"]
pub struct Doctor {
    findings: Vec<Finding>,
    /// Rows of the features, and elements beside each column: pixels, or positions.
    batch: Option<(usize, usize)>,
    /// Rows of a batch in training.
    rows: Option<usize>,
    chance: Option<Chance>,
    loss: Option<f64>,
    /// How many outputs a row has, and all of them.
    outputs: Option<(usize, Vec<f64>)>,
    /// Lowest and highest of all targets.
    range: Option<(f64, f64)>,
    parameters: Vec<Parameter>,
    slopes: Vec<Slope>,
    epsilon: Option<f64>,
    decay: Option<f64>,
    line: Option<(f64, f64, f64)>,
}

/// The values of a tensor along one of its axes.
struct Columns {
    width: usize,
    /// How many elements each row has in each column: pixels.
    inner: usize,
    values: Vec<f64>,
}

impl Columns {
    /// Along the channels of images `[n, c, h, w]`, and along the last axis of everything else but of
    /// rank 1, which is one column.
    fn of<const D: usize>(tensor: Tensor<D>) -> Result<Self, Error> {
        let dims = tensor.dims();
        let (width, inner) = match D {
            0 | 1 => (1, 1),
            4 => (dims[1], dims[2] * dims[3]),
            _ => (dims[D - 1], 1),
        };
        Ok(Self { width, inner, values: numbers(tensor)? })
    }

    /// Each value, with its column.
    fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.values.iter().enumerate().map(|(at, &x)| (at / self.inner % self.width, x))
    }

    fn seen(&self) -> Vec<Seen> {
        let mut seen = vec![Seen::default(); self.width];
        let row = self.inner * self.width;
        let rows = self.iter().enumerate();
        rows.for_each(|(at, (column, x))| seen[column].push(x, at / row.max(1)));
        seen.iter_mut().for_each(Seen::settle);
        seen
    }
}

impl Doctor {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch of features, `[rows, columns]`, or of images `[rows, channels, height, width]`: as large a
    /// one as there is. Columns must not differ by more than 10 in scale, nor be of sizes above 10, nor
    /// have medians of more than 10 spreads; more than 1000 is severe. The spread is that of
    /// [`Quantiles`](crate::standardize::Quantiles): a wild row does not make a column wide. Rows more than 10
    /// spreads from the median are named.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn features<const D: usize>(mut self, x: &Tensor<D>) -> Result<Self, Error> {
        let columns = Columns::of(x.clone())?;
        self.batch = Some((x.dims().first().copied().unwrap_or(1), columns.inner));
        self.findings.extend(features::check(&columns.seen()));
        Ok(self)
    }

    /// How many rows a batch has in training, where the features that are shown are more or fewer: BatchNorm
    /// wants 8 values or more for each of its statistics. The pixels of [`features`](Self::features) count.
    ///
    /// # Errors
    /// If there are none.
    pub fn batch(mut self, rows: usize) -> Result<Self, Error> {
        Param("Doctor", "batch").at_least(1, rows as u64)?;
        self.rows = Some(rows);
        Ok(self)
    }

    /// Targets of a regression, `[rows, columns]` or `[rows]`. Each column should be of a size below 10, a
    /// spread above 0.1, and a median within 3 spreads of 0; a factor of 10 more is severe. Rows more than 10
    /// spreads away are named; a column of one value is a finding of its own.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn targets<const D: usize>(mut self, y: &Tensor<D>) -> Result<Self, Error> {
        let found = Columns::of(y.clone())?.seen();
        let all = || found.iter().filter_map(Seen::range);
        let low = all().map(|range| range.0).fold(f64::INFINITY, f64::min);
        self.range = Some((low, all().map(|range| range.1).fold(f64::NEG_INFINITY, f64::max)));
        // Averaged over columns, as a mean squared error is.
        let mean = |of: fn(&Seen) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        let variance = mean(|c| c.values.deviation().powi(2));
        self.chance = Some(Chance::Regression { variance, mean: mean(|c| c.values.mean) });
        self.findings.extend(targets::targets(&found));
        Ok(self)
    }

    /// Labels of a classification, from 0 on. The commonest class should have at most 10 times the rows of
    /// the rarest; where it has less than half of all rows, more than that is a note.
    ///
    /// # Errors
    /// If there are no classes, or the device cannot be read.
    pub fn labels<const D: usize>(
        mut self,
        labels: &Tensor<D, Int>,
        classes: usize,
    ) -> Result<Self, Error> {
        Param("Doctor", "classes").at_least(1, classes as u64)?;
        self.chance = Some(Chance::Classes(classes));
        self.findings.extend(targets::labels(&integers(labels.clone())?, classes));
        Ok(self)
    }

    /// What the loss is given, a row of outputs for each row that was shown. With [`labels`](Self::labels), logits:
    /// rows that are probabilities already have gone through a softmax, and a loss that takes logits would put them
    /// through another. With [`targets`](Self::targets), predictions: where all of them are on one side of 0 and
    /// some exactly 0, or all between 0 and 1 or −1 and 1, a function is in the way of targets beyond that.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn outputs<const D: usize>(mut self, outputs: &Tensor<D>) -> Result<Self, Error> {
        let dims = outputs.dims();
        let width = dims.last().copied().unwrap_or(1).max(1);
        self.outputs = Some((width, numbers(outputs.clone())?));
        Ok(self)
    }

    /// The targets of rows, `[rows]` or `[rows, columns]`, in the order in which training meets them, or the
    /// labels as floats: whether like follows like. By the first column, for which Bartels' rank ratio is taken; where
    /// neighbours are as far apart as any two, it is 2.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn order<const D: usize>(mut self, targets: &Tensor<D>) -> Result<Self, Error> {
        let dims = targets.dims();
        let width = if D > 1 { dims[D - 1].max(1) } else { 1 };
        let values = numbers(targets.clone())?;
        let first: Vec<f64> = values.iter().copied().step_by(width).collect();
        self.findings.extend(targets::order(&first));
        Ok(self)
    }

    /// The loss of the untrained model on what was shown: a mean cross-entropy in nats, where there are
    /// [`labels`](Self::labels), and a mean squared error, where there are [`targets`](Self::targets). It
    /// should be between half of what chance gives and 1.5 times that.
    ///
    /// # Errors
    /// If `loss` has not one element, or the device cannot be read.
    pub fn loss(mut self, loss: &Tensor<1>) -> Result<Self, Error> {
        one_number("loss", loss).map_err(|why| why.of("Doctor"))?;
        self.loss = numbers(loss.clone())?.first().copied();
        Ok(self)
    }

    /// The same for any other loss, with what chance gives of it.
    ///
    /// # Errors
    /// If `chance` is not positive and finite, if `loss` has not one element, or the device cannot be read.
    pub fn loss_against(mut self, loss: &Tensor<1>, chance: f64) -> Result<Self, Error> {
        self.chance = Some(Chance::Given(Param("Doctor", "chance").positive(chance)?));
        self.loss(loss)
    }

    /// The model: its parameters, and what its layers are called. Eight weight matrices or more want
    /// normalisation; whether there is any is told from layers with "Norm" in the names of their types.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn model<M: Module>(mut self, model: &M) -> Result<Self, Error> {
        self.parameters = look::parameters(model)?;
        self.findings.extend(parameters::check(&self.parameters));
        Ok(self)
    }

    /// The gradients of the first loss. From the first weights to the last they should not differ by more
    /// than 1000, and none should be more than 1000 times its weights; 10⁶ is severe.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn gradients<M: Module>(
        mut self,
        model: &M,
        grads: &GradientsParams,
    ) -> Result<Self, Error> {
        self.slopes = look::slopes(model, grads)?;
        self.findings.extend(gradients::check(&self.slopes));
        Ok(self)
    }

    /// An activation, with what it has gone through; units along the last axis, or along the channels of
    /// images. A tenth of dead units, or a quarter of the values where the function is flat, is a
    /// finding.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn activation<const D: usize>(
        mut self,
        name: &str,
        squash: Squash,
        values: &Tensor<D>,
    ) -> Result<Self, Error> {
        let columns = Columns::of(values.clone())?;
        let mut units = vec![Vec::new(); columns.width];
        columns.iter().for_each(|(unit, x)| units[unit].push(x));
        self.findings.extend(units::check(name, squash, &units));
        Ok(self)
    }

    /// The function that the model is, at these inputs: whether it bends at all. `forward` is that of
    /// `model.valid()`, so that rows do not depend on each other.
    ///
    /// It is taken at each row `a`, at the next one `b`, and half-way: `f(a) + f(b) − 2·f((a+b)/2)` is 0 of a
    /// line. Where several weight matrices make no more than one, their non-linearities are missing, or no
    /// row reaches them.
    ///
    /// # Errors
    /// If there are fewer than two rows, or the device cannot be read.
    ///
    /// # Cost
    /// Three forward passes.
    pub fn function<const D: usize, const E: usize>(
        mut self,
        x: &Tensor<D>,
        forward: impl Fn(Tensor<D>) -> Tensor<E>,
    ) -> Result<Self, Error> {
        let rows = x.dims()[0];
        Param("Doctor", "rows").at_least(2, rows as u64)?;
        let a = x.clone().slice(0..rows - 1);
        let b = x.clone().slice(1..rows);
        let middle = (a.clone() + b.clone()) * 0.5;
        let [a, b, middle] =
            [numbers(forward(a))?, numbers(forward(b))?, numbers(forward(middle))?];
        let norm =
            |of: &dyn Fn(usize) -> f64| (0..a.len()).map(|i| of(i).powi(2)).sum::<f64>().sqrt();
        let bend = norm(&|i| a[i] + b[i] - 2.0 * middle[i]);
        self.line = Some((bend, norm(&|i| a[i] - b[i]), norm(&|i| a[i])));
        Ok(self)
    }

    /// The weight decay that every parameter will have.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn weight_decay(mut self, decay: f64) -> Result<Self, Error> {
        self.decay = Some(Param("Doctor", "weight_decay").non_negative(decay)?);
        Ok(self)
    }

    /// The epsilon of an Adam. It should be below the typical element of every gradient.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn epsilon(mut self, epsilon: f64) -> Result<Self, Error> {
        self.epsilon = Some(Param("Doctor", "epsilon").non_negative(epsilon)?);
        Ok(self)
    }

    /// All that was found.
    pub fn finish(mut self) -> Diagnosis {
        let rms = |s: &Slope| Some((s.path.clone(), s.rms()?));
        let rms: Vec<(String, f64)> = self.slopes.iter().filter_map(rms).collect();
        let matrices = parameters::matrices(&self.parameters);
        let shown = self.batch.unwrap_or((1, 1));
        let rows = self.rows.map(|rows| (rows, shown.1)).or(self.batch);
        let outputs = self.outputs.as_ref();
        let late = [
            outputs.and_then(|(width, all)| targets::outputs(*width, all, self.chance, self.range)),
            self.loss.zip(self.chance).and_then(|(loss, chance)| targets::loss(loss, chance)),
            rows.and_then(|(n, inner)| parameters::small_batch(&self.parameters, n, inner)),
            self.line.and_then(|(bend, way, size)| units::line(bend, way, size, matrices)),
            self.decay.and_then(|decay| optimizer::decay(decay, &self.parameters)),
            self.epsilon.and_then(|epsilon| optimizer::epsilon(epsilon, &rms)),
        ];
        self.findings.extend(late.into_iter().flatten());
        Diagnosis::new(self.findings)
    }
}

//! The doctor, and the data it is shown.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};

use super::features::Seen;
use super::gradients::Slope;
use super::look::{self, Parameter};
use super::targets::Chance;
use super::{
    Diagnosis, Finding, Saturation, features, gradients, optimizer, parameters, targets, units,
};
use crate::Error;
use crate::error::check::Param;
use crate::monitor::{integers, numbers, one_number};

/// Checks a training set-up and reports what is wrong with it: see [the module](super).
///
/// Every part is optional, in any order; each check runs if the data it needs was given.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use evenkeel::doctor::{Check, Doctor};
///
/// let device = Device::default();
/// let labels = Tensor::<1, Int>::from_ints([0, 1, 1, 0, 1, 0, 0, 1], &device);
/// // Probabilities, where a cross-entropy expects logits.
/// let outputs = Tensor::<2>::ones([8, 2], &device) / 2.0;
///
/// let diagnosis = Doctor::new().labels(&labels, 2)?.outputs(&outputs)?.finish();
/// assert!(diagnosis.found(Check::WrongOutput).is_some());
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// # Cost
/// Everything that is shown is read back whole, parameters and gradients included: use it once, before training.
#[derive(Debug, Clone, Default)]
#[must_use = "`finish` gives the diagnosis"]
pub struct Doctor {
    findings: Vec<Finding>,
    /// Rows of the features, and elements per row and column: pixels, or positions.
    batch: Option<(usize, usize)>,
    /// Rows of a training batch.
    rows: Option<usize>,
    chance: Option<Chance>,
    loss: Option<f64>,
    /// The number of outputs per row, and all outputs.
    outputs: Option<(usize, Vec<f64>)>,
    /// The lowest and the highest of all targets.
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
    /// Elements per row and column: pixels.
    inner: usize,
    values: Vec<f64>,
}

impl Columns {
    /// Columns are the channels of images `[n, c, h, w]`, and otherwise lie along the last axis; a tensor of rank 1 is
    /// one column.
    fn of<const D: usize>(tensor: Tensor<D>) -> Result<Self, Error> {
        let dims = tensor.dims();
        let (width, inner) = match D {
            0 | 1 => (1, 1),
            4 => (dims[1], dims[2] * dims[3]),
            _ => (dims[D - 1], 1),
        };
        Ok(Self { width, inner, values: numbers(tensor)? })
    }

    /// Each value, with the index of its column.
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
    /// Creates a doctor without findings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a batch of features, `[rows, columns]`, or of images, `[rows, channels, height, width]`; the larger the
    /// better. It reports a finding if the scales of columns differ by more than a factor of 10, if the size of a
    /// column is above 10, or if its median is more than 10 spreads from 0; above 1000 it is severe. The spread is that
    /// of [`Quantiles`](crate::standardize::Quantiles): an outlier row does not make a column wide. Rows more than 10
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

    /// Sets the number of rows of a training batch, if it differs from that of the features shown. BatchNorm needs at
    /// least 8 values for each of its statistics; the pixels of [`features`](Self::features) count.
    ///
    /// # Errors
    /// If `rows` is 0.
    pub fn batch(mut self, rows: usize) -> Result<Self, Error> {
        Param("Doctor", "batch").at_least(1, rows as u64)?;
        self.rows = Some(rows);
        Ok(self)
    }

    /// Checks the targets of a regression, `[rows, columns]` or `[rows]`. Each column should have a size below 10, a
    /// spread above 0.1, and a median within 3 spreads of 0 or within 1.5; a further factor of 10 in size or spread is severe. Rows
    /// more than 10 spreads from the median are named; a constant column is a separate finding.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn targets<const D: usize>(mut self, y: &Tensor<D>) -> Result<Self, Error> {
        let found = Columns::of(y.clone())?.seen();
        let all = || found.iter().filter_map(Seen::range);
        let low = all().map(|range| range.0).fold(f64::INFINITY, f64::min);
        self.range = Some((low, all().map(|range| range.1).fold(f64::NEG_INFINITY, f64::max)));
        // Averaged over columns, as in a mean squared error.
        let mean = |of: fn(&Seen) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        let variance = mean(|c| c.values.deviation().powi(2));
        self.chance = Some(Chance::Regression { variance, mean: mean(|c| c.values.mean) });
        self.findings.extend(targets::targets(&found));
        Ok(self)
    }

    /// Checks the labels of a classification, numbered from 0. The most common class should have at most 10 times as
    /// many rows as the rarest. If it has at most half of all rows, a larger ratio is only a note.
    ///
    /// # Errors
    /// If `classes` is 0, or the device cannot be read.
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

    /// Checks the outputs that the loss receives, one row of them per row of data. With [`labels`](Self::labels), they
    /// should be logits: rows that already are probabilities have gone through a softmax, and a loss that takes logits
    /// would apply it again. With [`targets`](Self::targets), they are predictions: if none is negative and several are
    /// exactly 0, or all lie between 0 and 1, an output function may keep them from reaching targets outside that
    /// range.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn outputs<const D: usize>(mut self, outputs: &Tensor<D>) -> Result<Self, Error> {
        let dims = outputs.dims();
        let width = dims.last().copied().unwrap_or(1).max(1);
        self.outputs = Some((width, numbers(outputs.clone())?));
        Ok(self)
    }

    /// Checks whether similar rows follow each other, given the targets of the rows, `[rows]` or `[rows, columns]`, in
    /// the order in which training sees them, or the labels as floats. The measure is Bartels' rank ratio of the first
    /// column; it is 2 if neighbors are as far apart as any two rows.
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

    /// Checks the loss of the untrained model on the same data: a mean cross-entropy in nats if
    /// [`labels`](Self::labels) are given, and a mean squared error if [`targets`](Self::targets) are. It should be
    /// between 0.5 and 1.5 times the loss of guessing; for a regression, up to 3 times is only a note.
    ///
    /// # Errors
    /// If `loss` does not have exactly one element, or the device cannot be read.
    pub fn loss(mut self, loss: &Tensor<1>) -> Result<Self, Error> {
        one_number("loss", loss).map_err(|why| why.of("Doctor"))?;
        self.loss = numbers(loss.clone())?.first().copied();
        Ok(self)
    }

    /// Checks any other loss of the untrained model against `chance`, the loss of guessing.
    ///
    /// # Errors
    /// If `chance` is not positive and finite, `loss` does not have exactly one element, or the device cannot be read.
    pub fn loss_against(mut self, loss: &Tensor<1>, chance: f64) -> Result<Self, Error> {
        self.chance = Some(Chance::Given(Param("Doctor", "chance").positive(chance)?));
        self.loss(loss)
    }

    /// Checks the parameters of the model and the types of its layers. A model with 8 or more layers that have a weight
    /// matrix needs normalization, which is recognized by layer types with "Norm" in their names. The gates of a
    /// recurrent layer count as one layer.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn model<M: Module>(mut self, model: &M) -> Result<Self, Error> {
        self.parameters = look::parameters(model)?;
        self.findings.extend(parameters::check(&self.parameters));
        Ok(self)
    }

    /// Checks the gradients of the first loss. Those of the first and the last weights should not differ by more than a
    /// factor of 1000, and none should be more than 1000 times its weights; above 10⁶ is severe.
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

    /// Checks the output of an activation function, given which function it was; units lie along the last axis, or
    /// along the channels of images. More than a tenth of dead units, or more than a quarter of the values where the
    /// function is flat, is a finding.
    ///
    /// # Errors
    /// If the device cannot be read.
    pub fn activation<const D: usize>(
        mut self,
        name: &str,
        saturation: Saturation,
        values: &Tensor<D>,
    ) -> Result<Self, Error> {
        let columns = Columns::of(values.clone())?;
        let mut units = vec![Vec::new(); columns.width];
        columns.iter().for_each(|(unit, x)| units[unit].push(x));
        self.findings.extend(units::check(name, saturation, &units));
        Ok(self)
    }

    /// Checks whether the model is more than a linear function at these inputs. `forward` should be that of
    /// `model.valid()`, so that rows do not depend on each other.
    ///
    /// It is evaluated at each row `a`, at the next row `b`, and half-way between them: `f(a) + f(b) − 2·f((a+b)/2)` is
    /// 0 for a linear function. If a model with several weight matrices is linear, its non-linearities are missing, or
    /// no row reaches them.
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

    /// Checks the weight decay that will apply to every parameter.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn weight_decay(mut self, decay: f64) -> Result<Self, Error> {
        self.decay = Some(Param("Doctor", "weight_decay").non_negative(decay)?);
        Ok(self)
    }

    /// Checks the epsilon of Adam. It should be below the typical gradient element of every tensor.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn epsilon(mut self, epsilon: f64) -> Result<Self, Error> {
        self.epsilon = Some(Param("Doctor", "epsilon").non_negative(epsilon)?);
        Ok(self)
    }

    /// Returns the diagnosis: all findings, the worst first.
    #[must_use]
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

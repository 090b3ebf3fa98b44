//! Buffers that can be written, and what to do if they are shared.

use burn::backend::flex::FlexTensor;
use burn::tensor::Element;

/// Makes `tensor` writable in place: over a buffer that nothing else holds, with exactly its elements, in its order.
///
/// If its buffer is shared, the new values go into another one, and the old tensor, which is returned, is read along
/// the way: copying it first would take two more passes, on one core.
pub(super) fn own(tensor: &mut FlexTensor) -> Option<FlexTensor> {
    make_dense(tensor);
    match tensor.is_unique() {
        true => None,
        false => {
            let new = FlexTensor::empty(tensor.layout().shape().clone(), tensor.dtype());
            Some(std::mem::replace(tensor, new))
        }
    }
}

/// Puts `tensor` over a buffer with exactly its elements, in its order.
pub(super) fn make_dense(tensor: &mut FlexTensor) {
    let layout = tensor.layout();
    let whole = tensor.bytes().len() == layout.num_elements() * tensor.dtype().size();
    if !(whole && layout.is_contiguous() && layout.start_offset() == 0) {
        *tensor = tensor.to_contiguous();
    }
}

/// Elements to write, and where their old values are if not there.
pub(super) struct Place<'a, E> {
    from: Option<&'a [E]>,
    to: &'a mut [E],
}

impl<'a, E: Element + bytemuck::Pod> Place<'a, E> {
    /// Creates a place from two tensors, which must be of type `E` and of one size.
    pub(super) fn new(to: &'a mut FlexTensor, from: Option<&'a FlexTensor>) -> Self {
        Self { from: from.map(FlexTensor::storage), to: to.storage_mut() }
    }
}

impl<'a, E: Copy> Place<'a, E> {
    pub(super) const fn nowhere() -> Self {
        Self { from: None, to: &mut [] }
    }

    pub(super) fn len(&self) -> usize {
        self.to.len()
    }

    /// Splits off the first `n` elements, or all if there are fewer.
    pub(super) fn split_off(&mut self, n: usize) -> Self {
        let n = n.min(self.to.len());
        Self {
            from: self.from.as_mut().and_then(|from| from.split_off(..n)),
            to: self.to.split_off_mut(..n).unwrap_or_default(),
        }
    }

    /// Returns the elements, filled with their old values.
    pub(super) fn filled(self) -> &'a mut [E] {
        if let Some(from) = self.from {
            self.to.copy_from_slice(from);
        }
        self.to
    }
}

/// Splits off the first `n` elements, or all if there are fewer.
pub(super) fn split_off<'a, E>(slice: &mut &'a [E], n: usize) -> &'a [E] {
    let n = n.min(slice.len());
    slice.split_off(..n).unwrap_or_default()
}

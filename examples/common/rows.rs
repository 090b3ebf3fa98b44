//! Rows of features and targets, read from tables and from text.

pub type Row = (Vec<f32>, Vec<f32>);

/// Returns the lines that are numbers; the header of a file, if there is one, is none.
pub fn numbers(text: &str) -> Vec<Vec<f32>> {
    let row = |line: &str| line.split(',').map(|cell| cell.parse::<f32>()).collect();
    text.lines().map(row).filter_map(Result::ok).collect()
}

pub fn one_hot(class: usize, classes: usize) -> Vec<f32> {
    (0..classes).map(|k| f32::from(k == class)).collect()
}

/// Returns letters of English prose as rows: the `before` letters, and the next one. One row per `step` letters.
pub fn letters(before: usize, step: usize) -> Vec<Row> {
    let text = include_str!("../data/prose.txt").as_bytes();
    let mut known: Vec<u8> = text.to_vec();
    known.sort_unstable();
    known.dedup();
    let place = |letter: &u8| known.binary_search(letter).unwrap_or_default();
    let row = |window: &[u8]| {
        let seen = window[..before].iter().flat_map(|of| one_hot(place(of), known.len())).collect();
        (seen, one_hot(place(&window[before]), known.len()))
    };
    text.windows(before + 1).step_by(step).map(row).collect()
}

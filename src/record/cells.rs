//! Conversion of cells to a row of CSV and back.

use std::borrow::Cow;

use csv_core::{ReadFieldResult, Reader, Writer};

/// Appends one row and its line ending.
pub(super) fn write<'a>(to: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) {
    let mut writer = Writer::new();
    for (at, cell) in cells.into_iter().enumerate() {
        // A cell may consist only of quotes, which are doubled, plus a quote on each side and a comma.
        let mut out = vec![0; 2 * cell.len() + 4];
        let mut end = 0;
        if at > 0 {
            end += writer.delimiter(&mut out).1;
        }
        end += writer.field(cell.as_bytes(), &mut out[end..]).2;
        to.extend(&out[..end]);
    }
    let mut out = [0; 4];
    let (_, end) = writer.terminator(&mut out);
    to.extend(&out[..end]);
}

/// Returns the cells of a row that ends with its line; `None` if the line is not a row.
pub(super) fn read(mut line: &[u8]) -> Option<Vec<String>> {
    let (mut reader, mut out, mut cells) = (Reader::new(), vec![0; line.len()], Vec::new());
    loop {
        let (result, read, written) = reader.read_field(line, &mut out);
        line = &line[read..];
        let ReadFieldResult::Field { record_end } = result else { return None };
        cells.push(str::from_utf8(&out[..written]).ok()?.to_string());
        if record_end {
            return line.is_empty().then_some(cells);
        }
    }
}

const BREAKS: [char; 2] = ['\n', '\r'];

/// Returns a name without line breaks. They are escaped as in source code, so that two names stay different.
pub(super) fn name(text: &str) -> Cow<'_, str> {
    match text.contains(BREAKS) {
        true => text.replace('\n', "\\n").replace('\r', "\\r").into(),
        false => text.into(),
    }
}

/// Rows are single lines, so that a partial row can be told from a whole one.
pub(super) fn one_line(text: &str) -> String {
    text.replace(BREAKS, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cells: &[&str]) -> String {
        let mut row = Vec::new();
        write(&mut row, cells.iter().copied());
        String::from_utf8(row).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(written(&["1", "a b", "", "c"]), "1,a b,,c\n");
        assert_eq!(written(&["a,b", "say \"no\"", "\""]), "\"a,b\",\"say \"\"no\"\"\",\"\"\"\"\n");
    }

    #[test]
    fn what_was_written_is_read() {
        let cells = ["0", "", "a,b", "\"\"", "é \"x\", y", ""];
        assert_eq!(read(written(&cells).as_bytes()).unwrap(), cells);
    }

    #[test]
    fn half_a_row_is_none() {
        for half in ["1,\"a\n", "1,2", "", "1\n2\n"] {
            assert_eq!(read(half.as_bytes()), None, "{half}");
        }
    }
}

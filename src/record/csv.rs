//! CSV: one row for each step.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use super::cells;
use super::file::{Lines, each_line};
use super::logbook::{RESERVED, allowed};
use super::{Entry, Sink};
use crate::Error;

/// A CSV file: one row for each step, one column for each name.
///
/// ```text
/// attempt,update,verdict,why,loss,lr,factor,effective_lr,grad_norm
/// 0,0,Apply,,0.53,0.001,1.0,0.001,2.1
/// 1,1,Skip,"batch 1: update 1 skipped (…), …",NaN,0.001,1.0,0.001,NaN
/// ```
///
/// A line break in a name is written as `\n` or `\r`, and one in a reason as a space. A cell is empty if the step
/// has no number of that name. Numbers have enough digits to read the same bits back; non-finite ones are written
/// as `NaN`, `inf` and `-inf`, which most readers understand.
///
/// *A new name* becomes a column at the end, and the file is rewritten with it: first under another name, then
/// renamed, so that the file is always whole. This is rare, because names seldom change; if every step had new
/// names, it would be slow. With [`columns`](Self::columns) it never happens.
///
/// *Reopened* at attempt 0, the existing file is renamed with `.old` appended, replacing any earlier one, and a
/// new file is started. Reopened at a later attempt, rows from that attempt on are cut off, as is a partial row
/// at the end, and the file is continued. A file with any other row that is not a step is an error and is left
/// unchanged.
///
/// ```
/// use evenkeel::record::{Csv, Entry, Logbook};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let path = std::env::temp_dir().join("evenkeel-doc-csv.csv");
/// let mut log = Logbook::to(Csv::new(&path)).open(0)?;
/// log.push(Entry::new(0, 0).value("loss", 0.5))?;
/// log.push(Entry::new(1, 1).value("accuracy", 0.25))?;
/// log.close()?;
/// let text = "attempt,update,verdict,why,loss,accuracy\n0,0,Apply,,0.5,\n1,1,Apply,,,0.25\n";
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Csv {
    path: PathBuf,
    /// Whether the columns are fixed.
    fixed: bool,
    columns: Columns,
    lines: Option<Lines>,
    rows: Vec<Entry>,
}

/// The names that have a column, in order.
#[derive(Debug, Clone, Default)]
struct Columns {
    names: Vec<String>,
    known: HashMap<String, usize>,
}

/// The largest number of rows that are buffered.
const ROWS: usize = 1024;

impl Csv {
    /// Creates a sink for this file. The file and its folder are created when the sink is opened.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            fixed: false,
            columns: Columns::default(),
            lines: None,
            rows: Vec::new(),
        }
    }

    /// Sets the columns to only these names, in this order, after the first four columns.
    ///
    /// # Errors
    /// If a name occurs twice, or is `attempt`, `update`, `verdict` or `why`.
    pub fn columns<N: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, Error> {
        (self.fixed, self.columns) = (true, Columns::default());
        for name in names {
            let name = name.as_ref();
            allowed(name)?;
            if !self.columns.add(name) {
                return Err(Error::parameter("Csv", "columns", "names that differ", name));
            }
        }
        Ok(self)
    }

    /// Writes the buffered rows, after adding columns for new names.
    fn write_rows(&mut self) -> Result<(), Error> {
        let Self { columns, lines: Some(lines), .. } = self else { return Ok(()) };
        let before = columns.names.len();
        if !self.fixed {
            for (name, _) in self.rows.iter().flat_map(Entry::iter) {
                columns.add(name);
            }
        }
        let added = columns.names.len() - before;
        if added > 0 && lines.len() > 0 {
            lines.rewrite(|from, to| columns.widen(from, added, to))?;
        }
        if lines.len() == 0 && lines.pending.is_empty() {
            columns.write_header(&mut lines.pending);
        }
        for entry in self.rows.drain(..) {
            columns.write_row(&mut lines.pending, &entry);
        }
        Ok(())
    }

    /// Returns the columns of the file, and where the last row before `attempt` ends.
    fn scan(&self, attempt: u64) -> Result<(Option<Columns>, u64), Error> {
        let (mut columns, mut end) = (None, 0);
        each_line(&self.path, |line, after| {
            let cells = cells::read(line).ok_or("this is no row of CSV")?;
            let Some(Columns { names, .. }) = &columns else {
                let mut found = Columns::default();
                let (own, names) = cells.split_at(cells.len().min(RESERVED.len()));
                if own != RESERVED || !names.iter().all(|name| found.add(name)) {
                    return Err("this is not the header of a log".into());
                }
                if self.fixed && names != self.columns.names {
                    return Err("there are other columns".into());
                }
                (columns, end) = (Some(found), after);
                return Ok(true);
            };
            if cells.len() != RESERVED.len() + names.len() {
                return Err(format!("{} cells", cells.len()));
            }
            let at: u64 = cells[0].parse().map_err(|cause| format!("attempt: {cause}"))?;
            if at < attempt {
                end = after;
            }
            Ok(at < attempt)
        })?;
        Ok((columns, end))
    }
}

impl Sink for Csv {
    fn open(&mut self, attempt: u64) -> Result<(), Error> {
        let mut lines = Lines::open(&self.path)?;
        if lines.len() > 0 && attempt == 0 {
            lines.set_aside()?;
        } else if lines.len() > 0 {
            let (columns, end) = self.scan(attempt)?;
            lines.cut(end)?;
            self.columns = columns.unwrap_or(std::mem::take(&mut self.columns));
        }
        self.lines = Some(lines);
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.lines.is_none() {
            self.open(0)?;
        }
        self.rows.push(entry.clone());
        if self.rows.len() >= ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.write_rows()?;
        self.lines.as_mut().map_or(Ok(()), Lines::flush)
    }
}

impl Columns {
    /// Adds a name and returns whether it is new. Names are kept as they are written.
    fn add(&mut self, name: &str) -> bool {
        let new = self.position(name).is_none();
        if new {
            let name = cells::name(name).into_owned();
            self.known.insert(name.clone(), self.names.len());
            self.names.push(name);
        }
        new
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.known.get(&*cells::name(name)).copied()
    }

    fn write_header(&self, to: &mut Vec<u8>) {
        cells::write(to, RESERVED.into_iter().chain(self.names.iter().map(String::as_str)));
    }

    fn write_row(&self, to: &mut Vec<u8>, entry: &Entry) {
        let mut row = vec![String::new(); RESERVED.len() + self.names.len()];
        row[0] = entry.attempt.to_string();
        row[1] = entry.update.to_string();
        row[2] = format!("{:?}", entry.verdict);
        row[3] = entry.why.as_deref().map(cells::one_line).unwrap_or_default();
        for (name, value) in entry.iter() {
            if let Some(at) = self.position(name) {
                // Formatted with `Debug`, which uses exponents where they are shorter.
                row[RESERVED.len() + at] = format!("{value:?}");
            }
        }
        cells::write(to, row.iter().map(String::as_str));
    }

    /// Copies a whole file, adding empty cells for the last `added` names.
    fn widen(&self, from: &mut dyn Read, added: usize, to: &mut dyn Write) -> io::Result<()> {
        let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to));
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        line.clear();
        self.write_header(&mut line);
        to.write_all(&line)?;
        line.clear();
        while from.read_until(b'\n', &mut line)? > 0 {
            // Each row is one line, and an added empty cell is a comma.
            line.pop();
            line.resize(line.len() + added, b',');
            line.push(b'\n');
            to.write_all(&line)?;
            line.clear();
        }
        to.flush()
    }
}

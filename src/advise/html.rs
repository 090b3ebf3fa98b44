//! The advice as one page.

use std::fmt::Write;
use std::path::Path;

use super::{Advice, table};
use crate::Error;
use crate::text::escaped;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}\
                     table{border-collapse:collapse;font-size:14px}td,th{padding:.2rem .7rem;text-align:right;white-space:nowrap}\
                     td:first-child,th:first-child{text-align:left;white-space:normal}tr:nth-child(even){background:#f4f4f4}\
                     pre{background:#f4f4f4;padding:1rem;overflow:auto}svg{max-width:100%;height:auto}";

impl Advice {
    /// Picture, table and code as one page of HTML that needs nothing beside it.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg).
    pub fn to_html(&self) -> Result<String, Error> {
        let shown = table::shown(self);
        let row = |tag: &str, cells: &[String; table::COLUMNS]| {
            let cell = |at: &usize| format!("<{tag}>{}</{tag}>", escaped(&cells[*at]));
            format!("<tr>{}</tr>\n", shown.iter().map(cell).collect::<String>())
        };
        let mut rows = row("th", &table::HEADS.map(String::from));
        rows.extend(self.outcomes().iter().map(|o| row("td", &table::cells(self, o))));

        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>evenkeel: advice</title>\
             <style>{STYLE}</style></head><body>\n<h1>What helps</h1>\n"
        );
        let _ = writeln!(page, "<p>{}</p>", escaped(&table::heading(self)));
        for sentence in table::summary(self) {
            let _ = writeln!(page, "<p>{}</p>", coded(&sentence));
        }
        let _ = writeln!(page, "{}\n<table>\n{rows}</table>", self.to_svg()?);
        if let Some(code) = self.code() {
            let _ = writeln!(page, "<h2>The best one</h2>\n<pre>{}</pre>", escaped(&code));
        }
        page.push_str("</body></html>\n");
        Ok(page)
    }

    /// Writes that page to a file.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg), and if the file cannot be written.
    pub fn save_html(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let failed = |cause| Error::io(format_args!("saving {}", path.display()), cause);
        std::fs::write(path, self.to_html()?).map_err(failed)
    }
}

/// Escaped, with what stands between backticks as code.
fn coded(text: &str) -> String {
    let escaped = escaped(text);
    let parts = escaped.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.into() })
        .collect()
}

//! Numbers and names as text, for readers and for markup.

/// Formats three digits, with an exponent only where that is shorter.
pub(crate) fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.2e}").parse().unwrap_or(x);
    match rounded.abs() {
        0.0 => "0".into(),
        1e-4..1e6 => format!("{rounded}"),
        _ => format!("{rounded:e}"),
    }
}

/// Escapes text for markup, in an element or between quotes.
///
/// Characters that XML does not allow become the replacement character: a single one in a name would make the whole
/// picture unreadable.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\t' | '\n' | '\r' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 1.0, 0.003, 1234.0, 0.1 + 0.2, 1e-7, 2.5e9, -0.05].map(short);
        assert_eq!(all, ["0", "1", "0.003", "1230", "0.3", "1e-7", "2.5e9", "-0.05"]);
    }

    #[test]
    fn nothing_is_left_that_markup_would_take_for_its_own() {
        assert_eq!(escaped("<b a=\"1\" b='2'>&"), "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;");
        assert_eq!(escaped("l1.weight µ\n"), "l1.weight µ\n");
        assert_eq!(escaped("a\0b\u{1b}"), "a\u{fffd}b\u{fffd}");
    }
}

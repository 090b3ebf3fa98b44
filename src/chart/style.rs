//! Colors and fonts, for light and dark mode.

use std::fmt::Write;

/// A named color of the style, on a light and on a dark background.
///
/// The contrast of lines with the background is at least 3, and that of letters at least 4.5 (WCAG 2.1, AA).
/// Anything distinguished by color is also distinguished by shape or dashes.
struct Color {
    name: &'static str,
    light: &'static str,
    dark: &'static str,
}

const fn color_of(name: &'static str, light: &'static str, dark: &'static str) -> Color {
    Color { name, light, dark }
}

/// The eight colors of lines follow those of Okabe and Ito, which differ for every kind of color vision; they
/// are darker on a light background, for contrast.
const COLORS: &[Color] = &[
    color_of("paper", "#ffffff", "#161b22"),
    color_of("card", "#f5f7f9", "#0d1117"),
    color_of("ink", "#1b1f24", "#e6edf3"),
    color_of("muted", "#57606a", "#a3adb8"),
    color_of("grid", "#e4e7eb", "#2d343d"),
    color_of("faint", "#b3bac2", "#4b545f"),
    color_of("a", "#0072b2", "#56b4e9"),
    color_of("b", "#c65300", "#f0883e"),
    color_of("c", "#007d5a", "#2fc79a"),
    color_of("d", "#a8407f", "#e88cc0"),
    color_of("e", "#8a6d00", "#e6c229"),
    color_of("f", "#5b4bc4", "#a99cf5"),
    color_of("g", "#1b1f24", "#e6edf3"),
    color_of("h", "#7a4a21", "#c9a27e"),
    color_of("skip", "#945600", "#e6a23c"),
    color_of("rewind", "#7b3fa0", "#c297ff"),
    color_of("halt", "#c4001d", "#ff7b72"),
];

/// The number of line colors before they repeat.
pub(super) const LINES: usize = 8;

/// Returns the class of a line's color.
pub(super) fn class(line: usize) -> &'static str {
    ["a", "b", "c", "d", "e", "f", "g_", "h"][line % LINES]
}

/// A color rule: selector, property, name of the color.
type Rule = (&'static str, &'static str, &'static str);

const CHART: &[Rule] = &[
    (".ek text", "fill", "ink"),
    (".ek .l,.ek .k", "fill", "muted"),
    (".ek .paper", "fill", "paper"),
    (".ek .g", "stroke", "grid"),
    (".ek .x,.ek .usual,.ek .cross", "stroke", "muted"),
    (".ek .none", "fill", "grid"),
    (".ek .faint", "color", "faint"),
    (".ek .a", "color", "a"),
    (".ek .b", "color", "b"),
    (".ek .c", "color", "c"),
    (".ek .d", "color", "d"),
    (".ek .e", "color", "e"),
    (".ek .f", "color", "f"),
    (".ek .g_", "color", "g"),
    (".ek .h", "color", "h"),
    (".ek .pt", "stroke", "paper"),
    (".ek .skip", "fill", "paper"),
    (".ek .skip", "stroke", "skip"),
    (".ek .rewind", "fill", "rewind"),
    (".ek .halt", "fill", "halt"),
    (".ek .rewind,.ek .halt", "stroke", "paper"),
];

const PAGE: &[Rule] = &[
    ("body,pre", "background", "card"),
    ("body", "color", "ink"),
    (".card", "background", "paper"),
    (".card,td,th,.findings li+li", "border-color", "grid"),
    (".muted,th,footer", "color", "muted"),
    (".severe", "color", "halt"),
    (".warning", "color", "skip"),
    (".note", "color", "a"),
    (".first td", "background", "card"),
    ("#tip", "background", "ink"),
    ("#tip", "color", "paper"),
];

/// The rules that are the same in light and dark mode.
const SHAPES: &str = ".ek text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
    .ek .t{font-size:15px;font-weight:600}.ek .k{font-size:12px;font-weight:400}\
    .ek .s{font-size:12.5px}.ek .l.s{font-size:10.5px}.ek .big{font-size:18px;font-weight:600}\
    .ek .g,.ek .x{stroke-width:1;shape-rendering:crispEdges}\
    .ek .a,.ek .b,.ek .c,.ek .d,.ek .e,.ek .f,.ek .g_,.ek .h,.ek .faint{fill:none;stroke:currentColor;stroke-width:2;\
    stroke-linejoin:round;stroke-linecap:round}.ek .faint{stroke-width:1}\
    .ek .raw{stroke-width:1;stroke-opacity:.38}.ek .dash{stroke-dasharray:6 4;stroke-width:1.8}\
    .ek .thin{stroke-width:1.2}.ek .usual{fill:none;stroke-dasharray:1.5 4;stroke-width:1.4;stroke-linecap:round}\
    .ek .pt{fill:currentColor;stroke-width:1}.ek .dot{fill:currentColor;stroke:none}\
    .ek .band{fill:currentColor;fill-opacity:.16;stroke:none}.ek .mark{stroke-width:1.6}\
    .ek .cross{fill:none;stroke-width:1;stroke-dasharray:2 2;pointer-events:none}\
    .ek .heat{shape-rendering:crispEdges}.ek .over{fill:transparent}";

/// Writes each color twice: as its light value, for programs that do not support variables, and as the variable
/// that holds its value for light or dark mode.
fn rules(rules: &[Rule], to: &mut String) {
    for (selector, property, name) in rules {
        let light = COLORS.iter().find(|color| color.name == *name).map_or("#000", |c| c.light);
        let _ = write!(to, "{selector}{{{property}:{light};{property}:var(--ek-{name})}}");
    }
}

/// Writes both sets of values. On paper, the light set is always used.
fn variables(to: &mut String) {
    let all = |value: fn(&Color) -> &'static str| -> String {
        COLORS.iter().map(|color| format!("--ek-{}:{};", color.name, value(color))).collect()
    };
    let _ = write!(
        to,
        ":root{{{}}}@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}",
        all(|color| color.light),
        all(|color| color.dark)
    );
}

/// Returns the style of a standalone chart.
pub(super) fn alone() -> String {
    let mut style = String::new();
    variables(&mut style);
    rules(CHART, &mut style);
    style.push_str(SHAPES);
    style
}

/// Returns the style of a page and all its charts.
pub(crate) fn page() -> String {
    let mut style = alone();
    rules(PAGE, &mut style);
    style
}

/// Dark blue to yellow, darker for smaller values: perceptually even steps, in every kind of color vision and in
/// grey. Levels between these are interpolated.
const STOPS: [[u8; 3]; 9] = [
    [0x44, 0x01, 0x54],
    [0x47, 0x2d, 0x7b],
    [0x3b, 0x52, 0x8b],
    [0x2c, 0x72, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x28, 0xae, 0x80],
    [0x5e, 0xc9, 0x62],
    [0xad, 0xdc, 0x30],
    [0xfd, 0xe7, 0x25],
];

/// The number of colors of a heat map.
pub(super) const LEVELS: usize = 33;

/// Returns the color of a level: viridis, by Smith and van der Walt.
pub(super) fn color(level: usize) -> String {
    let place = level.min(LEVELS - 1) as f64 / (LEVELS - 1) as f64 * (STOPS.len() - 1) as f64;
    let at = (place as usize).min(STOPS.len() - 2);
    let share = place - at as f64;
    let mix = |k: usize| {
        let (a, b) = (f64::from(STOPS[at][k]), f64::from(STOPS[at + 1][k]));
        (a + share * (b - a)).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of `#rrggbb`, as in WCAG 2.1.
    fn luminance(color: &str) -> f64 {
        let part = |at: usize| {
            let x = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
            if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn everything_can_be_told_from_the_paper() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        for value in [|c: &Color| c.light, |c: &Color| c.dark] {
            let of = |name: &str| value(COLORS.iter().find(|c| c.name == name).unwrap());
            for paper in ["paper", "card"] {
                for letters in ["ink", "muted", "halt", "skip", "a"] {
                    let contrast = contrast(of(letters), of(paper));
                    assert!(contrast >= 4.5, "{letters} on {paper}: {contrast}");
                }
            }
            for line in (0..LINES).map(class).chain(["skip", "rewind", "halt"]) {
                let contrast = contrast(of(line.trim_end_matches('_')), of("paper"));
                assert!(contrast >= 3.0, "{line} on paper: {contrast}");
            }
        }
    }

    #[test]
    fn every_rule_has_its_color_and_every_line_its_rule() {
        for (selector, _, name) in CHART.iter().chain(PAGE) {
            assert!(COLORS.iter().any(|color| color.name == *name), "{selector}: {name}");
        }
        for line in (0..LINES).map(class) {
            let selector = format!(".ek .{line}");
            assert!(CHART.iter().any(|(s, property, _)| *s == selector && *property == "color"));
            assert!(SHAPES.contains(&format!("{selector},")), "{line}");
        }
    }

    #[test]
    fn levels_get_lighter() {
        let light: Vec<f64> = (0..LEVELS).map(|level| luminance(&color(level))).collect();
        assert!(light.is_sorted_by(|a, b| a < b), "{light:?}");
        assert_eq!((color(0).as_str(), color(99).as_str()), ("#440154", "#fde725"));
    }
}

//! Colours and letters, for light and for dark.

/// Of each pair the contrast with the paper is at least 3, and of letters at least 4.5 (WCAG 2.1, AA). What
/// differs in colour differs in shape or dashes as well.
struct Palette {
    paper: &'static str,
    ink: &'static str,
    muted: &'static str,
    grid: &'static str,
    first: &'static str,
    second: &'static str,
    skip: &'static str,
    rewind: &'static str,
    halt: &'static str,
    card: &'static str,
}

const LIGHT: Palette = Palette {
    paper: "#ffffff",
    ink: "#1b1f24",
    muted: "#57606a",
    grid: "#e4e7eb",
    first: "#0072b2",
    second: "#c65300",
    skip: "#945600",
    rewind: "#7b3fa0",
    halt: "#c4001d",
    card: "#f5f7f9",
};

const DARK: Palette = Palette {
    paper: "#161b22",
    ink: "#e6edf3",
    muted: "#a3adb8",
    grid: "#2d343d",
    first: "#56b4e9",
    second: "#f0883e",
    skip: "#e6a23c",
    rewind: "#c297ff",
    halt: "#ff7b72",
    card: "#0d1117",
};

impl Palette {
    fn chart(&self) -> String {
        let Self { paper, ink, muted, grid, first, second, skip, rewind, halt, .. } = self;
        format!(
            ".ek text{{fill:{ink}}}.ek .l,.ek .k{{fill:{muted}}}.ek .paper{{fill:{paper}}}.ek .g{{stroke:{grid}}}\
             .ek .x{{stroke:{muted}}}.ek .a{{stroke:{first}}}.ek .b{{stroke:{second}}}.ek .dot{{fill:{first}}}\
             .ek .usual{{stroke:{muted}}}.ek .none{{fill:{grid}}}.ek .cross{{stroke:{muted}}}\
             .ek .skip{{fill:{paper};stroke:{skip}}}.ek .rewind{{fill:{rewind};stroke:{paper}}}\
             .ek .halt{{fill:{halt};stroke:{paper}}}"
        )
    }

    fn page(&self) -> String {
        let Self { paper, ink, muted, grid, first, skip, halt, card, .. } = self;
        format!(
            "body{{background:{card};color:{ink}}}.card{{background:{paper};border-color:{grid}}}\
             .muted,th,footer{{color:{muted}}}td,th{{border-color:{grid}}}.severe{{color:{halt}}}\
             .warning{{color:{skip}}}.note{{color:{first}}}\
             #tip{{background:{ink};color:{paper}}}"
        )
    }
}

/// What is the same in light and dark.
const SHAPES: &str = ".ek text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
    .ek .t{font-size:15px;font-weight:600}.ek .k{font-size:12px;font-weight:400}\
    .ek .g,.ek .x{stroke-width:1;shape-rendering:crispEdges}\
    .ek .a,.ek .b,.ek .usual{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\
    .ek .raw{stroke-width:1;stroke-opacity:.38}.ek .b{stroke-dasharray:6 4;stroke-width:1.8}\
    .ek .thin{stroke-dasharray:none;stroke-width:1.2}.ek .usual{stroke-dasharray:1.5 4;stroke-width:1.4}.ek .mark{stroke-width:1.6}\
    .ek .cross{stroke-width:1;stroke-dasharray:2 2;pointer-events:none}.ek .heat{shape-rendering:crispEdges}\
    .ek .over{fill:transparent}";

/// The style of a picture that stands alone: light, as what it will be shown on is not known.
pub(in crate::record) fn alone() -> String {
    format!("{SHAPES}{}", LIGHT.chart())
}

/// The style of all pictures of a page, and of the page.
pub(in crate::record) fn page() -> String {
    let (light, dark) = (LIGHT.chart() + &LIGHT.page(), DARK.chart() + &DARK.page());
    format!("{SHAPES}{light}@media screen and (prefers-color-scheme:dark){{{dark}}}")
}

/// Dark blue to yellow, the darker the less: even steps for the eye, in every kind of colour vision and in
/// grey. Between these the levels are mixed.
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

/// How many colours a heat map has.
pub(super) const LEVELS: usize = 33;

/// The colour of a level, which is viridis of Smith and van der Walt.
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
        for p in [LIGHT, DARK] {
            for paper in [p.paper, p.card] {
                for letters in [p.ink, p.muted, p.halt, p.skip, p.first] {
                    assert!(contrast(letters, paper) >= 4.5, "{letters} on {paper}");
                }
            }
            for line in [p.first, p.second, p.skip, p.rewind, p.halt] {
                assert!(contrast(line, p.paper) >= 3.0, "{line} on {}", p.paper);
            }
        }
    }

    #[test]
    fn levels_get_lighter() {
        let light: Vec<f64> = (0..LEVELS).map(|level| luminance(&color(level))).collect();
        assert!(light.is_sorted_by(|a, b| a < b), "{light:?}");
        assert_eq!((color(0).as_str(), color(99).as_str()), ("#440154", "#fde725"));
    }
}

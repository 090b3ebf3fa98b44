//! The page of an advice.

use super::*;

/// Adam, far better than plain descent, and two that are neither.
fn page() -> String {
    let adam = outcome(with(Method::Adam), [point(0.1, &[1.0, 1.0]), point(1.0, &[1.5, 2.5])]);
    let momentum = outcome(with(Method::Momentum), [point(0.1, &[2.0, 2.5])]);
    let plain = outcome(plain(), [point(0.1, &[4.0, 4.0]), point(1.0, &[f64::INFINITY; 2])]);
    let never = outcome(variant("a<b"), [point(0.1, &[f64::INFINITY; 2])]);
    advice(WANTED, [plain, momentum, never, adam]).to_html().unwrap()
}

#[test]
fn the_recommended_recipe_is_marked_and_numbers_are_aligned() {
    let page = page();
    let table = page.split("<table>").nth(1).unwrap().split("</table>").next().unwrap();
    let number = |tag: &str, text: &str| format!("<{tag} class=\"number\">{text}</{tag}>");
    let row = |class: &str, tag: &str, cells: [&str; 5]| {
        let numbers: String = cells[1..].iter().map(|cell| number(tag, cell)).collect();
        format!("<tr{class}><{tag}>{}</{tag}>{numbers}</tr>\n", cells[0])
    };
    let heads =
        ["recipe", "stable up to", "best rate", "loss there (range)", "fresh seeds (range)"];
    // The column of fresh seeds is left out, as there are none.
    let head = row("", "th", heads).replace(&number("th", heads[4]), "");
    let body = [
        row(" class=\"first\"", "td", ["Adam", "≥ 1", "0.1", "1", ""]),
        row("", "td", ["momentum", "≥ 0.1", "0.1", "2.25 (2–2.5)", ""]),
        row("", "td", ["SGD", "0.1", "0.1", "4", ""]),
        row("", "td", ["SGD + a&lt;b", "none", "none", "–", ""]),
    ];
    let body = body.concat().replace(&number("td", ""), "");
    assert_eq!(table, format!("<thead>{head}</thead><tbody>\n{body}</tbody>"));
    assert!(page.contains("</tbody></table>\n</section>\n<footer>"));
}

#[test]
fn tiles_compare_the_recommended_recipe_with_plain_descent() {
    let page = page();
    let tile = |name: &str, value: &str, more: &str| {
        let whole = format!(
            "<dt class=\"muted\">{name}</dt><dd>{value}<small class=\"muted\">{more}</small>"
        );
        assert!(page.contains(&whole), "no {whole}");
    };
    tile("loss of the recommended recipe", "1", "4 with plain descent");
    tile("its rate", "0.1", "stable up to 1");
    tile("highest stable rate of all", "1", "0.1 with plain descent");
    tile("recipes", "4", "0 not told apart from the best");
}

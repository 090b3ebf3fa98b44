//! The page of an advice: whole, safe to open, and with the pictures that matter.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use evenkeel::advise::{Advice, Advisor};

/// Ten rows, again and again.
fn advice(variant: &'static str, rates: (f64, f64)) -> Advice {
    let device = Device::flex().autodiff();
    // Not from the device's generator, which other tests draw from.
    let make = |seed: u64| {
        let weights = [[0.3 + 0.1 * (seed % 5) as f32], [-0.2]];
        let weight = Param::from_tensor(Tensor::from_floats(weights, &device));
        Linear { weight, bias: None }
    };
    let row = |k: u64| {
        let k = k % 10;
        Tensor::<2>::from_floats([[k as f32 - 5.0, (k * k % 7) as f32]], &device)
    };
    let loss = |model: &Linear, x: Tensor<2>| {
        (model.forward(x.clone()) - x.sum_dim(1)).powi_scalar(2).mean()
    };
    let advisor = Advisor::new(make, loss, row).variant(variant, make, loss);
    let advisor = advisor.over(20).unwrap().seeds(2).unwrap().between(rates.0, rates.1).unwrap();
    advisor.holding_out(10).unwrap().run().unwrap()
}

fn pictures(page: &str) -> Vec<roxmltree::Document<'_>> {
    page.split("<figure")
        .skip(1)
        .map(|rest| &rest[rest.find("<svg").unwrap()..rest.find("</figure>").unwrap()])
        .map(|svg| roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{e}: {svg:.2000}")))
        .collect()
}

/// Texts of a picture, its title and description among them.
fn words(svg: &roxmltree::Document<'_>) -> String {
    let texts = svg.descendants().filter(|node| node.is_text()).filter_map(|node| node.text());
    let texts: Vec<&str> = texts.map(str::trim).filter(|text| !text.is_empty()).collect();
    texts.join("\n")
}

#[test]
fn it_has_a_curve_for_each_recipe_and_a_picture_for_each_of_the_best() {
    let advice = advice("wider", (1e-3, 1e3));
    let page = advice.to_html().unwrap();
    let pictures = pictures(&page);
    let lines = |svg: &roxmltree::Document<'_>, class: &str| {
        let all = svg.descendants().filter(|n| n.attribute("class") == Some(class)).count();
        all - svg
            .descendants()
            .filter(|n| n.has_tag_name("g"))
            .flat_map(|g| g.children())
            .filter(|n| n.attribute("class") == Some(class))
            .count()
    };
    // The best six and plain descent have a color; a line may have gaps, or be a dot.
    let first = words(&pictures[0]);
    let outcomes = advice.outcomes();
    for outcome in &outcomes[..6] {
        assert!(first.contains(&outcome.recipe.to_string()), "{}", outcome.recipe);
    }
    assert!(first.contains("SGD (plain)"));
    assert!(lines(&pictures[0], "faint") + 7 >= outcomes.len() - 2, "the rest in grey");
    // Rates of 1000 break.
    assert!(first.contains("broke"));
    let alone: Vec<String> = pictures[1..].iter().map(words).collect();
    assert!((5..=6).contains(&alone.len()));
    for (outcome, words) in outcomes.iter().filter(|o| o.recipe.to_string() != "SGD").zip(&alone) {
        assert!(words.starts_with(&outcome.recipe.to_string()), "{words}");
        assert!(words.contains("range over seeds") && words.contains("SGD (plain)"));
    }
    for svg in &pictures {
        assert_eq!(svg.root_element().attribute("role"), Some("img"));
        // Each has the same rates below it.
        let from = |svg: &roxmltree::Document<'_>| {
            let hover = svg.root_element().attribute("data-hover").unwrap().to_string();
            let data: serde_json::Value = serde_json::from_str(&hover).unwrap();
            (data["a"].to_string(), data["b"].to_string(), data["log"].as_bool())
        };
        assert_eq!(from(svg), from(&pictures[0]));
        assert_eq!(from(svg).2, Some(true));
    }
    assert!(page.contains(&advice.code().unwrap().replace('&', "&amp;").replace('<', "&lt;")));
    let rows = page.split("<tbody>").nth(1).unwrap().matches("<tr").count();
    assert_eq!(rows, outcomes.len());
}

#[test]
fn it_is_in_light_and_dark_for_paper_and_for_no_network() {
    let evil = "<script>alert('1')</script>";
    let page = advice(evil, (1e-3, 1.0)).to_html().unwrap();
    assert_eq!(page.matches("<script").count(), 1, "but the page's own");
    assert!(page.contains("&lt;script&gt;"));
    assert!(page.contains("@media screen and (prefers-color-scheme:dark)"));
    assert!(page.contains("@media print"));
    let text = page.replace("http://www.w3.org/2000/svg", "");
    for word in ["http", "//www", "@import", "url(", "<link rel=\"stylesheet", "src="] {
        assert!(!text.contains(word), "{word}");
    }
}

/// Of the same measurements the same picture, byte by byte.
#[test]
fn it_is_the_same_each_time() {
    let [one, two] = [0, 1].map(|_| advice("wider", (1e-2, 1e-1)));
    assert_eq!(one.to_svg().unwrap(), two.to_svg().unwrap());
    assert_eq!(one.to_html().unwrap(), two.to_html().unwrap());
}
